/** The worker as the page sees it: loads, upscales, and can be stopped at any moment. */
import type { Tile } from "../core/tiles";
import type { Runtime } from "./litert";
import type { Loaded, Request, Response, Result } from "./messages";
import UpscalingWorker from "./worker?worker&inline";

/** What could not be done; the message is for the page. */
export class EngineError extends Error {
  override readonly name = "EngineError";
}

/** A job that was ended by `cancel`. */
export class Cancelled extends Error {
  override readonly name = "Cancelled";
}

/** One worker with the model loaded. Ending a job ends the worker with all its memory; the next one starts from what was fetched. */
export class Engine {
  private worker: Worker | undefined;
  private loading: Promise<Loaded> | undefined;
  private end: ((reason: Error) => void) | undefined;

  constructor(private readonly runtime: Runtime) {}

  /** Starts the worker, unless it runs. */
  load(): Promise<Loaded> {
    this.loading ??= this.ask<Loaded>({ kind: "load", runtime: this.runtime }, "loaded");
    return this.loading;
  }

  /**
   * Upscales a photo; one at a time.
   *
   * @param region the part that is wanted, or nothing for all of it.
   * @param progress gets tiles done, and tiles in all.
   * @throws EngineError with a sentence, or Cancelled.
   */
  async upscale(
    lr: File,
    references: File[],
    region: Tile | undefined,
    progress: (done: number, total: number) => void,
  ): Promise<Result> {
    await this.load();
    return this.ask<Result>({ kind: "upscale", lr, references, region }, "done", progress);
  }

  /** Ends what runs, at once. */
  cancel(): void {
    const end = this.end;
    this.stop();
    end?.(new Cancelled("cancelled"));
  }

  private stop(): void {
    this.worker?.terminate();
    this.worker = this.loading = this.end = undefined;
  }

  private ask<T>(request: Request, answer: Response["kind"], progress?: (done: number, total: number) => void): Promise<T> {
    this.worker ??= new UpscalingWorker();
    const worker = this.worker;
    return new Promise<T>((resolve, reject) => {
      this.end = reject;
      worker.onmessage = ({ data }: MessageEvent<Response>) => {
        if (data.kind === "progress") {
          progress?.(data.done, data.total);
        } else if (data.kind === "failed") {
          // A runtime that failed once is not used again.
          this.stop();
          reject(new EngineError(data.message));
        } else if (data.kind === answer) {
          resolve(data as T);
        }
      };
      // The runtime gave up, as a rule for lack of memory.
      worker.onerror = (event) => {
        event.preventDefault();
        this.stop();
        reject(new EngineError(`the work ended early (${event.message || "no memory"}); close other tabs, or use smaller photos`));
      };
      worker.postMessage(request);
    });
  }
}
