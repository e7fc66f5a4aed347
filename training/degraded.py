"""LR patches as they are in everyday photos: cut out of a degraded photo, not degraded after they were cut out.

So JPEG's blocks begin anywhere in a patch, and blur mixes in what lies around it.
"""

import numpy as np

from c2m_tf.photos.degradations import Degradation
from c2m_tf.photos.images import SCALE
from c2m_tf.photos.random_degradations import draw_degradation

_SURROUNDINGS = 8  # LR pixels: JPEG's blocks, and more than a blur reaches


def degraded_patch(
    photo: np.ndarray, origin: tuple[int, int], size: int, random: np.random.RandomState, share: float
) -> np.ndarray | None:
    """The LR patch of a window of an HR photo, degraded with the probability `share`.

    Args:
        photo: uint8 [H,W,3], HR.
        origin: of the window in it, (y, x).
        size: side of the window in HR pixels, a multiple of 4.
        random: what is drawn depends on its state alone; untouched if the share is 0.
        share: in [0, 1].

    Returns:
        uint8 [size/4,size/4,3]; None if the patch is not to be degraded.
    """
    if share == 0.0:
        return None
    degradation = draw_degradation(random, 1.0 - share)
    if degradation == Degradation():
        return None
    rows, above = _span(origin[0], size, photo.shape[0], random)
    columns, left = _span(origin[1], size, photo.shape[1], random)
    lr = degradation(photo[rows, columns], random)
    side = size // SCALE
    return lr[above : above + side, left : left + side]


def _span(start, size, end, random):
    """Slice of HR pixels: the window's and some before and after it; and LR pixels before the window's."""
    before = random.randint(min(_SURROUNDINGS, start // SCALE) + 1)
    after = min(_SURROUNDINGS, (end - start - size) // SCALE)
    return slice(start - SCALE * before, start + size + SCALE * after), before
