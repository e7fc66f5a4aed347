"""Tiles of a photo: their positions, how their results are blended into one photo, and windows of large references for them.

Tiles overlap. Near its edge a tile lacks context, so its outermost pixels are not used; further in, its weight rises linearly
while its neighbour's falls. All tiles of a photo have the same size; the last one of a row or column is moved inwards. Tiles
that may be smaller than asked for are as small as their number allows, so that little is computed twice.

Exact search compares every patch with every other, so its time grows with the square of the area. Above a budget, both photos
are downsampled by one factor and matched; each tile of the LR photo gets the window of the reference that holds most of the
tile's matches. Time and memory then grow with the area.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from c2m_tf.network import FEATURE_STRIDE
from c2m_tf.photos.drawing import fullest_box
from c2m_tf.photos.images import as_float, as_uint8, bicubic
from c2m_tf.photos.pixels import SCALE
from c2m_tf.photos.result_size import Region

# Maximum number of cells of a small version: the coarse search then takes about a second for photos of any size.
MAX_COARSE_CELLS = 16384


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


def _cut(side: slice, first: int, length: int) -> slice:
    """The part of `length` pixels from `first` that lies within a side of the region."""
    return slice(min(max(0, side.start - first), length), max(0, min(length, side.stop - first)))


def _fitted(length: int, tile: int, overlap: Overlap) -> int:
    """The smallest size of which as many tiles cover the length as of `tile`."""
    if length <= tile:
        return length
    largest = tile - (tile - length) % overlap.grid
    number = len(_starts(length, largest, overlap))
    sizes = range(overlap.pixels + overlap.grid + (length - overlap.pixels) % overlap.grid, largest, overlap.grid)
    return next((size for size in sizes if len(_starts(length, size, overlap)) == number), largest)


def _starts(length: int, tile: int, overlap: Overlap) -> list[int]:
    if length <= tile:
        return [0]
    step = (tile - overlap.pixels) // overlap.grid * overlap.grid
    return [*range(0, length - tile, step), length - tile]


def _weights(starts: Sequence[int], size: int, length: int, scale: int, overlap: Overlap) -> dict[int, np.ndarray]:
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


def positions(displacement: np.ndarray, origin: Sequence[int] = (0, 0)) -> np.ndarray:
    """First pixels of blocks in a reference, float32 [h,w,2], of displacements in cells; of LR pixels from an origin on."""
    height, width = displacement.shape[:2]
    grid = np.moveaxis(np.mgrid[origin[0] : origin[0] + height, origin[1] : origin[1] + width], 0, -1)
    return (SCALE * (grid + displacement)).astype(np.float32)


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

    def _inside(self, tile: Tile) -> np.ndarray:
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


def _small(photo: np.ndarray, factor: float, multiple: int) -> np.ndarray:
    """The downsampled photo; its sides are multiples of `multiple` and at least three times that."""
    height, width = (max(3, round(side / factor / multiple)) * multiple for side in photo.shape[:2])
    size = (height, width)
    return as_float(photo if photo.shape[:2] == size else bicubic(as_uint8(photo), size))


def _densest(found: np.ndarray, weights: np.ndarray, cell: Any, size: float) -> tuple[Any, float]:
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


def _start(middle: float, size: int, side: int) -> int:
    """First pixel of a window around `middle` (in cells) that stays inside a side of that many pixels."""
    first = round(float(middle)) - size // FEATURE_STRIDE // 2
    last = max(0, (side - size) // FEATURE_STRIDE)
    return FEATURE_STRIDE * min(max(first, 0), last)
