// Widgets on the pages of lessons: what can run without Python takes the place of its picture.

import { read, run, words } from "./host.js";
import { say } from "./say.js";
import { words as said } from "./widgets.js";

const MODULES = {
  BudgetExplorer: "gpu_training",
  Completions: "generation",
  Inpainter: "fill",
  LossPlayground: "mse_loss",
  MaskBrush: "decoders",
  MaskExplorer: "masking",
  SceneSampler: "generation",
};

Object.assign(said, words);

const near = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) {
    if (!isIntersecting) continue;
    near.unobserve(target);
    (window.requestIdleCallback ?? setTimeout)(() => prepare(target)); // Safari has none
  }
}, { rootMargin: "400px" });
for (const figure of document.querySelectorAll(".sl-live[data-widget]")) near.observe(figure);

// Put the widget in the place of its picture; if it needs a model, when somebody asks for it.
async function prepare(figure) {
  const line = document.createElement("p");
  line.setAttribute("role", "status");
  figure.append(line);
  const { widget: name, state } = figure.dataset;
  const widget = (await import(`./${MODULES[name]}.js`))[name];
  const begin = () => start(figure, widget, new URL(`state/${state.split("/").at(-1)}`, import.meta.url), line);
  if (!widget.load) return begin();
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = words.run;
  button.addEventListener("click", async () => {
    button.disabled = true;
    line.textContent = words.loading;
    const place = await begin();
    button.disabled = false;
    if (!place) return button.focus();
    button.remove();
    place.querySelector("input, select, button, canvas").focus();
  });
  line.before(button);
}

async function start(figure, widget, address, line) {
  try {
    const stored = await read(address);
    await widget.load?.(stored.data, stored.state);
    const place = document.createElement("div");
    for (const child of figure.children) child.hidden = true;
    figure.append(place);
    run(widget, stored, place);
    return place;
  } catch (error) {
    console.warn(error);
    line.textContent = words[error.message] ?? say(words.failed, { reason: error.message });
  }
}
