// The first page: a hole is painted into a photograph, and the model fills it.

import { Inpainter } from "./fill.js";
import { read, run, words } from "./host.js";

const place = document.querySelector(".sl-try");
const still = place.querySelector(".sl-still");
const line = place.querySelector(".sl-line");
const pictures = place.querySelector(".sl-pictures");

async function begin() {
  const stored = await read(new URL("try/state.json", import.meta.url));
  const live = document.createElement("div");
  const model = run(Inpainter, stored, live);
  still.replaceWith(live);
  line.remove();
  pictures.hidden = false;
  const start = model.state; // as Python computed it
  let asked = false;

  async function load() {
    if (asked) return;
    asked = true;
    model.show({ status: words.model_loading });
    try {
      await Inpainter.load(stored.data, start);
      model.refresh();
    } catch (error) {
      live.replaceWith(still);
      pictures.hidden = true;
      line.textContent = words[error.message] ?? error.message;
      still.after(line);
    }
  }
  for (const event of ["pointerdown", "keydown", "change"]) place.addEventListener(event, load, { once: true });
  if (!navigator.connection?.saveData) (window.requestIdleCallback ?? setTimeout)(load); // Safari has none
  for (const button of pictures.querySelectorAll("button")) button.addEventListener("click", () => choose(model, button));
}

async function choose(model, button) {
  for (const other of pictures.querySelectorAll("button")) other.setAttribute("aria-pressed", other === button);
  const image = button.querySelector("img");
  const content = await (await fetch(image.src)).arrayBuffer();
  model.send({ message: "picture", name: image.alt }, undefined, [content]);
}

begin();
