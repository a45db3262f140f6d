/** onnxruntime: one thread, its WebAssembly handed over as bytes, so that nothing is fetched behind the page's back. */

import * as ort from "onnxruntime-web/wasm";

import { trouble } from "../text/trouble";
import { ModelError } from "./error";

export function start(wasm: Uint8Array<ArrayBuffer>): void {
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.proxy = false;
  ort.env.wasm.wasmBinary = wasm.buffer;
  ort.env.logLevel = "error";
}

let opened = false;

/** A session for a graph whose weights lie in `weights`. Raises ModelError. */
export async function session(
  file: string,
  graph: Uint8Array,
  weights: Float32Array<ArrayBuffer>,
): Promise<ort.InferenceSession> {
  try {
    const made = await ort.InferenceSession.create(graph, {
      executionProviders: ["wasm"],
      graphOptimizationLevel: "all",
      externalData: [{ path: "weights.f32", data: new Uint8Array(weights.buffer) }],
    });
    opened = true;
    return made;
  } catch (error) {
    const what = (error instanceof Error ? error.message : String(error)).slice(0, 300);
    throw new ModelError(
      opened || !/wasm|webassembly|backend/i.test(what) ? trouble.graph(file, what) : trouble.runtime(what),
    );
  }
}

export { ort };
