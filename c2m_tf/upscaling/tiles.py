"""Tiles of a photo: their positions, and how their results are blended into one photo without seams.

Tiles overlap. Near its edge a tile lacks context, so its outermost pixels are not used; further in, its weight rises linearly
while its neighbour's falls. All tiles of a photo have the same size; the last one of a row or column is moved inwards. Tiles
that may be smaller than asked for are as small as their number allows, so that little is computed twice.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from c2m_tf.photos.result_size import Region


class Overlap(NamedTuple):
    """How two neighbours overlap, in LR pixels.

    Attributes:
        unused: dropped at each edge.
        ramp: next to them, over which the weight rises.
        grid: tiles start at multiples of it, and differ from the photo's side by one.
    """

    unused: int
    ramp: int
    grid: int = 1

    @property
    def pixels(self) -> int:
        """In all."""
        return 2 * self.unused + self.ramp


# Measured on the restoration network of preset `light`: 8 pixels from the edge a tile differs from the whole by less than
# 0.1/255, 6 by 0.5/255, 4 by 2/255 at most.
NARROW = Overlap(unused=6, ramp=4)
# For single-image branches, whose gates look further. On a page of text tiles of 192 then differ from the whole by 3.4/255 at
# most, 0.10/255 in the root mean square; with NARROW by 9 and more. Their cells of 8x8 pixels lie where those of the photo do.
WIDE = Overlap(unused=12, ramp=24, grid=8)


class Tile(Region):
    """A tile of an LR photo."""

    __slots__ = ()


class Canvas:
    """Collects tiles into one photo.

    Args:
        height, width: of the LR photo.
        tile: side of a tile in LR pixels, at least the overlap and twice its grid, less one; what is shorter is one tile.
        scale: pixels of the result per LR pixel, along each axis.
        fits: whether tiles are shortened along each axis as far as their number stays the same.
        region: the part of the LR photo that is collected, of which only those tiles are needed that it shows; None for all. It
            is the same as that part of the whole.
        overlap: of neighbours; if it has a grid, tiles must fit.
    """

    def __init__(
        self,
        height: int,
        width: int,
        tile: int,
        scale: int,
        fits: bool = False,
        region: Region | None = None,
        overlap: Overlap = NARROW,
    ) -> None:
        self._scale = scale
        self._sizes = [_fitted(size, tile, overlap) if fits else min(size, tile) for size in (height, width)]
        self._starts = [_starts(length, size, overlap) for length, size in zip((height, width), self._sizes, strict=True)]
        self._weights = [
            _weights(starts, size, length, scale, overlap)
            for starts, size, length in zip(self._starts, self._sizes, (height, width), strict=True)
        ]
        self._sides, self._overlap = (height, width), overlap
        self.region = region = region or Region(0, 0, width, height)
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
                yield Tile(x, y, *self._sizes[::-1])

    def core(self, tile: Tile) -> Tile:
        """The part of the LR photo that a tile makes most of: to the middle of what it shares with its neighbours."""
        edge = self._overlap.pixels // 2
        place = []
        for start, size, length in ((tile.y, tile.height, self._sides[0]), (tile.x, tile.width, self._sides[1])):
            first, end = start + edge * (start > 0), start + size - edge * (start + size < length)
            place.append((first, end - first))
        (y, height), (x, width) = place
        return Tile(x, y, width, height)

    @property
    def covered(self) -> Region:
        """The part of the LR photo that the tiles cover; at least the region."""
        (top, left), (bottom, right) = ([starts[end] for starts in self._needed] for end in (0, -1))
        return Region(left, top, right + self._sizes[1] - left, bottom + self._sizes[0] - top)

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
        """What was collected once all tiles were added, float32 [scale*height, scale*width, 3], not clipped."""
        assert self._pixels is not None
        return self._pixels


def _cut(side, first, length):
    """The part of `length` pixels from `first` that lies within a side of the region."""
    return slice(min(max(0, side.start - first), length), max(0, min(length, side.stop - first)))


def _fitted(length, tile, overlap):
    """The smallest size of which as many tiles cover the length as of `tile`."""
    if length <= tile:
        return length
    largest = tile - (tile - length) % overlap.grid
    number = len(_starts(length, largest, overlap))
    sizes = range(overlap.pixels + overlap.grid + (length - overlap.pixels) % overlap.grid, largest, overlap.grid)
    return next((size for size in sizes if len(_starts(length, size, overlap)) == number), largest)


def _starts(length, tile, overlap):
    if length <= tile:
        return [0]
    step = (tile - overlap.pixels) // overlap.grid * overlap.grid
    return [*range(0, length - tile, step), length - tile]


def _weights(starts, size, length, scale, overlap):
    """{start: float32 [scale*size]}: weights of each tile along an axis, which sum to one everywhere."""
    from_edge = (np.arange(scale * size) + 0.5) / scale
    weights = {}
    total = np.zeros(scale * length, np.float32)
    for start in starts:
        weight = np.ones(scale * size, np.float32)
        if start > 0:
            weight *= np.clip((from_edge - overlap.unused) / overlap.ramp, 0.0, 1.0)
        if start + size < length:
            weight *= np.clip((from_edge[::-1] - overlap.unused) / overlap.ramp, 0.0, 1.0)
        weights[start] = weight.astype(np.float32)
        total[scale * start : scale * (start + size)] += weights[start]
    return {start: weight / total[scale * start : scale * (start + size)] for start, weight in weights.items()}
