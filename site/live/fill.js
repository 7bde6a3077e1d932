// A picture with a painted hole, which the model fills: `simmim_lab/widgets/inpainting_and_editing.py`.

import * as brush from "./brush.js";
import { inpaint, remembering } from "./inpaint.js";
import { load } from "./onnx.js";
import { round, say } from "./say.js";

const MODEL = "cifar10.onnx";
const TOLERANCE = 2; // of 255, since the bytes of both sides are rounded
const LONGEST = 2; // times the shorter side: a longer picture loses its ends

export const Inpainter = {
  follows: ["painted", "stroking", "name"],

  // Load the model. `start` is the state that Python computed: it tells whether a GPU computes right.
  load(data, start) {
    brush.remember(start, data);
    const trial = async (model) => {
      const { pixels } = shown(start, await fill(predictor(model), start));
      return pixels.every((value, i) => Math.abs(value - start.pixels[i]) <= TOLERANCE);
    };
    return (data.predict ??= load(MODEL, trial).then(predictor));
  },

  async compute(state, data, words) {
    brush.remember(state, data);
    if (!state.painted.includes(1)) return { ...shown(state, picture(state)), status: words.nothing };
    if (!state.painted.includes(0)) throw new Error("whole");
    const predict = await data.predict;
    const start = performance.now();
    const filled = await fill(predict, state);
    const milliseconds = performance.now() - start;
    return { ...shown(state, filled), status: described(state, filled, milliseconds, words) };
  },

  describe({ panels: [paint, filled] }, data, words) {
    return { panels: [paint, { ...filled, title: words.filled_title }] };
  },

  async act(content, buffers, state, data) {
    if (content.message !== "picture") return brush.act(content, state, data);
    return open(content.name, new Blob(buffers), state, data);
  },
};

// What is painted on: the first panel, in [0, 1].
function picture({ size: [height, width], pixels }) {
  const area = { length: height * width };
  return { height, width, planes: [0, 1, 2].map((c) => Float32Array.from(area, (_, i) => pixels[3 * i + c] / 255)) };
}

const fill = (predict, state) => inpaint(predict, picture(state), brush.enlarge(state.painted, state.grid, state.size));

const predictor = (model) =>
  remembering(async (seen, patches) => {
    const windows = patches.length / 64;
    return (await model({ images: [seen, [windows, 3, 32, 32]], mask: [patches, [windows, 8, 8]] })).prediction;
  });

function shown({ size: [height, width], pixels }, { planes }) {
  const values = 3 * height * width;
  const filled = Uint8Array.from({ length: values }, (_, i) => round(255 * planes[i % 3][Math.floor(i / 3)]));
  return { pixels: new Uint8Array([...pixels.subarray(0, values), ...filled]) };
}

function described(state, { planes }, milliseconds, words) {
  const truth = picture(state).planes;
  let [hidden, error] = [0, 0];
  state.painted.forEach((value, i) => {
    hidden += value;
    if (value) for (let c = 0; c < 3; c++) error += (planes[c][i] - truth[c][i]) ** 2;
  });
  const pixels = state.painted.length;
  const psnr = -10 * Math.log10(error / (3 * hidden));
  return say(words.filled, { hidden, pixels, share: hidden / pixels, psnr, milliseconds });
}

// Go on with another picture, and with the same hole if that fits.
async function open(name, blob, { grid }, data) {
  const address = URL.createObjectURL(blob);
  const image = new Image();
  image.src = address;
  try {
    await image.decode(); // upright, and of an animation the first frame
  } catch {
    throw new Error("unreadable", { cause: { name } });
  } finally {
    URL.revokeObjectURL(address);
  }
  const bytes = drawn(image, data.side);
  const size = [bytes.height, bytes.width];
  const pixels = bytes.data.filter((_, i) => i % 4 < 3);
  const shown = { name, pixels: new Uint8Array([...pixels, ...pixels]) };
  if (String(size) === String(grid)) return shown;
  const painted = middle(size);
  data.strokes = [];
  return { ...shown, size, grid: size, place: [size[0] >> 1, size[1] >> 1], painted, hidden: painted };
}

// The middle of a picture, shrunk to `side` pixels, on white where it is transparent.
function drawn(image, side) {
  const whole = [image.naturalWidth, image.naturalHeight];
  const [width, height] = whole.map((length) => Math.min(length, LONGEST * Math.min(...whole)));
  const scale = side / Math.max(width, height);
  const canvas = document.createElement("canvas");
  Object.assign(canvas, { width: Math.round(width * scale), height: Math.round(height * scale) });
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  pen.fillStyle = "white";
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.imageSmoothingQuality = "high";
  const [left, top] = [(whole[0] - width) / 2, (whole[1] - height) / 2];
  pen.drawImage(image, left, top, width, height, 0, 0, canvas.width, canvas.height);
  return pen.getImageData(0, 0, canvas.width, canvas.height);
}

// A square in the middle, a sixteenth of the picture.
function middle([height, width]) {
  const inside = (n, length) => Math.abs(2 * n + 1 - length) < length / 4;
  const area = { length: height * width };
  return Uint8Array.from(area, (_, i) => inside(Math.floor(i / width), height) && inside(i % width, width));
}
