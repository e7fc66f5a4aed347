"""Tiles of a photo: their positions, and how their results are blended into one photo without seams.

Tiles overlap. Near its edge a tile lacks context, so its outermost pixels are not used; further in, its weight rises linearly
while its neighbour's falls. All tiles of a photo have the same size; the last one of a row or column is moved inwards. Tiles
that may be smaller than asked for are as small as their number allows, so that little is computed twice.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from c2m_tf.photos.result_size import Region

# LR pixels from a tile's edge inwards. Measured on the restoration network of preset `light`: 8 pixels from the edge a tile
# differs from the whole by less than 0.1/255, 6 by 0.5/255, 4 by 2/255 at most. A trunk of its own looks further.
UNUSED = 6  # dropped
RAMP = 4  # over which the weight rises
OVERLAP = 2 * UNUSED + RAMP  # of two neighbours


class Tile(NamedTuple):
    """A tile of an LR photo: first pixel and size."""

    y: int
    x: int
    height: int
    width: int

    @property
    def rows(self) -> slice:
        """Rows of the LR photo."""
        return slice(self.y, self.y + self.height)

    @property
    def columns(self) -> slice:
        """Columns of the LR photo."""
        return slice(self.x, self.x + self.width)


class Canvas:
    """Collects tiles into one photo.

    Args:
        height, width: of the LR photo.
        tile: side of a tile in LR pixels, more than `OVERLAP`; shorter photos are one tile along that axis.
        scale: pixels of the result per LR pixel, along each axis.
        fits: whether tiles are shortened along each axis as far as their number stays the same.
        region: the part of the LR photo that is collected, of which only those tiles are needed that it shows; None for all. It
            is the same as that part of the whole.
    """

    def __init__(
        self, height: int, width: int, tile: int, scale: int, fits: bool = False, region: Region | None = None
    ) -> None:
        self._scale = scale
        self._sizes = [_fitted(size, tile) if fits else min(size, tile) for size in (height, width)]
        self._starts = [_starts(length, size) for length, size in zip((height, width), self._sizes, strict=True)]
        self._weights = [
            _weights(starts, size, length, scale)
            for starts, size, length in zip(self._starts, self._sizes, (height, width), strict=True)
        ]
        self._sides = (height, width)
        region = region or Region(0, 0, width, height)
        self._region = [slice(scale * side.start, scale * side.stop) for side in (region.rows, region.columns)]
        self._needed = [
            [start for start in starts if weights[start][_cut(side, scale * start, len(weights[start]))].any()]
            for starts, weights, side in zip(self._starts, self._weights, self._region, strict=True)
        ]
        self._shape = (scale * region.height, scale * region.width, 3)
        self._pixels: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self._needed[0]) * len(self._needed[1])

    def __iter__(self) -> Iterator[Tile]:
        """Tiles, row by row."""
        for y in self._needed[0]:
            for x in self._needed[1]:
                yield Tile(y, x, *self._sizes)

    def core(self, tile: Tile) -> Tile:
        """The part of the LR photo that a tile makes most of: to the middle of what it shares with its neighbours."""
        edge = UNUSED + RAMP // 2
        place = []
        for start, size, length in ((tile.y, tile.height, self._sides[0]), (tile.x, tile.width, self._sides[1])):
            first, end = start + edge * (start > 0), start + size - edge * (start + size < length)
            place.append((first, end - first))
        (y, height), (x, width) = place
        return Tile(y, x, height, width)

    def add(self, tile: Tile, result: np.ndarray) -> None:
        """Adds the result of a tile, float [scale*height, scale*width, 3]; each tile must be added once."""
        if self._pixels is None:
            self._pixels = np.zeros(self._shape, np.float32)
        y, x = self._scale * tile.y, self._scale * tile.x
        weight_y, weight_x = self._weights[0][tile.y], self._weights[1][tile.x]
        rows, columns = (
            _cut(side, *place) for side, place in zip(self._region, ((y, len(weight_y)), (x, len(weight_x))), strict=True)
        )
        y, x = (max(0, first - side.start) for side, first in zip(self._region, (y, x), strict=True))
        weight_y, weight_x = weight_y[rows], weight_x[columns]
        target = self._pixels[y : y + len(weight_y), x : x + len(weight_x)]
        target += result[rows, columns] * weight_y[:, None, None] * weight_x[:, None]

    def photo(self) -> np.ndarray:
        """What was collected once all tiles were added, float32 [scale*height, scale*width, 3], clipped to [0, 1]."""
        assert self._pixels is not None
        return np.clip(self._pixels, 0.0, 1.0, out=self._pixels)


def _cut(side, first, length):
    """The part of `length` pixels from `first` that lies within a side of the region."""
    return slice(min(max(0, side.start - first), length), max(0, min(length, side.stop - first)))


def _fitted(length, tile):
    """The smallest size of which as many tiles cover the length as of `tile`."""
    if length <= tile:
        return length
    number = -(-(length - OVERLAP) // (tile - OVERLAP))
    return -(-(length + (number - 1) * OVERLAP) // number)


def _starts(length, tile):
    if length <= tile:
        return [0]
    step = tile - OVERLAP
    return [*range(0, length - tile, step), length - tile]


def _weights(starts, size, length, scale):
    """{start: float32 [scale*size]}: weights of each tile along an axis, which sum to one everywhere."""
    from_edge = (np.arange(scale * size) + 0.5) / scale
    weights = {}
    total = np.zeros(scale * length, np.float32)
    for start in starts:
        weight = np.ones(scale * size, np.float32)
        if start > 0:
            weight *= np.clip((from_edge - UNUSED) / RAMP, 0.0, 1.0)
        if start + size < length:
            weight *= np.clip((from_edge[::-1] - UNUSED) / RAMP, 0.0, 1.0)
        weights[start] = weight.astype(np.float32)
        total[scale * start : scale * (start + size)] += weights[start]
    return {start: weight / total[scale * start : scale * (start + size)] for start, weight in weights.items()}
