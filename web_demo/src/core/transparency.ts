/**
 * Colours of fully transparent pixels: files hold any colour there, which a network would let bleed into what is visible. As in
 * c2m_tf/photos/pixels.py they take the colour of the nearest pixel that can be seen.
 */
import { Photo } from "./photo";

/**
 * Replaces the colours of fully transparent pixels.
 *
 * @param rgb [height, width, 3].
 * @param alpha [height, width, 1], 0 where nothing is visible.
 * @returns `rgb` itself if nothing, or everything, is hidden.
 */
export function fillHidden(rgb: Photo, alpha: Photo): Photo {
  const { height, width } = rgb;
  if (!alpha.pixels.includes(0) || alpha.pixels.every((value) => value === 0)) return rgb;
  const nearestRow = nearestInColumns(alpha);
  const pixels = rgb.pixels.slice();
  for (let y = 0; y < height; y++) {
    const nearestColumn = nearestInRow(nearestRow.subarray(y * width, (y + 1) * width), y);
    for (let x = 0; x < width; x++) {
      const at = y * width + x;
      if (alpha.pixels[at] !== 0) continue;
      const column = nearestColumn[x]!;
      const from = (nearestRow[y * width + column]! * width + column) * 3;
      pixels.set(rgb.pixels.subarray(from, from + 3), at * 3);
    }
  }
  return new Photo(height, width, 3, pixels);
}

/** For each pixel the row of the nearest visible pixel of its column, or -1. */
function nearestInColumns({ height, width, pixels }: Photo): Int32Array {
  const nearest = new Int32Array(height * width).fill(-1);
  for (let x = 0; x < width; x++) {
    for (let y = 0, row = -1; y < height; y++) {
      if (pixels[y * width + x] !== 0) row = y;
      nearest[y * width + x] = row;
    }
    for (let y = height - 1, row = -1; y >= 0; y--) {
      const at = y * width + x;
      if (pixels[at] !== 0) row = y;
      if (row >= 0 && (nearest[at]! < 0 || row - y < y - nearest[at]!)) nearest[at] = row;
    }
  }
  return nearest;
}

/**
 * For each pixel of row `y` the column whose nearest visible pixel is nearest to it: the lower envelope of one parabola for each column
 * (Felzenszwalb and Huttenlocher, Distance Transforms of Sampled Functions).
 */
function nearestInRow(nearestRow: Int32Array, y: number): Int32Array {
  const columns: number[] = []; // whose parabolas make up the envelope, and where each begins
  const begins: number[] = [];
  const height = (column: number) => (nearestRow[column]! - y) ** 2 + column ** 2;
  for (let column = 0; column < nearestRow.length; column++) {
    if (nearestRow[column]! < 0) continue;
    let begin = -Infinity;
    while (columns.length > 0) {
      const last = columns.at(-1)!;
      begin = (height(column) - height(last)) / (2 * (column - last));
      if (begin > begins.at(-1)!) break;
      columns.pop();
      begins.pop();
      begin = -Infinity;
    }
    columns.push(column);
    begins.push(begin);
  }
  const nearest = new Int32Array(nearestRow.length);
  for (let x = 0, part = 0; x < nearest.length; x++) {
    while (part + 1 < columns.length && begins[part + 1]! < x) part++;
    nearest[x] = columns[part]!;
  }
  return nearest;
}
