/** Does the work apart from the page, which stays responsive: decodes photos, upscales, encodes the result. */
import { bicubic } from "../core/bicubic";
import { evidenceLayer, shares } from "../core/evidence";
import type { Photo } from "../core/photo";
import { canGoAlone, InputError, upscale } from "../core/pipeline";
import { PngWriter } from "../core/png";
import { ModelError } from "../core/spec";
import { SCALE, type Tile } from "../core/tiles";
import { canvasIsExact, decode, type DecodedPhoto } from "./decode";
import { LiteRtModel } from "./litert";
import type { Request, Response, Result } from "./messages";

let model: LiteRtModel | undefined;

self.onmessage = async ({ data }: MessageEvent<Request>) => {
  try {
    if (data.kind === "load") {
      model = await LiteRtModel.load(data.runtime);
      respond({ kind: "loaded", threads: model.threads, alone: canGoAlone(model) });
    } else if (model) {
      respond({ kind: "done", ...(await upscaled(model, data.lr, data.references, data.region)) });
    }
  } catch (error) {
    respond({ kind: "failed", message: sentence(error) });
  }
};

function respond(response: Response): void {
  self.postMessage(response);
}

async function upscaled(loaded: LiteRtModel, lrFile: File, referenceFiles: File[], region: Tile | undefined): Promise<Result> {
  if (!canvasIsExact()) {
    throw new InputError("this browser alters what pages read of photos (resistance to fingerprinting); allow it for this page");
  }
  const lr = await decode(lrFile);
  const references: Photo[] = [];
  for (const file of referenceFiles) references.push((await decode(file)).rgb);
  const part = region ?? { y: 0, x: 0, height: lr.rgb.height, width: lr.rgb.width };
  const [y, x, height, width] = [part.y, part.x, part.height, part.width].map((side) => SCALE * side) as [number, number, number, number];
  const alpha = lr.alpha && bicubic(lr.alpha, SCALE * lr.rgb.height, SCALE * lr.rgb.width).crop(y, x, height, width);
  const png = new PngWriter(height, width, (lr.gray ? 1 : 3) + (alpha ? 1 : 0));
  const evidence = await upscale(
    loaded,
    lr.rgb,
    references,
    (first, rows) => png.write(channelsOf(lr, rows, alpha?.pixels.subarray(first * width))),
    (done, total) => respond({ kind: "progress", done, total }),
    part,
  );
  return {
    photo: await png.finish(),
    evidence: evidence && (await encoded(evidenceLayer(evidence))),
    shares: evidence ? shares(evidence, references.length) : [],
    height,
    width,
  };
}

/** Rows of red, green and blue with the channels that the result has: gray stays gray, transparency is kept. */
function channelsOf({ gray }: DecodedPhoto, rgb: Uint8Array, alpha: Uint8Array | undefined): Uint8Array {
  if (!gray && !alpha) return rgb;
  const colours = gray ? 1 : 3;
  const channels = colours + (alpha ? 1 : 0);
  const rows = new Uint8Array((rgb.length / 3) * channels);
  for (let pixel = 0; pixel < rgb.length / 3; pixel++) {
    const [red, green, blue] = [rgb[3 * pixel]!, rgb[3 * pixel + 1]!, rgb[3 * pixel + 2]!];
    // Pillow's luma of BT.601.
    rows.set(gray ? [(19595 * red + 38470 * green + 7471 * blue + 0x8000) >> 16] : [red, green, blue], pixel * channels);
    if (alpha) rows[pixel * channels + colours] = alpha[pixel]!;
  }
  return rows;
}

function encoded(photo: Photo): Promise<Blob> {
  const png = new PngWriter(photo.height, photo.width, photo.channels);
  png.write(photo.pixels);
  return png.finish();
}

function sentence(error: unknown): string {
  if (error instanceof InputError || error instanceof ModelError) return error.message;
  const words = String(error instanceof Error ? error.message : error).split("\n")[0]!;
  if (error instanceof RangeError || /memory|alloc/i.test(words)) {
    return `the browser gave no more memory (${words}); close other tabs, or use smaller photos`;
  }
  return `something went wrong: ${words}. Load the page again, or try another browser`;
}
