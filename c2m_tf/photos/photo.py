"""A photo in memory."""

from typing import NamedTuple

import numpy as np


class Photo(NamedTuple):
    """A photo as the networks take it.

    Attributes:
        rgb: float32 [H,W,3] in [0, 1]; uint8 in results.
        alpha: float32 [H,W] in [0, 1], or None; uint8 in results.
        gray: whether the file was gray.
        icc_profile: embedded colour profile, or None.
    """

    rgb: np.ndarray
    alpha: np.ndarray | None = None
    gray: bool = False
    icc_profile: bytes | None = None
