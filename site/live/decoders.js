// Patches are painted and a model fills them (lessons 00 and 01): `MaskBrush` of `simmim_lab/widgets/decoders.py`.

import * as brush from "./brush.js";
import { load } from "./onnx.js";
import { round, say } from "./say.js";

export const MaskBrush = {
  follows: ["painted", "stroking"],

  load(data, start) {
    brush.remember(start, data);
    return (data.model ??= load("cifar10.onnx"));
  },

  async compute(state, data, words) {
    const { painted, grid, size, pixels } = state;
    brush.remember(state, data);
    const image = pixels.subarray(0, 3 * size[0] * size[1]);
    const hidden = brush.enlarge(painted, grid, size);
    const model = await data.model;
    const { prediction } = await model({ images: [planes(image), [1, 3, ...size]], mask: [painted.slice(), [1, ...grid]] });
    const predicted = image.map((_, i) => round(255 * prediction[place(i, image)]));
    const filled = image.map((value, i) => (hidden[Math.floor(i / 3)] ? predicted[i] : value));
    return {
      pixels: new Uint8Array([...image, ...predicted, ...filled]),
      hidden,
      status: described(painted, hidden, image, prediction, words),
    };
  },

  act: (content, buffers, state, data) => brush.act(content, state, data),
};

// Where the value i of an image, colour behind colour, lies in its planes of one colour each.
const place = (i, { length }) => (i % 3) * (length / 3) + Math.floor(i / 3);

// The planes of an image, in [0, 1].
function planes(image) {
  const all = new Float32Array(image.length);
  image.forEach((value, i) => (all[place(i, image)] = value / 255));
  return all;
}

function described(painted, hidden, image, prediction, words) {
  const count = painted.reduce((sum, value) => sum + value, 0);
  const said = say(words.hidden, { hidden: count, patches: painted.length, share: count / painted.length });
  if (!count) return said;
  const values = [...image.keys()].filter((i) => hidden[Math.floor(i / 3)]);
  const errors = values.map((i) => prediction[place(i, image)] - image[i] / 255);
  const psnr = -10 * Math.log10(errors.reduce((sum, error) => sum + error ** 2, 0) / errors.length);
  return said + say(words.psnr, { psnr });
}
