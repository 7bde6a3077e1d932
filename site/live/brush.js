// What `simmim_lab/widgets/brush.py` does with what is painted.

// The mask of a grid as a mask of pixels: as in widgets.js, which shows it while somebody paints.
export function enlarge(painted, [rows, cols], [height, width]) {
  const row = (y) => Math.floor((y * rows) / height);
  const col = (x) => Math.floor((x * cols) / width);
  const area = { length: height * width };
  return Uint8Array.from(area, (_, i) => painted[row(Math.floor(i / width)) * cols + col(i % width)]);
}

// Note a mask at the end of a stroke, so that it can come back.
export function remember({ painted, stroking }, data) {
  data.strokes ??= [];
  if (!stroking && String(data.strokes.at(-1)) !== String(painted)) data.strokes.push(painted.slice());
}

// What a button changes.
export function act({ message }, { painted, grid, size }, data) {
  if (message === "clear") painted = painted.map(() => 0);
  if (message === "invert") painted = painted.map((value) => 1 - value);
  if (message === "undo" && data.strokes.length > 1) {
    data.strokes.pop();
    painted = data.strokes.at(-1);
  }
  return { painted, hidden: enlarge(painted, grid, size) };
}
