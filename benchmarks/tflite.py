"""TFLite files side by side: PSNR and SSIM, size, time for a tile, peak memory.

    python -m export tflite --precision float32 -o float32.tflite
    python -m export quantize --data FOLDER --post-training -o post.tflite
    python -m export tflite --precision int8 -o int8.tflite
    python benchmarks/tflite.py --pairs FOLDER float32.tflite post.tflite int8.tflite

PSNR and SSIM are those of `c2m-tf evaluate --model FILE.tflite`. Times are medians of tiles that are asked for in turn, each
file in a process of its own in which nothing but the runtime is loaded; memory is that process's peak.
"""

import argparse
from pathlib import Path

import numpy as np
from timing import Worker, machine, peak_mebibytes, run_in_turn, seconds, serve


def work(path: str, threads: int) -> None:
    """Answers with seconds for a tile and for matching small photos, and the peak memory so far."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(path, num_threads=threads)
    random = np.random.default_rng(0)
    runs = {}
    for signature in ("upscale", "locate"):
        runner = interpreter.get_signature_runner(signature)
        inputs = {name: random.random(details["shape"], np.float32) for name, details in runner.get_input_details().items()}
        runs[signature] = lambda runner=runner, inputs=inputs: runner(**inputs)

    def answer() -> dict[str, float]:
        times = {signature: seconds(run) for signature, run in runs.items()}
        return {**times, "mebibytes": peak_mebibytes()}

    serve(answer)


def quality(path: str, pairs: str) -> dict[str, float]:
    """Mean PSNR and SSIM on Y over the groups of a folder."""
    from c2m_tf.evaluation import evaluate_group
    from c2m_tf.groups import find_groups
    from c2m_tf.tflite_upscaler import TFLiteUpscaler

    upscaler = TFLiteUpscaler(path)
    figures = [evaluate_group(upscaler, group).figures for group in find_groups(pairs)]
    return {name: float(np.mean([row[name] for row in figures])) for name in ("psnr_y", "ssim_y")}


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("files", nargs="*", metavar="FILE.tflite")
    parser.add_argument("--pairs", metavar="FOLDER", help="as of c2m-tf evaluate; without it PSNR and SSIM are left out")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--worker", metavar="FILE.tflite", help="what each process is started with")
    options = parser.parse_args()
    if options.worker:
        work(options.worker, options.threads)
        return
    if not options.files:
        parser.error("give one .tflite file at least")
    command = [__file__, "--threads", str(options.threads), "--worker"]
    workers = [Worker(file, [*command, file]) for file in options.files]
    run_in_turn(workers, options.rounds)
    for worker in workers:
        worker.stop()
    print(f"{'file':<40}{'PSNR':>8}{'SSIM':>8}{'MB':>7}{'tile s':>8}{'ratio':>7}{'locate s':>10}{'peak MiB':>10}")
    for worker in workers:
        figures = quality(worker.name, options.pairs) if options.pairs else {"psnr_y": np.nan, "ssim_y": np.nan}
        print(
            f"{Path(worker.name).name:<40}{figures['psnr_y']:>8.3f}{figures['ssim_y']:>8.4f}"
            f"{Path(worker.name).stat().st_size / 1e6:>7.2f}{worker.median('upscale'):>8.3f}"
            f"{workers[0].median('upscale') / worker.median('upscale'):>7.2f}{worker.median('locate'):>10.3f}"
            f"{worker.median('mebibytes'):>10.0f}",
            flush=True,
        )
    print(f"ratio: the first file's time over this one's; median of {options.rounds} rounds; {machine()}")


if __name__ == "__main__":
    main()
