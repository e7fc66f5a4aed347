/** What of a result comes from which reference, as a picture to lay over it; as c2m_tf/upscaling/evidence.py draws it. */
import { byteOf, Photo, type Size } from "./photo";

/** Of each pixel of a photo or of a part of it, [height, width]. */
export interface Evidence extends Size {
  /** Which reference fits best. */
  readonly number: Int32Array;
  /** How well, in [-1, 1]. */
  readonly score: Float32Array;
}

// A score up to which a reference counts for nothing, and one from which on it counts fully.
const FROM = 0.3;
const TO = 0.6;
const TINT = 0.45;
const COLOURS = [[230, 60, 40], [40, 110, 230], [60, 170, 60], [225, 160, 20], [150, 70, 200], [20, 170, 180], [220, 80, 160]] as const;

function weightOf(score: number): number {
  return Math.min(Math.max((score - FROM) / (TO - FROM), 0), 1);
}

/** Red, green, blue and alpha of each pixel: the reference's colour, transparent where it does not count. */
export function evidenceLayer({ height, width, number, score }: Evidence): Photo {
  const pixels = new Uint8Array(4 * height * width);
  for (let at = 0; at < score.length; at++) {
    // What does not count has the first colour.
    const weight = weightOf(score[at]!);
    pixels.set(COLOURS[(weight > 0 ? number[at]! : 0) % COLOURS.length]!, 4 * at);
    pixels[4 * at + 3] = byteOf(TINT * weight);
  }
  return new Photo(height, width, 4, pixels);
}

/** The share of the result that comes from each of `count` references, in [0, 1]. */
export function shares({ number, score }: Evidence, count: number): number[] {
  const sums = new Array<number>(count).fill(0);
  score.forEach((value, at) => (sums[number[at]!]! += weightOf(value)));
  return sums.map((sum) => sum / score.length);
}
