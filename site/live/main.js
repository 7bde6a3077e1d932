// Widgets on the pages of lessons: what can run without Python takes the place of its picture.

import { idle, read, run, words } from "./host.js";
import { words as said } from "./widgets.js";

const MODULES = {
  BudgetExplorer: "gpu_training",
  Completions: "generation",
  FilmPlayer: "the_mim_family",
  Inpainter: "fill",
  LossPlayground: "mse_loss",
  MaskBrush: "decoders",
  MaskExplorer: "masking",
  SceneSampler: "generation",
};

Object.assign(said, words);

const near = new IntersectionObserver(
  (entries) => {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue;
      near.unobserve(target);
      idle(() => prepare(target));
    }
  },
  { rootMargin: "400px" },
);
for (const figure of document.querySelectorAll(".sl-live[data-widget]")) near.observe(figure);

// Start the widget of a figure; if it needs a model, when somebody asks for it.
async function prepare(figure) {
  const { widget: name } = figure.dataset;
  const widget = (await import(`./${MODULES[name]}.js`))[name];
  const line = document.createElement("p");
  line.setAttribute("role", "status");
  figure.append(line);
  if (!widget.load) return start(figure, widget, line);
  const button = document.createElement("button");
  Object.assign(button, { type: "button", className: "sl-run", textContent: words.run });
  change(figure, () => figure.querySelector("figcaption").before(button, line));
  button.addEventListener("click", async () => {
    button.disabled = true;
    line.textContent = words.model_loading;
    await start(figure, widget, line);
    button.disabled = false;
    first(figure).focus();
  });
}

const first = (figure) => figure.querySelector("input, select, button");

// Change what a figure shows; who is in it by keyboard stays in it.
function change(figure, show) {
  const held = figure.contains(document.activeElement);
  show();
  if (held) first(figure)?.focus();
}

// Put the widget in the place of all that the figure shows; where that fails, say so and leave the picture.
async function start(figure, widget, line) {
  const address = new URL(`state/${figure.dataset.state.split("/").at(-1)}`, import.meta.url);
  const place = document.createElement("div");
  try {
    const stored = await read(address);
    await widget.load?.(stored.data, stored.state);
    run(widget, stored, place);
    change(figure, () => figure.replaceChildren(place));
  } catch (error) {
    console.warn(error);
    line.textContent = words[error.message] ?? words.broken;
  }
}
