// Masks (lesson 01): `simmim_lab/masking.py` for one picture, with the same draws, and `simmim_lab/widgets/masking.py`.
//
// A mask is a Uint8Array of rows x cols, 1 = hidden. A strategy takes the grid in cells, a ratio and a Generator.

import { enlarge } from "./brush.js";
import { Generator } from "./random.js";
import { round, say } from "./say.js";

const RECTANGLES = 24; // that the blocks consist of
const [DARK, LIGHT] = [38, 230]; // of 255: hidden and visible in a picture of a mask

const STRATEGIES = {
  random: (grid, ratio, generator) => hideSmallest(generator.rand(area(grid)), ratio),
  bernoulli: (grid, ratio, generator) => Uint8Array.from(generator.rand(area(grid)), (value) => value < ratio),
  block,
  grid: lattice,
  half: (grid, ratio) => cells(grid, (row) => row < Math.ceil(ratio * grid[0])),
  center,
  stroke,
  mixture,
};

// As BEiT's rectangles, all drawn at once: each covers a part of what those before it have left.
function block([rows, cols], ratio, generator) {
  const [areas, shapes, ys, xs] = [1, 2, 3, 4].map(() => generator.rand(RECTANGLES));
  const [upwards] = generator.rand(1);
  const anywhere = generator.rand(rows * cols);
  let left = Math.ceil(ratio * (rows * cols));
  const rectangles = areas.map((share, k) => {
    const least = Math.min(left, 16);
    const size = Math.max(least + share * (left - least), (rows * cols) / RECTANGLES);
    left *= 1 - share;
    const aspect = 0.3 ** (1 - 2 * shapes[k]);
    const height = clamp(round(Math.sqrt(size * aspect)), 1, rows);
    const width = clamp(round(Math.sqrt(size / aspect)), 1, cols);
    const [top, first] = [Math.floor(ys[k] * (rows - height + 1)), Math.floor(xs[k] * (cols - width + 1))];
    return (row, col) => row >= top && row < top + height && col >= first && col < first + width;
  });
  const score = Array.from({ length: rows * cols }, (_, i) => {
    const covered = rectangles.findIndex((covers) => covers(Math.floor(i / cols), i % cols));
    if (covered < 0) return RECTANGLES + anywhere[i] / 2;
    const place = i / (rows * cols); // the last rectangle is filled from its top or its foot
    return covered + (upwards < 0.5 ? 1 - place : place) / 2;
  });
  return hideSmallest(score, ratio);
}

function lattice(grid, ratio, generator) {
  const every = Math.max(2, round((1 - Math.min(ratio, 0.99)) ** -0.5));
  const [dy, dx] = generator.randint(every, 2);
  return cells(grid, (row, col) => (row + dy) % every || (col + dx) % every);
}

function center([rows, cols], ratio) {
  const inside = (index, n) => Math.abs(2 * index + 1 - n) < round(n * ratio ** 0.5);
  return cells([rows, cols], (row, col) => inside(row, rows) && inside(col, cols));
}

// Three brush strokes of four straight pieces: what is nearest to them is hidden.
function stroke([rows, cols], ratio, generator) {
  const starts = generator.rand(3 * 2);
  const turns = generator.rand(3 * 4 * 2).map((draw) => (draw - 0.5) * 0.6);
  const pieces = [];
  for (let s = 0; s < 3; s++) {
    const free = [starts.slice(2 * s, 2 * s + 2)];
    for (let p = 0; p < 4; p++) free.push(free[p].map((place, axis) => place + turns[(4 * s + p) * 2 + axis]));
    const corners = free.map(([y, x]) => [clamp(y, 0, 1) * rows, clamp(x, 0, 1) * cols]);
    for (let p = 0; p < 4; p++) pieces.push([corners[p], corners[p + 1]]);
  }
  const distance = ([y, x], [[ay, ax], [by, bx]]) => {
    const [dy, dx] = [by - ay, bx - ax];
    const along = clamp(((y - ay) * dy + (x - ax) * dx) / Math.max(dy * dy + dx * dx, 1e-6), 0, 1);
    return Math.hypot(y - ay - along * dy, x - ax - along * dx);
  };
  const nearest = (i) => {
    const middle = [Math.floor(i / cols) + 0.5, (i % cols) + 0.5];
    return Math.min(...pieces.map((piece) => distance(middle, piece)));
  };
  return hideSmallest(Array.from({ length: rows * cols }, (_, i) => nearest(i)), ratio);
}

function mixture(grid, ratio, generator) {
  const masks = [STRATEGIES.random(grid, ratio, generator), block(grid, ratio, generator)];
  masks.push(STRATEGIES.half(grid, 0.5), center(grid, 0.25), stroke(grid, 0.3, generator));
  return masks[generator.randint(masks.length, 1)[0]];
}

const area = ([rows, cols]) => rows * cols;
const clamp = (value, least, most) => Math.min(most, Math.max(least, value));
const cells = (grid, hides) =>
  Uint8Array.from({ length: area(grid) }, (_, i) => (hides(Math.floor(i / grid[1]), i % grid[1]) ? 1 : 0));

// Hide the ceil(ratio x cells) cells with the smallest scores.
function hideSmallest(score, ratio) {
  const order = score.map((_, i) => i).sort((a, b) => score[a] - score[b]);
  const hidden = new Uint8Array(score.length);
  for (const i of order.slice(0, Math.ceil(ratio * score.length))) hidden[i] = 1;
  return hidden;
}

// The mean distance from a hidden pixel to the nearest visible one; infinite if nothing is visible.
function avgDist(hidden, width) {
  const visible = [...hidden.keys()].filter((i) => !hidden[i]).map((i) => [Math.floor(i / width), i % width]);
  let sum = 0;
  let count = 0;
  hidden.forEach((value, i) => {
    if (!value) return;
    const [y, x] = [Math.floor(i / width), i % width];
    sum += Math.sqrt(visible.reduce((least, [row, col]) => Math.min(least, (row - y) ** 2 + (col - x) ** 2), Infinity));
    count += 1;
  });
  return sum / Math.max(count, 1);
}

export const MaskExplorer = {
  follows: ["image_index", "strategy", "cell", "ratio", "seed"],

  compute({ image_index, strategy, cell, ratio, seed, size: [height, width] }, { images, patch, notes }, words) {
    const side = cell * patch;
    const grid = [height / side, width / side];
    const mask = STRATEGIES[strategy](grid, ratio, new Generator(seed));
    const hidden = enlarge(mask, grid, [height, width]);
    const image = images.subarray(image_index * height * width * 3).subarray(0, height * width * 3);
    const blackOrWhite = Uint8Array.from(image, (_, i) => (hidden[Math.floor(i / 3)] ? DARK : LIGHT));
    const distance = avgDist(hidden, width);
    const reach = Number.isFinite(distance) ? say(words.reach, { distance }) : words.nothing_visible;
    const share = mask.reduce((sum, value) => sum + value, 0) / mask.length;
    let status = say(words.hidden, { share, reach });
    if (notes[strategy]) status = say(words.noted, { said: status, note: notes[strategy] });
    return { pixels: new Uint8Array([...image, ...image, ...blackOrWhite]), hidden, status };
  },
};
