"""TFLite files side by side: PSNR and SSIM, size, time for a tile, peak memory.

    c2m-tf export tflite --precision float32 -o float32.tflite
    c2m-tf export quantize --data FOLDER --post-training -o post.tflite
    c2m-tf export tflite --precision int8 -o int8.tflite
    python benchmarks/tflite.py --pairs FOLDER float32.tflite post.tflite int8.tflite

PSNR and SSIM are those of `c2m-tf evaluate --model FILE.tflite`. Times are medians of calls asked for in turn, each signature
of each file in a process of its own in which nothing but the runtime is loaded; memory is the larger peak of the two. On a
machine that does other work compare processor seconds with `--threads 1`: threads that wait for each other use a processor too.
"""

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from timing import Worker, machine, peak_mebibytes, run_in_turn, seconds, serve
from wrong_input import in_one_line

if TYPE_CHECKING:
    from c2m_tf.evaluation.groups import Group


def work(path: str, signature: str, threads: int) -> None:
    """Answers with seconds for a call of a signature, by the clock and of the processor, and the peak memory so far."""
    from ai_edge_litert.interpreter import Interpreter

    runner = Interpreter(path, num_threads=threads).get_signature_runner(signature)
    random = np.random.default_rng(0)
    inputs = {name: random.random(details["shape"], np.float32) for name, details in runner.get_input_details().items()}

    def measured() -> dict[str, float]:
        started = time.process_time()
        elapsed = seconds(lambda: runner(**inputs))
        return {"seconds": elapsed, "processor": time.process_time() - started, "mebibytes": peak_mebibytes()}

    serve(measured)


def quality(path: str, groups: list["Group"]) -> dict[str, float]:
    """Mean PSNR and SSIM on Y over groups of photos."""
    from c2m_tf import Upscaler
    from c2m_tf.evaluation.evaluator import evaluate_model, mean_of

    results = evaluate_model(Upscaler.from_preset(path), groups)
    return {name: mean_of(results, name) for name in ("psnr_y", "ssim_y")}


@in_one_line
def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("files", nargs="*", metavar="FILE.tflite")
    parser.add_argument("--pairs", metavar="FOLDER", help="as of c2m-tf evaluate; without it PSNR and SSIM are left out")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--worker", nargs=2, metavar=("FILE.tflite", "SIGNATURE"), help="arguments of each worker process")
    options = parser.parse_args()
    if options.worker:
        work(*options.worker, options.threads)
        return
    if not options.files:
        parser.error("give at least one .tflite file")
    from c2m_tf import Upscaler
    from c2m_tf.evaluation.groups import find_groups  # not in the workers

    groups = find_groups(options.pairs) if options.pairs else []
    for file in options.files:
        Upscaler.from_preset(file)  # a file that cannot be used is named now, not by a worker that ends
    command = [__file__, "--threads", str(options.threads), "--worker"]
    workers = {
        file: {name: Worker(f"{file} {name}", [*command, file, name]) for name in ("upscale", "locate")}
        for file in options.files
    }
    everyone = [worker for pair in workers.values() for worker in pair.values()]
    run_in_turn(everyone, options.rounds)
    for worker in everyone:
        worker.stop()
    first = workers[options.files[0]]["upscale"].median("seconds")
    print(f"{'file':<40}{'PSNR':>8}{'SSIM':>8}{'MB':>7}{'tile s':>8}{'ratio':>7}{'cpu s':>8}{'locate s':>10}{'peak MiB':>10}")
    for file, pair in workers.items():
        figures = quality(file, groups) if groups else {"psnr_y": np.nan, "ssim_y": np.nan}
        tile, locate = pair["upscale"].median("seconds"), pair["locate"].median("seconds")
        processor = pair["upscale"].median("processor")
        memory = max(worker.median("mebibytes") for worker in pair.values())
        print(
            f"{Path(file).name:<40}{figures['psnr_y']:>8.3f}{figures['ssim_y']:>8.4f}{Path(file).stat().st_size / 1e6:>7.2f}"
            f"{tile:>8.3f}{first / tile:>7.2f}{processor:>8.3f}{locate:>10.3f}{memory:>10.0f}",
            flush=True,
        )
    print(f"ratio: speed-up over the first file; median of {options.rounds} rounds; {machine()}")


if __name__ == "__main__":
    main()
