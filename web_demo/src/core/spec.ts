/** What the .json beside an exported model says, checked. */
import { OVERLAP, SCALE } from "./tiles";
import { CELL, PATCH } from "./windows";

/** Sizes are sides in pixels: of a tile (LR), of a window (reference), of the small photos that are matched. */
export interface ModelSpec {
  readonly file: string;
  readonly variant: string;
  readonly precision: string;
  readonly scale: number;
  readonly tile: number;
  readonly window: number;
  readonly lrThumb: number;
  readonly refThumb: number;
}

/** A model file that is missing, or of another version than this page; the message says how to go on. */
export class ModelError extends Error {
  override readonly name = "ModelError";
}

/**
 * Reads the text of a .json file that `c2m-tf export tflite` wrote.
 *
 * @throws ModelError if it is none, or of a model that this page cannot use.
 */
export function parseSpec(text: string): ModelSpec {
  let fields: Record<string, unknown>;
  try {
    fields = Object(JSON.parse(text));
  } catch {
    throw new ModelError("the model's description is no JSON; export the model again");
  }
  const word = (name: string): string => {
    const value = fields[name];
    if (typeof value !== "string" || value === "") throw new ModelError(`the model's description has no text "${name}"; export the model again`);
    return value;
  };
  const number = (name: string): number => {
    const value = fields[name];
    if (!Number.isInteger(value)) throw new ModelError(`the model's description has no whole number "${name}"; export the model again`);
    return value as number;
  };
  const spec: ModelSpec = {
    file: word("file"),
    variant: word("variant"),
    precision: word("precision"),
    scale: number("scale"),
    tile: number("tile"),
    window: number("window"),
    lrThumb: number("lr_thumb"),
    refThumb: number("ref_thumb"),
  };
  if (spec.scale !== SCALE) throw new ModelError(`the model enlarges ${spec.scale} times; this page is made for ${SCALE}`);
  if (spec.tile <= OVERLAP) {
    throw new ModelError(`the model's tiles have ${spec.tile} pixels; neighbours overlap by ${OVERLAP}, so more are needed`);
  }
  if (spec.window < SCALE * spec.tile) {
    throw new ModelError(`the model's windows have ${spec.window} pixels; a tile covers ${SCALE * spec.tile}`);
  }
  if (spec.lrThumb < PATCH || spec.refThumb < PATCH * CELL) {
    throw new ModelError(`the model's small photos have ${spec.lrThumb} and ${spec.refThumb} pixels; more are needed`);
  }
  return spec;
}
