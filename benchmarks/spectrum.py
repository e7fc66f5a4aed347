"""Fits the weights of `c2m_tf.photos.quality` to LR photos of known degradations, and measures them on others.

python benchmarks/spectrum.py data/train_single data/train_single2      # HR photos

Every 6th photo of a folder, from the first on, is held out: those that `benchmarks/photo_quality.py --every 6` takes. A score
is a linear function of the shape, by ridge regression to 1 for its degradation and -1 for bicubic and Lanczos, both sides with
the same weight together. Photos whose LR photo is too small are left out.
"""

import argparse
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from wrong_input import in_one_line

from c2m_tf.photos import images
from c2m_tf.photos.degradations import degradation_named
from c2m_tf.photos.quality import luma_of, shape_of

SHARP = ("bicubic", "lanczos")
SCORES = {"blurred": "blur", "averaged": "area"}
OTHERS = ("bilinear", "two-step")
HELD_OUT = 6
RIDGE = 1.0
DECIMALS = 3


@in_one_line
def main() -> None:
    """Prints both scores' weights, and the shares of photos above some thresholds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="+", metavar="FOLDER", help="HR photos")
    options = parser.parse_args()
    folders = [images.list_photos(Path(folder)) for folder in options.folders]
    if not any(folders):
        raise ValueError(f"{' '.join(options.folders)}: no photos; give folders of photos")
    held_out = [path for paths in folders for path in paths[::HELD_OUT]]
    fitted = [path for paths in folders for place, path in enumerate(paths) if place % HELD_OUT]
    names = (*SHARP, *SCORES.values(), *OTHERS)
    known, unknown = shapes(fitted, names), shapes(held_out, names)
    print(f"fitted to {len(known[SHARP[0]])} photos, held out {len(unknown[SHARP[0]])}")
    for score, name in SCORES.items():
        weights, bias = fit(np.concatenate([known[sharp] for sharp in SHARP]), known[name])
        print(f"\n{score}: {', '.join(f'{weight:.{DECIMALS}f}' for weight in weights)}; {bias:.{DECIMALS}f}\n")
        print(*table(unknown, weights, bias), sep="\n")


def shapes(paths: Sequence[Path], names: Sequence[str]) -> dict[str, np.ndarray]:
    """The shapes [photos, 16] of the spectra of LR photos, by degradation."""
    found: dict[str, list] = {name: [] for name in names}
    for path in paths:
        hr = images.crop_to_multiple(images.as_uint8(images.read(path).rgb))
        random = np.random.RandomState(zlib.crc32(path.name.encode()))
        for name in names:
            found[name].append(shape_of(luma_of(images.as_float(degradation_named(name)(hr, random)))))
    return {name: np.array([shape for shape in found[name] if shape is not None]) for name in names}


def fit(sharp: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, float]:
    """Weights [16] and bias, rounded."""
    values = np.concatenate([sharp, other])
    wanted = np.repeat([-1.0, 1.0], [len(sharp), len(other)])
    shares = np.repeat([1 / len(sharp), 1 / len(other)], [len(sharp), len(other)]) * len(values) / 2
    mean = values.mean(axis=0)
    columns = np.column_stack([values - mean, np.ones(len(values))])
    weighted = columns * shares[:, None]
    *weights, constant = np.linalg.solve(columns.T @ weighted + RIDGE * np.eye(columns.shape[1]), weighted.T @ wanted)
    return np.round(weights, DECIMALS), round(float(constant - mean @ weights), DECIMALS)


def table(shapes: dict[str, np.ndarray], weights: np.ndarray, bias: float) -> list[str]:
    """Lines of Markdown: the share of photos of each degradation whose score is above a threshold."""
    thresholds = (-0.2, 0.0, 0.1, 0.2, 0.4)
    lines = ["| above | " + " | ".join(map(str, thresholds)) + " |", "|---" * (len(thresholds) + 1) + "|"]
    for name, values in shapes.items():
        scores = values @ weights + bias
        lines.append(f"| `{name}` | " + " | ".join(f"{(scores > threshold).mean():.1%}" for threshold in thresholds) + " |")
    return lines


if __name__ == "__main__":
    main()
