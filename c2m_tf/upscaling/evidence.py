"""What of a result comes from references: for each LR pixel, and so each 4x4 block of the result, from which, and where.

`light` says by itself how much of its result rests on the references: as the score of a match rises from 0.3 to 0.6
(`network.model.C2Matching.blend`), and so does `mobile` (`network.mobile.Mobile.trust`). Exported files do not say, and are
taken to do as `light`.
"""

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image as Picture
from PIL import ImageDraw, ImageFont

from c2m_tf.network import BLEND_FROM, BLEND_TO
from c2m_tf.photos.pixels import SCALE, as_uint8
from c2m_tf.photos.result_size import Region, Wanted
from c2m_tf.photos.writing import write, write_atomically
from c2m_tf.startup import printable
from c2m_tf.upscaling.tiles import Tile

NONE = -1
_TINT = 0.45  # of a picture's light where a reference counts fully
_COLOURS = ((230, 60, 40), (40, 110, 230), (60, 170, 60), (225, 160, 20), (150, 70, 200), (20, 170, 180), (220, 80, 160))
_LINE, _MARGIN = 20, 6  # pixels of the legend


class Evidence(NamedTuple):
    """For each LR pixel of a photo, or of the part of it that was restored, what its block of the result comes from.

    Attributes:
        reference: int16 [h,w], number of the reference; -1 for none.
        position: float32 [h,w,2], (y, x) of the block's first pixel in that reference, in its upright pixels; NaN for none.
        score: float32 [h,w], of the match, in [-1, 1].
        weight: float32 [h,w], in [0, 1], how much the reference counts there; the rest is the single-image result.
        names: of the references.
    """

    reference: np.ndarray
    position: np.ndarray
    score: np.ndarray
    weight: np.ndarray
    names: tuple[str, ...] = ()

    @classmethod
    def blank(cls, height: int, width: int) -> "Evidence":
        """That of a photo in which no reference is shown; `note` fills it."""
        size = (height, width)
        zeros, nowhere = np.zeros(size, np.float32), np.full((*size, 2), np.nan, np.float32)
        return cls(np.full(size, NONE, np.int16), nowhere, zeros, zeros.copy())

    @property
    def shares(self) -> tuple[float, ...]:
        """Of each reference, the share of the result that comes from it, in [0, 1]."""
        numbers = self.reference.ravel()
        sums = np.bincount(numbers[numbers >= 0], self.weight.ravel()[numbers >= 0], len(self.names))
        return tuple(float(value) / numbers.size for value in sums)

    def save(self, path: str | os.PathLike) -> None:
        """Writes the arrays as an .npz file; raises `ImageError` if that fails."""
        write_atomically(path, lambda file: np.savez_compressed(file, **self._asdict()))

    def picture(self, rgb: np.ndarray, wanted: Wanted) -> np.ndarray:
        """The result, what comes from references tinted, one colour each, with a legend of their names and shares.

        Args:
            rgb: of the result, [H,W,3].
            wanted: what of the photo it shows.

        Returns:
            uint8 [H',W',3], higher than the result by the legend.
        """
        shares, tint = (wanted.reduced(part.repeat(SCALE, 0).repeat(SCALE, 1)) for part in (self.weight * _TINT, self._tint()))
        shares = shares[..., None]
        pixels = as_uint8(rgb) / 255.0
        return np.concatenate([as_uint8(pixels * (1.0 - shares) + tint * shares), self._legend(rgb.shape[1])])

    def layer(self) -> np.ndarray:
        """The same to lay over the result: uint8 [h,w,4], each reference's colour, transparent where it does not count."""
        return as_uint8(np.concatenate([self._tint(), self.weight[..., None] * _TINT], axis=2))

    def _tint(self) -> np.ndarray:
        """The references' colours, float32 [h,w,3] in [0, 1]."""
        colours = np.array(_COLOURS, np.float32) / 255.0
        return colours[np.maximum(self.reference, 0) % len(_COLOURS)]

    def _legend(self, width: int) -> np.ndarray:
        rest = 1.0 - sum(self.shares)
        rows = [
            (_COLOURS[number % len(_COLOURS)], f"{share:.0%} {name}")
            for number, (name, share) in enumerate(zip(self.names, self.shares, strict=True))
        ]
        canvas = Picture.new("RGB", (width, _LINE * (len(rows) + 1) + 2 * _MARGIN), "white")
        pen, font = ImageDraw.Draw(canvas), ImageFont.load_default(13)
        for line, (colour, text) in enumerate([*rows, ((255, 255, 255), f"{rest:.0%} from the photo alone")]):
            top = _MARGIN + line * _LINE
            pen.rectangle((_MARGIN, top + 2, _MARGIN + 14, top + 16), colour, (120, 120, 120))
            pen.text((_MARGIN + 22, top), printable(text), (30, 30, 30), font)
        return np.asarray(canvas)


class Noted:
    """Collects the evidence of tiles.

    Args:
        region: the part of the photo that is restored.
        strength: how much of the references is used.
    """

    def __init__(self, region: Region, strength: float) -> None:
        self.evidence = Evidence.blank(region.height, region.width)
        self._region = region
        self._strength = strength

    def add(
        self,
        core: Tile,
        tile: Tile,
        number: np.ndarray,
        position: np.ndarray,
        score: np.ndarray,
        weight: np.ndarray | None = None,
    ) -> None:
        """Notes the matches of a tile where it makes most of the result.

        Args:
            core: that part of the photo.
            tile: the tile.
            number: int [h,w] of the tile's pixels.
            position: float [h,w,2].
            score: float [h,w].
            weight: float [h,w] in [0, 1], how much the reference counts; None for what follows from the score.
        """
        region = self._region
        top, left = max(core.y, region.y), max(core.x, region.x)
        bottom, right = min(core.y + core.height, region.y + region.height), min(core.x + core.width, region.x + region.width)
        if top >= bottom or left >= right:
            return
        inside = slice(top - tile.y, bottom - tile.y), slice(left - tile.x, right - tile.x)
        place = slice(top - region.y, bottom - region.y), slice(left - region.x, right - region.x)
        weight = self._strength * (blend_weight(score[inside]) if weight is None else weight[inside])
        counts = weight > 0
        self.evidence.reference[place] = np.where(counts, number[inside], NONE)
        self.evidence.position[place] = np.where(counts[..., None], position[inside], np.nan)
        self.evidence.score[place], self.evidence.weight[place] = score[inside], weight


def blend_weight(score: np.ndarray) -> np.ndarray:
    """How much of a result comes from a reference, in [0, 1], by the scores of the matches (`C2Matching.blend`)."""
    return np.clip((score - BLEND_FROM) / (BLEND_TO - BLEND_FROM), 0.0, 1.0)


def write_evidence(path: str | os.PathLike, evidence: Evidence, rgb: np.ndarray, wanted: Wanted) -> None:
    """Writes evidence as arrays (.npz), or as a picture; raises `ImageError` if that fails."""
    if Path(path).suffix.lower() == ".npz":
        evidence.save(path)
    else:
        write(path, evidence.picture(rgb, wanted))


def around_pixels(values: np.ndarray, border: int = 1) -> np.ndarray:
    """Values of patches [h-2,w-2,...] -> of the patch around each pixel [h,w,...]; at the edge the neighbour's."""
    return np.pad(values, [(border, border)] * 2 + [(0, 0)] * (values.ndim - 2), mode="edge")
