"""c2m-tf beside what else one could take for 4x: seconds and peak memory for an LR photo of 125x83, all in turn.

    python benchmarks/peers.py          (needs the extras torch and tflite)

RRDBNet (Wang et al., ESRGAN, 2018; Real-ESRGAN's network, 16.7 M parameters) and EDSR-baseline (Lim et al., 2017; 1.5 M)
have no reference; they run in PyTorch with random weights, channels last. c2m-tf has a reference of 500x332, and once none.
The int8 network runs in LiteRT, with tiles and windows of a phone's size, and of a PC's. Each row is a process of its own, 2
threads.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from timing import THREADS, Worker, machine, peak_mebibytes, run_in_turn, seconds, serve
from upscale import LR_SIZE, SCALE, photos

PEERS = ("RRDBNet", "EDSR-baseline")
KERAS = {
    "light": ("light", True),
    "light, no reference": ("light", False),
    "mobile": ("mobile", True),
    "mobile, no reference": ("mobile", False),
}
# Tile and window in pixels.
PHONE, PC = (64, 384), (96, 512)
INT8 = {
    "light-int8": ("light", PHONE),
    "light-int8, larger tiles": ("light", PC),
}
ROWS = (
    *(f"{name} {dtype}" for name in (*PEERS, *KERAS) for dtype in ("float32", "bfloat16")),
    *INT8,
)


def upscaling_of(row: str, file: str | None) -> Callable[[], object]:
    """A function without arguments that upscales the photo once; `file` is the exported network of an int8 row."""
    arrays = photos(LR_SIZE, (LR_SIZE[0] * SCALE, LR_SIZE[1] * SCALE))
    lr, ref = arrays["lr"], arrays["ref"]
    if row in INT8:
        from c2m_tf import Upscaler

        upscaler = Upscaler.from_preset(file)
        return lambda: upscaler(lr, ref).image.rgb
    name, dtype = row.rsplit(" ", 1)
    if name in PEERS:
        return peer(name, dtype, lr)
    from c2m_tf.presets import load_model
    from c2m_tf.startup import DTYPES

    preset, referenced = KERAS[name]
    model = load_model(preset, DTYPES[dtype])
    inputs = {"lr": lr[None], "ref": ref[None]} if referenced else {"lr": lr[None]}
    return lambda: model.predict_on_batch(inputs)


def work_on(row: str, folder: Path) -> list[str]:
    """Arguments of this script for a row; what an int8 row needs is exported into the folder, once for all its processes."""
    if row not in INT8:
        return [row]
    model, (tile, window) = INT8[row]
    path = folder / f"{model}-{tile}-{window}.tflite"
    arguments = ["--model", model, "--precision", "int8", "--tile", str(tile), "--window", str(window), "-o", str(path)]
    subprocess.run([sys.executable, "-m", "c2m_tf", "export", "tflite", *arguments], check=True, capture_output=True)
    return [row, "--file", str(path)]


def peer(name: str, dtype: str, lr: np.ndarray) -> Callable[[], object]:
    """The same of a network in PyTorch, with random weights."""
    import torch
    from peer_networks import EDSRBaseline, RRDBNet

    torch.set_num_threads(THREADS)
    network = {"RRDBNet": RRDBNet, "EDSR-baseline": EDSRBaseline}[name]().eval().to(memory_format=torch.channels_last)
    photo = torch.from_numpy(lr).permute(2, 0, 1)[None].contiguous(memory_format=torch.channels_last)
    if dtype == "bfloat16":
        network, photo = network.bfloat16(), photo.bfloat16()

    def upscale():
        with torch.inference_mode():
            return network(photo).float().numpy()

    return upscale


def peak(arguments: list[str]) -> float:
    """Peak memory in MiB of a fresh process that upscales once; arguments as of `work_on`."""
    done = subprocess.run([sys.executable, __file__, "--peak", *arguments], capture_output=True, text=True, check=True)
    return float(done.stdout.split("peak")[1])


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=ROWS, metavar="ROW", help="; ".join(ROWS))
    parser.add_argument("--worker", choices=ROWS, help="serve the other side of this script")
    parser.add_argument("--peak", choices=ROWS, help="upscale once and print this process's peak memory")
    parser.add_argument("--file", help="of the exported network, for --worker and --peak")
    options = parser.parse_args()
    if options.worker:
        upscale = upscaling_of(options.worker, options.file)
        serve(lambda: {"whole": seconds(upscale)})
    elif options.peak:
        upscaling_of(options.peak, options.file)()
        print(f"peak {peak_mebibytes():.0f}")
    else:
        with tempfile.TemporaryDirectory() as folder:
            table(options.rounds, {row: work_on(row, Path(folder)) for row in options.rows})


def table(rounds: int, rows: dict[str, list[str]]) -> None:
    """Times all rows in turn and prints them, with each time over that of RRDBNet in float32 if that is among them.

    Args:
        rounds: how often each row is timed.
        rows: {name: arguments as of `work_on`}.
    """
    workers = [Worker(row, [__file__, "--worker", *arguments]) for row, arguments in rows.items()]
    run_in_turn(workers, rounds)
    first = next((worker for worker in workers if worker.name == "RRDBNet float32"), workers[0])
    print(f"| network | seconds | of {first.name} | peak memory |")
    print("|---|---|---|---|")
    for worker in workers:
        time, memory = worker.median("whole"), peak(rows[worker.name])
        print(f"| {worker.name} | {time:.2f} | {time / first.median('whole'):.2f}x | {memory:,.0f} MiB |")
        worker.stop()
    print(f"\nMedian of {rounds} rounds in turn; {machine()}")


if __name__ == "__main__":
    main()
