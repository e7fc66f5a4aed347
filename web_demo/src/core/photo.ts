/** Photos of 8 bits per channel, and their way in and out of a model's float32 tensors. */

/** Sides of a photo in pixels. */
export interface Size {
  readonly height: number;
  readonly width: number;
}

/** Channels of the photos that a model takes and gives: red, green, blue. */
export const CHANNELS = 3;

/** A photo: `pixels` holds [height, width, channels] row by row, one byte each. */
export class Photo implements Size {
  constructor(
    readonly height: number,
    readonly width: number,
    readonly channels: number,
    readonly pixels: Uint8Array,
  ) {
    if (height < 1 || width < 1) throw new RangeError(`a photo has at least one pixel; this one has ${width}x${height}`);
    if (pixels.length !== height * width * channels) {
      throw new RangeError(`${width}x${height}x${channels} bytes are expected; here are ${pixels.length}`);
    }
  }

  /** The part of `height` rows and `width` columns that starts at (`y`, `x`). */
  crop(y: number, x: number, height: number, width: number): Photo {
    const part = new Uint8Array(height * width * this.channels);
    const length = width * this.channels;
    for (let row = 0; row < height; row++) {
      const start = ((y + row) * this.width + x) * this.channels;
      part.set(this.pixels.subarray(start, start + length), row * length);
    }
    return new Photo(height, width, this.channels, part);
  }

  /**
   * float32 [side, side, channels] in [0, 1]. Where the photo ends, its last row and column are repeated; or, `mirrored`, its
   * mirror image follows, as often as there is room.
   */
  toTensor(side: number, mirrored = false): Float32Array {
    const tensor = new Float32Array(side * side * this.channels);
    let at = 0;
    for (let y = 0; y < side; y++) {
      const row = inside(y, this.height, mirrored) * this.width;
      for (let x = 0; x < side; x++) {
        const from = (row + inside(x, this.width, mirrored)) * this.channels;
        for (let channel = 0; channel < this.channels; channel++) tensor[at++] = this.pixels[from + channel]! / 255;
      }
    }
    return tensor;
  }
}

function inside(at: number, length: number, mirrored: boolean): number {
  if (!mirrored) return Math.min(at, length - 1);
  const turn = at % (2 * length);
  return Math.min(turn, 2 * length - 1 - turn);
}

/** The byte of a value in [0, 1]: clipped, scaled in float32 and rounded, halves to the even number, as NumPy's `rint` does. */
export function byteOf(value: number): number {
  return roundHalfToEven(Math.fround(Math.min(Math.max(value, 0), 1) * 255));
}

/** The nearest integer, halves to the even one, as Python's `round` and NumPy's `rint`. */
export function roundHalfToEven(value: number): number {
  const below = Math.floor(value);
  const fraction = value - below;
  return fraction < 0.5 || (fraction === 0.5 && below % 2 === 0) ? below : below + 1;
}
