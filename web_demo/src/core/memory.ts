/** How much memory upscaling needs, estimated before anything is decoded. */
import type { Size } from "./photo";
import type { ModelSpec } from "./spec";
import { SCALE } from "./tiles";

const MEBIBYTE = 2 ** 20;

/** What a WebAssembly memory of LiteRT.js holds at most. */
export const WASM_LIMIT = 2048 * MEBIBYTE;

// Peak bytes of the runtime, an upper fit to measurements (c2m_tf/upscaling/tflite_upscaler.py has the same for a PC): what does not
// depend on the model, an SR pixel of a tile and a pixel of a window with all that is computed of them.
const RUNTIME_BYTES = 64 * MEBIBYTE;
const BYTES_PER_TILE_PIXEL = 6000;
const BYTES_PER_WINDOW_PIXEL = 3000;

// Bytes of a photo's pixel: red, green, blue, and the four of the browser's decoded picture. Of a result's pixel: at most three in the
// PNG file, four where the browser shows it, one of transparency.
const BYTES_PER_GIVEN_PIXEL = 3 + 4;
const BYTES_PER_RESULT_PIXEL = 3 + 4 + 1;
const BYTES_PER_BAND_PIXEL = 3 * 4 + 3;

// Without a statement of the browser, a device with this much is assumed; a page may use this share of it.
const ASSUMED_GIBIBYTES = 4;
const SHARE = 0.5;

/** Bytes of WebAssembly memory that a model needs, whatever the photos. */
export function runtimeMemory(spec: ModelSpec): number {
  return RUNTIME_BYTES + BYTES_PER_TILE_PIXEL * (SCALE * spec.tile) ** 2 + BYTES_PER_WINDOW_PIXEL * spec.window ** 2;
}

/** Bytes that upscaling a part of a photo needs at its peak, WebAssembly included. */
export function memoryNeeded(lr: Size, references: readonly Size[], spec: ModelSpec, part: Size): number {
  const lrPixels = lr.height * lr.width;
  const givenPixels = references.reduce((sum, { height, width }) => sum + height * width, lrPixels);
  const bandPixels = SCALE * Math.min(spec.tile, lr.height) * SCALE * lr.width;
  return (
    runtimeMemory(spec) +
    BYTES_PER_GIVEN_PIXEL * givenPixels +
    BYTES_PER_RESULT_PIXEL * SCALE * SCALE * part.height * part.width +
    BYTES_PER_BAND_PIXEL * bandPixels
  );
}

/** Bytes that a page may use; `deviceGibibytes` is what the browser says of the device, if it does. */
export function memoryAllowed(deviceGibibytes: number | undefined): number {
  return SHARE * (deviceGibibytes ?? ASSUMED_GIBIBYTES) * 1024 * MEBIBYTE;
}

/** A sentence that says why photos cannot be upscaled here, or nothing if they can. */
export function memoryRefusal(
  lr: Size,
  references: readonly Size[],
  spec: ModelSpec,
  deviceGibibytes: number | undefined,
  part: Size = lr,
): string | undefined {
  const gibibytes = (bytes: number) => (bytes / 2 ** 30).toFixed(1);
  const needed = memoryNeeded(lr, references, spec, part);
  const allowed = memoryAllowed(deviceGibibytes);
  if (needed <= allowed) return undefined;
  const used = references.map(({ width, height }) => ` with a ${width}x${height} reference`).join("");
  return (
    `upscaling a ${lr.width}x${lr.height} photo${used} needs about ${gibibytes(needed)} GiB of memory; ` +
    `a page may use ${gibibytes(allowed)} GiB here. Use smaller photos, drag a frame over a part, or use c2m-tf on a computer`
  );
}
