/** A place for a photo: choose a file, or drop one. */
import type { Size } from "../core/photo";

/** A file that the browser shows as a photo, and its size, upright. */
export interface ChosenPhoto extends Size {
  readonly file: File;
  /** Address that shows it. */
  readonly address: string;
}

export class PhotoSlot {
  private chosen: ChosenPhoto | undefined;
  private readonly input: HTMLInputElement;
  private readonly choice: HTMLElement;
  private readonly empty: Node[];
  private choices = 0;

  /**
   * @param label the element; holds an input and an element of class `choice`.
   * @param changed called when another photo, or none, is chosen; with a sentence if what was chosen is no photo.
   */
  constructor(
    private readonly label: HTMLElement,
    private readonly changed: (wrong?: string) => void,
  ) {
    this.input = label.querySelector("input")!;
    this.choice = label.querySelector(".choice")!;
    this.empty = [...this.choice.childNodes];
    this.input.addEventListener("change", () => {
      const file = this.input.files?.[0];
      this.input.value = ""; // so that the same file can be chosen again
      if (file) void this.choose(file);
    });
    label.addEventListener("dragover", (event) => {
      event.preventDefault();
      label.classList.toggle("over", !this.input.disabled);
    });
    label.addEventListener("dragleave", () => label.classList.remove("over"));
    label.addEventListener("drop", (event) => {
      event.preventDefault();
      label.classList.remove("over");
      const file = event.dataTransfer?.files[0];
      if (file && !this.input.disabled) void this.choose(file);
    });
  }

  get photo(): ChosenPhoto | undefined {
    return this.chosen;
  }

  set enabled(enabled: boolean) {
    this.input.disabled = !enabled;
    this.label.classList.toggle("off", !enabled);
  }

  /** Takes a file as the photo, if the browser can show it. */
  async choose(file: File): Promise<void> {
    const number = ++this.choices;
    const image = new Image();
    image.alt = "";
    image.src = URL.createObjectURL(file);
    let wrong: string | undefined;
    try {
      await image.decode();
    } catch {
      wrong = file.size === 0 ? `${file.name} is empty (0 bytes)` : `${file.name} is no photo that this browser reads; choose a PNG, JPEG, WebP or BMP file`;
    }
    // An SVG drawing has no pixels of its own.
    if (file.type === "image/svg+xml") wrong = `${file.name} is a drawing, not a photo; choose a PNG, JPEG, WebP or BMP file`;
    if (number !== this.choices) {
      URL.revokeObjectURL(image.src);
      return;
    }
    if (this.chosen) URL.revokeObjectURL(this.chosen.address);
    if (wrong) {
      URL.revokeObjectURL(image.src);
      this.chosen = undefined;
      this.choice.replaceChildren(...this.empty);
    } else {
      this.chosen = { file, address: image.src, height: image.naturalHeight, width: image.naturalWidth };
      const words = document.createElement("small");
      words.textContent = `${file.name}, ${image.naturalWidth} × ${image.naturalHeight}`;
      this.choice.replaceChildren(image, this.empty.find((node) => node instanceof HTMLElement)!.cloneNode(true), words);
    }
    this.changed(wrong);
  }
}
