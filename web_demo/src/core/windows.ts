/**
 * Where to look in a reference: matches of small versions of the photos choose a window for each tile. The same algorithm, number for
 * number, as c2m_tf/upscaling/tiles.py.
 */
import type { Evidence } from "./evidence";
import { roundHalfToEven, type Size } from "./photo";
import type { Tile } from "./tiles";

/** Pixels per side of the cells that matching works on, and cells per side of what is matched. */
export const CELL = 4;
export const PATCH = 3;

/** A window of a reference: which one, first pixel and size. */
export interface Window extends Tile {
  readonly reference: number;
}

/** Matches of the 3x3 neighbourhoods of a small LR photo, one after the other. */
export interface Matches {
  /** Which reference fits best. */
  readonly number: Int32Array;
  /** Top-left cell (y, x) of the neighbourhood that fits best there, one pair after the other. */
  readonly match: Int32Array;
  /** How well it fits, in [-1, 1]. */
  readonly score: Float32Array;
}

interface Densest {
  readonly y: number;
  readonly x: number;
  readonly weight: number;
}

/** What matches of small photos say of the large ones. */
export class CoarseMatches {
  private readonly count: number;
  private readonly across: number;
  private readonly y: Float64Array;
  private readonly x: Float64Array;
  private readonly foundY: Float64Array;
  private readonly foundX: Float64Array;
  private readonly weight: Float32Array;
  private readonly cellY: number[];
  private readonly cellX: number[];
  private readonly reach: number;

  /**
   * @param lr size of the LR photo.
   * @param smallLr size of its small version.
   * @param references sizes of the references.
   * @param smallReferences sizes of their small versions.
   * @param matches of the small photos.
   */
  constructor(
    lr: Size,
    smallLr: Size,
    private readonly references: readonly Size[],
    smallReferences: readonly Size[],
    private readonly matches: Matches,
  ) {
    const { number, match, score } = matches;
    this.count = score.length;
    this.across = smallLr.width - PATCH + 1;
    const rows = lr.height / smallLr.height;
    const columns = lr.width / smallLr.width;
    this.reach = Math.max(rows, columns);
    this.cellY = references.map(({ height }, index) => height / CELL / Math.floor(smallReferences[index]!.height / CELL));
    this.cellX = references.map(({ width }, index) => width / CELL / Math.floor(smallReferences[index]!.width / CELL));
    this.y = Float64Array.from(score, (_, at) => (Math.floor(at / this.across) + 1.5) * rows);
    this.x = Float64Array.from(score, (_, at) => ((at % this.across) + 1.5) * columns);
    this.foundY = Float64Array.from(score, (_, at) => (match[2 * at]! + 1.5) * this.cellY[number[at]!]!);
    this.foundX = Float64Array.from(score, (_, at) => (match[2 * at + 1]! + 1.5) * this.cellX[number[at]!]!);
    this.weight = score.map((fit) => Math.fround(Math.max(fit, 0) ** 2) + Math.fround(1e-6));
  }

  /** The match that is nearest to each pixel of a part of the photo. */
  evidence({ y, x, height, width }: Tile): Evidence {
    const rows = nearest(this.y.filter((_, at) => at % this.across === 0), y, height);
    const columns = nearest(this.x.subarray(0, this.across), x, width);
    const places = rows.flatMap((row) => columns.map((column) => row * this.across + column));
    const number = Int32Array.from(places, (place) => this.matches.number[place]!);
    return { height, width, number, score: Float32Array.from(places, (place) => this.matches.score[place]!) };
  }

  /** The window of `size` pixels per side that most matches of a tile fall into; a smaller reference is taken whole. */
  window(tile: Tile, size: number): Window {
    const { number } = this.matches;
    const inside: number[] = [];
    for (let at = 0; at < this.count; at++) {
      const y = this.y[at]!;
      const x = this.x[at]!;
      if (
        y >= tile.y - this.reach &&
        y <= tile.y + tile.height + this.reach &&
        x >= tile.x - this.reach &&
        x <= tile.x + tile.width + this.reach
      ) {
        inside.push(at);
      }
    }
    let best: (Densest & { reference: number }) | undefined;
    for (const reference of [...new Set(inside.map((at) => number[at]!))].sort((a, b) => a - b)) {
      const members = inside.filter((at) => number[at] === reference);
      const found = this.densest(members, reference, size / CELL);
      if (!best || found.weight > best.weight) best = { ...found, reference };
    }
    if (!best) throw new Error("no match lies near a tile");
    const side = this.references[best.reference]!;
    return {
      reference: best.reference,
      y: startOf(best.y, size, side.height),
      x: startOf(best.x, size, side.width),
      height: Math.min(size, side.height),
      width: Math.min(size, side.width),
    };
  }

  /** Middle of the box of `size` cells per side that holds the most weight of these matches, and that weight. */
  private densest(members: readonly number[], reference: number, size: number): Densest {
    // Matches are counted in squares of one coarse cell, the accuracy that they have.
    const squareY = Math.max(this.cellY[reference]!, 1);
    const squareX = Math.max(this.cellX[reference]!, 1);
    const placesY = members.map((at) => Math.floor(this.foundY[at]! / squareY));
    const placesX = members.map((at) => Math.floor(this.foundX[at]! / squareX));
    const [firstY, lastY] = extent(placesY);
    const [firstX, lastX] = extent(placesX);
    const rows = lastY - firstY + 1;
    const columns = lastX - firstX + 1;
    const counts = Array.from({ length: rows }, () => new Float64Array(columns));
    members.forEach((at, index) => {
      counts[placesY[index]! - firstY]![placesX[index]! - firstX]! += this.weight[at]!;
    });
    const boxY = Math.min(Math.max(Math.trunc(size / squareY), 1), rows);
    const boxX = Math.min(Math.max(Math.trunc(size / squareX), 1), columns);
    const total = summed(counts, rows, columns);
    let weight = -Infinity;
    let top = 0;
    let left = 0;
    for (let row = 0; row <= rows - boxY; row++) {
      const upper = total[row]!;
      const lower = total[row + boxY]!;
      for (let column = 0; column <= columns - boxX; column++) {
        const sum = lower[column + boxX]! - upper[column + boxX]! - lower[column]! + upper[column]!;
        if (sum > weight) {
          weight = sum;
          top = row;
          left = column;
        }
      }
    }
    const kept = members.filter((_, index) => {
      const row = placesY[index]! - firstY - top;
      const column = placesX[index]! - firstX - left;
      return row >= 0 && row < boxY && column >= 0 && column < boxX;
    });
    const [upper, lower] = extent(kept.map((at) => this.foundY[at]!));
    const [near, far] = extent(kept.map((at) => this.foundX[at]!));
    return { y: (upper + lower) / 2, x: (near + far) / 2, weight };
  }
}

/** Index of the value that is nearest to the middle of each of `length` pixels from `first` on. */
function nearest(values: Float64Array, first: number, length: number): number[] {
  return Array.from({ length }, (_, at) => {
    const distances = values.map((value) => Math.abs(value - (first + at + 0.5)));
    return distances.indexOf(Math.min(...distances));
  });
}

function extent(values: readonly number[]): [number, number] {
  let lowest = Infinity;
  let highest = -Infinity;
  for (const value of values) {
    lowest = Math.min(lowest, value);
    highest = Math.max(highest, value);
  }
  return [lowest, highest];
}

/** Sums of all numbers above and left of each, with a first row and column of zeros. */
function summed(counts: readonly Float64Array[], rows: number, columns: number): Float64Array[] {
  const total = Array.from({ length: rows + 1 }, () => new Float64Array(columns + 1));
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      total[row + 1]![column + 1] = total[row]![column + 1]! + counts[row]![column]!;
    }
  }
  for (let row = 1; row <= rows; row++) {
    for (let column = 1; column <= columns; column++) total[row]![column]! += total[row]![column - 1]!;
  }
  return total;
}

/** First pixel of a window around `middle` (in cells) that stays inside a side of that many pixels. */
function startOf(middle: number, size: number, side: number): number {
  const first = roundHalfToEven(middle) - Math.floor(Math.floor(size / CELL) / 2);
  const last = Math.max(0, Math.floor((side - size) / CELL));
  return CELL * Math.min(Math.max(first, 0), last);
}
