"""Upscaling photos of any size with a model: arrays or files in, arrays out, with every input checked first.

    upscaler = Upscaler(C2Matching.from_preset("light"))
    sr = upscaler.upscale(lr, ref)            # uint8 or float [h,w,3], [H,W,3] -> float32 [4h,4w,3] in [0, 1]

    reference = upscaler.encode_reference(ref)     # once, for as many LR photos as you like
    sr = upscaler.upscale(lr, reference)

Small photos are searched exactly: every patch of the LR photo is compared with every patch of the references. Above a budget,
each tile of the LR photo is searched in a window of the references, which matches of small versions of the photos choose
(`windows`). Restoration goes tile by tile either way (`tiles`). So time and memory grow with the area, and memory is
estimated beforehand: what would not fit is refused instead of being killed by the system.
"""

import os
import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from c2m_tf import images, plans
from c2m_tf.features import FEATURE_STRIDE
from c2m_tf.images import SCALE, as_float
from c2m_tf.matching import PATCH
from c2m_tf.model import ATLAS_GAP, C2Matching, atlas
from c2m_tf.tiles import Canvas
from c2m_tf.windows import CoarseMatches

LEAST_LR = 3  # pixels a side: one 3x3 patch of cells
LEAST_REF = 12  # pixels a side: one 3x3 patch of cells of 4 pixels

Photo = np.ndarray | str | os.PathLike


class Reference:
    """One or several references, checked; what is computed of them is kept. Made by `Upscaler.encode_reference`.

    Attributes:
        photos: list of [H,W,3], uint8 or float32.
    """

    def __init__(self, photos: list[np.ndarray]) -> None:
        self.photos = photos
        self.encoded = None


class Upscaler:
    """Upscales photos 4x with one model. Threads may share an upscaler; they take turns.

    Args:
        model: C2Matching.
        max_memory: bytes that one photo may need; by default 75 % of the machine's memory.
        search: "exact", "window", or "auto" for exact as long as the photos are small.
        tile: side of the tiles in LR pixels, a multiple of 4; by default photos of up to 16,384 pixels are one tile, and
            others go in tiles of 96.
        window: side of the windows in reference pixels, a multiple of 4, at least 4 tiles.

    Raises:
        ValueError: unknown search, or sizes that do not fit together.
    """

    def __init__(
        self,
        model: C2Matching,
        max_memory: int | None = None,
        search: str = "auto",
        tile: int | None = None,
        window: int | None = None,
    ) -> None:
        plans.check_sizes(search, tile, window)
        self.model = model
        self.max_memory = int(plans.physical_memory() * plans.SHARE_OF_MEMORY) if max_memory is None else max_memory
        self._search = search
        self._tile = tile
        self._window = plans.default_window(tile) if window is None else window
        self._encode = _Compiled(lambda ref: model.encode_reference(ref))
        self._find_flow = _Compiled(lambda inputs: model.find_flow(inputs["lr"], inputs["reference"]))
        self._restore = _Compiled(
            lambda inputs: model.restore(inputs["lr"], inputs["flow"], inputs["reference"], inputs["origin"])
        )
        self._turn = threading.Lock()

    def encode_reference(self, refs: Photo | Sequence[Photo]) -> Reference:
        """References to be used for several LR photos.

        Args:
            refs: one reference [H,W,3] or a list of them, H, W >= 12, of any sizes; uint8, or float in [0, 1], or files.

        Returns:
            Reference.

        Raises:
            ValueError: see `upscale`.
        """
        refs = list(refs) if isinstance(refs, (list, tuple)) else [refs]
        if not refs:
            raise ValueError("no reference given; at least one is needed")
        return Reference([_checked("reference", ref, LEAST_REF) for ref in refs])

    def upscale(
        self,
        lr: Photo,
        refs: Photo | Sequence[Photo] | Reference,
        progress: Callable[[int, int], None] | None = None,
    ) -> np.ndarray:
        """SR photo of one LR photo.

        Args:
            lr: [h,w,3] RGB, uint8 or float in [0, 1]; h, w >= 3; or a file.
            refs: one reference [H,W,3] or a list of them, H, W >= 12, of any sizes; uint8 or float in [0, 1]; or files; or
                the result of `encode_reference`.
            progress: called with (tiles done, tiles in all) after each tile.

        Returns:
            float32 [4h,4w,3] in [0, 1].

        Raises:
            ValueError: wrong shape, type, value range or size, or more memory needed than allowed; `images.ImageError` if a
                file cannot be read.
        """
        lr = _checked("LR photo", lr, LEAST_LR)
        reference = refs if isinstance(refs, Reference) else self.encode_reference(refs)
        plan = self._checked_plan(lr, reference)
        canvas = Canvas(*lr.shape[:2], plan.tile, SCALE)
        with self._turn:
            restore = self._exactly(lr, reference) if plan.search == "exact" else self._in_windows(lr, reference, plan)
            for done, tile in enumerate(canvas, 1):
                canvas.add(tile, restore(tile))
                if progress is not None:
                    progress(done, len(canvas))
        return canvas.photo()

    def find_matches(self, lr: Photo, refs: Photo | Sequence[Photo] | Reference) -> tuple[np.ndarray, np.ndarray]:
        """Where the references show what the LR photo shows, for `match_map`.

        Args:
            lr, refs: as of `upscale`.

        Returns:
            flow: float32 [h,w,2], (dy, dx) in cells of 4 reference pixels; of several references, in the one that fits best.
            score: float32 [h,w], mean cosine of the matched patches, in [-1, 1].
            With window search both are those of the coarse search, and smaller.
        """
        lr = _checked("LR photo", lr, LEAST_LR)
        reference = refs if isinstance(refs, Reference) else self.encode_reference(refs)
        plan = self._checked_plan(lr, reference)
        with self._turn:
            if plan.search == "window":
                coarse = CoarseMatches(lr, reference.photos, self._locate)
                return coarse.flow.astype(np.float32), coarse.score
            flow, score = self._exact_flow(lr, reference)
        height, width = score.shape
        matches = flow[:height, :width] + np.stack(np.mgrid[:height, :width], axis=-1)
        _, inside = _split(matches, reference.photos)
        return (inside - np.stack(np.mgrid[:height, :width], axis=-1)).astype(np.float32), score

    def plan(self, lr_shape: Sequence[int], ref_shapes: Iterable[Sequence[int]]) -> plans.Plan:
        """How a photo of that shape will be upscaled with references of those."""
        return plans.make_plan(lr_shape, list(ref_shapes), self._search, self._tile, self._window)

    def estimated_memory(self, lr_shape: Sequence[int], ref_shapes: Iterable[Sequence[int]]) -> int:
        """Bytes that upscaling needs at its peak, from the shapes of the LR photo and of the references."""
        return self.plan(lr_shape, ref_shapes).memory

    def _checked_plan(self, lr, reference):
        plan = self.plan(lr.shape, [photo.shape for photo in reference.photos])
        if plan.memory > self.max_memory:
            raise ValueError(
                f"upscaling a {lr.shape[1]}x{lr.shape[0]} photo with {_sizes(reference.photos)} needs about "
                f"{plan.memory / 2**30:.1f} GiB, allowed are {self.max_memory / 2**30:.1f} GiB; use smaller photos or "
                f"allow more (--max-memory)"
            )
        return plan

    def _exact_flow(self, lr, reference):
        if reference.encoded is None:
            encoded = [self._encode.predict_on_batch(as_float(photo)[None]) for photo in reference.photos]
            reference.encoded = encoded[0] if len(encoded) == 1 else atlas(encoded)
        flow, score = self._find_flow.predict_on_batch({"lr": as_float(lr)[None], "reference": reference.encoded})
        return flow[0], score[0]

    def _exactly(self, lr, reference):
        """Restores tiles with the flow of the whole photo and the whole references."""
        flow, _ = self._exact_flow(lr, reference)
        border = PATCH - 1
        flow = np.pad(flow, ((border, 0), (border, 0), (0, 0)))

        def restore(tile):
            rows, columns = slice(tile.y, tile.y + tile.height + border), slice(tile.x, tile.x + tile.width + border)
            inputs = {
                "lr": as_float(lr[tile.rows, tile.columns])[None],
                "flow": flow[rows, columns][None],
                "reference": reference.encoded,
                "origin": np.array([tile.y, tile.x], np.int32),
            }
            return self._restore.predict_on_batch(inputs)[0]

        return restore

    def _in_windows(self, lr, reference, plan):
        """Restores tiles, each searched in its own window."""
        coarse = CoarseMatches(lr, reference.photos, self._locate)

        def restore(tile):
            window = coarse.window(tile, plan.window).of(reference.photos)
            inputs = {"lr": as_float(lr[tile.rows, tile.columns])[None], "ref": as_float(window)[None]}
            return self.model.predict_on_batch(inputs)[0]

        return restore

    def _locate(self, lr, refs):
        encoded = [self._encode.predict_on_batch(ref[None]) for ref in refs]
        reference = encoded[0] if len(encoded) == 1 else atlas(encoded)
        flow, score = self._find_flow.predict_on_batch({"lr": lr[None], "reference": reference})
        height, width = score.shape[1:]
        matches = flow[0, :height, :width] + np.stack(np.mgrid[:height, :width], axis=-1)
        number, inside = _split(np.rint(matches).astype(int), refs)
        return number, inside, score[0]


class _Compiled(keras.Model):
    """A function of arrays, compiled by `predict_on_batch`."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        super().__init__(name="compiled", autocast=False)
        self._function = function
        self.built = True

    def call(self, inputs: Any) -> Any:
        return self._function(inputs)


def _split(matches, refs):
    """Cells of an atlas [h,w,2] as the number of the reference [h,w] and the cell in it [h,w,2]."""
    heights = [-(-ref.shape[0] // FEATURE_STRIDE) + ATLAS_GAP for ref in refs]
    starts = np.concatenate([[0], np.cumsum(heights)[:-1]])
    number = np.searchsorted(starts, matches[..., 0], side="right") - 1
    return number, np.stack([matches[..., 0] - starts[number], matches[..., 1]], axis=-1)


def _checked(what, photo, least):
    """The photo as uint8 or float32 [H,W,3]; raises ValueError if it is not an RGB photo of at least `least` pixels a side."""
    if isinstance(photo, (str, os.PathLike)):
        photo = images.read(Path(photo)).rgb
    photo = np.asarray(photo)
    if photo.ndim != 3 or photo.shape[2] != 3:
        raise ValueError(f"the {what} has shape {photo.shape}; wanted is [height, width, 3]")
    if photo.dtype != np.uint8 and not np.issubdtype(photo.dtype, np.floating):
        raise ValueError(f"the {what} is of type {photo.dtype}; wanted is uint8, or float in [0, 1]")
    if min(photo.shape[:2]) < least:
        raise ValueError(f"the {what} has {photo.shape[1]}x{photo.shape[0]} pixels; at least {least}x{least} are needed")
    if photo.dtype == np.uint8:
        return photo
    if not np.isfinite(photo).all() or photo.min() < -1e-3 or photo.max() > 1.0 + 1e-3:
        raise ValueError(f"the {what} has values outside [0, 1]; scale it, or give uint8")
    return as_float(photo)


def _sizes(refs):
    return " and ".join(f"a {ref.shape[1]}x{ref.shape[0]} reference" for ref in refs)
