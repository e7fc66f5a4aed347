"""Windows of large references: matches of small versions of the photos choose a window for each tile.

Exact search compares every patch with every other, so its time grows with the square of the area. Above a budget, both photos
are downsampled by one factor and matched; each tile of the LR photo gets the window of the reference that holds most of the
tile's matches. Time and memory then grow with the area.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from c2m_tf.network.grid import FEATURE_STRIDE
from c2m_tf.photos.boxes import fullest_box
from c2m_tf.photos.images import as_float, as_uint8, bicubic
from c2m_tf.upscaling.evidence import positions
from c2m_tf.upscaling.tiles import Tile

# Maximum number of cells of a small version: the coarse search then takes about a second for photos of any size.
MAX_COARSE_CELLS = 16384


class Window(NamedTuple):
    """A window of a reference: which one, first pixel and size, in pixels of the reference."""

    reference: int
    y: int
    x: int
    height: int
    width: int

    def of(self, references: Sequence[np.ndarray]) -> np.ndarray:
        """The window's pixels."""
        return references[self.reference][self.y : self.y + self.height, self.x : self.x + self.width]


class CoarseReferences:
    """Small versions of references, for all LR photos that need the same factor.

    Args:
        references: list of [H,W,3], uint8 or float in [0, 1].
        factor: by which they are downsampled along each axis, see `shrinking`.

    Attributes:
        factor: as given.
        photos: float32 [H',W',3] each, sides multiples of 4.
        sizes: (H, W) of each reference.
        encoded: features of the small versions, set by the upscaler; None until then.
    """

    def __init__(self, references: Sequence[np.ndarray], factor: float) -> None:
        self.factor = factor
        self.photos = [_small(reference, factor, FEATURE_STRIDE) for reference in references]
        self.sizes = [reference.shape[:2] for reference in references]
        self.encoded: dict[str, Any] | None = None


# Matches the 3x3 patches of a small LR photo [h,w,3]: number of the reference int [h-2,w-2], top-left cells in it int
# [h-2,w-2,2] (y, x), score float [h-2,w-2].
Locate = Callable[[np.ndarray, CoarseReferences], tuple[np.ndarray, np.ndarray, np.ndarray]]


class CoarseMatches:
    """Matches of small versions of an LR photo and its references.

    Args:
        lr: [h,w,3], uint8 or float in [0, 1].
        references: small versions of the references; the LR photo is downsampled by their factor.
        locate: see `Locate`.
    """

    def __init__(self, lr: np.ndarray, references: CoarseReferences, locate: Locate) -> None:
        small_lr = _small(lr, references.factor, 1)
        number, match, score = locate(small_lr, references)
        # Centres of the patches, in pixels of the LR photo and in cells of the reference.
        rows, columns = (lr.shape[axis] / small_lr.shape[axis] for axis in (0, 1))
        height, width = score.shape
        self._y, self._x = np.meshgrid((np.arange(height) + 1.5) * rows, (np.arange(width) + 1.5) * columns, indexing="ij")
        cells = np.array(references.sizes) / FEATURE_STRIDE
        small_cells = np.array([photo.shape[:2] for photo in references.photos]) // FEATURE_STRIDE
        self._cell = cells / small_cells  # of the small references, in cells of the large
        self._reference = number
        self._found = (match + 1.5) * self._cell[number]
        self._weight = np.square(np.maximum(score, 0.0)) + 1e-6
        self._sizes = references.sizes
        self._reach = max(rows, columns)
        self.flow = self._found - np.stack([self._y, self._x], axis=-1)
        self.score = score

    def scores(self, tile: Tile) -> np.ndarray:
        """Scores, float [N], of the patches in and around a tile of the LR photo."""
        return self.score[self._inside(tile)]

    def _inside(self, tile):
        return (
            (self._y >= tile.y - self._reach)
            & (self._y <= tile.y + tile.height + self._reach)
            & (self._x >= tile.x - self._reach)
            & (self._x <= tile.x + tile.width + self._reach)
        )

    def at_pixels(self, tile: Tile) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The nearest match to each pixel of a tile: number of the reference [h,w], first pixel [h,w,2], score [h,w]."""
        rows = np.abs(self._y[:, :1] - (np.arange(tile.height) + tile.y + 0.5)).argmin(axis=0)
        columns = np.abs(self._x[:1].T - (np.arange(tile.width) + tile.x + 0.5)).argmin(axis=0)
        place = np.ix_(rows, columns)
        return self._reference[place], positions(self.flow[place], (tile.y, tile.x)), self.score[place]

    def window(self, tile: Tile, size: int) -> Window:
        """The window that most matches of a tile fall into.

        Args:
            tile: of the LR photo.
            size: side of the window in pixels; a reference that is smaller along an axis is taken whole along it.
        """
        inside = self._inside(tile)
        best: tuple[float, int, Any] = (-1.0, 0, None)
        for reference in np.unique(self._reference[inside]):
            chosen = inside & (self._reference == reference)
            first, weight = _densest(self._found[chosen], self._weight[chosen], self._cell[reference], size / FEATURE_STRIDE)
            if weight > best[0]:
                best = weight, int(reference), first
        _, reference, first = best
        y, x = (_start(first[axis], size, self._sizes[reference][axis]) for axis in (0, 1))
        height, width = (min(size, side) for side in self._sizes[reference])
        return Window(reference, y, x, height, width)


def shrinking(lr_shape: Sequence[int], ref_shapes: Sequence[Sequence[int]]) -> float:
    """Factor by which photos are downsampled along each axis for the coarse search; at least 1."""
    cells = [lr_shape[0] * lr_shape[1], *(shape[0] * shape[1] / FEATURE_STRIDE**2 for shape in ref_shapes)]
    return max(1.0, (max(cells) / MAX_COARSE_CELLS) ** 0.5)


def _small(photo, factor, multiple):
    """The downsampled photo; its sides are multiples of `multiple` and at least three times that."""
    height, width = (max(3, round(side / factor / multiple)) * multiple for side in photo.shape[:2])
    size = (height, width)
    return as_float(photo if photo.shape[:2] == size else bicubic(as_uint8(photo), size))


def _densest(found, weights, cell, size):
    """Middle of the box of `size` cells per side that holds the most weight of the points `found` [N,2], and that weight."""
    # Points are counted in squares of one coarse cell, which is their accuracy.
    square = np.maximum(cell, 1.0)
    place = np.floor(found / square).astype(int)
    place -= place.min(axis=0)
    counts = np.zeros(place.max(axis=0) + 1)
    np.add.at(counts, tuple(place.T), weights)
    box = [max(1, min(int(size / square[axis]), counts.shape[axis])) for axis in (0, 1)]
    top, left, weight = fullest_box(counts, (box[0], box[1]))
    inside = ((place >= (top, left)) & (place < (top + box[0], left + box[1]))).all(axis=1)
    members = found[inside]
    return (members.min(axis=0) + members.max(axis=0)) / 2, weight


def _start(middle, size, side):
    """First pixel of a window around `middle` (in cells) that stays inside a side of that many pixels."""
    first = round(float(middle)) - size // FEATURE_STRIDE // 2
    last = max(0, (side - size) // FEATURE_STRIDE)
    return FEATURE_STRIDE * min(max(first, 0), last)
