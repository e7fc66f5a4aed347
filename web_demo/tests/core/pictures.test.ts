import { PNG } from "pngjs";
import { expect, test } from "vitest";
import { evidenceLayer, shares } from "../../src/core/evidence";
import { Photo } from "../../src/core/photo";
import { PngWriter } from "../../src/core/png";
import { fillHidden } from "../../src/core/transparency";

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

test("each reference has a colour, and no more of it than it counts", () => {
  const evidence = { height: 1, width: 4, number: Int32Array.of(0, 1, 1, 1), score: Float32Array.of(0.9, 0.7, 0.45, 0.2) };
  expect([...evidenceLayer(evidence).pixels]).toEqual([230, 60, 40, 115, 40, 110, 230, 115, 40, 110, 230, 57, 230, 60, 40, 0]);
  const [first, second] = shares(evidence, 2);
  expect(first).toBeCloseTo(0.25, 5);
  expect(second).toBeCloseTo(0.375, 5);
});

test("hidden pixels take the colour of a nearest visible one", () => {
  const [height, width] = [13, 17];
  const alpha = Uint8Array.from({ length: height * width }, (_, at) => ((at * at * 7 + at) % 23 === 0 ? 1 + (at % 255) : 0));
  const rgb = new Photo(height, width, 3, Uint8Array.from({ length: height * width * 3 }, (_, at) => (at % 3 === 0 ? Math.floor(at / 3) : 9)));
  const filled = fillHidden(rgb, new Photo(height, width, 1, alpha));
  const distance = (at: number, other: number) =>
    (Math.floor(at / width) - Math.floor(other / width)) ** 2 + ((at % width) - (other % width)) ** 2;
  const visible = [...alpha.keys()].filter((at) => alpha[at] !== 0);
  expect(visible.length).toBeGreaterThan(3);
  for (const at of alpha.keys()) {
    const chosen = filled.pixels[3 * at]!; // red counts pixels
    expect(visible).toContain(chosen);
    expect(distance(at, chosen)).toBe(Math.min(...visible.map((other) => distance(at, other))));
  }
});

test("colours stay where nothing or everything is hidden", () => {
  const rgb = new Photo(2, 2, 3, new Uint8Array(12).fill(7));
  expect(fillHidden(rgb, new Photo(2, 2, 1, new Uint8Array(4)))).toBe(rgb);
  expect(fillHidden(rgb, new Photo(2, 2, 1, new Uint8Array(4).fill(1)))).toBe(rgb);
});
