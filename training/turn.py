"""Flips and transposes of training photos."""

from collections.abc import Sequence

import numpy as np

from .homography import PHOTO_SIDE


class Turn:
    """Flips and a transpose, each with probability one half, the same for every photo it is called on."""

    def __init__(self, random: np.random.RandomState) -> None:
        self.mirrored, self.upturned, self.transposed = random.randint(0, 2, 3)

    def __call__(self, photo: np.ndarray) -> np.ndarray:
        photo = photo[:, ::-1] if self.mirrored else photo
        photo = photo[::-1] if self.upturned else photo
        return np.ascontiguousarray(photo.transpose(1, 0, 2) if self.transposed else photo)

    def origin(self, shape: Sequence[int], y: int, x: int, side: int = PHOTO_SIDE) -> tuple[int, int]:
        """Where the first pixel of a square window at (y, x) is after the flips."""
        x = shape[1] - side - x if self.mirrored else x
        y = shape[0] - side - y if self.upturned else y
        return (x, y) if self.transposed else (y, x)
