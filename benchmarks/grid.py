"""Looks for a grid in results: power of luma at periods of 2 and 4 pixels against that of the frequencies beside them.

    python benchmarks/grid.py --pairs data/val_pairs --model light --model light-gan

Upscaling that makes pixels in blocks may leave a fine regular pattern, which stands out as a line in the spectrum. A figure
is the mean over the groups and over both directions, in dB. By the plain protocol, with the first reference.
"""

import argparse

import numpy as np
from timing import machine
from wrong_input import in_one_line

PERIODS = (2, 4)
BLOCK = 64  # pixels; blocks overlap by half
BORDER = 8
BESIDE = (-5, -4, -3, -2, 2, 3, 4, 5)  # steps of 1/64 per pixel; the window function spreads a line over the nearest ones


@in_one_line
def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", required=True, metavar="FOLDER")
    parser.add_argument("--model", action="append", metavar="MODEL", help="preset or file (default: light and light-gan)")
    options = parser.parse_args()
    print(*table(options.pairs, options.model or ["light", "light-gan"]), sep="\n")


def table(pairs: str, models: list[str]) -> list[str]:
    """The table's lines of Markdown."""
    from c2m_tf import Upscaler
    from c2m_tf.evaluation.groups import find_groups
    from c2m_tf.evaluation.metrics import luma
    from c2m_tf.evaluation.protocols import evaluate_group

    groups = find_groups(pairs)
    lines = ["| | period 2 | period 4 |", "|---|---|---|"]
    for model in models:
        upscaler = Upscaler.from_preset(model)
        results = [evaluate_group(upscaler, group) for group in groups]
        if len(lines) == 2:
            lines.append(row("true photo", [luma(result.hr) for result in results]))
        lines.append(row(model, [luma(result.sr) for result in results]))
    return [*lines, "", f"{len(groups)} groups; {machine()}"]


def row(name: str, photos: list[np.ndarray]) -> str:
    """A line of the table."""
    figures = np.mean([[line_at(power_of(photo), period) for period in PERIODS] for photo in photos], axis=0)
    return f"| {name} | {figures[0]:+.2f} dB | {figures[1]:+.2f} dB |"


def power_of(photo: np.ndarray) -> np.ndarray:
    """Mean power spectrum [64,64] of a photo's blocks."""
    window = np.hanning(BLOCK + 1)[:BLOCK]
    window = window[:, None] * window
    height, width = photo.shape
    spectra = [
        np.abs(np.fft.fft2((block - block.mean()) * window)) ** 2
        for top in range(BORDER, height - BLOCK - BORDER, BLOCK // 2)
        for left in range(BORDER, width - BLOCK - BORDER, BLOCK // 2)
        for block in [photo[top : top + BLOCK, left : left + BLOCK]]
    ]
    return np.mean(spectra, axis=0)


def line_at(power: np.ndarray, period: int) -> float:
    """How much higher the power is at a period than beside it, in dB, mean of horizontal and vertical."""
    place = BLOCK // period
    lines = [power.mean(axis=0), power.mean(axis=1)]
    beside = [(place + step) % BLOCK for step in BESIDE]
    return float(np.mean([10 * (np.log10(line[place]) - np.log10(line[beside]).mean()) for line in lines]))


if __name__ == "__main__":
    main()
