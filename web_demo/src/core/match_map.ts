/**
 * A picture of matches, as c2m_tf/photos/drawing.py draws it: hue is the direction of the displacement, saturation its length,
 * brightness the confidence.
 */
import { Photo, roundHalfToEven } from "./photo";
import type { Flow } from "./windows";

const LENGTH_PERCENTILE = 95; // displacements of this percentile and above are drawn fully saturated
const CELL_PIXELS = 4;

/** Draws a flow: [4*height, 4*width, 3]. */
export function matchMap(flow: Flow): Photo {
  const dy = Float32Array.from(flow.dy);
  const dx = Float32Array.from(flow.dx);
  const length = dy.map((y, at) => Math.hypot(y, dx[at]!));
  const longest = Math.max(percentile(length, LENGTH_PERCENTILE), 1);
  const width = CELL_PIXELS * flow.width;
  const pixels = new Uint8Array(CELL_PIXELS * flow.height * width * 3);
  for (let at = 0; at < length.length; at++) {
    const turn = Math.atan2(dy[at]!, dx[at]!) / (2 * Math.PI);
    const saturation = Math.min(length[at]! / longest, 1);
    const colour = rgbOf(turn < 0 ? turn + 1 : turn, saturation, Math.min(Math.max(flow.score[at]!, 0), 1));
    const top = CELL_PIXELS * Math.floor(at / flow.width);
    const left = CELL_PIXELS * (at % flow.width);
    for (let y = top; y < top + CELL_PIXELS; y++) {
      for (let x = left; x < left + CELL_PIXELS; x++) pixels.set(colour, (y * width + x) * 3);
    }
  }
  return new Photo(CELL_PIXELS * flow.height, width, 3, pixels);
}

/** The percentile of values, interpolated linearly between neighbours, as NumPy's. */
function percentile(values: Float32Array, percent: number): number {
  const sorted = values.slice().sort();
  const place = (percent / 100) * (sorted.length - 1);
  const below = Math.floor(place);
  const lower = sorted[below]!;
  return lower + (sorted[Math.min(below + 1, sorted.length - 1)]! - lower) * (place - below);
}

/** Red, green and blue bytes of a hue in turns, a saturation and a value in [0, 1]. */
function rgbOf(hue: number, saturation: number, value: number): [number, number, number] {
  const sector = Math.floor(hue * 6);
  const fraction = hue * 6 - sector;
  const p = value * (1 - saturation);
  const q = value * (1 - fraction * saturation);
  const t = value * (1 - (1 - fraction) * saturation);
  const sectors: [number, number, number][] = [
    [value, t, p],
    [q, value, p],
    [p, value, t],
    [p, q, value],
    [t, p, value],
    [value, p, q],
  ];
  const [red, green, blue] = sectors[sector % 6]!;
  return [roundHalfToEven(red * 255), roundHalfToEven(green * 255), roundHalfToEven(blue * 255)];
}
