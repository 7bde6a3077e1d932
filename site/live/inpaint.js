// Filling holes of any shape in pictures of any size: `simmim_lab/inpainting.py`, step by step, where it is explained.
//
// A picture is {height, width, planes}: a Float32Array for each colour, in [0, 1]. A mask is a Uint8Array, 1 = hidden.

import { round } from "./say.js";

const SIDE = 32; // of the images that the model was trained on
const PATCH = 4;
const STRIDE = SIDE / 2;
const EDGE = PATCH - 1;
const STEPS = 128; // by which a known error is spread
const MEMORY = 64; // windows
const PATCHES = SIDE / PATCH;
const AREA = SIDE * SIDE;

// The picture with its hidden pixels filled in. `predict(seen, patches)` is the model on n windows: from n x 3 x SIDE
// x SIDE colours and n x PATCHES x PATCHES hidden patches to what it draws, which has the shape of the colours.
export async function inpaint(predict, picture, hidden) {
  if (!hidden.includes(1)) return picture;
  const known = { ...picture, planes: picture.planes.map((plane) => plane.map((value, i) => (hidden[i] ? 0 : value))) };
  const filled = await fill(predict, known, hidden);
  return { ...picture, planes: picture.planes.map((plane, c) => merge(hidden, filled.planes[c], plane)) };
}

// `predict` that remembers the windows of the last fills: while somebody paints, most of them stay as they are.
export function remembering(predict) {
  const known = new Map();
  return async (seen, patches) => {
    const windows = Array.from({ length: patches.length / PATCHES ** 2 }, (_, n) => ({
      seen: seen.slice(3 * AREA * n, 3 * AREA * (n + 1)),
      patches: patches.slice(PATCHES * PATCHES * n, PATCHES * PATCHES * (n + 1)),
    }));
    const keys = windows.map(key);
    const unknown = keys.flatMap((name, n) => (known.has(name) ? [] : [n]));
    if (unknown.length) {
      const all = (part) => joined(unknown.map((n) => windows[n][part]));
      const drawn = await predict(all("seen"), all("patches"));
      unknown.forEach((n, i) => known.set(keys[n], drawn.slice(3 * AREA * i, 3 * AREA * (i + 1))));
    }
    const found = joined(keys.map((name) => known.get(name)));
    for (const name of [...known.keys()].slice(0, -MEMORY)) known.delete(name);
    return found;
  };
}

// What the model sees of a window: nothing of its hidden patches.
function key({ seen, patches }) {
  const visible = seen.map((value, i) => (patches[patchOf(i % AREA)] ? -1 : value));
  return new TextDecoder("latin1").decode(new Uint8Array(visible.buffer));
}

function joined(arrays) {
  const all = new arrays[0].constructor(arrays.length * arrays[0].length);
  arrays.forEach((array, n) => all.set(array, n * array.length));
  return all;
}

const merge = (hidden, filled, plane) => plane.map((value, i) => (hidden[i] ? filled[i] : value));

// The picture, filled at the scales that its holes need; hidden pixels hold zeros.
async function fill(predict, picture, hidden) {
  if (!hidden.includes(1)) return picture;
  const { height, width } = picture;
  const scale = SIDE / Math.min(height, width);
  const deep = isDeep(hidden, height, width, SIDE / 4);
  if (scale > 1 || (scale < 1 && deep.includes(1))) {
    const factor = Math.max(scale, 1 / 2);
    const other = resized(picture, hidden, round(height * factor), round(width * factor));
    const filled = await fill(predict, other.picture, other.hidden);
    const planes = filled.planes.map((plane) => resize(plane, filled.height, filled.width, height, width));
    picture = { ...picture, planes: picture.planes.map((plane, c) => merge(hidden, planes[c], plane)) };
    if (scale > 1) return picture;
    hidden = hidden.map((value, i) => value && !deep[i]);
  }
  return fillWindows(predict, picture, hidden);
}

// Which hidden pixels are farther than `radius` from all that is visible.
function isDeep(hidden, height, width, radius) {
  const deep = new Uint8Array(hidden.length);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++)
      if (hidden[y * width + x]) deep[y * width + x] = 1 - seesVisible(hidden, height, width, y, x, radius);
  return deep;
}

function seesVisible(hidden, height, width, y, x, radius) {
  for (let dy = Math.max(-radius, -y); dy <= Math.min(radius, height - 1 - y); dy++)
    for (let dx = Math.max(-radius, -x); dx <= Math.min(radius, width - 1 - x); dx++)
      if (dy * dy + dx * dx <= radius * radius && !hidden[(y + dy) * width + x + dx]) return 1;
  return 0;
}

// A smaller or larger copy: means of visible pixels only. Hidden is what no visible pixel has a part in.
function resized(picture, hidden, height, width) {
  const change = (plane) => resize(plane, picture.height, picture.width, height, width);
  const visible = change(Float32Array.from(hidden, (value) => 1 - value));
  const mean = (value, i) => clamp(value / Math.max(visible[i], 1e-6));
  const planes = picture.planes.map((plane) => change(plane).map(mean));
  return { picture: { height, width, planes }, hidden: Uint8Array.from(visible, (share) => share < 1e-3) };
}

const clamp = (value) => Math.min(1, Math.max(0, value));

// Bilinear and antialiased, as F.interpolate does it: first along rows, then along columns.
function resize(plane, height, width, newHeight, newWidth) {
  const along = (source, count, length, newLength, place) => {
    const out = new Float32Array(count * newLength);
    for (const [k, weights, first] of triangles(length, newLength))
      for (let line = 0; line < count; line++) {
        let sum = 0;
        for (let j = 0; j < weights.length; j++) sum += weights[j] * source[place(line, first + j, length, count)];
        out[place(line, k, newLength, count)] = sum;
      }
    return out;
  };
  const rows = along(plane, height, width, newWidth, (line, k, length) => line * length + k);
  return along(rows, newWidth, height, newHeight, (line, k, length, count) => k * count + line);
}

// For each new pixel along a side: the weights of the old ones, and the first of these.
function triangles(length, newLength) {
  const scale = length / newLength;
  const support = Math.max(scale, 1);
  return Array.from({ length: newLength }, (_, k) => {
    const centre = scale * (k + 0.5);
    const first = Math.max(0, Math.trunc(centre - support + 0.5));
    const end = Math.min(length, Math.trunc(centre + support + 0.5));
    const raw = Array.from({ length: end - first }, (_, j) =>
      Math.max(0, 1 - Math.abs((first + j - centre + 0.5) / support)),
    );
    const sum = raw.reduce((a, b) => a + b);
    return [k, raw.map((weight) => weight / sum), first];
  });
}

// The picture with its holes filled from overlapping windows, none of which is larger than it.
async function fillWindows(predict, picture, hidden) {
  const [rows, cols] = [picture.height + 2 * EDGE, picture.width + 2 * EDGE];
  const frame = (plane) => framed(plane, picture.height, picture.width); // a window may hang over the border
  const planes = picture.planes.map(frame);
  const holes = frame(hidden);
  const places = corners(holes, rows, cols);
  const windows = places.map((place) => ({
    seen: planes.map((plane) => cut(plane, place, cols)),
    hole: cut(holes, place, cols),
  }));
  const drawn = await predictAll(predict, windows);

  const totals = planes.map((plane) => new Float32Array(plane.length));
  const weights = new Float32Array(rows * cols);
  places.forEach((place, n) => {
    for (let i = 0; i < AREA; i++) {
      if (!windows[n].hole[i]) continue;
      const at = place + Math.floor(i / SIDE) * cols + (i % SIDE);
      const weight = middle[Math.floor(i / SIDE)] * middle[i % SIDE];
      weights[at] += weight;
      totals.forEach((total, c) => (total[at] += weight * drawn[n][c][i]));
    }
  });
  const mean = (total) => total.map((value, i) => clamp(value / Math.max(weights[i], 1e-9)));
  const inside = (total) => total.filter((_, i) => isInside(i, rows, cols));
  return { ...picture, planes: picture.planes.map((plane, c) => merge(hidden, inside(mean(totals[c])), plane)) };
}

function isInside(i, rows, cols) {
  const [y, x] = [Math.floor(i / cols), i % cols];
  return y >= EDGE && y < rows - EDGE && x >= EDGE && x < cols - EDGE;
}

function framed(plane, height, width) {
  const [rows, cols] = [height + 2 * EDGE, width + 2 * EDGE];
  const inside = (n, length) => Math.min(length - 1, Math.max(0, n - EDGE));
  return plane.constructor.from(
    { length: rows * cols },
    (_, i) => plane[inside(Math.floor(i / cols), height) * width + inside(i % cols, width)],
  );
}

const cut = (plane, place, cols) =>
  plane.constructor.from({ length: AREA }, (_, i) => plane[place + Math.floor(i / SIDE) * cols + (i % SIDE)]);

// What a pixel of a window counts along a side: a Hann window, which is never 0.
const middle = Float32Array.from({ length: SIDE }, (_, i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * (i + 1)) / (SIDE + 2)));

// Where the windows that touch a hole start, in flat indices: each where it hides the fewest patches.
function corners(holes, rows, cols) {
  const touched = (y, x) => {
    for (let dy = 0; dy < PATCH; dy++) for (let dx = 0; dx < PATCH; dx++) if (holes[(y + dy) * cols + x + dx]) return 1;
    return 0;
  };
  const patches = Uint8Array.from({ length: rows * cols }, (_, i) => {
    const [y, x] = [Math.floor(i / cols), i % cols];
    return y <= rows - PATCH && x <= cols - PATCH && touched(y, x);
  });
  const count = (y, x) => {
    let sum = 0;
    for (let i = 0; i < PATCHES; i++)
      for (let j = 0; j < PATCHES; j++) sum += patches[(y + PATCH * i) * cols + x + PATCH * j];
    return sum;
  };
  const found = new Set();
  for (const ys of starts(rows))
    for (const xs of starts(cols)) {
      const choices = ys.flatMap((y) => xs.map((x) => ({ place: y * cols + x, count: count(y, x) })));
      const best = choices.reduce((a, b) => (b.count < a.count ? b : a));
      if (best.count) found.add(best.place);
    }
  return [...found];
}

// Along a framed side: about every STRIDE pixels, and the shifts of each, which lead outwards.
function starts(length) {
  const last = length - SIDE - EDGE;
  const windows = Math.max(2, Math.ceil((last - EDGE) / STRIDE) + 1);
  return Array.from({ length: windows }, (_, k) => {
    const start = round(EDGE + ((last - EDGE) * k) / (windows - 1));
    return Array.from({ length: PATCH }, (_, shift) => (k < windows / 2 ? start - shift : start + shift));
  });
}

// What the model draws in windows, less the error that it makes beside the holes.
async function predictAll(predict, windows) {
  const patches = windows.map(({ hole }) => {
    const own = new Uint8Array(PATCHES * PATCHES);
    hole.forEach((value, i) => value && (own[patchOf(i)] = 1));
    return own;
  });
  const all = await predict(joined(windows.flatMap(({ seen }) => seen)), joined(patches));
  return windows.map(({ seen, hole }, n) => {
    const drawn = seen.map((_, c) => all.subarray((3 * n + c) * AREA, (3 * n + c + 1) * AREA));
    const errors = spreadErrors(drawn, seen, hole, (i) => patches[n][patchOf(i)]);
    return drawn.map((plane, c) => plane.map((value, i) => value - errors[c][i]));
  });
}

const patchOf = (i) => Math.floor(i / SIDE / PATCH) * PATCHES + Math.floor((i % SIDE) / PATCH);

// The error of each colour: known at visible pixels of hidden patches and just beside them, spread into the hole.
function spreadErrors(drawn, seen, hole, isDrawn) {
  const known = new Uint8Array(AREA);
  const errors = drawn.map(() => new Float32Array(AREA));
  for (let i = 0; i < AREA; i++) {
    const drawnNear = hole[i] ? [] : AROUND[i].filter(isDrawn);
    if (!drawnNear.length) continue;
    known[i] = 1;
    const sources = isDrawn(i) ? [i] : drawnNear;
    errors.forEach((error, c) => {
      error[i] = sources.reduce((sum, j) => sum + drawn[c][j], 0) / sources.length - seen[c][i];
    });
  }
  const spread = [];
  for (let i = 0; i < AREA; i++) if (hole[i]) spread.push([i, BESIDE[i].filter((j) => known[j] || hole[j])]);
  return errors.map((error) => {
    for (let step = 0; step < STEPS; step++) {
      const before = error.slice();
      for (const [i, from] of spread) {
        let sum = 0;
        for (const j of from) sum += before[j];
        error[i] = sum / Math.max(1, from.length);
      }
    }
    return error;
  });
}

// The pixels of a window within one row and column of each pixel, itself included; and the four that share a side.
const inWindow = (n) => n >= 0 && n < SIDE;
const near = (i, isNear) =>
  [-1, 0, 1].flatMap((dy) =>
    [-1, 0, 1]
      .filter((dx) => isNear(dy, dx) && inWindow(Math.floor(i / SIDE) + dy) && inWindow((i % SIDE) + dx))
      .map((dx) => i + dy * SIDE + dx),
  );
const each = Array.from({ length: AREA }, (_, i) => i);
const AROUND = each.map((i) => near(i, () => true));
const BESIDE = each.map((i) => near(i, (dy, dx) => Math.abs(dy) + Math.abs(dx) === 1));
