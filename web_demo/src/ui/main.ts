/** The page: what is shown when, and what is asked of the engine. */
import "../../../c2m_tf/server/compare-slider.js";
import type { CompareSlider } from "../../../c2m_tf/server/compare-slider.js";
import { partOf, PhotoSlot } from "../../../c2m_tf/server/photo-slot.js";
import { memoryRefusal } from "../core/memory";
import { ModelError, type ModelSpec } from "../core/spec";
import { BrowserError, fetchAssets, type Assets } from "../model/assets";
import { Cancelled, Engine, EngineError } from "../model/engine";
import type { Loaded, Result } from "../model/messages";
import { isolate } from "./isolation";
import { duration, megabytes } from "./words";

const element = <T extends HTMLElement = HTMLElement>(id: string) => document.getElementById(id) as T;

const start = element<HTMLButtonElement>("start");
const cancel = element<HTMLButtonElement>("cancel");
const sample = element<HTMLButtonElement>("sample");
const progress = element<HTMLProgressElement>("progress");
const compare = element<CompareSlider>("compare");
const layered = element<HTMLInputElement>("layered");
const lr = new PhotoSlot(element("lr"), changed, { framed: true });
const references = new PhotoSlot(element("reference"), changed);

let assets: Assets | undefined;
let engine: Engine | undefined;
let loaded: Loaded | undefined;
let busy = false;
let addresses: string[] = []; // of the result that is shown

function say(words: string): void {
  element("status").textContent = words;
}

function complain(words: string): void {
  // The name of a file stays as it is.
  const sentence = words.replace(/^[a-z]+(?= )/, (word) => word[0]!.toUpperCase() + word.slice(1));
  element("wrong").textContent = sentence && `${sentence}.`;
}

function refresh(): void {
  start.disabled = busy || !loaded || !lr.photos.length || !(references.photos.length || loaded.alone);
  start.textContent = lr.region ? "Upscale the part" : "Upscale";
  sample.disabled = busy || !assets;
  cancel.hidden = !busy;
  element("working").hidden = !busy && Boolean(loaded);
  lr.enabled = references.enabled = !busy;
}

function changed(wrong?: string): void {
  complain(wrong ?? "");
  refresh();
}

async function load(): Promise<void> {
  await isolate();
  say("Loading the model.");
  assets = await fetchAssets((bytes) => (element("detail").textContent = megabytes(bytes)));
  element("detail").textContent = "starting";
  engine = new Engine(assets.runtime);
  loaded = await engine.load();
  if (loaded.alone) element("reference").querySelector("small")!.textContent = "choose files, drop them here, or leave them out";
  element("about").textContent = about(assets.runtime.spec, loaded.threads);
  say("Ready. From here on the page needs no network.");
}

function about({ variant, precision }: ModelSpec, threads: number): string {
  const used = threads === 1 ? "one thread" : `${threads} threads`;
  return `Computes on this device's processor with ${used} (WebAssembly). Model ${variant}, ${precision}.`;
}

async function upscale(): Promise<void> {
  const [photo] = lr.photos;
  const chosen = [...references.photos];
  const region = lr.region;
  // Only some browsers say how much memory the device has.
  const { deviceMemory } = navigator as Navigator & { deviceMemory?: number };
  const refusal = memoryRefusal(photo!, chosen, assets!.runtime.spec, deviceMemory, region);
  if (refusal) throw new EngineError(refusal);
  progress.removeAttribute("value");
  element("detail").textContent = "looking for matches";
  say("Upscaling.");
  let began = 0;
  const result = await engine!.upscale(photo!.file, chosen.map(({ file }) => file), region, (done, total) => {
    if (done === 0) began = performance.now();
    progress.max = total;
    progress.value = done;
    const left = (((performance.now() - began) / 1000) * (total - done)) / done;
    element("detail").textContent = `${done} of ${total} tiles${done > 0 ? `, ${duration(left)} left` : ""}`;
  });
  await show(photo!.file, await partOf(photo!.file, region), result, chosen.map(({ file }) => file.name));
}

async function show(file: File, part: Blob, { photo: png, evidence, shares, height, width }: Result, names: string[]): Promise<void> {
  addresses.forEach(URL.revokeObjectURL);
  const stem = file.name.replace(/\.[^.]*$/, "");
  // The slot may forget its photo while the result is shown.
  const [before, after, layer] = [part, png, evidence ?? new Blob()].map((blob) => URL.createObjectURL(blob)) as [string, string, string];
  addresses = [before, after, layer];
  offer("download", after, `${stem}-${part === file ? "upscaled" : "part"}.png`);
  element("evidence").hidden = !evidence;
  layered.checked = false;
  offer("download-layer", layer, `${stem}-evidence.png`);
  element("shares").textContent = names.map((name, at) => `${name}: ${Math.round(100 * shares[at]!)} %`).join(", ");
  element("size").textContent = `${width} × ${height}, ${megabytes(png.size)}`;
  element("result").hidden = false;
  try {
    await compare.show(before, after, evidence ? layer : "");
    compare.hidden = false;
    say("Done.");
  } catch {
    compare.hidden = true;
    say("Done. The result is too large for this browser to show; download it.");
  }
  element("result-title").focus();
  element("result").scrollIntoView({ behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
}

function offer(id: string, address: string, name: string): void {
  const link = element<HTMLAnchorElement>(id);
  link.href = address;
  link.download = name;
}

function explain(error: unknown): void {
  if (error instanceof Cancelled) {
    say("Cancelled.");
    return;
  }
  say("");
  const known = error instanceof EngineError || error instanceof ModelError || error instanceof BrowserError;
  complain(known ? error.message : `something went wrong: ${String(error)}; load the page again`);
}

element("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  if (start.disabled) return;
  busy = true;
  complain("");
  refresh();
  cancel.focus();
  try {
    await upscale();
  } catch (error) {
    explain(error);
    start.disabled = false;
    start.focus();
  } finally {
    busy = false;
    refresh();
  }
});

layered.addEventListener("change", () => (compare.layered = layered.checked));

cancel.addEventListener("click", () => engine?.cancel());

sample.addEventListener("click", async () => {
  if (!assets) return;
  await Promise.all([lr.choose(assets.sample.lr), references.choose(assets.sample.reference)]);
});

// A photo that is dropped beside its place must not replace the page.
for (const name of ["dragover", "drop"]) document.addEventListener(name, (event) => event.preventDefault());

refresh();
element("working").hidden = false;
load()
  .catch(explain)
  .finally(() => {
    refresh();
    element("working").hidden = true;
  });
