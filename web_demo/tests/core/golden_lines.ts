/** The golden vectors that android_demo/ci/golden_vectors.py writes: what Python computes. */
import { readFileSync } from "node:fs";
import type { Size } from "../../src/core/photo";
import { Photo } from "../../src/core/photo";

const FOLDER = new URL("../../../android_demo/core/src/test/resources/golden/", import.meta.url);

/** One line: a name, and integers that are read one after the other. */
export class Line {
  private at = 0;

  constructor(
    readonly name: string,
    private readonly numbers: Int32Array,
  ) {}

  next(): number {
    if (this.at === this.numbers.length) throw new RangeError(`the line ${this.name} has no more numbers`);
    return this.numbers[this.at++]!;
  }

  /** All that is left. */
  rest(): Int32Array {
    const rest = this.numbers.slice(this.at);
    this.at = this.numbers.length;
    return rest;
  }

  /** All that is left, as the bits of float32. */
  floats(): Float32Array {
    return new Float32Array(this.rest().buffer);
  }

  size(): Size {
    return { height: this.next(), width: this.next() };
  }

  sizes(): Size[] {
    const sizes: Size[] = [];
    while (this.at < this.numbers.length) sizes.push(this.size());
    return sizes;
  }
}

export function golden(name: string): Line[] {
  const text = readFileSync(new URL(`${name}.txt`, FOLDER), "ascii");
  return text
    .trimEnd()
    .split("\n")
    .map((line) => {
      const [word, ...numbers] = line.split(" ");
      return new Line(word!, Int32Array.from(numbers, Number));
    });
}

/** The photo of pixels 0xRRGGBB. */
export function unpacked({ height, width }: Size, packed: Int32Array): Photo {
  return new Photo(height, width, 3, Uint8Array.from({ length: 3 * packed.length }, (_, at) => packed[Math.floor(at / 3)]! >> (16 - 8 * (at % 3))));
}
