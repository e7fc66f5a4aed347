"""Upscaling a 125x83 photo with a 500x332 reference: seconds by part, peak memory, and beside it PyTorch.

    python benchmarks/upscale.py              the table (PyTorch's row needs the extra torch)
    python benchmarks/upscale.py --memory     peak memory over photo sizes, for the estimate in c2m_tf/upscaling/plans.py

Every row is a process of its own, 2 threads; rows run in turn. Weights are the golden ones, which move every sampling point off
the pixel grid, as trained weights do. Peak memory is the largest resident size of a process that upscales once.
"""

import argparse
import importlib.util
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import skimage
from timing import Worker, machine, peak_mebibytes, run_in_turn, seconds, serve

LR_SIZE, SCALE = (83, 125), 4
PARTS = ("features", "matching", "encoder", "restoration", "aggregation", "whole")
# Variant, dtype policy, residual offsets.
ROWS = {
    "full float32": ("full", "float32", True),
    "full bfloat16": ("full", "mixed_bfloat16", True),
    "light float32": ("light", "float32", True),
    "light bfloat16": ("light", "mixed_bfloat16", True),
    "light without residual offsets float32": ("light", "float32", False),
}
MEMORY_SIZES = (((41, 62), (166, 250)), ((83, 125), (332, 500)), ((83, 125), (664, 1000)), ((166, 250), (664, 1000)))


def photos(lr_size: tuple[int, int], ref_size: tuple[int, int]) -> dict[str, np.ndarray]:
    """LR photo, its upsampling and a reference of these sizes, float32 [H,W,3]."""
    from c2m_tf.evaluation.demo import other_view
    from c2m_tf.photos import images

    photo = skimage.data.coffee()
    hr = images.bicubic(photo, (lr_size[0] * SCALE, lr_size[1] * SCALE))
    lr = images.downsample(hr)
    ref = images.bicubic(other_view(photo), ref_size)
    return {"lr": images.as_float(lr), "lr_up": images.as_float(images.upsample(lr)), "ref": images.as_float(ref)}


def golden_model(variant: str, dtype: str, residual_offsets: bool) -> object:
    """C2Matching with the golden weights, as the tests build it."""
    sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
    from conftest import golden_model as build

    if residual_offsets:
        return build(variant, dtype)
    from c2m_tf.training.starts import without_residual_offsets

    return without_residual_offsets(build(variant, dtype))


def work(row: str) -> None:
    """Serves as a worker: one whole upscaling, then each part alone."""
    import tensorflow as tf

    from c2m_tf.network.matching import bordered, flow_from_matches, match
    from c2m_tf.network.upsampling import bicubic_upsample

    model = golden_model(*ROWS[row])
    arrays = photos(LR_SIZE, (LR_SIZE[0] * SCALE, LR_SIZE[1] * SCALE))
    lr, ref = arrays["lr"][None], arrays["ref"][None]

    @tf.function
    def features(lr, ref):
        return model.extractor_lr(bicubic_upsample(lr)), model.extractor_ref(ref)

    find = tf.function(match)
    encode = tf.function(model.reference_encoder)
    restore = tf.function(model.restoration)
    lr_features, ref_features = features(lr, ref)
    flow = flow_from_matches(find(lr_features, ref_features)[0])
    inputs = {"lr": tf.constant(lr), "flow": bordered(flow), "strength": tf.ones(1)}
    for level in model.levels:  # photos of equal size: the context is the whole reference
        inputs[level] = inputs[f"context_{level}"] = encode(ref)[level]

    levels = {"relu3_1": ("small", 1), "relu2_1": ("medium", 2), "relu1_1": ("large", 4)}
    aggregations = []
    for level in model.levels:
        name, scale = levels[level]
        x = tf.zeros((1, LR_SIZE[0] * scale, LR_SIZE[1] * scale, 64), inputs[level].dtype)
        aggregations.append((tf.function(model.restoration.get_layer(name)), x, inputs[level], bordered(flow), inputs[level]))

    def once():
        answer = {
            "whole": seconds(lambda: model.predict_on_batch({"lr": lr, "ref": ref})),
            "features": seconds(lambda: features(lr, ref)),
            "matching": seconds(lambda: find(lr_features, ref_features)),
            "encoder": seconds(lambda: encode(ref)),
            "restoration": seconds(lambda: restore(inputs)),
        }
        return answer | {"aggregation": sum(seconds(lambda call=call: call[0](*call[1:])) for call in aggregations)}

    serve(once)


def peak_of_one(row: str, number: int) -> None:
    """Upscales once in this process and prints its peak memory in MiB."""
    lr_size, ref_size = MEMORY_SIZES[number]
    arrays = photos(lr_size, ref_size)
    model = golden_model(*ROWS[row])
    model.predict_on_batch({"lr": arrays["lr"][None], "ref": arrays["ref"][None]})
    print(f"peak {peak_mebibytes():.0f}")


def peak(row: str, number: int) -> float:
    """Peak memory in MiB of a fresh process that upscales once."""
    command = [sys.executable, __file__, "--peak", row, str(number)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout.split("peak")[1])


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rows", nargs="+", choices=tuple(ROWS), default=tuple(ROWS), metavar="ROW", help=", ".join(ROWS))
    parser.add_argument("--memory", action="store_true", help="peak memory over sizes instead of times")
    parser.add_argument("--worker", choices=tuple(ROWS), help="serve the other side of this script")
    parser.add_argument("--peak", nargs=2, help="upscale once and print this process's peak memory")
    options = parser.parse_args()
    if options.worker:
        work(options.worker)
    elif options.peak:
        peak_of_one(options.peak[0], int(options.peak[1]))
    elif options.memory:
        memory_table()
    else:
        time_table(options.rounds, options.rows)


def memory_table() -> None:
    """Prints peak memory over sizes."""
    print(f"{'network':<24}{'LR':>10}{'reference':>12}{'MiB':>7}")
    for row in ROWS:
        for number, (lr, ref) in enumerate(MEMORY_SIZES):
            print(f"{row:<24}{f'{lr[1]}x{lr[0]}':>10}{f'{ref[1]}x{ref[0]}':>12}{peak(row, number):>7.0f}", flush=True)
    print(machine())


def time_table(rounds: int, rows: list[str]) -> None:
    """Prints seconds by part, PyTorch's rows included if it is installed."""
    workers = [Worker(row, [__file__, "--worker", row]) for row in rows]
    baselines = {}
    with tempfile.TemporaryDirectory() as folder:
        if importlib.util.find_spec("torch"):
            file = Path(folder) / "photos.npz"
            np.savez(file, **photos(LR_SIZE, (LR_SIZE[0] * SCALE, LR_SIZE[1] * SCALE)))
            script = str(Path(__file__).parent / "pytorch_baseline.py")
            for variant in sorted({row.split()[0] for row in rows}):
                command = [script, "--worker", variant, "--photos", str(file)]
                baselines[variant] = Worker(f"{variant} PyTorch", command)
        run_in_turn([*workers, *baselines.values()], rounds)
    print(f"{'network':<24}" + "".join(f"{part:>13}" for part in PARTS) + f"{'PyTorch/this':>14}{'MiB':>7}")
    for worker in [*workers, *baselines.values()]:
        cells = [f"{worker.median(part):>13.2f}" if part in worker.rounds[0] else f"{'':>13}" for part in PARTS]
        baseline = baselines.get(worker.name.split()[0].removesuffix("-integer"))
        ratio = baseline.median("whole") / worker.median("whole") if baseline else float("nan")
        memory = f"{peak(worker.name, 1):>7.0f}" if worker in workers else ""
        print(f"{worker.name:<24}{''.join(cells)}{ratio:>14.2f}{memory}")
        worker.stop()
    print(f"seconds, median of {rounds} rounds; aggregation is part of restoration; {machine()}")


if __name__ == "__main__":
    main()
