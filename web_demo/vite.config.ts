/**
 * Builds the page into dist/, with the model file that the environment's MODEL names, and prints what a visitor loads. Runtime and model are
 * compressed here, because not every host of static pages does it.
 */
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { basename, join, resolve, sep } from "node:path";
import { gzipSync } from "node:zlib";
import { defineConfig, type Plugin } from "vite";
import { ModelError, parseSpec } from "./src/core/spec";

const RUNTIMES = ["litert_wasm_threaded_internal", "litert_wasm_internal", "litert_wasm_compat_internal"];
const WASM = new URL("./node_modules/@litertjs/core/wasm/", import.meta.url);
const LIMIT = 15_000_000; // bytes that a visitor loads

function compressed(path: string | URL): Uint8Array {
  return gzipSync(readFileSync(path), { level: 9 });
}

/** Files of the model, by their names in dist/. */
function modelFiles(): Map<string, Uint8Array> {
  const path = process.env.MODEL && resolve(process.env.MODEL);
  if (!path) throw new ModelError("no model given; set MODEL to a .tflite file that c2m-tf exported");
  const sidecar = path.replace(/\.tflite$/, ".json");
  if (!path.endsWith(".tflite") || !existsSync(path) || !existsSync(sidecar)) {
    throw new ModelError(`${path} is no exported model: a .tflite file with its .json beside it is expected`);
  }
  const spec = parseSpec(readFileSync(sidecar, "utf8"));
  if (spec.file !== basename(path)) throw new ModelError(`${sidecar} describes ${spec.file}, not ${basename(path)}; export the model again`);
  return new Map<string, Uint8Array>([
    ["model/model.json", readFileSync(sidecar)],
    [`model/${spec.file}.gz`, compressed(path)],
  ]);
}

function modelAndRuntime(): Plugin {
  return {
    name: "model-and-runtime",
    apply: "build",
    generateBundle() {
      const files = modelFiles();
      for (const name of RUNTIMES.flatMap((runtime) => [`${runtime}.js`, `${runtime}.wasm`])) {
        files.set(`runtime/${name}.gz`, compressed(new URL(name, WASM)));
      }
      for (const [fileName, source] of files) this.emitFile({ type: "asset", fileName, source });
    },
    writeBundle({ dir }) {
      // Of the runtimes a visitor loads one, the first where the browser can run it.
      const others = RUNTIMES.slice(1).map((runtime) => `${sep}${runtime}.`);
      const names = readdirSync(dir!, { recursive: true, encoding: "utf8" })
        .filter((name) => statSync(join(dir!, name)).isFile() && !others.some((other) => name.includes(other)))
        .sort();
      const sizes = names.map((name) => statSync(join(dir!, name)).size);
      const total = sizes.reduce((sum, size) => sum + size, 0);
      const lines = [...names, "in all"].map((name, at) => `${((sizes[at] ?? total) / 1e6).toFixed(2).padStart(7)} MB  ${name}`);
      this.info(`what a visitor loads:\n${lines.join("\n")}`);
      if (total > LIMIT) this.error(`a visitor would load ${total} bytes; ${LIMIT} are allowed`);
    },
  };
}

export default defineConfig({
  base: "./",
  build: { target: "es2022", assetsInlineLimit: 0, reportCompressedSize: false, rolldownOptions: { checks: { pluginTimings: false } } },
  worker: { format: "iife" },
  plugins: [modelAndRuntime()],
});
