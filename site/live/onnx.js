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
// right. The promise rejects with an Error whose message is a key of words: no_simd or no_model.
export function load(name, trial) {
  if (!loaded.has(name)) {
    const model = start(name, trial).catch((error) => {
      loaded.delete(name); // so that it can be tried again
      console.warn(error);
      throw new Error(hasSimd() ? "no_model" : "no_simd");
    });
    loaded.set(name, model);
  }
  return loaded.get(name);
}

// A program of one line: there is a function that returns 128 bits, the numbers of SIMD.
const SIMD = [0x00, ...[..."asm"].map((letter) => letter.charCodeAt()), 1, 0, 0, 0, 1, 5, 1, 0x60, 0, 1, 0x7b];
const hasSimd = () => typeof WebAssembly === "object" && WebAssembly.validate(new Uint8Array(SIMD));

async function start(name, trial) {
  if (!hasSimd()) throw new Error("WebAssembly has no SIMD here");
  const [file, gpu] = await Promise.all([fetchWhole(name), trial && hasGpu().catch(() => false)]);
  try {
    const model = gpu && (await open("webgpu", file));
    if (model && (await Promise.race([trial(model), after(PATIENCE)]))) return model;
  } catch (error) {
    console.warn(error); // WebAssembly will do
  }
  return open("wasm", file);
}

const after = (wait) => new Promise((resolve) => setTimeout(resolve, wait, false));

// A real GPU, and a browser in which WebAssembly can wait for it.
async function hasGpu() {
  if (!navigator.gpu || !("Suspending" in WebAssembly)) return false;
  const adapter = await navigator.gpu.requestAdapter();
  return adapter && !adapter.info.isFallbackAdapter;
}

// A server that is out of order may send a part of the file, or a page that says so.
async function fetchWhole(name) {
  const address = here(`models/${name}`);
  const facts = await (await fetch(address.replace(/onnx$/, "json"))).json();
  const file = await (await fetch(address)).arrayBuffer();
  if (file.byteLength === facts.bytes) return file;
  throw new Error(`${name} has ${file.byteLength} bytes, not ${facts.bytes}`);
}

async function open(provider, file) {
  const ort = await import(here(`ort/ort.${provider}.js`));
  ort.env.logLevel = "error";
  ort.env.wasm.wasmPaths = { wasm: here(`ort/ort.${provider}.wasm`) };
  ort.env.wasm.numThreads = 1; // more need headers that a plain server does not send
  ort.env.wasm.proxy = provider === "wasm"; // in a worker, so that the page can be used meanwhile
  const session = await ort.InferenceSession.create(new Uint8Array(file), { executionProviders: [provider] });
  const tensor = ([array, shape]) => new ort.Tensor(TYPES.get(array.constructor), array, shape);
  return async (inputs) => each(await session.run(each(inputs, tensor)), (output) => output.data);
}

const each = (object, change) =>
  Object.fromEntries(Object.entries(object).map(([name, value]) => [name, change(value)]));
