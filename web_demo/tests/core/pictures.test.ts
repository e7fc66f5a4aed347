import { PNG } from "pngjs";
import { expect, test } from "vitest";
import { matchMap } from "../../src/core/match_map";
import { PngWriter } from "../../src/core/png";

test.each([1, 2, 3, 4])("a PNG file of %i channels holds its rows", async (channels) => {
  const [height, width] = [7, 5];
  const rows = Uint8Array.from({ length: height * width * channels }, (_, at) => (at * at * 31) % 251);
  const writer = new PngWriter(height, width, channels);
  writer.write(rows.subarray(0, 3 * width * channels));
  writer.write(rows.subarray(3 * width * channels));
  const png = PNG.sync.read(Buffer.from(await (await writer.finish()).arrayBuffer()));
  expect([png.height, png.width]).toEqual([height, width]);
  const gray = channels < 3;
  const expected = Array.from({ length: height * width }, (_, pixel) => {
    const values = [...rows.subarray(pixel * channels, (pixel + 1) * channels)];
    const colours = gray ? [values[0], values[0], values[0]] : values.slice(0, 3);
    return [...colours, channels % 2 === 0 ? values.at(-1) : 255];
  });
  expect([...png.data]).toEqual(expected.flat());
});

test("a match map shows direction as hue, length as saturation and confidence as brightness", () => {
  const map = matchMap({
    height: 1,
    width: 4,
    dy: Float64Array.of(0, 0, -5, 0),
    dx: Float64Array.of(0, 5, 0, -5),
    score: Float32Array.of(1, 1, 1, -0.5),
  });
  expect([map.height, map.width]).toEqual([4, 16]);
  const pixel = (cell: number) => [...map.pixels.slice(12 * cell, 12 * cell + 3)];
  expect(pixel(0)).toEqual([255, 255, 255]);
  expect(pixel(1)).toEqual([255, 0, 0]);
  expect(pixel(2)).toEqual([128, 0, 255]);
  expect(pixel(3)).toEqual([0, 0, 0]);
});
