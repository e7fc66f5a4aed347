/**
 * Pillow's bicubic resize of 8-bit photos, bit for bit: antialiased when shrinking, weights as integers of 22 bits, first along x,
 * then along y, with 8 bits in between.
 */
import { Photo } from "./photo";

const SUPPORT = 2;
const BITS = 22;

/** `photo` with `height` rows and `width` columns. */
export function bicubic(photo: Photo, height: number, width: number): Photo {
  const narrow = width === photo.width ? photo : resizeRows(photo, width);
  return height === photo.height ? narrow : resizeColumns(narrow, height);
}

/** For an output pixel, the first input pixel that counts and the weights from there on. */
interface Taps {
  readonly first: number;
  readonly weights: Int32Array;
}

function tapsOf(inputs: number, outputs: number): Taps[] {
  const scale = inputs / outputs;
  const stretch = Math.max(scale, 1);
  const support = SUPPORT * stretch;
  return Array.from({ length: outputs }, (_, output) => {
    const middle = (output + 0.5) * scale;
    const first = Math.max(Math.trunc(middle - support + 0.5), 0);
    const count = Math.min(Math.trunc(middle + support + 0.5), inputs) - first;
    const inverse = 1 / stretch;
    const raw = Float64Array.from({ length: count }, (_, tap) => kernel((tap + first - middle + 0.5) * inverse));
    let sum = 0;
    for (const weight of raw) sum += weight;
    const weights = Int32Array.from(raw, (weight) => {
      const share = (sum === 0 ? weight : weight / sum) * 2 ** BITS;
      return Math.trunc(share < 0 ? share - 0.5 : share + 0.5);
    });
    return { first, weights };
  });
}

function kernel(at: number): number {
  const a = -0.5;
  const x = Math.abs(at);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return (((x - 5) * x + 8) * x - 4) * a;
  return 0;
}

function resizeRows(photo: Photo, width: number): Photo {
  const { height, channels } = photo;
  const taps = tapsOf(photo.width, width);
  const pixels = new Uint8Array(height * width * channels);
  let at = 0;
  for (let y = 0; y < height; y++) {
    for (const { first, weights } of taps) {
      const start = (y * photo.width + first) * channels;
      for (let channel = 0; channel < channels; channel++) pixels[at++] = mixed(photo.pixels, start + channel, channels, weights);
    }
  }
  return new Photo(height, width, channels, pixels);
}

function resizeColumns(photo: Photo, height: number): Photo {
  const length = photo.width * photo.channels;
  const pixels = new Uint8Array(height * length);
  let at = 0;
  for (const { first, weights } of tapsOf(photo.height, height)) {
    for (let x = 0; x < length; x++) pixels[at++] = mixed(photo.pixels, first * length + x, length, weights);
  }
  return new Photo(height, photo.width, photo.channels, pixels);
}

/** The byte that bytes from `start` on, `step` apart, make with these weights. */
function mixed(pixels: Uint8Array, start: number, step: number, weights: Int32Array): number {
  let sum = 1 << (BITS - 1);
  for (let tap = 0; tap < weights.length; tap++) sum += pixels[start + tap * step]! * weights[tap]!;
  return Math.min(Math.max(sum >> BITS, 0), 255);
}
