/**
 * The built page in Chromium, beside what c2m-tf made of the same photos with the same model (ci/photos.py expected). CHROMIUM names the
 * browser's program. Screenshots go to .build/screenshots.
 */
import { cpSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { chromium, type Browser, type BrowserContext, type Page } from "playwright-core";
import { PNG } from "pngjs";
import { preview, type PreviewServer } from "vite";
import { afterAll, beforeAll, expect, test } from "vitest";

const FOLDER = fileURLToPath(new URL("../..", import.meta.url));
const BUILD = `${FOLDER}.build/`;
const SLOW = { timeout: 550_000 }; // machines may be busy

let browser: Browser;
let context: BrowserContext;
let server: PreviewServer;
let page: Page;
const requests: string[] = [];
const errors: string[] = [];

/** Serves a built page as a plain host of files does: without the headers that isolate it. */
function serve(outDir: string): Promise<PreviewServer> {
  return preview({ root: FOLDER, configFile: false, logLevel: "error", build: { outDir }, preview: { port: 0, host: "127.0.0.1" } });
}

async function open(address: string): Promise<Page> {
  const opened = await context.newPage();
  opened.on("pageerror", (error) => errors.push(String(error)));
  await opened.goto(address);
  return opened;
}

const addressOf = (one: PreviewServer) => one.resolvedUrls!.local[0]!;
const says = (text: string) => page.getByRole("status").filter({ hasText: text }).waitFor(SLOW);
const complains = async (text: RegExp, where: Page = page) => {
  await where.locator("#wrong").filter({ hasText: text }).waitFor(SLOW);
};
const button = (name: string) => page.getByRole("button", { name, exact: true });

async function choose(slot: "lr" | "reference", file: string): Promise<void> {
  await page.locator(`#${slot} input`).setInputFiles(BUILD + file);
}

async function start(lr: string, reference = "ref.png"): Promise<void> {
  for (const [slot, file] of [["lr", lr], ["reference", reference]] as const) {
    for (const figures = page.locator(`#${slot} figure button`); await figures.count(); ) await figures.first().click();
    await choose(slot, file);
    await page.locator(`#${slot} small`).filter({ hasText: file }).waitFor();
  }
  await button("Upscale").click();
}

async function downloaded(id: string): Promise<PNG> {
  const [download] = await Promise.all([page.waitForEvent("download"), page.locator(id).click()]);
  return PNG.sync.read(readFileSync(await download.path()));
}

/**
 * The largest difference of any channel, but of a thousandth of them: where two places of a reference match as well, rounding
 * decides between them, and the model's own runtime is not that of c2m-tf. Those differ by 8 at most.
 */
function difference(found: PNG, file: string): number {
  const expected = PNG.sync.read(readFileSync(BUILD + file));
  expect([found.width, found.height]).toEqual([expected.width, expected.height]);
  const differences = found.data.map((value, at) => Math.abs(value - expected.data[at]!)).sort();
  expect(differences.at(-1)).toBeLessThanOrEqual(8);
  return differences[Math.floor(0.999 * (differences.length - 1))]!;
}

beforeAll(async () => {
  server = await serve("dist");
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
  context = await browser.newContext({ acceptDownloads: true, viewport: { width: 1100, height: 900 } });
  context.on("request", (request) => requests.push(request.url()));
  page = await open(addressOf(server));
  await says("Ready");
});

afterAll(async () => {
  await browser?.close();
  await server?.close();
});

test("a service worker isolates the page, so that threads compute", async () => {
  expect(await page.evaluate(() => crossOriginIsolated)).toBe(true);
  expect(await page.locator("#about").textContent()).toMatch(/processor with \d+ threads .*\. Model .+, .+\./);
});

test("the picture and what is said of its origin are those of c2m-tf", async () => {
  const before = requests.length;
  await start("lr.png");
  await page.locator("#detail").filter({ hasText: /1 of 2 tiles, .* left/ }).waitFor(SLOW);
  expect(await button("Upscale").isDisabled()).toBe(true);
  await says("Done");
  expect(difference(await downloaded("#download"), "lr-sr.png")).toBeLessThanOrEqual(2);
  expect(difference(await downloaded("#download-layer"), "lr-evidence.png")).toBeLessThanOrEqual(1);
  expect(await page.locator("#shares").textContent()).toMatch(/^ref\.png: \d+ %$/);
  const layer = page.locator("#compare img.layer");
  expect(await layer.isVisible()).toBe(false);
  await page.locator("#layered").check();
  expect(await layer.isVisible()).toBe(true);
  expect(await layer.evaluate((image: HTMLImageElement) => image.naturalWidth)).toBe(64);
  expect(await page.locator("#size").textContent()).toMatch(/^256 × 320, /);
  expect(requests.slice(before).filter((address) => !address.startsWith("blob:"))).toEqual([]);
});

test("a frame that is dragged over the photo shows that part, as it is in the whole; a click takes it away", async () => {
  const whole = await downloaded("#download");
  await page.emulateMedia({ reducedMotion: "reduce" });
  await page.locator("#lr .shown").scrollIntoViewIfNeeded();
  const shown = (await page.locator("#lr .shown").boundingBox())!;
  await page.mouse.move(shown.x + 0.25 * shown.width, shown.y + 0.5 * shown.height);
  await page.mouse.down();
  await page.mouse.move(shown.x + 0.7 * shown.width, shown.y + 0.9 * shown.height);
  await page.mouse.up();
  await button("Upscale the part").click();
  await page.locator("#size").filter({ hasText: /^1\d\d × 1\d\d, / }).waitFor(SLOW);
  await says("Done");
  const part = await downloaded("#download");
  const [top, left] = [160, 64];
  let different = 0;
  for (let y = 0; y < part.height; y++) {
    for (let x = 0; x < part.width; x++) {
      const [at, from] = [4 * (y * part.width + x), 4 * ((top + y) * whole.width + left + x)];
      if (part.data[at] !== whole.data[from]) different++;
    }
  }
  expect(different).toBe(0);
  await page.locator("#lr .shown").click();
  expect(await button("Upscale").isEnabled()).toBe(true);
});

test("photos are added, removed again and replaced; what they are for stays said", async () => {
  await choose("reference", "gray.png");
  await page.locator("#reference small").filter({ hasText: "gray.png" }).waitFor();
  expect(await page.locator("#reference figure").count()).toBe(2);
  await page.getByRole("button", { name: "Remove gray.png" }).click();
  expect(await page.locator("#reference figure").count()).toBe(1);
  await choose("lr", "gray.png");
  await page.locator("#lr small").filter({ hasText: "gray.png" }).waitFor();
  expect(await page.locator("#lr figure").count()).toBe(1);
  expect(await page.locator("#lr strong").textContent()).toBe("Photo to upscale");
  await page.getByRole("button", { name: "Remove gray.png" }).click();
  expect(await button("Upscale").isDisabled()).toBe(true);
});

test("the slider is moved by keys", async () => {
  const slider = page.locator("#compare input");
  await slider.focus();
  await page.keyboard.press("Home");
  expect(await page.locator("#compare").evaluate((element) => element.style.getPropertyValue("--at"))).toBe("0%");
  await page.keyboard.press("End");
  expect(await page.locator("#compare").evaluate((element) => element.style.getPropertyValue("--at"))).toBe("100%");
});

test("a second photo after the first, turned by EXIF and partly transparent, is as c2m-tf makes it", async () => {
  await start("turned.png");
  await says("Done");
  expect(difference(await downloaded("#download"), "turned-sr.png")).toBeLessThanOrEqual(2);
});

test("cancelling ends the work at once; the next photo, a gray one, is upscaled without a request and stays gray", async () => {
  const before = requests.length;
  await start("lr.png");
  await page.locator("#detail").filter({ hasText: "of 2 tiles" }).waitFor(SLOW);
  await button("Cancel").click();
  await says("Cancelled");
  expect(await button("Cancel").isVisible()).toBe(false);
  await start("gray.png");
  await says("Done");
  const found = await downloaded("#download");
  expect(difference(found, "gray-sr.png")).toBeLessThanOrEqual(2);
  expect((found as PNG & { color: boolean }).color).toBe(false);
  expect(requests.slice(before).filter((address) => !address.startsWith("blob:"))).toEqual([]);
});

test.each([
  ["text.png", /^text\.png is no photo that this browser reads/],
  ["empty.png", /^empty\.png is empty/],
])("%s is refused in words, and the page goes on", async (file, words) => {
  await choose("reference", "ref.png");
  await choose("lr", file);
  await complains(words);
  expect(await button("Upscale").isDisabled()).toBe(true);
  await choose("lr", "gray.png");
  await page.locator("#lr small").filter({ hasText: "gray.png" }).waitFor();
  expect(await page.locator("#wrong").textContent()).toBe("");
  expect(await button("Upscale").isDisabled()).toBe(false);
});

test("a truncated photo is refused in words", async () => {
  await choose("lr", "broken.png");
  if (await button("Upscale").isEnabled()) await button("Upscale").click();
  await complains(/^broken\.png is (no photo|damaged)/);
});

test("photos that are too small, or larger than memory, are refused in words", async () => {
  const small = new PNG({ width: 11, height: 20 });
  writeFileSync(`${BUILD}small.png`, PNG.sync.write(small));
  await start("gray.png", "small.png");
  await complains(/The reference has 11x20 pixels; at least 12x12 are needed/);
  writeFileSync(`${BUILD}large.png`, PNG.sync.write(new PNG({ width: 6000, height: 3000 }), { colorType: 0 }));
  await page.evaluate(() => Object.defineProperty(navigator, "deviceMemory", { value: 4 }));
  await start("large.png");
  await complains(/Upscaling a 6000x3000 photo with a \d+x\d+ reference needs about .* GiB of memory; a page may use 2\.0 GiB here/);
});

test("the sample pair can be chosen", async () => {
  await button("Use the sample pair").click();
  await page.locator("#lr small").filter({ hasText: "sample.png, 112 × 100" }).waitFor();
  expect(await button("Upscale").isEnabled()).toBe(true);
});

test.each([
  ["missing", /The model is missing \(model\/model\.json\); build the page by make web-demo/, () => rmSync(`${BUILD}dist/model/model.json`)],
  ["described otherwise", /is of another version than this page: expected is .*64x64/, () => changeSidecar({ window: 320 })],
  ["of another scale", /enlarges 2 times; this page is made for 4/, () => changeSidecar({ scale: 2 })],
  ["cut off", /arrived (damaged or )?in part/, () => truncateSync(`${BUILD}dist/model/${modelFile()}.gz`, 1_000_000)],
  ["no model", /is no model that LiteRT\.js reads/, () => writeFileSync(`${BUILD}dist/model/${modelFile()}.gz`, gzipSync("no model"))],
])("a model that is %s is told on the page", async (_, words, damage) => {
  rmSync(`${BUILD}dist`, { recursive: true, force: true });
  cpSync(`${FOLDER}dist`, `${BUILD}dist`, { recursive: true });
  damage();
  const other = await serve(".build/dist");
  const opened = await open(addressOf(other));
  await complains(words, opened);
  expect(await opened.locator("#start").isDisabled()).toBe(true);
  expect(await opened.locator("#working").isVisible()).toBe(false);
  await opened.close();
  await other.close();
});

function modelFile(): string {
  return JSON.parse(readFileSync(`${BUILD}dist/model/model.json`, "utf8")).file;
}

function changeSidecar(fields: Record<string, number>): void {
  const path = `${BUILD}dist/model/model.json`;
  writeFileSync(path, JSON.stringify({ ...JSON.parse(readFileSync(path, "utf8")), ...fields }));
}

test("a browser without SIMD is told which to use", async () => {
  const opened = await context.newPage();
  await opened.addInitScript(() => {
    WebAssembly.validate = () => false;
  });
  await opened.goto(addressOf(server));
  await complains(/no WebAssembly with SIMD; use a current Chrome/, opened);
  await opened.close();
});

test("a frame of another page computes with one thread", async () => {
  const plain = await browser.newContext();
  const opened = await plain.newPage();
  await opened.route("**/frame.html", (route) => route.fulfill({ contentType: "text/html", body: '<iframe src="./index.html"></iframe>' }));
  await opened.goto(`${addressOf(server)}frame.html`);
  await opened.frameLocator("iframe").locator("#about").filter({ hasText: "one thread" }).waitFor(SLOW);
  await plain.close();
});

test.each([
  ["light", { width: 1100, height: 1500 }],
  ["dark", { width: 1100, height: 1500 }],
  ["narrow", { width: 360, height: 1500 }],
] as const)("a screenshot: %s", async (name, viewport) => {
  await page.emulateMedia({ colorScheme: name === "dark" ? "dark" : "light" });
  await page.setViewportSize(viewport);
  const fits = await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth);
  expect(fits).toBe(true);
  await page.screenshot({ path: `${BUILD}screenshots/${name}.png`, fullPage: true });
});

test("nothing failed unseen", () => {
  expect(errors).toEqual([]);
});
