/** The page: what is shown when, and what is asked of the engine. */
import "../../../c2m_tf/server/compare-slider.js";
import type { CompareSlider } from "../../../c2m_tf/server/compare-slider.js";
import { memoryRefusal } from "../core/memory";
import { ModelError, type ModelSpec } from "../core/spec";
import { BrowserError, fetchAssets, type Assets } from "../model/assets";
import { Cancelled, Engine, EngineError } from "../model/engine";
import type { Loaded, Result } from "../model/messages";
import { isolate } from "./isolation";
import { PhotoSlot, type ChosenPhoto } from "./photo_slot";
import { duration, megabytes } from "./words";

const element = <T extends HTMLElement = HTMLElement>(id: string) => document.getElementById(id) as T;

const start = element<HTMLButtonElement>("start");
const cancel = element<HTMLButtonElement>("cancel");
const sample = element<HTMLButtonElement>("sample");
const progress = element<HTMLProgressElement>("progress");
const compare = element<CompareSlider>("compare");
const lr = new PhotoSlot(element("lr"), changed);
const reference = new PhotoSlot(element("reference"), changed);

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
  start.disabled = busy || !loaded || !lr.photo || !(reference.photo || loaded.alone);
  sample.disabled = busy || !assets;
  cancel.hidden = !busy;
  element("working").hidden = !busy && Boolean(loaded);
  lr.enabled = reference.enabled = !busy;
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
  if (loaded.alone) element("reference").querySelector("small")!.textContent = "choose a file, drop it here, or leave it out";
  element("about").textContent = about(assets.runtime.spec, loaded.threads);
  say("Ready. From here on the page needs no network.");
}

function about({ variant, precision }: ModelSpec, threads: number): string {
  const used = threads === 1 ? "one thread" : `${threads} threads`;
  return `Computes on this device's processor with ${used} (WebAssembly). Model ${variant}, ${precision}.`;
}

async function upscale(photo: ChosenPhoto, chosenReference: ChosenPhoto | undefined): Promise<void> {
  const references = chosenReference ? [chosenReference] : [];
  // Only some browsers say how much memory the device has.
  const { deviceMemory } = navigator as Navigator & { deviceMemory?: number };
  const refusal = memoryRefusal(photo, references, assets!.runtime.spec, deviceMemory);
  if (refusal) throw new EngineError(refusal);
  progress.removeAttribute("value");
  element("detail").textContent = "looking for matches";
  say("Upscaling.");
  let began = 0;
  const result = await engine!.upscale(photo.file, chosenReference?.file, (done, total) => {
    if (done === 0) began = performance.now();
    progress.max = total;
    progress.value = done;
    const left = (((performance.now() - began) / 1000) * (total - done)) / done;
    element("detail").textContent = `${done} of ${total} tiles${done > 0 ? `, ${duration(left)} left` : ""}`;
  });
  await show(photo, result);
}

async function show(photo: ChosenPhoto, { photo: png, matches, height, width }: Result): Promise<void> {
  addresses.forEach(URL.revokeObjectURL);
  const stem = photo.file.name.replace(/\.[^.]*$/, "");
  // The slot may forget its photo while the result is shown.
  const before = URL.createObjectURL(photo.file);
  const after = URL.createObjectURL(png);
  addresses = [before, after];
  offer("download", after, `${stem}-upscaled.png`);
  element("matches").hidden = !matches;
  if (matches) {
    const map = URL.createObjectURL(matches);
    addresses.push(map);
    element<HTMLImageElement>("map").src = map;
    offer("download-map", map, `${stem}-matches.png`);
  }
  element("size").textContent = `${width} × ${height}, ${megabytes(png.size)}`;
  element("result").hidden = false;
  try {
    await compare.show(before, after);
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
  if (start.disabled || !lr.photo) return;
  busy = true;
  complain("");
  refresh();
  cancel.focus();
  try {
    await upscale(lr.photo, reference.photo);
  } catch (error) {
    explain(error);
    start.disabled = false;
    start.focus();
  } finally {
    busy = false;
    refresh();
  }
});

cancel.addEventListener("click", () => engine?.cancel());

sample.addEventListener("click", async () => {
  if (!assets) return;
  await Promise.all([lr.choose(assets.sample.lr), reference.choose(assets.sample.reference)]);
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
