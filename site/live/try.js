// The first page: a hole is painted into a photograph, and the model fills it.

import { Inpainter } from "./fill.js";
import { idle, read, run, words } from "./host.js";
import { ask } from "./widgets.js";

const place = document.querySelector(".sl-try");
const still = place.querySelector(".sl-still");
const line = place.querySelector(".sl-line");
const pictures = place.querySelector(".sl-pictures");
const buttons = pictures.querySelectorAll("button");

async function begin() {
  const stored = await read(new URL("try/state.json", import.meta.url));
  const live = document.createElement("div");
  const model = run(Inpainter, stored, live);
  model.onbreak = () => giveUp("broken");
  for (const button of buttons) button.addEventListener("click", () => choose(model, button.firstChild));
  model.on("change:name", () => buttons.forEach((button) => mark(button, model.get("name"))));
  still.replaceWith(live);
  line.remove();
  pictures.hidden = false;

  function giveUp(key) {
    pictures.hidden = true;
    line.textContent = words[key] ?? words.broken;
    line.setAttribute("role", "alert");
    live.replaceWith(still, line);
  }

  // The model, once: when somebody does something here, or when the page has nothing else to do.
  let asked = false;
  async function load() {
    if (asked) return;
    asked = true;
    model.show({ status: words.model_loading });
    try {
      await Inpainter.load(stored.data, stored.state);
      model.refresh();
    } catch (error) {
      giveUp(error.message);
    }
  }
  for (const event of ["pointerdown", "keydown", "change"]) place.addEventListener(event, load, { capture: true });
  if (!navigator.connection?.saveData) idle(load);
}

async function choose(model, { src, alt }) {
  const content = await (await fetch(src)).arrayBuffer();
  ask(model, { message: "picture", name: alt }, [content]);
}

const mark = (button, name) => button.setAttribute("aria-pressed", button.firstChild.alt === name);

begin();
