"""What `c2m_tf.photos.quality` finds in LR photos of known degradations, and which preset follows, as a Markdown table.

python benchmarks/photo_quality.py data/val_pairs data/train_single        # every photo of the folders as an HR photo
python benchmarks/photo_quality.py data/train_single --every 8 --degradation bicubic --degradation jpeg75
"""

import argparse
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from wrong_input import in_one_line

from c2m_tf.photos import images
from c2m_tf.photos.degradations import degradation_named
from c2m_tf.photos.quality import PhotoQuality, quality_of
from c2m_tf.upscaling.opening import DEGRADED, MAX_AVERAGED, MAX_BLURRED, choose

DEGRADATIONS = (
    *("bicubic", "area", "lanczos", "bilinear", "two-step", "blur", "phone", "messenger"),
    *("jpeg95", "jpeg90", "jpeg75", "jpeg50", "jpeg30", "noise2", "noise3", "noise5", "noise8"),
)


@in_one_line
def main() -> None:
    """Measures the photos and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="+", metavar="FOLDER", help="HR photos; of groups NNN_0.png, NNN_1.png only the first")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="only every Nth photo of a folder")
    parser.add_argument("--degradation", action="append", metavar="NAME", help="default: a selection")
    options = parser.parse_args()
    photos = [path for folder in options.folders for path in _photos(folder)[:: options.every]]
    if not photos:
        raise ValueError(f"{' '.join(options.folders)}: no photos; give folders of photos")
    print(f"{len(photos)} photos\n")
    print("\n".join(table(photos, options.degradation or DEGRADATIONS)))


def table(photos: Sequence[Path], degradations: Iterable[str]) -> list[str]:
    """The table's lines of Markdown."""
    lines = [
        f"| | {DEGRADED} | JPEG found | quality | noise, lowest to highest | blur found | averaging found |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in degradations:
        found = [_quality(path, name) for path in photos]
        chosen = np.mean([choose(quality).preset == DEGRADED for quality in found])
        qualities = [quality.jpeg for quality in found if quality.jpeg is not None]
        span = f"{min(qualities)} to {max(qualities)}" if qualities else ""
        noises = _span([quality.noise for quality in found])
        blurred = _share([quality.blurred for quality in found], MAX_BLURRED)
        averaged = _share([quality.averaged for quality in found], MAX_AVERAGED)
        jpegs = f"{len(qualities) / len(found):.1%}"
        lines.append(f"| `{name}` | {chosen:.1%} | {jpegs} | {span} | {noises} | {blurred} | {averaged} |")
    return lines


def _photos(folder):
    paths = images.list_photos(Path(folder))
    firsts = [path for path in paths if path.stem.endswith("_0")]
    return firsts or paths


def _quality(path, name) -> PhotoQuality:
    photo = images.read(path)
    hr = images.crop_to_multiple(images.as_uint8(photo.rgb))
    lr = degradation_named(name)(hr, np.random.RandomState(zlib.crc32(path.name.encode())))
    return quality_of(images.Image(images.as_float(lr)))


def _span(values):
    known = [value for value in values if value is not None]
    return f"{min(known):.2f} to {max(known):.2f}" if known else ""


def _share(values, threshold):
    return f"{np.mean([value is not None and value > threshold for value in values]):.1%}"


if __name__ == "__main__":
    main()
