/**
 * Writes a PNG file row by row while it is computed, compressed by the browser itself: a canvas would need the whole result at once, has
 * limits of size, and rounds the colours of transparent pixels.
 */

const SIGNATURE = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a);
const COLOUR_TYPES: Record<number, number> = { 1: 0, 2: 4, 3: 2, 4: 6 }; // gray, gray and alpha, RGB, RGB and alpha
const PAETH = 4;

/** A PNG file of 8 bits per channel; `channels` is 1 (gray), 2 (gray, alpha), 3 (RGB) or 4 (RGBA). */
export class PngWriter {
  private readonly compressor = new CompressionStream("deflate");
  private readonly writer = this.compressor.writable.getWriter();
  private readonly compressed: Promise<Uint8Array<ArrayBuffer>[]>;
  private readonly pending: Promise<void>[] = [];
  private above: Uint8Array;

  constructor(
    private readonly height: number,
    private readonly width: number,
    private readonly channels: number,
  ) {
    this.above = new Uint8Array(width * channels);
    this.compressed = chunksOf(this.compressor.readable);
    // A failure is reported by `finish`, not before anybody waits for it.
    this.compressed.catch(() => {});
  }

  /** Adds whole rows, [rows, width, channels]. */
  write(rows: Uint8Array): void {
    const length = this.width * this.channels;
    const count = rows.length / length;
    const filtered = new Uint8Array(count * (length + 1));
    for (let row = 0; row < count; row++) {
      const current = rows.subarray(row * length, (row + 1) * length);
      const at = row * (length + 1);
      filtered[at] = PAETH;
      for (let x = 0; x < length; x++) {
        const left = x < this.channels ? 0 : current[x - this.channels]!;
        const corner = x < this.channels ? 0 : this.above[x - this.channels]!;
        filtered[at + 1 + x] = current[x]! - predicted(left, this.above[x]!, corner);
      }
      this.above = current.slice();
    }
    const written = this.writer.write(filtered);
    written.catch(() => {});
    this.pending.push(written);
  }

  /** The file, once all rows are written. */
  async finish(): Promise<Blob> {
    await Promise.all(this.pending);
    await this.writer.close();
    const header = new DataView(new ArrayBuffer(13));
    header.setUint32(0, this.width);
    header.setUint32(4, this.height);
    header.setUint8(8, 8);
    header.setUint8(9, COLOUR_TYPES[this.channels]!);
    const data = (await this.compressed).flatMap((bytes) => chunk("IDAT", bytes));
    return new Blob([SIGNATURE, ...chunk("IHDR", new Uint8Array(header.buffer)), ...data, ...chunk("IEND", new Uint8Array(0))], {
      type: "image/png",
    });
  }
}

async function chunksOf(stream: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<Uint8Array<ArrayBuffer>[]> {
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  const reader = stream.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return chunks;
    chunks.push(value);
  }
}

/** Paeth's predictor: of the left, the upper and the corner byte that which is nearest to left + above - corner. */
function predicted(left: number, above: number, corner: number): number {
  const fromLeft = Math.abs(above - corner);
  const fromAbove = Math.abs(left - corner);
  const fromCorner = Math.abs(left + above - 2 * corner);
  if (fromLeft <= fromAbove && fromLeft <= fromCorner) return left;
  return fromAbove <= fromCorner ? above : corner;
}

function chunk(type: string, bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer>[] {
  const head = new Uint8Array(8);
  new DataView(head.buffer).setUint32(0, bytes.length);
  for (let at = 0; at < 4; at++) head[4 + at] = type.charCodeAt(at);
  const tail = new Uint8Array(4);
  new DataView(tail.buffer).setUint32(0, checksum(bytes, checksum(head.subarray(4), 0)));
  return [head, bytes, tail];
}

const CHECKSUMS = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
  return value;
});

/** CRC-32 of bytes that follow others of checksum `before`. */
function checksum(bytes: Uint8Array, before: number): number {
  let value = ~before;
  for (const byte of bytes) value = CHECKSUMS[(value ^ byte) & 0xff]! ^ (value >>> 8);
  return ~value >>> 0;
}
