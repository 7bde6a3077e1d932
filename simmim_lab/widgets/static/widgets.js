// The front end of simmim_lab/widgets: labelled controls, panels of pixels, a chart, and a line of text.
// Python says what to show; this file draws it and reports what the learner does.

const SIDE = 224; // width of a panel on the screen, at least, in CSS pixels
const LONGEST = 2000; // width or height of a panel, at most

// What this file itself says. A page in another language puts its own words here, before it renders anything.
export const words = {
  play: "play",
  pause: "pause",
  click: "; arrow keys move",
  paint: "; arrow keys move, with Shift they paint, the space bar hides or shows",
  numbers: "{label}: write numbers from 0 to 1, such as 0, 0.5, 1",
  too_large: "{name} has {size} MB: make it smaller than {most} MB",
};
const say = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name]);

function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name in node && name !== "list") node[name] = value;
    else node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

// What the learner does goes to Python, and what was wrong with what was done before is no longer said.
function send(model, name, value) {
  model.set("error", "");
  model.set(name, value);
  model.save_changes();
}

export function ask(model, content, buffers) {
  model.set("error", "");
  model.send(content, undefined, buffers);
}

// A callback for several changes at a time that draws once, when all of them are there.
function soon(draw) {
  let due = false;
  return () => {
    if (!due) queueMicrotask(() => ((due = false), draw()));
    due = true;
  };
}

// Controls: native inputs, which the mouse, fingers, keys and screen readers all understand.

// The most that a control allows: a number, or a trait that has it.
const most = (model, max) => (typeof max === "string" ? model.get(max) : max);

// What follows a slow control takes long: it reports where it was left, not all that it passed.
function rangeControl(model, { trait, label, min, max, step, labels, slow }) {
  const input = make("input", { type: "range", min, max: most(model, max), step });
  const output = make("output");
  const write = (value) => {
    output.textContent = labels ? labels[value] : Number.isInteger(step) ? value : value.toFixed(2);
    input.setAttribute("aria-valuetext", output.textContent);
  };
  const show = () => {
    input.max = most(model, max);
    input.value = model.get(trait);
    write(model.get(trait));
  };
  input.addEventListener("input", () => write(Number(input.value)));
  input.addEventListener(slow ? "change" : "input", () => send(model, trait, Number(input.value)));
  model.on(`change:${trait}`, show);
  model.on(`change:${max}`, show);
  show();
  return make("label", { className: "sl-control" }, make("span", {}, label), input, output);
}

function selectControl(model, { trait, label, options }) {
  const input = make("select", {}, ...options.map((option) => make("option", { value: option }, String(option))));
  const show = () => (input.value = model.get(trait));
  input.addEventListener("change", () => send(model, trait, options[input.selectedIndex]));
  model.on(`change:${trait}`, show);
  show();
  return make("label", { className: "sl-control" }, make("span", {}, label), input);
}

function buttonControl(model, { label, message, key }) {
  const button = make("button", { type: "button" }, label);
  if (key) button.setAttribute("aria-keyshortcuts", `Control+${key.toUpperCase()}`);
  button.addEventListener("click", () => ask(model, { message }));
  return button;
}

function playControl(model, { trait, max }) {
  const button = make("button", { type: "button" }, words.play);
  const wait = matchMedia("(prefers-reduced-motion: reduce)").matches ? 1000 : 200;
  let timer = null;
  const stop = () => {
    clearInterval(timer);
    timer = null;
    button.textContent = words.play;
  };
  button.addEventListener("click", () => {
    if (timer) return stop();
    if (model.get(trait) >= most(model, max)) send(model, trait, 0);
    button.textContent = words.pause;
    timer = setInterval(() => {
      if (model.get(trait) >= most(model, max) || !button.isConnected) return stop();
      send(model, trait, model.get(trait) + 1);
    }, wait);
  });
  return button;
}

function numbersControl(model, { trait, label }) {
  const input = make("input", { type: "text", size: 32 });
  const read = () => input.value.split(/[\s,;]+/).filter(Boolean).map(Number);
  const show = () => {
    if (String(read()) !== String(model.get(trait))) input.value = model.get(trait).join(", ");
  };
  input.addEventListener("input", () => {
    const numbers = read();
    if (numbers.length && numbers.every((number) => number >= 0 && number <= 1)) send(model, trait, numbers);
    else model.set("error", say(words.numbers, { label }));
  });
  model.on(`change:${trait}`, show);
  show();
  return make("label", { className: "sl-control" }, make("span", {}, label), input);
}

function fileControl(model, { label, message, most }) {
  const input = make("input", { type: "file", accept: "image/*" });
  input.addEventListener("click", () => (input.value = "")); // so that the same file can be chosen again
  input.addEventListener("change", async () => {
    const [file] = input.files;
    if (!file) return;
    const { name, size } = file;
    if (size <= most) ask(model, { message, name }, [await file.arrayBuffer()]);
    else model.set("error", say(words.too_large, { name, size: (size / 1e6).toFixed(1), most: most / 1e6 }));
  });
  return make("label", { className: "sl-control" }, make("span", {}, label), input);
}

const CONTROLS = {
  range: rangeControl,
  select: selectControl,
  button: buttonControl,
  play: playControl,
  numbers: numbersControl,
  file: fileControl,
};

// Panels: pixels enlarged by a whole number, so that each is a square; what is hidden is grey with stripes.

function stripes(context) {
  const tile = make("canvas", { width: 8, height: 8 });
  const pen = tile.getContext("2d");
  pen.fillStyle = "#808080";
  pen.fillRect(0, 0, 8, 8);
  pen.strokeStyle = "#b0b0b0";
  pen.lineWidth = 1.5;
  for (const shift of [-8, 0, 8]) {
    pen.beginPath();
    pen.moveTo(shift, 8);
    pen.lineTo(shift + 8, 0);
    pen.stroke();
  }
  return context.createPattern(tile, "repeat");
}

function bytes(view) {
  return view && view.byteLength ? new Uint8Array(view.buffer, view.byteOffset, view.byteLength) : null;
}

function panelView(model, index) {
  const { pointer, large } = model.get("panels")[index];
  const canvas = make("canvas");
  const context = canvas.getContext("2d");
  const pattern = stripes(context);
  const small = make("canvas");
  const caption = make("figcaption");
  const draw = () => {
    const panels = model.get("panels");
    const { title, striped } = panels[index];
    caption.textContent = title;
    canvas.setAttribute("aria-label", `${title}${words[pointer] ?? ""}`);
    const [height, width] = model.get("size");
    const area = height * width;
    const pixels = bytes(model.get("pixels"));
    const frames = Math.floor((pixels?.length ?? 0) / (panels.length * area * 3));
    if (!frames) return;
    const picture = Math.min(model.get("index") ?? 0, frames - 1) * panels.length + index;
    const start = picture * area * 3;
    const image = new ImageData(width, height);
    for (let i = 0, j = start; i < image.data.length; i += 4, j += 3) {
      image.data[i] = pixels[j];
      image.data[i + 1] = pixels[j + 1];
      image.data[i + 2] = pixels[j + 2];
      image.data[i + 3] = 255;
    }
    Object.assign(small, { width, height });
    small.getContext("2d").putImageData(image, 0, 0);
    const zoom = Math.ceil(Math.min((large ? 2 : 1) * SIDE / Math.min(width, height), LONGEST / Math.max(width, height)));
    Object.assign(canvas, { width: width * zoom, height: height * zoom });
    context.imageSmoothingEnabled = false;
    context.drawImage(small, 0, 0, canvas.width, canvas.height);
    const masks = striped ? bytes(model.get("hidden")) : null;
    if (masks) {
      const hidden = masks.length > area ? masks.subarray(picture * area) : masks;
      context.fillStyle = pattern;
      for (let y = 0; y < height; y++)
        for (let x = 0; x < width; x++)
          if (hidden[y * width + x]) context.fillRect(x * zoom, y * zoom, zoom, zoom);
    }
    if (pointer) cursor(model, context, canvas);
  };
  const redraw = soon(draw);
  for (const name of ["panels", "size", "pixels", "hidden", "index", "place", "brush"]) model.on(`change:${name}`, redraw);
  draw();
  canvas.setAttribute("role", pointer ? "application" : "img");
  if (pointer) listen(model, canvas, pointer);
  return make("figure", { className: large ? "sl-large" : "" }, caption, canvas);
}

// The pointer: one place of a grid is chosen by a click or with the arrow keys; a brush also hides or shows there.

// The square under the brush when it is at a place: first and last row, first and last column, ends excluded.
function square(model, [row, col]) {
  const [rows, cols] = model.get("grid");
  const brush = model.get("brush") ?? 1;
  const [top, left] = [row - (brush >> 1), col - (brush >> 1)];
  return [Math.max(0, top), Math.min(rows, top + brush), Math.max(0, left), Math.min(cols, left + brush)];
}

function cursor(model, context, canvas) {
  const [rows, cols] = model.get("grid");
  const [high, wide] = [canvas.height / rows, canvas.width / cols];
  const [top, bottom, left, right] = square(model, model.get("place"));
  for (const [color, width] of [["#ffffff", 4], ["#0072B2", 2]]) {
    context.strokeStyle = color;
    context.lineWidth = width;
    context.strokeRect(left * wide + 1, top * high + 1, (right - left) * wide - 2, (bottom - top) * high - 2);
  }
}

function listen(model, canvas, kind) {
  canvas.tabIndex = 0;
  const paint = kind === "paint";
  let value = 1; // what the brush does: 1 hides, 0 shows
  let last = null;
  const inside = (n, most) => Math.min(most - 1, Math.max(0, n));
  const locate = (event) => {
    const box = canvas.getBoundingClientRect();
    const [rows, cols] = model.get("grid");
    return [
      inside(Math.floor(((event.clientY - box.top) / box.height) * rows), rows),
      inside(Math.floor(((event.clientX - box.left) / box.width) * cols), cols),
    ];
  };
  const dab = (places) => {
    const cols = model.get("grid")[1];
    const painted = bytes(model.get("painted")).slice();
    for (const [top, bottom, left, right] of places.map((place) => square(model, place)))
      for (let row = top; row < bottom; row++) painted.fill(value, row * cols + left, row * cols + right);
    model.set("painted", new DataView(painted.buffer));
    model.set("hidden", enlarge(model, painted)); // shown at once; Python answers with the same
  };
  const line = ([y0, x0], [y1, x1]) => {
    const steps = Math.max(Math.abs(y1 - y0), Math.abs(x1 - x0), 1);
    return Array.from({ length: steps + 1 }, (_, i) => [
      Math.round(y0 + ((y1 - y0) * i) / steps),
      Math.round(x0 + ((x1 - x0) * i) / steps),
    ]);
  };
  const begin = (place, paints) => {
    last = place;
    value = paints;
    model.set("stroking", true);
  };
  const opposite = ([row, col]) => 1 - bytes(model.get("painted"))[row * model.get("grid")[1] + col];
  const move = (place) => {
    if (paint) dab(line(last, place));
    last = place;
    send(model, "place", place);
  };
  const end = () => model.get("stroking") && send(model, "stroking", false);
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    canvas.focus();
    last = locate(event);
    if (paint) begin(last, opposite(last));
    move(last);
    event.preventDefault();
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!canvas.hasPointerCapture(event.pointerId)) return;
    const place = locate(event);
    if (String(place) !== String(last)) move(place);
  });
  const arrows = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
  canvas.addEventListener("keydown", (event) => {
    const [row, col] = model.get("place");
    const [rows, cols] = model.get("grid");
    const step = arrows[event.key];
    if (step) {
      const next = [inside(row + step[0], rows), inside(col + step[1], cols)];
      if (paint && event.shiftKey) {
        begin([row, col], 1);
        move(next);
      } else send(model, "place", next);
    } else if (paint && event.key === " ") {
      value = opposite([row, col]);
      dab([[row, col]]);
      model.save_changes();
    } else return;
    event.preventDefault();
  });
  if (!paint) return;
  canvas.addEventListener("lostpointercapture", end);
  canvas.addEventListener("blur", end);
  canvas.addEventListener("keyup", (event) => event.key === "Shift" && end());
}

function enlarge(model, painted) {
  const [height, width] = model.get("size");
  const [rows, cols] = model.get("grid");
  const hidden = new Uint8Array(height * width);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++)
      hidden[y * width + x] = painted[Math.floor((y * rows) / height) * cols + Math.floor((x * cols) / width)];
  return new DataView(hidden.buffer);
}

// The chart: lines over x, bars of counts below, and a cursor that can be dragged.

// About five round numbers from `low` to `high`, or the powers of ten between them.
function ticks(low, high, log) {
  if (log) {
    const first = Math.ceil(Math.log10(low));
    return Array.from({ length: Math.floor(Math.log10(high)) - first + 1 }, (_, i) => +`1e${first + i}`);
  }
  const rough = (high - low) / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].find((factor) => factor * power >= rough * 0.999) * power;
  const first = Math.ceil(low / step);
  return Array.from({ length: Math.floor(high / step) - first + 1 }, (_, i) => +((first + i) * step).toPrecision(3));
}

const SVG = "http://www.w3.org/2000/svg";
function svg(tag, attributes, text) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  if (text !== undefined) node.textContent = text;
  return node;
}

function chartView(model) {
  const [W, H, left, right, top, bottom] = [560, 276, 64, 16, 32, 44];
  const short = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });
  const root = svg("svg", { viewBox: `0 0 ${W} ${H}`, class: "sl-chart", role: "img" });
  const draw = () => {
    const chart = model.get("chart");
    root.replaceChildren();
    root.setAttribute("aria-label", chart.title);
    root.classList.toggle("sl-draggable", Boolean(chart.cursor));
    const values = chart.series.flatMap((line) => line.y);
    if (!values.length) return;
    const [x0, x1] = chart.range;
    const y0 = chart.log ? Math.min(...values) : 0;
    const y1 = Math.max(...values) * 1.05 || 1;
    const scale = chart.log ? Math.log : Number;
    const share = (value, low, high) => (scale(value) - scale(low)) / (scale(high) - scale(low));
    const px = (x) => left + share(x, x0, x1) * (W - left - right);
    const py = (y) => H - bottom - share(y, y0, y1) * (H - top - bottom);
    for (const y of ticks(y0, y1, chart.log)) {
      root.append(svg("line", { x1: left, x2: W - right, y1: py(y), y2: py(y), class: "sl-grid" }));
      root.append(svg("text", { x: left - 8, y: py(y) + 4, "text-anchor": "end" }, short.format(y)));
    }
    for (const x of ticks(x0, x1, chart.log)) root.append(svg("text", { x: px(x), y: H - bottom + 18, "text-anchor": "middle" }, x));
    root.append(svg("text", { x: (left + W - right) / 2, y: H - 6, "text-anchor": "middle" }, chart.xlabel));
    const upwards = `translate(14 ${(top + H - bottom) / 2}) rotate(-90)`;
    root.append(svg("text", { transform: upwards, "text-anchor": "middle" }, chart.ylabel));
    const heap = {};
    for (const x of chart.dots ?? []) {
      heap[x] = (heap[x] ?? 0) + 1;
      root.append(svg("circle", { cx: px(x), cy: H - bottom - 6 - 11 * (heap[x] - 1), r: 5, class: "sl-dot" }));
    }
    chart.series.forEach((line, i) => {
      const points = line.x.map((x, k) => `${px(x).toFixed(1)},${py(line.y[k]).toFixed(1)}`).join(" ");
      const dash = line.dash?.join(" ") || "none";
      const style = { stroke: line.color, "stroke-width": line.bold ? 5 : 2.5, "stroke-dasharray": dash };
      root.append(svg("polyline", { points, fill: "none", ...style }));
      for (const k of line.marked ? line.x.keys() : [])
        root.append(svg("circle", { cx: px(line.x[k]), cy: py(line.y[k]), r: 4, fill: line.color }));
      const x = left + Math.min(150, (W - left) / chart.series.length) * i;
      root.append(svg("line", { x1: x, x2: x + 30, y1: 12, y2: 12, ...style }));
      root.append(svg("text", { x: x + 36, y: 16 }, line.label));
      if (chart.cursor) {
        const at = model.get(chart.cursor);
        const k = Math.round(share(at, x0, x1) * (line.x.length - 1));
        root.append(svg("circle", { cx: px(line.x[k]), cy: py(line.y[k]), r: 6, fill: line.color }));
      }
      if (chart.lowest) {
        const low = line.y.indexOf(Math.min(...line.y));
        root.append(svg("path", { d: `M${px(line.x[low])},${py(line.y[low]) - 3} l6,-10 h-12 z`, fill: line.color }));
      }
    });
    if (chart.lowest) root.append(svg("text", { x: left + 150 * chart.series.length, y: 16 }, `▼ ${chart.lowest}`));
    if (chart.cursor) {
      const x = px(model.get(chart.cursor));
      root.append(svg("line", { x1: x, x2: x, y1: top, y2: H - bottom, class: "sl-cursor" }));
    }
  };
  const drag = (event) => {
    const chart = model.get("chart");
    if (!chart.cursor || !event.buttons) return;
    const box = root.getBoundingClientRect();
    const share = (((event.clientX - box.left) / box.width) * W - left) / (W - left - right);
    const [x0, x1] = chart.range;
    const value = chart.log ? x0 * (x1 / x0) ** share : x0 + share * (x1 - x0);
    const steps = Math.round(1 / chart.step); // in 1
    send(model, chart.cursor, Math.min(x1, Math.max(x0, Math.round(value * steps) / steps)));
    event.preventDefault();
  };
  root.addEventListener("pointerdown", drag);
  root.addEventListener("pointermove", drag);
  model.on("change:chart", draw);
  if (model.get("chart").cursor) model.on(`change:${model.get("chart").cursor}`, draw);
  draw();
  return root;
}

function textView(model, trait, attributes) {
  const node = make("p", attributes);
  const show = () => (node.textContent = model.get(trait));
  model.on(`change:${trait}`, show);
  show();
  return node;
}

function render({ model, el }) {
  const root = make("div", { className: "sl-widget" });
  // JupyterLab's shortcuts would act on the notebook while somebody works here.
  root.addEventListener("keydown", (event) => {
    const control = event.ctrlKey || event.metaKey;
    const button = control && model.get("controls").find(({ key }) => key === event.key);
    if (button) {
      ask(model, { message: button.message });
      event.preventDefault();
    }
    if (button || !(control || event.altKey)) event.stopPropagation();
  });
  const controls = model.get("controls").map((control) => CONTROLS[control.kind](model, control));
  const panels = model.get("panels").map((panel, index) => panelView(model, index));
  if (controls.length) root.append(make("div", { className: "sl-controls" }, ...controls));
  if (model.get("chart").series) root.append(chartView(model));
  if (panels.length) {
    const shown = make("div", { className: "sl-panels" }, ...panels);
    shown.style.setProperty("--columns", 2 + Math.ceil((panels.length - 1) / 2)); // if the first is large
    root.append(shown);
  }
  root.append(textView(model, "status", { className: "sl-status", role: "status" }));
  root.append(textView(model, "error", { className: "sl-error", role: "alert" }));
  el.append(root);
}

// What JupyterLab saves: of a widget its picture alone. A stored view finds no model when the notebook is opened
// again, and JupyterLab would show that error in place of the picture.

const VIEW = "application/vnd.jupyter.widget-view+json";

function withoutViews(notebook) {
  const content = structuredClone(notebook);
  const outputs = content.cells.flatMap((cell) => cell.outputs ?? []);
  for (const { data } of outputs) if (data?.["image/png"]) delete data[VIEW];
  if (!outputs.some(({ data }) => data?.[VIEW])) delete content.metadata.widgets; // the state of what has no view
  return content;
}

function initialize({ model }) {
  const notebook = model.widget_manager?.context?.model; // other front ends hand out none
  if (!notebook || Object.hasOwn(notebook, "toJSON")) return;
  const toJSON = notebook.toJSON;
  notebook.toJSON = () => withoutViews(toJSON.call(notebook));
}

export default { initialize, render };
