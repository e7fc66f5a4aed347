"""Upscaling files: a photo and its references, read, upscaled and written."""

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

import numpy as np

from c2m_tf.photos import images
from c2m_tf.photos.headers import read_header, rereadable
from c2m_tf.photos.match_map import match_map
from c2m_tf.photos.quality import tables_of
from c2m_tf.photos.sheets import Panel, crop_panels, most_changed_box, sheet
from c2m_tf.upscaling.choice import Choice, ChosenUpscalers

if TYPE_CHECKING:
    from c2m_tf.upscaling.base import Reference, TiledUpscaler


Source = str | os.PathLike | BinaryIO


class Job(NamedTuple):
    """One photo to upscale: its file, its references' files (none is possible) and the result's."""

    lr: str
    refs: list[str]
    output: str


class KeptReference:
    """The references of successive jobs; those of the previous job are neither read nor encoded again by the same upscaler."""

    def __init__(self) -> None:
        self._key: tuple | None = None
        self._reference: Reference | None = None

    def of(self, upscaler: "TiledUpscaler", sources: Sequence[Source], lr: images.Photo) -> "Reference":
        """The references, in the colours of the LR photo.

        Args:
            upscaler: TiledUpscaler that encodes them.
            sources: paths, or open files that can be read more than once.
            lr: images.Photo.

        Returns:
            Reference.

        Raises:
            ValueError: see `TiledUpscaler.encode_reference`.
        """
        key = (upscaler, *sources, lr.icc_profile, lr.gray)
        if key != self._key or self._reference is None:
            self._key = self._reference = None  # frees the old features before the new ones are computed
            colours = [images.reference_colours(images.read(source), lr) for source in sources]
            self._reference, self._key = upscaler.encode_reference(colours), key
        return self._reference


def run(
    upscaler: "TiledUpscaler | ChosenUpscalers",
    job: Job,
    comparison: str | os.PathLike | None = None,
    matches: str | os.PathLike | None = None,
    progress: Callable[[int, int], None] | None = None,
    *,
    strength: float = 1.0,
    kept: KeptReference | None = None,
    chosen: Callable[["Choice"], None] | None = None,
) -> float | None:
    """Upscales one photo and writes it. Memory is estimated from headers before a pixel is decoded.

    Args:
        upscaler: TiledUpscaler, or ChosenUpscalers, of which one is taken by the photo's quality.
        job: Job.
        comparison: optional file for a sheet that shows bicubic, SR and the first reference, and an enlarged detail.
        matches: optional file for a picture of where the references show what the photo shows.
        progress: called with (tiles done, tiles in all).
        strength: in [0, 1], how much of the references is used.
        kept: for jobs that may have the same references.
        chosen: called with the choice, where there is one.

    Returns:
        The share of the photo's patches that a reference explains, in [0, 1]; None without references, or if the model does not
        report its matches.

    Raises:
        ValueError: a photo cannot be read, used or written (`images.ImageError` is one).
    """
    if not isinstance(upscaler, ChosenUpscalers):
        upscaler.check_strength(strength)
    lr_source = rereadable(job.lr)
    sources = [rereadable(path) for path in job.refs] if strength > 0 else []
    height, width, *_ = read_header(lr_source)
    upscaler.checked_plan((height, width, 3), [(*read_header(source)[:2], 3) for source in sources])
    lr = images.read(lr_source)
    size = tuple(images.SCALE * side for side in lr.rgb.shape[:2])
    images.check_suffix(job.output, lr.alpha is not None)
    images.check_fits(job.output, size, lr.alpha is not None)
    if matches is not None:
        images.check_fits(matches, size)
    if isinstance(upscaler, ChosenUpscalers):
        upscaler, choice = upscaler.of(lr, tables_of(lr_source))
        if chosen is not None:
            chosen(choice)
        upscaler.check_strength(strength)
    reference = (kept or KeptReference()).of(upscaler, sources, lr) if sources else None
    shares: list[float] = []
    result = upscale_photo(upscaler, lr, reference, progress, strength=strength, explained=shares.append)
    images.write(job.output, *result)
    visible = images.fill_hidden(lr.rgb, lr.alpha)
    if comparison is not None:
        bicubic = images.upsample(images.as_uint8(visible))
        shown = None if reference is None else images.as_uint8(reference.photos[0])
        images.write(comparison, comparison_sheet(bicubic, result.rgb, shown), icc_profile=None if lr.gray else lr.icc_profile)
    if matches is not None and reference is not None:
        images.write(matches, match_map(*upscaler.find_matches(visible, reference)))
    return shares[0] if shares else None


def upscale_photo(
    upscaler: "TiledUpscaler",
    lr: images.Photo,
    reference: "Reference | Sequence[np.ndarray] | None" = None,
    progress: Callable[[int, int], None] | None = None,
    *,
    strength: float = 1.0,
    explained: Callable[[float], None] | None = None,
) -> images.Photo:
    """Upscales a photo and its alpha (bicubic); keeps grayness and colour profile.

    Colours of fully transparent pixels are filled first, so that they do not bleed into visible ones.

    Args:
        upscaler: TiledUpscaler.
        lr: images.Photo.
        reference: photos made by `images.reference_colours`, or those of `upscaler.encode_reference`; None for none.
        progress, strength, explained: see `TiledUpscaler.upscale`.

    Returns:
        images.Photo, uint8.

    Raises:
        ValueError: see `TiledUpscaler.upscale`.
    """
    visible = images.fill_hidden(lr.rgb, lr.alpha)
    sr = images.as_uint8(upscaler.upscale(visible, reference, progress, strength=strength, explained=explained))
    alpha = None if lr.alpha is None else images.upsample(images.as_uint8(lr.alpha))
    return images.Photo(sr, alpha, lr.gray, lr.icc_profile)


def comparison_sheet(
    bicubic: np.ndarray, sr: np.ndarray, reference: np.ndarray | None, hr: np.ndarray | None = None, detail: int = 96
) -> np.ndarray:
    """Sheet of bicubic, SR, HR and reference (where given), and below them the square that changed most, enlarged.

    Args:
        bicubic, sr, hr: uint8 [H,W,3].
        reference: uint8 [H',W',3], or None.
        detail: side of the enlarged square in pixels.

    Returns:
        uint8 picture.
    """
    whole = [Panel("bicubic", bicubic), Panel("C2-Matching", sr)]
    if hr is not None:
        whole.append(Panel("HR", hr))
    box = most_changed_box(bicubic, sr, detail)
    last = [] if reference is None else [Panel("reference", reference)]
    return sheet([[*whole, *last], crop_panels(whole, box)])
