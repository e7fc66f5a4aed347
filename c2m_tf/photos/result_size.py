"""Which size results have, which part of a photo they show, and the eight orientations of a photo."""

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image

from c2m_tf.photos.formats import ImageError
from c2m_tf.photos.pixels import SCALE, as_float

_LANCZOS_RADIUS = 3  # in pixels of the smaller picture


class ResultSize(NamedTuple):
    """The size that results have, by one of these; without any it is four times the LR photo's.

    Attributes:
        scale: times the sides of the LR photo, more than 0 and at most 4.
        size: "3840x" for a width, "x2160" for a height, "3840x2160" for the largest picture that fits into both.
        long_side: pixels of the longer side.
    """

    scale: float | None = None
    size: str | None = None
    long_side: int | None = None

    def check(self) -> None:
        """Raises ValueError if more than one is given, or one is no size."""
        given = [name for name, value in self._asdict().items() if value is not None]
        if len(given) > 1:
            raise ValueError(f"{given[0]} and {given[1]} both say how large the result is; give one")
        if self.scale is not None and not 0 < self.scale <= SCALE:
            raise ValueError(f"scale {self.scale:g} is not above 0 and at most {SCALE}")
        if self.size is not None and not any(self._sides()):
            raise ValueError(f"size {self.size} is none; give a width 3840x, a height x2160, or both to fit into, 3840x2160")
        if self.long_side is not None and self.long_side < 1:
            raise ValueError(f"long_side {self.long_side} is no positive number of pixels")

    def of(self, lr_shape: Sequence[int]) -> tuple[int, int]:
        """(height, width) of the result of an upright photo [h,w,...]; raises ImageError if that is more than 4x of it."""
        height, width = lr_shape[:2]
        scale = min(self._scales(height, width))
        if scale > SCALE:
            raise ImageError(
                f"a photo of {width}x{height} pixels becomes {SCALE * width}x{SCALE * height} at most, asked for are "
                f"{round(scale * width)}x{round(scale * height)}; ask for less"
            )
        return max(1, round(scale * height)), max(1, round(scale * width))

    def _scales(self, height: int, width: int) -> list[float]:
        if self.size is not None:
            wanted_width, wanted_height = self._sides()
            return [wanted / side for wanted, side in ((wanted_width, width), (wanted_height, height)) if wanted]
        if self.long_side is not None:
            return [self.long_side / max(height, width)]
        return [SCALE if self.scale is None else self.scale]

    def _sides(self) -> tuple[int, int]:
        """Width and height of `size`, 0 where none is given; both 0 if it cannot be read."""
        found = re.fullmatch(r"(\d{0,6})x(\d{0,6})", self.size or "")
        return (0, 0) if found is None else (int(found[1] or 0), int(found[2] or 0))


FULL_SIZE = ResultSize()


class Region(NamedTuple):
    """A part of an upright photo: first pixel and size."""

    x: int
    y: int
    width: int
    height: int

    @classmethod
    def of(cls, given: "str | Sequence[int]") -> "Region":
        """From four numbers, or text X,Y,WIDTH,HEIGHT; raises ValueError if it is none."""
        numbers = given.split(",") if isinstance(given, str) else given
        try:
            region = cls(*(int(number) for number in numbers))
        except (TypeError, ValueError):
            raise ValueError(f"region {given} is none; give X,Y,WIDTH,HEIGHT in pixels of the LR photo") from None
        if min(region.width, region.height) < 1:
            raise ValueError(f"region {','.join(map(str, region))} is empty; give a width and a height of at least 1")
        return region

    def check(self, lr_shape: Sequence[int]) -> None:
        """Raises ImageError if it reaches out of an upright photo [h,w,...]."""
        height, width = lr_shape[:2]
        if min(self.x, self.y) < 0 or self.x + self.width > width or self.y + self.height > height:
            raise ImageError(f"region {','.join(map(str, self))} reaches out of the LR photo of {width}x{height} pixels")

    def is_all(self, lr_shape: Sequence[int]) -> bool:
        """Whether it is the whole photo [h,w,...]."""
        return self == (0, 0, lr_shape[1], lr_shape[0])

    @property
    def rows(self) -> slice:
        """Rows of the photo."""
        return slice(self.y, self.y + self.height)

    @property
    def columns(self) -> slice:
        """Columns of the photo."""
        return slice(self.x, self.x + self.width)


class Wanted:
    """What of a photo's result is wanted, and what must be restored for it.

    Args:
        lr_shape: of the upright LR photo [h,w,...].
        size: of the whole result.
        region: the part of the photo that the result shows; None for all.

    Attributes:
        shape: (height, width) of the result.
        restored: Region of the LR photo that is restored; a little more than is shown, where the filter needs it.
        enlarges: False if the LR photo has as many pixels as the result.

    Raises:
        ImageError: more than 4x, or a region outside.
    """

    def __init__(self, lr_shape: Sequence[int], size: ResultSize = FULL_SIZE, region: Region | None = None) -> None:
        height, width = lr_shape[:2]
        if region is not None:
            region.check(lr_shape)
        whole = size.of(lr_shape)
        region = region or Region(0, 0, width, height)
        top, bottom = _rounded(region.y, region.height, height, whole[0])
        left, right = _rounded(region.x, region.width, width, whole[1])
        self.shape = (bottom - top, right - left)
        self.enlarges = whole[0] > height or whole[1] > width
        self._resizes = whole != (SCALE * height, SCALE * width)
        self.restored = region
        if self._resizes:
            first_row, end_row = _reach(top, bottom, height, whole[0])
            first, end = _reach(left, right, width, whole[1])
            self.restored = Region(first, first_row, end - first, end_row - first_row)
        # What is shown of what was restored, as shares of the LR photo's pixels.
        self._box = (
            left * width / whole[1] - self.restored.x,
            top * height / whole[0] - self.restored.y,
            right * width / whole[1] - self.restored.x,
            bottom * height / whole[0] - self.restored.y,
        )

    @property
    def made(self) -> str:
        """How it is made, where it is not as the network gives it, in words."""
        if not self.enlarges:
            return "reduced from the photo, which has as many"
        return f"made at {SCALE}x and reduced" if self._resizes else ""

    def of_whole(self, enlarged: np.ndarray) -> np.ndarray:
        """What is wanted of a picture of the whole photo, four times as large: [SCALE*h,SCALE*w] or [SCALE*h,SCALE*w,3]."""
        rows, columns = (slice(SCALE * side.start, SCALE * side.stop) for side in (self.restored.rows, self.restored.columns))
        return self.reduced(enlarged[rows, columns])

    def reduced(self, restored: np.ndarray) -> np.ndarray:
        """The result of what was restored [SCALE*h,SCALE*w] or [SCALE*h,SCALE*w,3], or of the LR photo's own pixels.

        Reduced by Lanczos's filter over three pixels, which keeps more detail than others that hardly ring.

        Returns:
            What was given if it has the result's size; else float32 in [0, 1].
        """
        if restored.shape[:2] == self.shape:
            return restored
        restored = as_float(restored)
        scale = restored.shape[0] / self.restored.height
        box = tuple(scale * side for side in self._box)
        height, width = self.shape
        reduced = np.empty((height, width, *restored.shape[2:]), np.float32)
        for channel in np.ndindex(restored.shape[2:]):
            picture = Image.fromarray(np.ascontiguousarray(restored[(..., *channel)]))
            reduced[(..., *channel)] = picture.resize((width, height), Image.Resampling.LANCZOS, box)
        return np.clip(reduced, 0.0, 1.0, out=reduced)


def _rounded(start: int, length: int, lr_side: int, side: int) -> tuple[int, int]:
    """First and end pixel, of a side of the whole result, of what a part of the LR photo's side becomes; one at least."""
    first = min(round(start * side / lr_side), side - 1)
    return first, max(first + 1, round((start + length) * side / lr_side))


def _reach(first: int, end: int, lr_side: int, side: int) -> tuple[int, int]:
    """First and end pixel of the LR photo's side that the filter sees for a part of the result's."""
    step = lr_side / side
    margin = _LANCZOS_RADIUS * step
    return max(0, int(first * step - margin)), min(lr_side, int(end * step + margin) + 1)


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

    def _flipped(self, photo: np.ndarray) -> np.ndarray:
        photo = photo[:, ::-1] if self.mirrored else photo
        return photo[::-1] if self.upturned else photo
