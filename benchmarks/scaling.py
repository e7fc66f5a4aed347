"""Time and peak memory of `Upscaler` against the size of the photo, with a reference of the result's size.

    python benchmarks/scaling.py --plot docs/scaling.png

Each size runs in a process of its own, whose peak memory the system reports. References are repetitions of a real photo, and
the LR photo is the reference made small: tiles that no reference shows would be restored without one, which is faster.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from timing import machine, peak_mebibytes

SIZES = ("125x83", "250x166", "500x332", "600x600", "960x540", "1920x1080")


def photo(width: int, height: int) -> np.ndarray:
    """uint8 [height,width,3]: a photo of scikit-image, repeated."""
    from skimage import data

    tile = data.astronaut()
    rows, columns = -(-height // tile.shape[0]), -(-width // tile.shape[1])
    return np.tile(tile, (rows, columns, 1))[:height, :width]


def work(size: str, model: str, dtype: str) -> None:
    """Upscales a photo of that size and prints one JSON object."""
    from c2m_tf import Upscaler
    from c2m_tf.photos import images
    from c2m_tf.presets import load_model
    from c2m_tf.startup import DTYPES
    from c2m_tf.upscaling.opening import upscaler_of

    width, height = (int(side) for side in size.split("x"))
    network = load_model(model, DTYPES[dtype])
    upscaler = Upscaler(network)
    ref = photo(4 * width, 4 * height)
    lr = images.downsample(ref)
    plan = upscaler_of(network).plan(lr.shape, [ref.shape])
    # Tracing is done once per process: a small photo pays for it.
    small = Upscaler(network, search=plan.search)
    small(lr[:40, :48], ref[:160, :192])
    small(lr[:44, :40], ref[:180, :160])
    started = time.perf_counter()
    counted = []
    upscaler(lr, ref, lambda done, total: counted.append(total))
    answer = {
        "seconds": time.perf_counter() - started,
        "mebibytes": peak_mebibytes(),
        "estimate": plan.memory / 2**20,
        "search": plan.search,
        "tiles": len(counted),
    }
    print(json.dumps(answer))


def draw(rows: list[tuple[str, dict]], path: str) -> None:
    """Draws time and memory against LR megapixels."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    areas = [np.prod([int(side) for side in size.split("x")]) / 1e6 for size, _ in rows]
    figure, axes = pyplot.subplots(1, 2, figsize=(9, 3.5), layout="constrained")
    for axis, part, title in ((axes[0], "seconds", "seconds"), (axes[1], "mebibytes", "peak memory, MiB")):
        axis.plot(areas, [row[part] for _, row in rows], marker="o")
        axis.set_xlabel("LR megapixels")
        axis.set_title(title)
        axis.set_ylim(0)
        axis.grid(alpha=0.3)
        for area, (size, row) in zip(areas, rows, strict=True):
            axis.annotate(size, (area, row[part]), textcoords="offset points", xytext=(4, 4), fontsize=7)
    figure.savefig(path, dpi=110)


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", default="light")
    parser.add_argument("--dtype", default="float32", choices=("float32", "bfloat16"), help="of the convolutions")
    parser.add_argument("--sizes", nargs="+", default=SIZES, metavar="WIDTHxHEIGHT", help="of the LR photo")
    parser.add_argument("--plot", metavar="FILE.png")
    parser.add_argument("--worker", metavar="SIZE", help="argument of each worker process")
    options = parser.parse_args()
    if options.worker:
        work(options.worker, options.model, options.dtype)
        return
    print(f"{'LR':<12}{'search':<8}{'tiles':>6}{'seconds':>9}{'s/megapixel':>13}{'peak MiB':>10}{'estimate':>10}", flush=True)
    rows = []
    for size in options.sizes:
        command = [sys.executable, str(Path(__file__)), "--worker", size, "--model", options.model, "--dtype", options.dtype]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        row = json.loads(done.stdout.splitlines()[-1])
        rows.append((size, row))
        megapixels = np.prod([int(side) for side in size.split("x")]) / 1e6
        print(
            f"{size:<12}{row['search']:<8}{row['tiles']:>6}{row['seconds']:>9.1f}{row['seconds'] / megapixels:>13.1f}"
            f"{row['mebibytes']:>10.0f}{row['estimate']:>10.0f}",
            flush=True,
        )
        if options.plot:
            draw(rows, options.plot)
    print(f"model {options.model}, {options.dtype}, reference 4 times as large as the LR photo; {machine()}")


if __name__ == "__main__":
    main()
