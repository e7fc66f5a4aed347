import { expect, test } from "vitest";
import { memoryRefusal, runtimeMemory, WASM_LIMIT } from "../../src/core/memory";
import { ModelError, parseSpec } from "../../src/core/spec";

const FIELDS = {
  file: "c2m_light_int8.tflite",
  variant: "light",
  precision: "int8",
  scale: 4,
  tile: 64,
  window: 384,
  lr_thumb: 96,
  ref_thumb: 384,
  weights_sha256: "8901",
  psnr_y: null,
};

test("what export writes is read", () => {
  expect(parseSpec(JSON.stringify(FIELDS))).toEqual({
    file: "c2m_light_int8.tflite",
    variant: "light",
    precision: "int8",
    scale: 4,
    tile: 64,
    window: 384,
    lrThumb: 96,
    refThumb: 384,
  });
});

test.each([
  ["<html>not found", /no JSON/],
  ["null", /no text "file"/],
  [JSON.stringify({ ...FIELDS, precision: 8 }), /no text "precision"/],
  [JSON.stringify({ ...FIELDS, tile: undefined }), /no whole number "tile"/],
  [JSON.stringify({ ...FIELDS, window: 383.5 }), /no whole number "window"/],
  [JSON.stringify({ ...FIELDS, scale: 2 }), /enlarges 2 times; this page is made for 4/],
  [JSON.stringify({ ...FIELDS, tile: 16 }), /tiles have 16 pixels/],
  [JSON.stringify({ ...FIELDS, window: 200 }), /windows have 200 pixels; a tile covers 256/],
  [JSON.stringify({ ...FIELDS, lr_thumb: 2 }), /small photos have 2 and 384/],
])("a description of another version is refused in words: %s", (text, words) => {
  expect(() => parseSpec(text)).toThrow(ModelError);
  expect(() => parseSpec(text)).toThrow(words);
});

test("memory that photos need is compared with what the device has", () => {
  const spec = parseSpec(JSON.stringify(FIELDS));
  expect(runtimeMemory(spec)).toBeLessThan(WASM_LIMIT);
  const reference = { height: 3000, width: 4000 };
  expect(memoryRefusal({ height: 500, width: 500 }, [reference], spec, 8)).toBeUndefined();
  expect(memoryRefusal({ height: 500, width: 500 }, [reference], spec, undefined)).toBeUndefined();
  expect(memoryRefusal({ height: 500, width: 500 }, [reference], spec, 1)).toMatch(/a 500x500 photo with a 4000x3000 reference needs about 1\.0 GiB.* 0\.5 GiB here/);
  expect(memoryRefusal({ height: 6000, width: 8000 }, [], spec, 8)).toMatch(/a 8000x6000 photo needs about/);
});
