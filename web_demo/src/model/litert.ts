/** The exported model in LiteRT.js. Runs in a worker; the only file that knows the runtime. */
import { loadAndCompile, loadLiteRt, Tensor, type CompiledModel } from "@litertjs/core";
import type { Located, SrModel } from "../core/pipeline";
import { ModelError, type ModelSpec } from "../core/spec";
import { PATCH } from "../core/windows";
import { SCALE } from "../core/tiles";

/** What a model is run with, fetched and compiled before. */
export interface Runtime {
  /** Address of the runtime's script. */
  readonly script: string;
  /** The runtime itself. */
  readonly module: WebAssembly.Module;
  /** The .tflite file. */
  readonly model: Uint8Array;
  readonly spec: ModelSpec;
}

/** A signature's tensors: name and shape. */
type Tensors = Record<string, readonly number[]>;

interface Signature {
  readonly inputs: Tensors;
  readonly outputs: Tensors;
}

/** What LiteRT.js' script, made by Emscripten, reads from a variable `Module` of the worker. */
interface EmscriptenModule {
  mainScriptUrlOrBlob: string;
  instantiateWasm(imports: WebAssembly.Imports, done: (instance: WebAssembly.Instance, module: WebAssembly.Module) => void): object;
}

/** Signature of models that restore a tile without a reference. */
const ALONE = "upscale_alone";

function signaturesOf(spec: ModelSpec): Record<string, Signature> {
  const across = spec.lrThumb - PATCH + 1;
  const tile = [1, spec.tile, spec.tile, 3];
  const sr = [1, SCALE * spec.tile, SCALE * spec.tile, 3];
  return {
    locate: {
      inputs: { lr_thumb: [1, spec.lrThumb, spec.lrThumb, 3], ref_thumb: [1, spec.refThumb, spec.refThumb, 3] },
      outputs: { matches: [1, across, across, 2], score: [1, across, across] },
    },
    upscale: { inputs: { lr_tile: tile, ref_window: [1, spec.window, spec.window, 3] }, outputs: { sr } },
    [ALONE]: { inputs: { lr_tile: tile }, outputs: { sr } },
  };
}

export class LiteRtModel implements SrModel {
  readonly upscaleAlone?: (lrTile: Float32Array) => Promise<Float32Array>;

  private constructor(
    readonly spec: ModelSpec,
    /** Threads that compute. */
    readonly threads: number,
    private readonly compiled: CompiledModel,
  ) {
    if (ALONE in compiled.signatures) {
      this.upscaleAlone = async (lrTile) => (await this.run(ALONE, { lr_tile: lrTile })).sr as Float32Array;
    }
  }

  /**
   * Starts the runtime and loads the model into it; once for each worker.
   *
   * @throws ModelError if the file is no model, or not the one that `spec` describes.
   */
  static async load({ script, module, model, spec }: Runtime): Promise<LiteRtModel> {
    const settings: EmscriptenModule = {
      mainScriptUrlOrBlob: script,
      instantiateWasm(imports, done) {
        void WebAssembly.instantiate(module, imports).then((instance) => done(instance, module));
        return {};
      },
    };
    Object.assign(self, { Module: settings });
    // LiteRT.js takes an address that does not end in .js for a folder's.
    const runtime = await loadLiteRt(`${script}#.js`);
    let compiled: CompiledModel;
    try {
      compiled = await loadAndCompile(model, { accelerator: "wasm" });
    } catch (error) {
      throw new ModelError(
        `${spec.file} is no model that LiteRT.js reads, or arrived in part (${firstLine(error)}); ` +
          "load the page again, or export the model again and rebuild the page",
      );
    }
    checkSignatures(spec, compiled);
    return new LiteRtModel(spec, runtime.liteRtWasm.getThreadCount(), compiled);
  }

  async locate(lrThumb: Float32Array, refThumb: Float32Array): Promise<Located> {
    const { matches, score } = await this.run("locate", { lr_thumb: lrThumb, ref_thumb: refThumb });
    return { matches: matches as Int32Array, score: score as Float32Array };
  }

  async upscale(lrTile: Float32Array, refWindow: Float32Array): Promise<Float32Array> {
    return (await this.run("upscale", { lr_tile: lrTile, ref_window: refWindow })).sr as Float32Array;
  }

  private async run(signature: string, values: Record<string, Float32Array>) {
    const { inputs } = signaturesOf(this.spec)[signature]!;
    const given: Record<string, Tensor> = {};
    let results: Record<string, Tensor> = {};
    try {
      for (const [name, shape] of Object.entries(inputs)) given[name] = new Tensor(values[name]!, [...shape]);
      results = await this.compiled.run(signature, given);
      return Object.fromEntries(Object.entries(results).map(([name, tensor]) => [name, tensor.toTypedArray().slice()]));
    } finally {
      // The runtime's memory is not collected.
      for (const tensor of [...Object.values(given), ...Object.values(results)]) tensor.delete();
    }
  }
}

function checkSignatures(spec: ModelSpec, { signatures }: CompiledModel): void {
  const text = (tensors: Tensors) => Object.entries(tensors).map(([name, shape]) => `${name} ${shape.join("x")}`).sort().join(", ");
  for (const [name, { inputs, outputs }] of Object.entries(signaturesOf(spec))) {
    const signature = signatures[name];
    if (!signature && name === ALONE) continue;
    const shapes = (details: readonly { name: string; shape: Int32Array }[]) =>
      text(Object.fromEntries(details.map((tensor) => [tensor.name, [...tensor.shape]])));
    const expected = `${name}(${text(inputs)}) -> ${text(outputs)}`;
    const found = signature && `${name}(${shapes(signature.getInputDetails())}) -> ${shapes(signature.getOutputDetails())}`;
    if (found !== expected) {
      throw new ModelError(
        `${spec.file} is of another version than this page: expected is ${expected}; ` +
          `found is ${found ?? Object.keys(signatures).join(", ")}. Export it again and rebuild the page`,
      );
    }
  }
}

function firstLine(error: unknown): string {
  return String(error instanceof Error ? error.message : error).split("\n")[0]!;
}
