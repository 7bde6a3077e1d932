// What JupyterLab and Python are to widgets.js, here in a page: a model that holds the traits, and what follows them.

import { say } from "./say.js";
import widgets from "./widgets.js";

// All that the page's scripts say, in the language of the page.
export const words = JSON.parse(document.getElementById("sl-words")?.textContent ?? "{}");

// Call a function when the page has nothing else to do; Safari cannot tell.
export const idle = window.requestIdleCallback?.bind(window) ?? setTimeout.bind(window);

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

// What Python stored of a widget: {state, data, words}. Bytes are stored as {base64: text}.
export async function read(address) {
  const decode = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const text = await (await fetch(address)).text();
  return JSON.parse(text, (_, value) => (value?.base64 === undefined ? value : decode(value.base64)));
}

// A widget with what Python stored of it, in `place`. `widget` has, as its class in Python,
//   follows                            the traits that it computes anew from
//   compute(state, data, words)        what then changes: an object, or an async generator of several
//   act(content, buffers, state, data) what a button changes
//   describe(state, data, words)       what changes at once with the other traits, if it has some
// What they throw has a key of words as its message, and as its cause what is said there. While one computation runs,
// the newest state waits for it, and those between are never computed. Returns the model, with `refresh` to compute
// anew; if anything fails that nobody foresaw, its `onbreak` is called.
export function run(widget, { state, data = {}, words: own = {} }, place) {
  const said = { ...words, ...own };
  const model = new Model(views(state));
  const describe = () => model.show(views(widget.describe?.(model.state, data, said)));
  const waiting = new Set();
  let running = false;
  let complaint = ""; // about the last computation
  let acts = 0; // that change what is computed: what was begun before the last one is no longer right

  // Returns what is wrong, if anything is.
  async function attempt(work) {
    try {
      await work();
      return "";
    } catch (error) {
      console.error(error);
      const message = say(said[error.message] ?? said.broken, error.cause);
      model.show({ error: message });
      if (!said[error.message]) model.onbreak?.();
      return message;
    }
  }

  async function compute() {
    const changed = new Set(waiting);
    const before = acts;
    waiting.clear();
    const changes = await widget.compute(model.state, data, said, changed);
    if (!changes?.[Symbol.asyncIterator]) return acts === before && model.show(views(changes));
    for await (const some of changes) {
      if (waiting.size || acts > before) return;
      model.show(views(some));
    }
  }

  async function follow(names) {
    const followed = names.filter((name) => widget.follows.includes(name));
    if (followed.length < names.length) describe();
    for (const name of followed) waiting.add(name);
    if (running) return;
    running = true;
    while (waiting.size) {
      const message = await attempt(compute);
      if (!message && model.get("error") === complaint) model.show({ error: "" }); // one about an act stays
      complaint = message;
    }
    running = false;
  }

  model.onsave = follow;
  model.refresh = () => follow(widget.follows);
  let last = Promise.resolve();
  const act = async (content, buffers) => {
    const changes = await widget.act(content, buffers, model.state, data);
    const names = Object.keys(changes ?? {});
    if (names.some((name) => widget.follows.includes(name))) acts += 1;
    model.show(views(changes));
    follow(names);
  };
  model.onsend = (content, buffers) => (last = last.then(() => attempt(() => act(content, buffers))));
  describe();
  widgets.render({ model, el: place });
  return model;
}
