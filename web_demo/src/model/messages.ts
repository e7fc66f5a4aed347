/** What the page and its worker tell each other. */
import type { Tile } from "../core/tiles";
import type { Runtime } from "./litert";

export type Request = { kind: "load"; runtime: Runtime } | { kind: "upscale"; lr: File; references: File[]; region: Tile | undefined };

/** An upscaled photo: PNG files of it and of what to lay over it, the share of each reference, and its size in pixels. */
export interface Result {
  readonly photo: Blob;
  readonly evidence: Blob | undefined;
  readonly shares: number[];
  readonly height: number;
  readonly width: number;
}

/** What loaded: threads that compute, and whether photos are upscaled without a reference as well. */
export interface Loaded {
  readonly threads: number;
  readonly alone: boolean;
}

export type Response =
  | ({ kind: "loaded" } & Loaded)
  | { kind: "progress"; done: number; total: number }
  | ({ kind: "done" } & Result)
  | { kind: "failed"; message: string };
