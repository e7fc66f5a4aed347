/** Photos out of files, in a worker, by the browser's own decoders: turned upright as EXIF says, in the colours of sRGB. */
import { Photo } from "../core/photo";
import { InputError } from "../core/pipeline";
import { fillHidden } from "../core/transparency";

/** A photo as the pipeline takes it. */
export interface DecodedPhoto {
  /** [height, width, 3]; hidden colours replaced by visible ones. */
  readonly rgb: Photo;
  /** [height, width, 1], or nothing if all of it is opaque. */
  readonly alpha: Photo | undefined;
  /** Whether all pixels are gray. */
  readonly gray: boolean;
}

const STRIP_PIXELS = 2 ** 21; // read at a time: browsers limit the size of a canvas

/**
 * Reads a photo.
 *
 * @throws InputError if the browser cannot decode it.
 */
export async function decode(file: File): Promise<DecodedPhoto> {
  let bitmap: ImageBitmap;
  try {
    bitmap = await createImageBitmap(file, { premultiplyAlpha: "none" });
  } catch {
    throw new InputError(`${file.name} is damaged, or no photo that this browser reads`);
  }
  try {
    const { width, height } = bitmap;
    const pixels = { rgb: new Uint8Array(height * width * 3), alpha: new Uint8Array(height * width) };
    separate(pixels, readStrips(bitmap));
    const transparent = pixels.alpha.some((value) => value < 255);
    if (transparent) {
      const exact = readTexture(bitmap);
      if (exact) separate(pixels, exact);
    }
    let gray = true;
    for (let at = 0; gray && at < pixels.rgb.length; at += 3) {
      gray = pixels.rgb[at] === pixels.rgb[at + 1] && pixels.rgb[at] === pixels.rgb[at + 2];
    }
    const rgb = new Photo(height, width, 3, pixels.rgb);
    if (!transparent) return { rgb, alpha: undefined, gray };
    const alpha = new Photo(height, width, 1, pixels.alpha);
    return { rgb: fillHidden(rgb, alpha), alpha, gray };
  } finally {
    bitmap.close();
  }
}

/** Whether canvases give back what was drawn: browsers that resist fingerprinting may not. */
export function canvasIsExact(): boolean {
  const context = contextOf(16, 16);
  const drawn = context.createImageData(16, 16);
  for (let at = 0; at < drawn.data.length; at++) drawn.data[at] = at % 4 === 3 ? 255 : (at * 37) % 256;
  context.putImageData(drawn, 0, 0);
  const found = context.getImageData(0, 0, 16, 16).data;
  return drawn.data.every((value, at) => value === found[at]);
}

type Bytes = Uint8Array | Uint8ClampedArray;

function separate(pixels: { rgb: Uint8Array; alpha: Uint8Array }, strips: Iterable<Bytes>): void {
  let pixel = 0;
  for (const rgba of strips) {
    for (let at = 0; at < rgba.length; at += 4, pixel++) {
      pixels.rgb[3 * pixel] = rgba[at]!;
      pixels.rgb[3 * pixel + 1] = rgba[at + 1]!;
      pixels.rgb[3 * pixel + 2] = rgba[at + 2]!;
      pixels.alpha[pixel] = rgba[at + 3]!;
    }
  }
}

function* readStrips(bitmap: ImageBitmap): Generator<Uint8ClampedArray> {
  const rows = Math.min(Math.max(1, Math.floor(STRIP_PIXELS / bitmap.width)), bitmap.height);
  const context = contextOf(bitmap.width, rows);
  for (let y = 0; y < bitmap.height; y += rows) {
    context.clearRect(0, 0, bitmap.width, rows);
    context.drawImage(bitmap, 0, -y);
    yield context.getImageData(0, 0, bitmap.width, Math.min(rows, bitmap.height - y)).data;
  }
}

function contextOf(width: number, height: number): OffscreenCanvasRenderingContext2D {
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  if (!context) throw new InputError("this browser has no memory left for a photo's pixels; close other tabs, or use smaller photos");
  return context;
}

/** All pixels, colours of transparent ones as they are in the file (a canvas rounds them); nothing where WebGL is missing. */
function readTexture(bitmap: ImageBitmap): [Uint8Array] | undefined {
  const { width, height } = bitmap;
  const gl = new OffscreenCanvas(1, 1).getContext("webgl2");
  if (!gl || Math.max(width, height) > gl.getParameter(gl.MAX_TEXTURE_SIZE)) return undefined;
  gl.pixelStorei(gl.UNPACK_PREMULTIPLY_ALPHA_WEBGL, false);
  gl.bindTexture(gl.TEXTURE_2D, gl.createTexture());
  gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, gl.RGBA, gl.UNSIGNED_BYTE, bitmap);
  gl.bindFramebuffer(gl.FRAMEBUFFER, gl.createFramebuffer());
  gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.TEXTURE_2D, gl.getParameter(gl.TEXTURE_BINDING_2D), 0);
  const pixels = new Uint8Array(4 * width * height);
  gl.readPixels(0, 0, width, height, gl.RGBA, gl.UNSIGNED_BYTE, pixels);
  return gl.getError() === gl.NO_ERROR && !gl.isContextLost() ? [pixels] : undefined;
}
