/**
 * `<compare-slider>`: two pictures of one scene over each other, and a line between them that is dragged, or moved by the arrow keys.
 * A module without dependencies; the server's page and web_demo use it.
 *
 *     document.querySelector("compare-slider").show("before.png", "after.png");
 */
const STYLE = `
  :host { display: block; position: relative; border-radius: .5rem; overflow: hidden; user-select: none; --at: 50%; }
  :host([hidden]) { display: none; }
  img { display: block; width: 100%; }
  .layer { position: absolute; inset: 0; height: 100%; clip-path: inset(0 0 0 var(--at)); }
  [hidden] { display: none; }
  .before { position: absolute; inset: 0; height: 100%; clip-path: inset(0 calc(100% - var(--at)) 0 0); }
  .line { position: absolute; inset: 0 auto 0 var(--at); width: 2px; margin-left: -1px; background: #fff; box-shadow: 0 0 4px #000;
    pointer-events: none; }
  input { position: absolute; inset: 0; width: 100%; height: 100%; margin: 0; opacity: 0; cursor: ew-resize;
    touch-action: pan-y pinch-zoom; }
  input:focus-visible ~ .line { background: var(--accent, #2474d8); width: 4px; }
  span { position: absolute; bottom: .5rem; left: .5rem; padding: .1rem .5rem; border-radius: .3rem; background: #000a; color: #fff;
    font-size: .85rem; pointer-events: none; }
  span + span { left: auto; right: .5rem; }
`;

const CONTENT = `
  <img class="after" alt="the upscaled photo">
  <img class="layer" alt="" hidden>
  <img class="before" alt="the photo as it was, enlarged">
  <input type="range" min="0" max="100" step="0.1" value="50" aria-label="how much of the photo as it was is shown">
  <div class="line"></div>
  <span aria-hidden="true">before</span><span aria-hidden="true">after</span>
`;

export class CompareSlider extends HTMLElement {
  constructor() {
    super();
    const root = this.attachShadow({ mode: "open" });
    const style = new CSSStyleSheet();
    style.replaceSync(STYLE);
    root.adoptedStyleSheets = [style];
    root.innerHTML = CONTENT;
    const slider = /** @type {HTMLInputElement} */ (root.querySelector("input"));
    slider.addEventListener("input", () => this.style.setProperty("--at", `${slider.value}%`));
  }

  /**
   * Shows two pictures; the first is stretched to the second's size.
   *
   * @param {string} before address of the picture that the left part shows.
   * @param {string} after address of the other one.
   * @param {string} layer address of a picture that `layered` lays over the second.
   * @returns {Promise<{height: number, width: number}>} size of the second in pixels, once it is decoded.
   */
  async show(before, after, layer = "") {
    this.image("before").src = before;
    this.image("layer").src = layer;
    this.layered = false;
    const image = this.image("after");
    image.src = after;
    await image.decode();
    return { height: image.naturalHeight, width: image.naturalWidth };
  }

  /** Whether the layer is shown. */
  get layered() {
    return !this.image("layer").hidden;
  }

  set layered(shown) {
    this.image("layer").hidden = !shown;
  }

  /**
   * @param {string} name "before", "after" or "layer".
   * @returns {HTMLImageElement}
   */
  image(name) {
    return /** @type {HTMLImageElement} */ (this.shadowRoot?.querySelector(`img.${name}`));
  }
}

customElements.define("compare-slider", CompareSlider);
