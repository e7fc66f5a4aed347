/**
 * A place for photos: choose files or drop them, see them, remove them again; and, if asked for, a frame that is dragged over a photo.
 * A module without dependencies; the server's page and web_demo use it.
 *
 * @typedef {{file: File, address: string, height: number, width: number}} ChosenPhoto A file, an address that shows it, and its size,
 *   upright; 0 x 0 if the browser cannot show it.
 * @typedef {{x: number, y: number, width: number, height: number}} Region A part of a photo, in its pixels.
 */

const STYLE = `
  .drop { border: 2px dashed var(--edge); border-radius: .75rem; background: var(--soft); min-height: 12rem; padding: .75rem; }
  .drop:focus-within, .drop.over { border-color: var(--accent); }
  .drop label { display: block; padding: .5rem; text-align: center; cursor: pointer; }
  .drop input { position: absolute; opacity: 0; width: 1px; height: 1px; }
  .drop strong { display: block; font-weight: 600; }
  .drop small { opacity: .8; overflow-wrap: anywhere; }
  .drop figure { margin: .5rem auto 0; text-align: center; }
  .drop img { display: block; max-width: 100%; max-height: 14rem; border-radius: .35rem; }
  .drop figure + figure img, .drop figure:has(+ figure) img { max-height: 5rem; }
  .drop figure button { padding: .1rem .6rem; min-height: 0; margin-left: .5rem; }
  .shown { position: relative; display: inline-block; vertical-align: top; overflow: hidden; user-select: none; }
  .shown.framed { cursor: crosshair; touch-action: none; }
  .frame { position: absolute; border: 2px solid #fff; box-shadow: 0 0 0 100vmax #0008; pointer-events: none; }
  .off { opacity: .6; }
`;
const sheet = new CSSStyleSheet();
sheet.replaceSync(STYLE);
document.adoptedStyleSheets.push(sheet);

export class PhotoSlot {
  /** @type {ChosenPhoto[]} */
  photos = [];
  /** @type {Region | undefined} */
  region;
  #turn = Promise.resolve();
  #place;
  #input;
  #changed;
  #options;

  /**
   * @param {HTMLElement} place holds a label with an input of type file; photos are shown below the label. If the input takes several
   *   files, photos are added, else the last one replaces the one before.
   * @param {(wrong?: string) => void} changed called when photos or the frame have changed; with a sentence if a file is no photo.
   * @param {{framed?: boolean, unseen?: boolean}} options whether a frame can be dragged over a photo, and whether files are taken that
   *   the browser cannot show.
   */
  constructor(place, changed, options = {}) {
    this.#place = place;
    this.#input = /** @type {HTMLInputElement} */ (place.querySelector("input"));
    this.#changed = changed;
    this.#options = options;
    this.#input.addEventListener("change", () => {
      const files = [...(this.#input.files ?? [])];
      this.#input.value = ""; // so that the same file can be chosen again
      void this.choose(...files);
    });
    place.addEventListener("dragover", (event) => {
      event.preventDefault();
      place.classList.toggle("over", this.enabled);
    });
    place.addEventListener("dragleave", () => place.classList.remove("over"));
    place.addEventListener("drop", (event) => {
      event.preventDefault();
      place.classList.remove("over");
      if (this.enabled) void this.choose(...(event.dataTransfer?.files ?? []));
    });
  }

  get enabled() {
    return !this.#input.disabled;
  }

  set enabled(enabled) {
    this.#input.disabled = !enabled;
    for (const button of this.#place.querySelectorAll("button")) button.disabled = !enabled;
    this.#place.classList.toggle("off", !enabled);
  }

  /**
   * Takes files as photos, in the order in which they were chosen.
   *
   * @param {...File} files
   * @returns {Promise<void>}
   */
  choose(...files) {
    this.#turn = this.#turn.then(async () => {
      for (const file of files) await this.#take(file);
    });
    return this.#turn;
  }

  /** @param {File} file */
  async #take(file) {
    const image = new Image();
    image.alt = "";
    image.draggable = false;
    image.src = URL.createObjectURL(file);
    const seen = await image.decode().then(() => true, () => false);
    let wrong;
    if (file.size === 0) wrong = `${file.name} is empty (0 bytes)`;
    // An SVG drawing has no pixels of its own.
    else if (file.type === "image/svg+xml") wrong = `${file.name} is a drawing, not a photo; choose a PNG, JPEG, WebP or BMP file`;
    else if (!seen && !this.#options.unseen) {
      wrong = `${file.name} is no photo that this browser reads; choose a PNG, JPEG, WebP or BMP file`;
    }
    if (!this.#input.multiple) this.#clear();
    if (wrong) {
      URL.revokeObjectURL(image.src);
    } else {
      const photo = { file, address: image.src, height: seen ? image.naturalHeight : 0, width: seen ? image.naturalWidth : 0 };
      this.photos.push(photo);
      this.#show(photo, seen ? image : undefined);
    }
    this.#changed(wrong);
  }

  #clear() {
    for (const { address } of this.photos.splice(0)) URL.revokeObjectURL(address);
    for (const figure of this.#place.querySelectorAll("figure")) figure.remove();
    this.region = undefined;
  }

  /**
   * @param {ChosenPhoto} photo
   * @param {HTMLImageElement | undefined} image
   */
  #show(photo, image) {
    const figure = document.createElement("figure");
    const words = document.createElement("small");
    words.textContent = photo.file.name + (image ? `, ${photo.width} × ${photo.height}` : "");
    const remove = document.createElement("button");
    remove.type = "button";
    remove.className = "quiet";
    remove.textContent = "Remove";
    remove.setAttribute("aria-label", `Remove ${photo.file.name}`);
    remove.addEventListener("click", () => {
      this.photos.splice(this.photos.indexOf(photo), 1);
      URL.revokeObjectURL(photo.address);
      figure.remove();
      this.region = undefined;
      this.#changed();
    });
    if (image) {
      const shown = document.createElement("div");
      shown.className = "shown";
      shown.append(image);
      figure.append(shown);
      if (this.#options.framed) this.#frame(shown, photo);
    }
    const caption = document.createElement("figcaption");
    caption.append(words, remove);
    figure.append(caption);
    this.#place.append(figure);
  }

  /**
   * Lets a frame be dragged over a photo; a click removes it.
   *
   * @param {HTMLElement} shown
   * @param {ChosenPhoto} photo
   */
  #frame(shown, photo) {
    const frame = document.createElement("div");
    frame.className = "frame";
    frame.hidden = true;
    shown.append(frame);
    shown.classList.add("framed");
    shown.title = "drag a frame to see a part first";
    /** @type {[number, number] | undefined} */
    let start;
    const place = (/** @type {PointerEvent} */ event) => {
      const box = shown.getBoundingClientRect();
      const at = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
      return /** @type {[number, number]} */ (at.map((part) => Math.min(Math.max(part, 0), 1)));
    };
    shown.addEventListener("pointerdown", (event) => {
      if (!this.enabled || event.button !== 0) return;
      start = place(event);
      shown.setPointerCapture(event.pointerId);
    });
    shown.addEventListener("pointermove", (event) => {
      if (!start) return;
      const end = place(event);
      const [x, y] = [Math.min(start[0], end[0]), Math.min(start[1], end[1])];
      const [right, bottom] = [Math.max(start[0], end[0]), Math.max(start[1], end[1])];
      const [left, top] = [Math.floor(x * photo.width), Math.floor(y * photo.height)];
      const part = { x: left, y: top, width: Math.ceil(right * photo.width) - left, height: Math.ceil(bottom * photo.height) - top };
      this.region = (right - x) * shown.clientWidth > 4 && (bottom - y) * shown.clientHeight > 4 ? part : undefined;
      Object.assign(frame.style, { left: `${100 * x}%`, top: `${100 * y}%`, right: `${100 * (1 - right)}%`, bottom: `${100 * (1 - bottom)}%` });
      frame.hidden = !this.region;
    });
    const end = () => {
      if (start) this.#changed();
      start = undefined;
    };
    shown.addEventListener("pointerup", end);
    shown.addEventListener("pointercancel", end);
    shown.addEventListener("pointerdown", () => {
      if (!start) return;
      this.region = undefined;
      frame.hidden = true;
    });
  }
}

/**
 * The part of a photo that a region shows, or the whole file.
 *
 * @param {File} file
 * @param {Region | undefined} region
 * @returns {Promise<Blob>}
 */
export async function partOf(file, region) {
  if (!region) return file;
  const { x, y, width, height } = region;
  const canvas = new OffscreenCanvas(width, height);
  /** @type {OffscreenCanvasRenderingContext2D} */ (canvas.getContext("2d")).drawImage(await createImageBitmap(file, x, y, width, height), 0, 0);
  return canvas.convertToBlob();
}
