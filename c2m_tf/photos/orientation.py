"""The eight orientations of a photo: mirrored, upside down, transposed, and their combinations."""

from typing import NamedTuple

import numpy as np


class Orientation(NamedTuple):
    """What is done to a photo, in this order."""

    mirrored: bool = False
    upturned: bool = False
    transposed: bool = False

    def turned(self, photo: np.ndarray) -> np.ndarray:
        """A photo [h,w,3] in this orientation, contiguous; a copy unless nothing is done to it."""
        photo = self._flipped(photo)
        return np.ascontiguousarray(photo.swapaxes(0, 1) if self.transposed else photo)

    def turned_back(self, photo: np.ndarray) -> np.ndarray:
        """The inverse of `turned`; a view."""
        return self._flipped(photo.swapaxes(0, 1) if self.transposed else photo)

    def _flipped(self, photo):
        photo = photo[:, ::-1] if self.mirrored else photo
        return photo[::-1] if self.upturned else photo
