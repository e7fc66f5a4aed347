"""The eight orientations of a photo: mirrored, upside down, transposed, and their combinations."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from c2m_tf.photos.result_size import Region


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

    def turned_shape(self, photo: Sequence[int]) -> tuple[int, int]:
        """(height, width) in this orientation of a photo [h,w,...]."""
        return (photo[1], photo[0]) if self.transposed else (photo[0], photo[1])

    def turned_region(self, region: Region, photo: Sequence[int]) -> Region:
        """Where a part of a photo [h,w,...] lies in the photo in this orientation."""
        height, width = photo[:2]
        x, y, *size = region
        x = width - x - size[0] if self.mirrored else x
        y = height - y - size[1] if self.upturned else y
        return Region(y, x, size[1], size[0]) if self.transposed else Region(x, y, *size)

    def _flipped(self, photo):
        photo = photo[:, ::-1] if self.mirrored else photo
        return photo[::-1] if self.upturned else photo
