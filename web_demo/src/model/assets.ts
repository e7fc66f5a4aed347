/** What is fetched, once, when the page loads: runtime, model and sample photos. Nothing is fetched afterwards. */
import { relaxedSimd, simd, threads } from "wasm-feature-detect";
import { runtimeMemory, WASM_LIMIT } from "../core/memory";
import { ModelError, parseSpec, type ModelSpec } from "../core/spec";
import type { Runtime } from "./litert";

export interface Assets {
  readonly runtime: Runtime;
  readonly sample: { readonly lr: File; readonly reference: File };
}

/** A browser that cannot run the page; the message says what it lacks. */
export class BrowserError extends Error {
  override readonly name = "BrowserError";
}

/**
 * Fetches everything.
 *
 * @param progress gets the bytes fetched so far.
 * @throws BrowserError, ModelError; their messages are for the page.
 */
export async function fetchAssets(progress: (bytes: number) => void): Promise<Assets> {
  const name = await runtimeName();
  let bytes = 0;
  const count = (more: number) => progress((bytes += more));
  const spec = await fetchSpec(count);
  const [script, wasm, model, lr, reference] = await Promise.all([
    fetchFile(`runtime/${name}.js.gz`, count),
    fetchFile(`runtime/${name}.wasm.gz`, count),
    fetchFile(`model/${spec.file}.gz`, count),
    fetchFile("sample/lr.png", count),
    fetchFile("sample/reference.jpg", count),
  ]);
  if (!model) throw missingModel(`model/${spec.file}.gz`);
  if (!script || !wasm || !lr || !reference) {
    throw new BrowserError("a part of this page is missing on its server; build it again by make web-demo and copy all of web_demo/dist");
  }
  return {
    runtime: {
      script: URL.createObjectURL(new Blob([script], { type: "text/javascript" })),
      module: await WebAssembly.compile(wasm),
      model,
      spec,
    },
    sample: {
      lr: new File([lr], "sample.png", { type: "image/png" }),
      reference: new File([reference], "sample-reference.jpg", { type: "image/jpeg" }),
    },
  };
}

/** Which of LiteRT.js' runtimes this browser can run. */
async function runtimeName(): Promise<string> {
  if (typeof WebAssembly !== "object" || !(await simd())) {
    throw new BrowserError("this browser has no WebAssembly with SIMD; use a current Chrome, Edge, Firefox or Safari");
  }
  if (typeof DecompressionStream !== "function" || typeof OffscreenCanvas !== "function") {
    throw new BrowserError("this browser is too old for this page; use a current Chrome, Edge, Firefox or Safari");
  }
  if (!(await relaxedSimd())) return "litert_wasm_compat_internal";
  return crossOriginIsolated && (await threads()) ? "litert_wasm_threaded_internal" : "litert_wasm_internal";
}

async function fetchSpec(count: (bytes: number) => void): Promise<ModelSpec> {
  const bytes = await fetchFile("model/model.json", count);
  if (!bytes) throw missingModel("model/model.json");
  const spec = parseSpec(new TextDecoder().decode(bytes));
  if (runtimeMemory(spec) > WASM_LIMIT) {
    throw new ModelError(`tiles of ${spec.tile} and windows of ${spec.window} pixels need more than the 2 GiB that WebAssembly has; export smaller ones`);
  }
  return spec;
}

function missingModel(path: string): ModelError {
  return new ModelError(`the model is missing (${path}); build the page by make web-demo MODEL=FILE.tflite and copy all of web_demo/dist`);
}

/** The bytes of a file beside the page, decompressed; nothing if there is no such file. */
async function fetchFile(path: string, count: (bytes: number) => void): Promise<Uint8Array<ArrayBuffer> | undefined> {
  let response: Response;
  try {
    response = await fetch(path);
  } catch {
    throw new BrowserError(`${path} could not be fetched; look whether the network works, and load the page again`);
  }
  // Some servers answer with a page of theirs where a file is missing.
  if (response.status === 404 || response.headers.get("content-type")?.startsWith("text/html")) return undefined;
  if (!response.ok || !response.body) throw new BrowserError(`${path} could not be fetched: the server answered ${response.status}; load the page again`);
  const counted = response.body.pipeThrough(
    new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>({
      transform(chunk, controller) {
        count(chunk.length);
        controller.enqueue(chunk);
      },
    }),
  );
  try {
    const bytes = new Uint8Array(await new Response(counted).arrayBuffer());
    // A server that says "Content-Encoding: gzip" has had its file decompressed by the browser already.
    const compressed = bytes[0] === 0x1f && bytes[1] === 0x8b;
    if (!compressed) return bytes;
    return new Uint8Array(await new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer());
  } catch {
    throw new BrowserError(`${path} arrived damaged or in part; look whether the network works, and load the page again`);
  }
}
