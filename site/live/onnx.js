// Models in ONNX files, run by onnxruntime-web from the site's own folder. Nothing is loaded before the first `load`.

const here = (path) => new URL(path, import.meta.url).href;
const TYPES = new Map([
  [Float32Array, "float32"],
  [BigInt64Array, "int64"],
  [Uint8Array, "bool"],
]);
const PATIENCE = 3000; // milliseconds for a trial on the GPU

const loaded = new Map();

// The model in `live/models/NAME`: a function from {input: [array, shape]} to {output: array}. Uint8Array holds bool.
// It runs as WebAssembly; or on the GPU, if `trial` is given, which runs it there and returns true if the outcome is
// right. The promise rejects with an Error whose message is a key of words: no_simd, no_runtime or no_model.
export function load(name, trial) {
  if (!loaded.has(name)) {
    const model = start(name, trial);
    loaded.set(name, model);
    model.catch(() => loaded.delete(name)); // so that it can be tried again
  }
  return loaded.get(name);
}

async function start(name, trial) {
  const file = fetchWhole(name);
  file.catch(() => {}); // awaited below
  if (trial && (await hasGpu())) {
    try {
      const model = await open(await runtime("webgpu"), "webgpu", await file);
      if (await Promise.race([trial(model), after(PATIENCE)])) return model;
    } catch (error) {
      console.warn(error); // WebAssembly will do
    }
  }
  return open(await runtime("wasm"), "wasm", await file);
}

const after = (wait) => new Promise((resolve) => setTimeout(resolve, wait, false));

// A real GPU, and a browser in which WebAssembly can wait for it.
async function hasGpu() {
  if (!navigator.gpu || !("Suspending" in WebAssembly)) return false;
  const adapter = await navigator.gpu.requestAdapter().catch(() => null);
  return Boolean(adapter && !adapter.info?.isFallbackAdapter);
}

// A server that is out of order may send a part of the file, or a page that says so.
async function fetchWhole(name) {
  try {
    const facts = await (await fetch(here("models/facts.json"))).json();
    const bytes = await (await fetch(here(`models/${name}`))).arrayBuffer();
    if (bytes.byteLength === facts[name].bytes) return bytes;
  } catch (error) {
    console.warn(error);
  }
  throw new Error("no_model");
}

async function runtime(kind) {
  if (typeof WebAssembly === "undefined") throw new Error("no_simd");
  try {
    const ort = await import(here(`ort/ort.${kind}.js`));
    ort.env.wasm.wasmPaths = { wasm: here(`ort/ort.${kind}.wasm`) };
    ort.env.wasm.numThreads = 1; // more need headers that a plain server does not send
    ort.env.wasm.proxy = kind === "wasm"; // in a worker, so that the page can be used meanwhile
    ort.env.logLevel = "error";
    return ort;
  } catch (error) {
    console.warn(error);
    throw new Error("no_runtime");
  }
}

async function open(ort, provider, bytes) {
  let session;
  try {
    session = await ort.InferenceSession.create(new Uint8Array(bytes), { executionProviders: [provider] });
  } catch (error) {
    console.warn(error);
    throw new Error(/SIMD/.test(error.message) ? "no_simd" : "no_runtime");
  }
  const tensor = ([array, shape]) => new ort.Tensor(TYPES.get(array.constructor), array, shape);
  const each = (object, change) => Object.fromEntries(Object.entries(object).map(([name, value]) => [name, change(value)]));
  return async (inputs) => each(await session.run(each(inputs, tensor)), (output) => output.data);
}
