"""Sums over boxes: the place where the most of something lies."""

import numpy as np


def fullest_box(values: np.ndarray, size: tuple[int, int]) -> tuple[int, int, float]:
    """The box of one size in which values add up to the most, by a summed-area table.

    Args:
        values: float [H,W], not negative.
        size: (height, width) of the box; cut to those of `values`.

    Returns:
        (top, left, sum) of the first such box in row-major order.
    """
    height, width = (min(side, limit) for side, limit in zip(size, values.shape, strict=True))
    table = np.pad(values.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    sums = table[height:, width:] - table[:-height, width:] - table[height:, :-width] + table[:-height, :-width]
    top, left = np.unravel_index(int(sums.argmax()), sums.shape)
    return int(top), int(left), float(sums[top, left])
