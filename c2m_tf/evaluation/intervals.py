"""Bootstrap intervals of a mean over a few groups of photos.

The groups are resampled with replacement many times, and the interval holds the middle 95 % of the means. It measures how much
the choice of photos matters, not the variation between training runs. Source: Efron and Tibshirani, An
Introduction to the Bootstrap (1993), percentile intervals.
"""

from collections.abc import Sequence

import numpy as np

LEVEL = 0.95
RESAMPLES = 10_000


def bootstrap_interval(values: Sequence[float], level: float = LEVEL, seed: int = 0) -> tuple[float, float] | None:
    """Percentile interval of the mean.

    Args:
        values: one figure per group; may be infinite.
        level: share of the means inside the interval.
        seed: of the draws; the same values and seed give the same interval.

    Returns:
        (low, high), or None for fewer than two values or values that are not numbers.
    """
    given = np.asarray(values, np.float64)
    if given.size < 2 or np.isnan(given).any():
        return None
    chosen = np.random.default_rng(seed).integers(0, given.size, (RESAMPLES, given.size))
    # A value of the sample itself, so that infinite means need no interpolation.
    low, high = np.percentile(given[chosen].mean(axis=1), [50 * (1 - level), 50 * (1 + level)], method="inverted_cdf")
    return float(low), float(high)
