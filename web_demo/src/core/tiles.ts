/** Where tiles of a photo lie, and how their results become one photo without seams, as in c2m_tf/upscaling/tiles.py. */
import { byteOf, CHANNELS } from "./photo";

/** Pixels of the result in an LR pixel, along each axis. */
export const SCALE = 4;

/** LR pixels from a tile's edge inwards that do not count, and those after them in which its weight rises. */
const UNUSED = 6;
const RAMP = 4;

/** LR pixels by which neighbouring tiles overlap. */
export const OVERLAP = 2 * UNUSED + RAMP;

/** A tile of an LR photo: first pixel and size. */
export interface Tile {
  readonly y: number;
  readonly x: number;
  readonly height: number;
  readonly width: number;
}

/** Gets the number of the result's (or its part's) first row and whole rows of it, [rows, width, 3]. */
export type RowSink = (first: number, rows: Uint8Array) => void;

/** Where tiles start along an axis, and how much each counts at each pixel of its result. */
class Axis {
  readonly starts: number[] = [];
  readonly size: number;
  private readonly shares = new Map<number, Float32Array>();

  constructor(length: number, tile: number) {
    for (let start = 0; start < length - tile; start += tile - OVERLAP) this.starts.push(start);
    this.starts.push(Math.max(length - tile, 0));
    this.size = Math.min(length, tile);
    const total = new Float32Array(SCALE * length);
    for (const start of this.starts) {
      const weights = new Float32Array(SCALE * this.size).fill(1);
      for (let at = 0; at < weights.length; at++) {
        if (start > 0) weights[at]! *= rise(at);
        if (start + this.size < length) weights[at]! *= rise(weights.length - 1 - at);
        total[SCALE * start + at]! += weights[at]!;
      }
      this.shares.set(start, weights);
    }
    for (const [start, weights] of this.shares) {
      for (let at = 0; at < weights.length; at++) weights[at]! /= total[SCALE * start + at]!;
    }
  }

  /** Starts of the tiles that count between two pixels of the photo. */
  needed(first: number, end: number): number[] {
    return this.starts.filter((start) =>
      this.weights(start).subarray(Math.max(SCALE * (first - start), 0), Math.max(SCALE * (end - start), 0)).some((weight) => weight > 0),
    );
  }

  /** Weights of the tile that starts there; those of all tiles sum to one everywhere. */
  weights(start: number): Float32Array {
    const weights = this.shares.get(start);
    if (!weights) throw new RangeError(`no tile starts at ${start}`);
    return weights;
  }
}

function rise(at: number): number {
  return Math.min(Math.max(((at + 0.5) / SCALE - UNUSED) / RAMP, 0), 1);
}

/**
 * Collects the results of tiles, which must come row by row, and hands on rows of pixels as soon as no further tile reaches them; only
 * one band of the result is held as numbers. Of a part of the photo only the tiles are needed that it shows, and it is the same as in the
 * whole.
 */
export class Canvas {
  readonly tiles: Tile[];
  private readonly rows: Axis;
  private readonly columns: Axis;
  private readonly band: Float32Array;
  private first: number; // row of the result that the band starts with

  constructor(
    height: number,
    private readonly width: number,
    tile: number,
    private readonly sink: RowSink,
    private readonly region: Tile = { y: 0, x: 0, height, width },
  ) {
    this.rows = new Axis(height, tile);
    this.columns = new Axis(width, tile);
    this.band = new Float32Array(SCALE * this.rows.size * SCALE * width * CHANNELS);
    const { y: top, x: left } = region;
    const columns = this.columns.needed(left, left + region.width);
    this.tiles = this.rows.needed(top, top + region.height).flatMap((y) =>
      columns.map((x) => ({ y, x, height: this.rows.size, width: this.columns.size })),
    );
    this.first = SCALE * this.tiles[0]!.y;
  }

  /** Adds the result of a tile, float32 [side, side, 3], of which the tile's own part counts. */
  add(tile: Tile, result: Float32Array, side: number): void {
    this.advance(SCALE * tile.y);
    const weightsY = this.rows.weights(tile.y);
    const weightsX = this.columns.weights(tile.x);
    for (let y = 0; y < weightsY.length; y++) {
      const weightY = weightsY[y]!;
      let from = y * side * CHANNELS;
      let to = (y * SCALE * this.width + SCALE * tile.x) * CHANNELS;
      for (let x = 0; x < weightsX.length; x++) {
        const weightX = weightsX[x]!;
        for (let channel = 0; channel < CHANNELS; channel++) {
          // Each product is rounded to float32, as NumPy does.
          this.band[to++]! += Math.fround(Math.fround(result[from++]! * weightY) * weightX);
        }
      }
    }
  }

  /** Hands on what is left, after the last tile. */
  finish(): void {
    this.advance(this.first + SCALE * this.rows.size);
  }

  private advance(row: number): void {
    const across = SCALE * this.width * CHANNELS;
    const length = (row - this.first) * across;
    if (length === 0) return;
    const top = SCALE * this.region.y;
    const [from, to] = [Math.max(this.first, top), Math.min(row, top + SCALE * this.region.height)];
    if (from < to) {
      const left = SCALE * this.region.x * CHANNELS;
      const width = SCALE * this.region.width * CHANNELS;
      const rows = new Uint8Array((to - from) * width);
      for (let y = from; y < to; y++) {
        const start = (y - this.first) * across + left;
        rows.set(Uint8Array.from(this.band.subarray(start, start + width), byteOf), (y - from) * width);
      }
      this.sink(from - top, rows);
    }
    this.band.copyWithin(0, length);
    this.band.fill(0, this.band.length - length);
    this.first = row;
  }
}
