/**
 * Upscales photos with an exported model as `c2m-tf upscale --model FILE.tflite` does: small versions of the photos are matched, which
 * chooses a window of a reference for each tile; the model restores the tile from it. Without a reference, a model that can do
 * without restores each tile alone.
 */
import { bicubic } from "./bicubic";
import type { Evidence } from "./evidence";
import { roundHalfToEven, type Photo } from "./photo";
import type { ModelSpec } from "./spec";
import { Canvas, SCALE, type RowSink, type Tile } from "./tiles";
import { CELL, CoarseMatches, PATCH } from "./windows";

/** Minimum sides, in pixels, of an LR photo and of a reference: one patch. */
export const MINIMUM_LR = PATCH;
export const MINIMUM_REF = PATCH * CELL;

/** What `locate` gives: int32 (y, x) of the best cell for each LR cell, and its score in [-1, 1]. */
export interface Located {
  readonly matches: Int32Array;
  readonly score: Float32Array;
}

/** An exported model. All photos are float32 [side, side, 3] in [0, 1]; sides are those of `spec`. */
export interface SrModel {
  readonly spec: ModelSpec;

  /** Matches the 3x3 neighbourhoods of a small LR photo with those of a small reference. */
  locate(lrThumb: Float32Array, refThumb: Float32Array): Promise<Located>;

  /** Upscales a tile with the help of a window of the reference. */
  upscale(lrTile: Float32Array, refWindow: Float32Array): Promise<Float32Array>;

  /** Upscales a tile alone; missing if the model needs a reference. */
  upscaleAlone?(lrTile: Float32Array): Promise<Float32Array>;
}

/** Photos that cannot be upscaled; the message says what came and what is expected. */
export class InputError extends Error {
  override readonly name = "InputError";
}

/** Whether a model restores tiles without a reference. */
export function canGoAlone(model: SrModel): boolean {
  return model.upscaleAlone !== undefined;
}

/**
 * Upscales `lr` with the help of `references`, which may be none if the model can go alone.
 *
 * @param sink gets whole rows of the result, in order.
 * @param progress gets tiles done, and tiles in all; the first time with none done, once the matches are known.
 * @param region the part of the photo that is wanted, the same as in the whole; by default all of it. The search sees the whole photo.
 * @returns which reference shows each pixel, or nothing without references.
 * @throws InputError if a photo is too small, or a reference is needed and missing.
 */
export async function upscale(
  model: SrModel,
  lr: Photo,
  references: readonly Photo[],
  sink: RowSink,
  progress: (done: number, total: number) => void = () => {},
  region: Tile = { y: 0, x: 0, height: lr.height, width: lr.width },
): Promise<Evidence | undefined> {
  checkSizes(model, lr, references);
  const { spec } = model;
  const coarse = references.length > 0 ? await coarseMatches(model, lr, references) : undefined;
  const canvas = new Canvas(lr.height, lr.width, spec.tile, sink, region);
  progress(0, canvas.tiles.length);
  for (const [index, tile] of canvas.tiles.entries()) {
    const lrTile = lr.crop(tile.y, tile.x, tile.height, tile.width).toTensor(spec.tile, true);
    let result: Float32Array;
    if (coarse) {
      const { reference, y, x, height, width } = coarse.window(tile, spec.window);
      const refWindow = references[reference]!.crop(y, x, height, width);
      result = await model.upscale(lrTile, refWindow.toTensor(spec.window));
    } else {
      result = await model.upscaleAlone!(lrTile);
    }
    canvas.add(tile, result, SCALE * spec.tile);
    progress(index + 1, canvas.tiles.length);
  }
  canvas.finish();
  return coarse?.evidence(region);
}

function checkSizes(model: SrModel, lr: Photo, references: readonly Photo[]): void {
  if (references.length === 0 && !canGoAlone(model)) throw new InputError("no reference; this model needs one");
  if (Math.min(lr.height, lr.width) < MINIMUM_LR) {
    throw new InputError(`the photo has ${lr.width}x${lr.height} pixels; at least ${MINIMUM_LR}x${MINIMUM_LR} are needed`);
  }
  for (const { height, width } of references) {
    if (Math.min(height, width) < MINIMUM_REF) {
      throw new InputError(`the reference has ${width}x${height} pixels; at least ${MINIMUM_REF}x${MINIMUM_REF} are needed`);
    }
  }
}

async function coarseMatches(model: SrModel, lr: Photo, references: readonly Photo[]): Promise<CoarseMatches> {
  const { spec } = model;
  let factor = Math.max(1, Math.max(lr.height, lr.width) / spec.lrThumb);
  for (const { height, width } of references) factor = Math.max(factor, Math.max(height, width) / spec.refThumb);
  const smallLr = small(lr, factor, 1);
  const smallReferences = references.map((reference) => small(reference, factor, CELL));
  const height = smallLr.height - PATCH + 1;
  const width = smallLr.width - PATCH + 1;
  const number = new Int32Array(height * width);
  const match = new Int32Array(2 * height * width);
  const score = new Float32Array(height * width).fill(-2);
  const thumb = smallLr.toTensor(spec.lrThumb);
  const across = spec.lrThumb - PATCH + 1;
  for (const [index, reference] of smallReferences.entries()) {
    const located = await model.locate(thumb, reference.toTensor(spec.refThumb));
    const lastY = Math.floor(reference.height / CELL) - PATCH;
    const lastX = Math.floor(reference.width / CELL) - PATCH;
    for (let at = 0; at < height * width; at++) {
      const from = Math.floor(at / width) * across + (at % width);
      const y = located.matches[2 * from]!;
      const x = located.matches[2 * from + 1]!;
      // What a small reference was extended by shows nothing.
      const fit = y <= lastY && x <= lastX ? located.score[from]! : -1;
      if (fit > score[at]!) {
        number[at] = index;
        score[at] = fit;
        match[2 * at] = Math.min(y, lastY);
        match[2 * at + 1] = Math.min(x, lastX);
      }
    }
  }
  return new CoarseMatches(lr, smallLr, references, smallReferences, { number, match, score });
}

function small(photo: Photo, factor: number, multiple: number): Photo {
  const side = (length: number) => Math.max(PATCH, roundHalfToEven(length / factor / multiple)) * multiple;
  return bicubic(photo, side(photo.height), side(photo.width));
}
