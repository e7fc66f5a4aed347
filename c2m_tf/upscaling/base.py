"""Base class of all upscalers: checks inputs, plans within memory, joins tiles.

`keras_upscaler.Upscaler` restores tiles with a Keras model, `tflite_upscaler.TFLiteUpscaler` with a .tflite file,
`saved_model_upscaler.SavedModelUpscaler` with a SavedModel. Nothing here needs a deep learning framework.

References are optional: without them, or at strength 0, the trunk restores the photo (`network.restoration`).
"""

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from c2m_tf.photos import images
from c2m_tf.photos.images import SCALE
from c2m_tf.upscaling import inputs
from c2m_tf.upscaling.ensemble import ORIENTATIONS, check_ensemble, ensemble_bytes
from c2m_tf.upscaling.inputs import MIN_LR_SIDE, MIN_REF_SIDE, PhotoLike
from c2m_tf.upscaling.memory import default_max_memory
from c2m_tf.upscaling.plans import Plan
from c2m_tf.upscaling.tiles import Canvas, Tile
from c2m_tf.upscaling.windows import CoarseReferences

# Mean cosine of a matched patch from which on the reference explains the patch. On the eight validation groups a true reference
# explains 10 to 71 % of the patches by this measure, an unrelated one 6 % at most (2 % in the mean).
MATCHED_SCORE = 0.6
# Share of explained patches below which a tile is better off without the reference, where that has a network of its own.
MIN_EXPLAINED = 0.08


class Reference:
    """One or several references, decoded and checked, and what is computed of them alone. Made by `encode_reference`.

    Attributes:
        upscaler: the one that made it; no other can use it.
        photos: list of [H,W,3], uint8 or float32.
        encoded: features of the whole references, for exact search; None until they are computed.
        coarse: small versions of the references, for window search; None until they are made.
    """

    def __init__(self, upscaler: "TiledUpscaler", photos: list[np.ndarray]) -> None:
        self.upscaler = upscaler
        self.photos = photos
        self.encoded: dict[str, Any] | None = None
        self.coarse: CoarseReferences | None = None

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """Shapes of the photos, [H,W,3] each."""
        return [photo.shape for photo in self.photos]


class Work(NamedTuple):
    """One photo to be restored with references.

    Attributes:
        lr: [h,w,3], uint8 or float32.
        reference: Reference.
        plan: Plan.
        strength: in (0, 1], how much of the reference is used.
        matched: called with the scores of all patches, float32 [h,w], once they are known.
    """

    lr: np.ndarray
    reference: Reference
    plan: Plan
    strength: float
    matched: Callable[[np.ndarray], None]


def check_sides(lr_shape: Sequence[int], ref_shapes: Sequence[Sequence[int]]) -> None:
    """Raises ValueError if the LR photo or a reference is too small."""
    inputs.check_sides("LR photo", lr_shape, MIN_LR_SIDE)
    for shape in ref_shapes:
        inputs.check_sides("reference", shape, MIN_REF_SIDE)


def check_memory(plan: Plan, lr_shape: Sequence[int], ref_shapes: Sequence[Sequence[int]], max_memory: int) -> None:
    """Raises `images.TooLargeError` if a plan for photos of those shapes needs more than so many bytes."""
    if plan.memory > max_memory:
        raise images.TooLargeError(
            f"upscaling a {lr_shape[1]}x{lr_shape[0]} photo {inputs.listed(ref_shapes)} needs about "
            f"{plan.memory / 2**30:.1f} GiB, allowed are {max_memory / 2**30:.1f} GiB; use smaller photos or "
            f"allow more (--max-memory)"
        )


class TiledUpscaler(ABC):
    """Upscales photos tile by tile. Threads may share one; they take turns.

    Args:
        max_memory: bytes that one photo may need; by default 75 % of the memory that the process may use.
        ensemble: orientations of each photo whose results are averaged: 1, 2, 4 or 8 (`ensemble`). It takes that many times as
            long.

    Raises:
        ValueError: `max_memory` is not a positive number of bytes, or `ensemble` another number.
    """

    max_references: int | None = None  # for one photo; None for any number
    reports_matches = True  # whether `find_matches` works; an exported SavedModel does not report its matches
    fits_tiles = False  # whether tiles may be smaller than the plan's, as those of exported files may not
    any_strength = False  # whether strengths between 0 and 1 are supported

    def __init__(self, *, max_memory: int | None = None, ensemble: int = 1) -> None:
        check_ensemble(ensemble)
        if max_memory is None:
            max_memory = default_max_memory()
        if not 0 < max_memory < float("inf"):
            raise ValueError(f"max_memory {max_memory} is not a positive number of bytes; leave it out for 75 % of the memory")
        self.max_memory = int(max_memory)
        self.ensemble = ensemble
        self._turn = threading.Lock()

    @abstractmethod
    def plan(self, lr_shape: Sequence[int], ref_shapes: Iterable[Sequence[int]]) -> Plan:
        """How a photo of that shape will be upscaled with references of those shapes."""

    @abstractmethod
    def find_matches(self, lr: PhotoLike, refs: PhotoLike | Sequence[PhotoLike] | Reference) -> tuple[np.ndarray, np.ndarray]:
        """Where the references show what the LR photo shows, for `match_map`.

        Args:
            lr, refs: as of `upscale`.

        Returns:
            flow: float32 [h,w,2], (dy, dx) in cells of 4 reference pixels; of several references, in the one that fits best.
            score: float32 [h,w], mean cosine of the matched patches, in [-1, 1].
            With window search both are those of the coarse search, and smaller.

        Raises:
            ValueError: see `upscale`; or the model does not report its matches.
        """

    @abstractmethod
    def _restore_tiles(self, work: "Work", tiles: Iterable[Tile]) -> Iterator[np.ndarray]:
        """Yields the SR pixels, float [4h,4w,3], of each tile of the LR photo. Calls `work.matched` if scores are known."""

    @abstractmethod
    def _restore_alone(self, lr: np.ndarray, tiles: Iterable[Tile]) -> Iterator[np.ndarray]:
        """The same without a reference."""

    def encode_reference(self, refs: PhotoLike | Sequence[PhotoLike]) -> Reference:
        """References for several LR photos: decoded, checked and encoded once.

        Args:
            refs: one reference [H,W,3] or a list of them, H, W >= 12, of any sizes; uint8, or float in [0, 1], or files.

        Returns:
            Reference, for this upscaler only.

        Raises:
            ValueError: see `upscale`.
        """
        sources = inputs.sources_of(refs)
        self.checked_plan((MIN_LR_SIDE, MIN_LR_SIDE), inputs.shapes_of(sources))
        with self._turn:
            # Without an LR photo to go by, references that are files are brought to sRGB.
            photos = [inputs.pixels_of("reference", source) for source in sources]
            # Later changes of the caller's arrays must not reach the copies.
            kept = [photo.copy() if photo is source else photo for photo, source in zip(photos, sources, strict=True)]
            reference = Reference(self, kept)
            if self.ensemble == 1:  # else each orientation has features of its own, which are not kept
                self._encode(reference)
        return reference

    def upscale(
        self,
        lr: PhotoLike,
        refs: PhotoLike | Sequence[PhotoLike] | Reference | None = None,
        progress: Callable[[int, int], None] | None = None,
        *,
        strength: float = 1.0,
        explained: Callable[[float], None] | None = None,
    ) -> np.ndarray:
        """SR photo of one LR photo.

        Args:
            lr: [h,w,3] RGB, uint8 or float in [0, 1]; h, w >= 3; or a file, as path or open.
            refs: one reference [H,W,3] or a list of them, H, W >= 12, of any sizes; uint8 or float in [0, 1]; or files; or
                the result of `encode_reference`; or None for no reference.
            progress: called with (tiles done, tiles in all orientations) after each tile. An exception that it raises stops
                the work.
            strength: in [0, 1], how much of the references is used; 1 is the published network, at 0 they are not read.
            explained: called with the share of the photo's patches, in [0, 1], that a reference shows (`MATCHED_SCORE`), where
                the model reports its matches; of several orientations, their mean.

        Returns:
            float32 [4h,4w,3] in [0, 1].

        Raises:
            ValueError: wrong shape, type, value range or size, strength outside [0, 1] or one that the model does not support
                (exported files support 0 and 1), or the Reference of another upscaler; `images.ImageError` if
                a file cannot be read, `images.TooLargeError` if more memory is needed than allowed.
        """
        self.check_strength(strength)
        lr, refs, plan = self._planned(lr, None if strength == 0 else refs)
        shares: list[float] = []

        def matched(score: np.ndarray) -> None:
            shares.append(float((score >= MATCHED_SCORE).mean()))

        with self._turn:
            pixels, reference = self._decoded(lr, refs)
            work = None if reference is None else Work(pixels, reference, plan, strength, matched)
            restore = self._restored if self.ensemble == 1 else self._mean_of_orientations
            photo = restore(pixels, work, plan.tile, progress)
        if explained is not None and shares:
            explained(float(np.mean(shares)))
        return photo

    def _restored(self, lr, work, tile, progress, before=0):
        """The SR photo of one orientation, after so many others; `work` is None for no reference."""
        canvas = Canvas(lr.shape[0], lr.shape[1], tile, SCALE, self.fits_tiles)
        results = self._restore_alone(lr, canvas) if work is None else self._restore_tiles(work, canvas)
        for done, (place, result) in enumerate(zip(canvas, results, strict=True), before * len(canvas) + 1):
            canvas.add(place, result)
            if progress is not None:
                progress(done, self.ensemble * len(canvas))
        return canvas.photo()

    def _mean_of_orientations(self, lr, work, tile, progress):
        """The mean of the SR photos of all orientations of the ensemble, turned back; arguments as of `_restored`."""
        total = np.zeros((SCALE * lr.shape[0], SCALE * lr.shape[1], 3), np.float32)
        for number, orientation in enumerate(ORIENTATIONS[: self.ensemble]):
            seen, turned_work = orientation.turned(lr), None
            if work is not None:
                reference = Reference(self, [orientation.turned(photo) for photo in work.reference.photos])
                turned_work = work._replace(lr=seen, reference=reference)
            total += orientation.turned_back(self._restored(seen, turned_work, tile, progress, number))
        total /= self.ensemble
        return total

    def estimated_memory(self, lr_shape: Sequence[int], ref_shapes: Iterable[Sequence[int]]) -> int:
        """Bytes that upscaling needs at its peak, from the shapes of the LR photo and of the references."""
        return self._whole_plan(lr_shape, list(ref_shapes)).memory

    def _whole_plan(self, lr_shape, ref_shapes):
        """The plan, its memory with that of the ensemble."""
        plan = self.plan(lr_shape, ref_shapes)
        return plan._replace(memory=plan.memory + ensemble_bytes(self.ensemble, lr_shape, ref_shapes))

    def check_strength(self, strength: float) -> None:
        """Raises ValueError if the strength lies outside [0, 1] or the model does not support it."""
        if not 0.0 <= strength <= 1.0:
            raise ValueError(f"strength {strength} lies outside [0, 1]; 0 uses nothing of the references, 1 all that fits")
        if not self.any_strength and strength not in (0.0, 1.0):
            raise ValueError(f"an exported file knows strength 0 and 1, not {strength}; give a preset or a .keras file")

    def checked_plan(self, lr_shape: Sequence[int], ref_shapes: Sequence[Sequence[int]]) -> Plan:
        """The plan for photos of those sizes, if they can be upscaled.

        Args:
            lr_shape: of the LR photo, [h,w,...].
            ref_shapes: of its references, [H,W,...] each; empty for none.

        Returns:
            Plan.

        Raises:
            ValueError: too many references, photos that are too small; `images.TooLargeError` if more memory is needed
                than allowed.
        """
        check_sides(lr_shape, ref_shapes)
        if self.max_references is not None and len(ref_shapes) > self.max_references:
            raise ValueError(
                f"{len(ref_shapes)} references are given, this model takes {self.max_references} per photo; give the best"
            )
        plan = self._whole_plan(lr_shape, ref_shapes)
        check_memory(plan, lr_shape, ref_shapes, self.max_memory)
        return plan

    def _encode(self, reference: Reference) -> None:  # noqa: B027, an upscaler need not override it
        """Computes what depends on references alone; called in this upscaler's turn."""

    def _planned(self, lr, refs):
        """LR photo and references, not decoded yet, and the plan; raises ValueError as `upscale` does."""
        lr = inputs.source_of(lr)
        if refs is None:
            shapes = []
        elif isinstance(refs, Reference):
            if refs.upscaler is not self:
                raise ValueError("this Reference was made by another upscaler; make one by encode_reference of this upscaler")
            shapes = refs.shapes
        else:
            refs = inputs.sources_of(refs)
            shapes = inputs.shapes_of(refs)
        return lr, refs, self.checked_plan(inputs.shape_of("LR photo", lr), shapes)

    def _decoded(self, lr, refs):
        """LR photo [h,w,3] and Reference, or None for none."""
        photo = images.read(lr) if inputs.is_file(lr) else None
        pixels = inputs.pixels_of("LR photo", lr) if photo is None else images.fill_hidden(photo.rgb, photo.alpha)
        if refs is not None and not isinstance(refs, Reference):
            refs = Reference(self, [inputs.pixels_of("reference", ref, photo) for ref in refs])
        return pixels, refs
