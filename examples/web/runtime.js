// A model in the browser: LiteRT.js, its WebAssembly, and one .tflite file, run by the names of its signature.
// All of it runs on the page's own thread: workers know no import maps, and LiteRT.js is imported by one.

import { getWebGpuDevice, loadAndCompile, loadLiteRt, supportsFeature, Tensor } from "@litertjs/core";

const WASM = "node_modules/@litertjs/core/wasm/";
const ARRAYS = { float32: Float32Array, int32: Int32Array, uint8: Uint8Array };

let loaded;

/** Loads the WebAssembly once; with threads where the server's headers let them share memory. */
async function load() {
  if (crossOriginIsolated && (await supportsFeature("threads")) && (await supportsFeature("relaxedSimd"))) {
    try {
      return await loadLiteRt(WASM, { threads: true });
    } catch {
      // That file is not at hand without a network, if the first visit had no threads.
    }
  }
  return loadLiteRt(WASM);
}

async function ready() {
  try {
    await (loaded ??= load());
  } catch {
    throw new Error(
      "LiteRT.js could not be loaded: run “npm install” in the folder of this page, and reload it.",
    );
  }
}

/** What the browser can compute on: "wasm", the processor, and where there is one "webgpu", a graphics card. */
export async function accelerators() {
  await ready();
  return getWebGpuDevice() ? ["wasm", "webgpu"] : ["wasm"];
}

/**
 * Loads and compiles a file.
 *
 * @param {string} file - the address of a .tflite file.
 * @param {string} signature - the name of the signature to run.
 * @param {string} accelerator - one of `accelerators`.
 * @returns {Promise<object>} `inputs` and `outputs`: shape and dtype by name; `run`: typed arrays by name to
 *   typed arrays by name; `close`: frees the memory.
 */
export async function compile(file, signature, accelerator) {
  const response = await fetch(file);
  if (!response.ok) throw new Error(`${file} is not beside this page.`);
  await ready();
  // Half precision goes wrong on a graphics card that has none.
  const options = { accelerator, gpuOptions: { precision: "fp32" } };
  const model = await loadAndCompile(new Uint8Array(await response.arrayBuffer()), options);
  const runner = model.signatures[signature];
  if (!runner) throw new Error(`${file} has no signature “${signature}”.`);
  const inputs = describe(runner.getInputDetails());

  async function run(arrays) {
    const tensors = {};
    let results = {};
    try {
      for (const [name, { dtype, shape }] of Object.entries(inputs)) {
        const given = arrays[name];
        const kind = ARRAYS[dtype];
        tensors[name] = new Tensor(given instanceof kind ? given : kind.from(given), shape);
      }
      results = await runner.run(tensors);
      const found = {};
      for (const [name, tensor] of Object.entries(results)) found[name] = await tensor.data();
      return found;
    } finally {
      // The browser does not collect this memory.
      for (const tensor of [...Object.values(tensors), ...Object.values(results)]) tensor.delete();
    }
  }

  return { inputs, outputs: describe(runner.getOutputDetails()), run, close: () => model.delete() };
}

function describe(details) {
  return Object.fromEntries(details.map(({ name, dtype, shape }) => [name, { dtype, shape: [...shape] }]));
}
