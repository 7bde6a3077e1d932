// Pictures are sampled, token by token (lesson 09): `simmim_lab/generation.py` and `simmim_lab/widgets/generation.py`.
// A seed draws other numbers than in PyTorch. A picture is {codes, mask}, arrays along its tokens; in a mask 1 = hidden.

import * as brush from "./brush.js";
import { load } from "./onnx.js";
import { Generator } from "./random.js";
import { round, say } from "./say.js";

const PICTURES = 4; // sampled at a time
const STEPS = 8; // that completions take, if so much is hidden
const CHANCE = 20; // of the order in which tokens are filled, at the first step

// Fill the hidden tokens of pictures in some steps; yield the pictures after each. `scores(pictures, words)` gives one
// number for each code of each token; `words` are said of all pictures, and `unsaid` say nothing.
async function* sample(scores, pictures, words, unsaid, { steps, temperature = 1, guidance = 0, generator }) {
  const hidden = pictures.map(({ mask }) => count(mask));
  for (let step = 1; step <= steps; step++) {
    const all = await guided(scores, pictures, words, unsaid, guidance);
    const doubt = () => CHANCE * (1 - step / steps) * gumbel(generator);
    pictures = pictures.map(({ codes, mask }, n) => {
      [codes, mask] = [codes.slice(), mask.slice()];
      const confidence = new Map();
      mask.forEach((value, i) => {
        if (!value) return;
        const logs = logSoftmax(all[n][i], temperature || 1);
        codes[i] = best(temperature ? logs.map((log) => log + gumbel(generator)) : logs); // a draw with these chances
        confidence.set(i, logs[codes[i]] + doubt());
      });
      const ranked = [...confidence.keys()].sort((a, b) => confidence.get(a) - confidence.get(b));
      for (const i of ranked.slice(tokensLeft(hidden[n], step, steps))) mask[i] = 0; // the others are taken back
      return { codes, mask };
    });
    yield pictures;
  }
}

async function guided(scores, pictures, words, unsaid, guidance) {
  const conditional = await scores(pictures, words);
  if (!guidance || String(words) === String(unsaid)) return conditional;
  const unconditional = await scores(pictures, unsaid);
  const away = (n, i) => (score, code) => (1 + guidance) * score - guidance * unconditional[n][i][code];
  return conditional.map((tokens, n) => tokens.map((codes, i) => codes.map(away(n, i))));
}

function tokensLeft(hidden, step, steps) {
  return step === steps ? 0 : Math.floor(hidden * Math.cos(((Math.PI / 2) * step) / steps));
}

const gumbel = (generator) => -Math.log(-Math.log(generator.rand(1)[0] || 2 ** -25));
const count = (mask) => mask.reduce((sum, value) => sum + value, 0);
const best = (scores) => scores.indexOf(scores.reduce((a, b) => Math.max(a, b)));

function logSoftmax(scores, temperature) {
  const most = scores[best(scores)];
  const sum = scores.reduce((sum, score) => sum + Math.exp((score - most) / temperature), 0);
  return scores.map((score) => (score - most) / temperature - Math.log(sum));
}

// The model in `scenes.onnx` as `scores` of `sample`.
const scorer = (model, [rows, cols]) => async (pictures, words) => {
  const whole = (numbers) => BigInt64Array.from(numbers, BigInt);
  const all = (name) => pictures.flatMap((picture) => [...picture[name]]);
  const shape = [pictures.length, rows, cols];
  const inputs = {
    codes: [whole(all("codes")), shape],
    mask: [Uint8Array.from(all("mask")), shape],
    words: [whole(pictures.flatMap(() => words)), [pictures.length, words.length]],
  };
  const { scores } = await model(inputs);
  const kinds = scores.length / (pictures.length * rows * cols);
  const token = (n) => (_, i) => scores.subarray((n + i) * kinds, (n + i + 1) * kinds);
  return pictures.map((_, n) => Array.from({ length: rows * cols }, token(n * rows * cols)));
};

// The codebook has the colours of a patch for each code: channel by channel, and in each row by row.
const values = ({ patch }) => 3 * patch ** 2;
const part = ([y, x], c, { patch }) => (c * patch + (y % patch)) * patch + (x % patch);

// The pixels that stand for codes, colour behind colour.
function decode(codes, data, [height, width]) {
  const { codebook, patch } = data;
  const colour = (y, x, c) => {
    const code = codes[Math.floor(y / patch) * (width / patch) + Math.floor(x / patch)];
    return round(255 * codebook[code * values(data) + part([y, x], c, data)]);
  };
  return Uint8Array.from({ length: 3 * height * width }, (_, i) => {
    const pixel = Math.floor(i / 3);
    return colour(Math.floor(pixel / width), pixel % width, i % 3);
  });
}

// For each patch of a picture the code that is nearest.
function encode(pixels, data, [height, width]) {
  const { codebook, patch } = data;
  const [rows, cols] = [height / patch, width / patch];
  const errors = Array.from({ length: rows * cols }, () => new Float64Array(codebook.length / values(data)));
  pixels.forEach((value, i) => {
    const [y, x, c] = [Math.floor(i / 3 / width), Math.floor(i / 3) % width, i % 3];
    const error = errors[Math.floor(y / patch) * cols + Math.floor(x / patch)];
    for (let code = 0; code < error.length; code++)
      error[code] += (value / 255 - codebook[code * values(data) + part([y, x], c, data)]) ** 2;
  });
  return errors.map((error) => error.indexOf(Math.min(...error)));
}

function loadScenes(data) {
  data.codebook = new Float32Array(data.codebook.buffer);
  return (data.model ??= load("scenes.onnx"));
}

const gridOf = (size, { patch }) => size.map((side) => side / patch);

export const SceneSampler = {
  follows: ["subject", "color", "place", "time", "steps", "temperature", "guidance", "seed"],
  load: loadScenes,

  async *compute(state, data, words) {
    const grid = gridOf(state.size, data);
    const nothing = { codes: Array(grid[0] * grid[1]).fill(0), mask: Array(grid[0] * grid[1]).fill(1) };
    const frames = [Array(PICTURES).fill(nothing)];
    const { chosen, unsaid } = caption(state);
    const options = { ...state, generator: new Generator(state.seed) };
    for await (const pictures of sample(scorer(await data.model, grid), frames[0], chosen, unsaid, options)) {
      frames.push(pictures);
      const index = frames.length - 1;
      yield { ...shown([pictures], state, data), index, ...SceneSampler.describe({ ...state, index }, data, words) };
    }
    yield shown(frames, state, data);
  },

  // What was asked for, and how far the pictures are.
  describe(state, data, words) {
    const { said, unsaid } = caption(state);
    const [rows, cols] = gridOf(state.size, data);
    const step = Math.min(state.index, state.steps);
    const status = say(words.filled, {
      asked: said.join(", ") || words.anything,
      filled: rows * cols - tokensLeft(rows * cols, step, state.steps),
      tokens: rows * cols,
      step,
      steps: state.steps,
      note: unsaid.length && !said.length ? words.note : "",
    });
    return { status };
  },
};

// The places of the chosen words in their lists, whose last says nothing.
function caption(state) {
  const lists = state.controls.filter(({ kind }) => kind === "select");
  const chosen = lists.map(({ trait, options }) => options.indexOf(state[trait]));
  const unsaid = lists.map(({ options }) => options.length - 1);
  const said = lists.filter((_, i) => chosen[i] < unsaid[i]).map(({ trait }) => state[trait]);
  return { chosen, unsaid, said };
}

function shown(frames, { size }, data) {
  const pictures = frames.flat();
  const pixels = pictures.flatMap(({ codes }) => [...decode(codes, data, size)]);
  const hidden = pictures.flatMap(({ mask }) => [...brush.enlarge(mask, gridOf(size, data), size)]);
  return { pixels: Uint8Array.from(pixels), hidden: Uint8Array.from(hidden) };
}

export const Completions = {
  follows: ["painted", "stroking", "seed"],
  act: (content, buffers, state, data) => brush.act(content, state, data),

  load(data, start) {
    brush.remember(start, data);
    return loadScenes(data);
  },

  async *compute(state, data, words) {
    brush.remember(state, data);
    const { painted, grid, size, stroking, seed } = state;
    const image = state.pixels.subarray(0, 3 * size[0] * size[1]);
    const hidden = brush.enlarge(painted, grid, size);
    const patches = count(painted);
    let answers = Array(PICTURES).fill(image);
    if (patches && !stroking) {
      const question = { codes: encode(image, data, size), mask: [...painted] };
      const options = { steps: Math.min(STEPS, patches), generator: new Generator(seed) };
      let last;
      const scores = scorer(await data.model, grid);
      const { unsaid } = data;
      const steps = sample(scores, Array(PICTURES).fill(question), unsaid, unsaid, options);
      for await (const pictures of steps) {
        last = pictures;
        yield {}; // here a newer stroke may take over
      }
      answers = last.map(({ codes }) => {
        const drawn = decode(codes, data, size);
        return image.map((value, i) => (hidden[Math.floor(i / 3)] ? drawn[i] : value));
      });
    }
    const panels = state.panels.map((panel, i) => (i ? { ...panel, striped: stroking } : panel));
    const numbers = { hidden: patches, patches: painted.length, share: patches / painted.length };
    const status = say(words[patches ? "hidden" : "nothing"], numbers);
    const pixels = Uint8Array.from([image, ...answers].flatMap((picture) => [...picture]));
    yield { panels, hidden, pixels, status };
  },
};
