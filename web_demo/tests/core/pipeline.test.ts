import { expect, test } from "vitest";
import { Photo } from "../../src/core/photo";
import { InputError, upscale, type SrModel } from "../../src/core/pipeline";
import type { ModelSpec } from "../../src/core/spec";

const SPEC: ModelSpec = {
  file: "file.tflite",
  variant: "light",
  precision: "float32",
  scale: 4,
  tile: 20,
  window: 80,
  lrThumb: 12,
  refThumb: 48,
};

function repeated(lrTile: Float32Array): Float32Array {
  const side = 4 * SPEC.tile;
  return Float32Array.from({ length: side * side * 3 }, (_, at) => {
    const pixel = Math.floor(at / 3);
    const row = Math.floor(pixel / side / 4);
    return lrTile[(row * SPEC.tile + Math.floor((pixel % side) / 4)) * 3 + (at % 3)]!;
  });
}

/** Enlarges by repeating pixels, and finds everything in the middle of the reference. */
class Repeating implements SrModel {
  readonly spec = SPEC;
  readonly windows: Float32Array[] = [];

  async locate() {
    const count = (SPEC.lrThumb - 2) ** 2;
    return { matches: new Int32Array(2 * count).fill(4), score: new Float32Array(count).fill(1) };
  }

  async upscale(lrTile: Float32Array, refWindow: Float32Array): Promise<Float32Array> {
    this.windows.push(refWindow);
    return repeated(lrTile);
  }
}

class Alone extends Repeating {
  async upscaleAlone(lrTile: Float32Array): Promise<Float32Array> {
    return repeated(lrTile);
  }
}

function noise(height: number, width: number, seed: number): Photo {
  let state = seed + 1;
  const pixels = Uint8Array.from({ length: height * width * 3 }, () => (state = (state * 48271) % 2147483647) >> 8);
  return new Photo(height, width, 3, pixels);
}

async function upscaled(model: SrModel, lr: Photo, references: Photo[], reported: string[] = []): Promise<Uint8Array> {
  const pixels = new Uint8Array(16 * lr.pixels.length);
  let next = 0;
  const sink = (first: number, rows: Uint8Array) => {
    expect(first).toBe(next);
    next += rows.length / (4 * lr.width * 3);
    pixels.set(rows, first * 4 * lr.width * 3);
  };
  await upscale(model, lr, references, sink, (done, total) => reported.push(`${done}/${total}`));
  expect(next).toBe(4 * lr.height);
  return pixels;
}

function enlarged(lr: Photo): Uint8Array {
  return Uint8Array.from({ length: 16 * lr.pixels.length }, (_, at) => {
    const pixel = Math.floor(at / 3);
    const row = Math.floor(pixel / (4 * lr.width) / 4);
    return lr.pixels[(row * lr.width + Math.floor((pixel % (4 * lr.width)) / 4)) * 3 + (at % 3)]!;
  });
}

const SIZES: [number, number][] = [
  [3, 3],
  [5, 40],
  [20, 20],
  [33, 47],
];

test.each(SIZES)("tiles of a photo of %i rows and %i columns join without seams", async (height, width) => {
  const lr = noise(height, width, height);
  expect(await upscaled(new Repeating(), lr, [noise(100, 90, 1)])).toEqual(enlarged(lr));
});

test.each(SIZES)("a model that can go alone restores %i rows and %i columns without a reference", async (height, width) => {
  const lr = noise(height, width, height);
  const model = new Alone();
  expect(await upscaled(model, lr, [])).toEqual(enlarged(lr));
  expect(model.windows).toEqual([]);
});

test.each([
  { y: 0, x: 0, height: 1, width: 1 },
  { y: 7, x: 20, height: 9, width: 27 },
  { y: 31, x: 3, height: 2, width: 40 },
])("a part is that of the whole, and takes the tiles that it lies in: %o", async (part) => {
  const [height, width] = [33, 47];
  const lr = noise(height, width, 4);
  const [all, model] = [new Repeating(), new Repeating()];
  const whole = new Photo(4 * height, 4 * width, 3, await upscaled(all, lr, [noise(100, 90, 1)]));
  const pixels = new Uint8Array(16 * part.height * part.width * 3);
  const sink = (first: number, rows: Uint8Array) => pixels.set(rows, first * 4 * part.width * 3);
  const evidence = await upscale(model, lr, [noise(100, 90, 1)], sink, undefined, part);
  expect(pixels).toEqual(whole.crop(4 * part.y, 4 * part.x, 4 * part.height, 4 * part.width).pixels);
  expect(model.windows.length).toBeLessThan(all.windows.length);
  expect([evidence!.height, evidence!.width, evidence!.score.length]).toEqual([part.height, part.width, part.height * part.width]);
});

test("windows lie inside the reference, and progress counts tiles", async () => {
  const model = new Repeating();
  const reported: string[] = [];
  const reference = noise(200, 400, 2);
  await upscaled(model, noise(24, 40, 3), [reference], reported);
  const count = model.windows.length;
  expect(reported).toEqual(Array.from({ length: count + 1 }, (_, done) => `${done}/${count}`));
  const corner = Array.from(model.windows[0]!.slice(0, 3), (value) => Math.round(value * 255)).join();
  const whole = new Set<string>();
  for (let at = 0; at < reference.pixels.length; at += 3) whole.add(reference.pixels.slice(at, at + 3).join());
  expect(whole).toContain(corner);
});

test("photos that are too small, or a missing reference, are refused in words", async () => {
  const good = noise(20, 20, 8);
  const refusal = async (lr: Photo, references: Photo[]) => {
    const error: unknown = await upscaled(new Repeating(), lr, references).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(InputError);
    return (error as InputError).message;
  };
  expect(await refusal(good, [])).toBe("no reference; this model needs one");
  expect(await refusal(noise(2, 9, 9), [good])).toBe("the photo has 9x2 pixels; at least 3x3 are needed");
  expect(await refusal(good, [noise(20, 11, 9)])).toBe("the reference has 11x20 pixels; at least 12x12 are needed");
});
