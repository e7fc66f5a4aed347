/** The same numbers as Python, to the last bit. */
import { expect, test } from "vitest";
import { bicubic } from "../../src/core/bicubic";
import { byteOf, type Photo, type Size } from "../../src/core/photo";
import { Canvas, SCALE, type Tile } from "../../src/core/tiles";
import { CoarseMatches } from "../../src/core/windows";
import { golden, unpacked, type Line } from "./golden_lines";

const tileOf = (line: Line): Tile => ({ y: line.next(), x: line.next(), height: line.next(), width: line.next() });

test("bicubic is Pillow's", () => {
  let photo: Photo | undefined;
  let compared = 0;
  for (const line of golden("bicubic")) {
    const size = line.size();
    const expected = unpacked(size, line.rest());
    if (line.name === "photo") {
      photo = expected;
    } else {
      expect(bicubic(photo!, size.height, size.width)).toEqual(expected);
      compared++;
    }
  }
  expect(compared).toBe(5);
});

test("windows are those of Python", () => {
  let sizes: Size[] = [];
  let small: Size[] = [];
  let number: Int32Array = new Int32Array();
  let match: Int32Array = new Int32Array();
  let coarse: CoarseMatches | undefined;
  let compared = 0;
  for (const line of golden("windows")) {
    if (line.name === "sizes") sizes = line.sizes();
    else if (line.name === "small") small = line.sizes();
    else if (line.name === "number") number = line.rest();
    else if (line.name === "match") match = line.rest();
    else if (line.name === "score") {
      coarse = new CoarseMatches(sizes[0]!, small[0]!, sizes.slice(1), small.slice(1), { number, match, score: line.floats() });
    } else {
      const tile = tileOf(line);
      const found = coarse!.window(tile, line.next());
      expect([found.reference, found.y, found.x, found.height, found.width]).toEqual([...line.rest()]);
      compared++;
    }
  }
  expect(compared).toBeGreaterThan(50);
});

test("tiles join as in Python", () => {
  let pixels: Uint8Array = new Uint8Array();
  let side = 0;
  let canvas: Canvas | undefined;
  let tiles: Tile[] = [];
  let compared = 0;
  for (const line of golden("canvas")) {
    if (line.name === "canvas") {
      const [height, width, tile] = line.rest() as unknown as [number, number, number];
      side = SCALE * tile;
      const target = new Uint8Array(SCALE * height * SCALE * width * 3);
      pixels = target;
      canvas = new Canvas(height, width, tile, (first, rows) => target.set(rows, first * SCALE * width * 3));
      tiles = [...canvas.tiles];
    } else if (line.name === "tile") {
      const tile = tileOf(line);
      expect(tiles.shift()).toEqual(tile);
      canvas!.add(tile, pattern(line.next(), side), side);
    } else {
      canvas!.finish();
      expect(tiles).toEqual([]);
      expect(checksum(pixels)).toBe(line.next());
      compared++;
    }
  }
  expect(compared).toBe(3);
});

test("numbers become bytes as in Python", () => {
  const [values, bytes] = golden("pixels") as [Line, Line];
  const found = Array.from(values.floats(), byteOf);
  expect(found.length).toBeGreaterThan(300);
  expect(found).toEqual([...bytes.rest()]);
});

test("photos are mirrored as in Python", () => {
  const lines = golden("mirrored");
  expect(lines.length).toBe(6);
  for (let at = 0; at < lines.length; at += 2) {
    const small = unpacked(lines[at]!.size(), lines[at]!.rest());
    const size = lines[at + 1]!.size();
    const expected = unpacked(size, lines[at + 1]!.rest());
    expect(Uint8Array.from(small.toTensor(size.width, true), byteOf)).toEqual(expected.pixels);
  }
});

function pattern(seed: number, side: number): Float32Array {
  return Float32Array.from({ length: side * side * 3 }, (_, at) => (((at * 7919 + seed * 104729) % 1201) - 100) / 1000);
}

function checksum(pixels: Uint8Array): number {
  let total = 0;
  for (let at = 0; at < pixels.length; at += 3) {
    total = (total * 31 + pixels[at]! * 65536 + pixels[at + 1]! * 256 + pixels[at + 2]!) % 2147483629;
  }
  return total;
}
