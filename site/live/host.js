// What JupyterLab and Python are to widgets.js, here in a page: a model that holds the traits, and what follows them.

import widgets from "./widgets.js";

// All that the page's scripts say, in the language of the page.
export const words = JSON.parse(document.getElementById("sl-words")?.textContent ?? "{}");

// A model as anywidget hands it to a widget. What the page sets goes to `onsave`, as it would go to Python.
export class Model {
  #traits;
  #listeners = {};
  #changed = new Set();

  constructor(traits) {
    this.#traits = { ...traits };
  }

  get(name) {
    return this.#traits[name];
  }

  set(name, value) {
    if (this.show({ [name]: value })) this.#changed.add(name);
  }

  // Set without telling `onsave`: what comes from the other side. True if anything is new.
  show(changes) {
    const isNew = ([name, value]) => typeof value === "object" || value !== this.#traits[name];
    const changed = Object.entries(changes).filter(isNew);
    Object.assign(this.#traits, changes);
    for (const [name] of changed) for (const listener of this.#listeners[`change:${name}`] ?? []) listener();
    return changed.length > 0;
  }

  on(event, listener) {
    (this.#listeners[event] ??= new Set()).add(listener);
  }

  off(event, listener) {
    this.#listeners[event]?.delete(listener);
  }

  save_changes() {
    const names = [...this.#changed];
    this.#changed.clear();
    this.onsave?.(names);
  }

  send(content, callbacks, buffers) {
    this.onsend?.(content, buffers);
  }

  // The traits, bytes as arrays.
  get state() {
    return Object.fromEntries(Object.entries(this.#traits).map(([name, value]) => [name, array(value)]));
  }
}

const array = (value) =>
  value instanceof DataView ? new Uint8Array(value.buffer, value.byteOffset, value.byteLength) : value;
const view = (value) =>
  ArrayBuffer.isView(value) ? new DataView(value.buffer, value.byteOffset, value.byteLength) : value;
const views = (changes) =>
  Object.fromEntries(Object.entries(changes ?? {}).map(([name, value]) => [name, view(value)]));

export function decode(text) {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}

// A widget with the state that Python stored, in `place`. `widget` has, as its class in Python,
//   follows                            the traits that it computes anew from
//   compute(state, data, words)        what then changes: an object, or an async generator of several
//   act(content, buffers, state, data) what a button changes
// While one computation runs, the newest state waits for it, and those between are never computed. Returns the
// model, with `refresh` to compute anew.
export function run(widget, { state, bytes = {}, data = {}, words = {} }, place) {
  const buffers = Object.fromEntries(Object.entries(bytes).map(([name, text]) => [name, decode(text)]));
  const model = new Model({ ...state, ...views(buffers) });
  const waiting = new Set();
  let running = false;

  async function attempt(work) {
    model.show({ error: "" });
    try {
      await work();
    } catch (error) {
      model.show({ error: words[error.message] ?? error.message });
    }
  }

  async function compute() {
    const changed = new Set(waiting);
    waiting.clear();
    const changes = await widget.compute(model.state, data, words, changed);
    if (!changes?.[Symbol.asyncIterator]) return model.show(views(changes));
    for await (const some of changes) {
      if (waiting.size) return;
      model.show(views(some));
    }
  }

  async function follow(names) {
    for (const name of names) if (widget.follows.includes(name)) waiting.add(name);
    if (running) return;
    running = true;
    while (waiting.size) await attempt(compute);
    running = false;
  }

  model.onsave = follow;
  model.refresh = () => follow(widget.follows);
  model.onsend = (content, buffers) =>
    attempt(async () => {
      const changes = await widget.act(content, buffers, model.state, data, words);
      model.show(views(changes));
      follow(Object.keys(changes ?? {}));
    });
  widgets.render({ model, el: place });
  return model;
}
