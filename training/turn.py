"""Flips and transposes of training photos."""

from collections.abc import Sequence

import numpy as np

from c2m_tf.photos.orientation import Orientation

from .homography import PHOTO_SIDE


class Turn:
    """Flips and a transpose, each with probability one half, the same for every photo it is called on."""

    def __init__(self, random: np.random.RandomState) -> None:
        self._orientation = Orientation(*random.randint(0, 2, 3))

    def __call__(self, photo: np.ndarray) -> np.ndarray:
        return self._orientation.turned(photo)

    def origin(self, shape: Sequence[int], y: int, x: int, side: int = PHOTO_SIDE) -> tuple[int, int]:
        """Where the first pixel of a square window at (y, x) is after the flips."""
        x = shape[1] - side - x if self._orientation.mirrored else x
        y = shape[0] - side - y if self._orientation.upturned else y
        return (x, y) if self._orientation.transposed else (y, x)

    def positions(self, positions: np.ndarray, side: int = PHOTO_SIDE) -> np.ndarray:
        """Where positions [h,w,2] (x, y) in a square photo are after the flips, for pixels that are flipped alike."""
        mirrored, upturned, transposed = self._orientation
        last = side - 1
        x, y = positions[..., 0], positions[..., 1]
        moved = np.stack([last - x if mirrored else x, last - y if upturned else y], axis=-1)
        return self(moved[..., ::-1] if transposed else moved)
