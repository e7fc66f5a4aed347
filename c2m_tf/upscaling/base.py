"""What upscalers of every kind share: inputs checked, a plan within memory, tiles put together.

`upscaler.Upscaler` restores tiles with a Keras model, `tflite_upscaler.TFLiteUpscaler` with a .tflite file. Nothing here needs
a deep learning framework.
"""

import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

from c2m_tf.photos import images
from c2m_tf.photos.images import SCALE, as_float
from c2m_tf.upscaling import plans
from c2m_tf.upscaling.tiles import Canvas, Tile

LEAST_LR = 3  # pixels a side: one 3x3 patch of cells
LEAST_REF = 12  # pixels a side: one 3x3 patch of cells of 4 pixels

Photo = np.ndarray | str | os.PathLike


class Reference:
    """One or several references, checked; what is computed of them is kept. Made by `encode_reference` of an upscaler.

    Attributes:
        photos: list of [H,W,3], uint8 or float32.
    """

    def __init__(self, photos: list[np.ndarray]) -> None:
        self.photos = photos
        self.encoded = None


class TiledUpscaler(ABC):
    """Upscales photos tile by tile. Threads may share one; they take turns.

    Args:
        max_memory: bytes that one photo may need; by default 75 % of the machine's memory.
    """

    def __init__(self, max_memory: int | None = None) -> None:
        self.max_memory = int(plans.physical_memory() * plans.SHARE_OF_MEMORY) if max_memory is None else max_memory
        self._turn = threading.Lock()

    @abstractmethod
    def plan(self, lr_shape: Sequence[int], ref_shapes: Iterable[Sequence[int]]) -> plans.Plan:
        """How a photo of that shape will be upscaled with references of those."""

    @abstractmethod
    def find_matches(self, lr: Photo, refs: Photo | Sequence[Photo] | Reference) -> tuple[np.ndarray, np.ndarray]:
        """Where the references show what the LR photo shows, for `match_map`.

        Args:
            lr, refs: as of `upscale`.

        Returns:
            flow: float32 [h,w,2], (dy, dx) in cells of 4 reference pixels; of several references, in the one that fits best.
            score: float32 [h,w], mean cosine of the matched patches, in [-1, 1].
            With window search both are those of the coarse search, and smaller.
        """

    @abstractmethod
    def _restorer(self, lr: np.ndarray, reference: Reference, plan: plans.Plan) -> Callable[[Tile], np.ndarray]:
        """A function that gives the SR pixels [4h,4w,3] of a tile of the LR photo."""

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
            ValueError: wrong shape, type, value range or size; `images.ImageError` if a file cannot be read,
                `images.TooLargeError` if more memory is needed than allowed.
        """
        lr, reference, plan = self._checked_inputs(lr, refs)
        canvas = Canvas(*lr.shape[:2], plan.tile, SCALE)
        with self._turn:
            restore = self._restorer(lr, reference, plan)
            for done, tile in enumerate(canvas, 1):
                canvas.add(tile, restore(tile))
                if progress is not None:
                    progress(done, len(canvas))
        return canvas.photo()

    def estimated_memory(self, lr_shape: Sequence[int], ref_shapes: Iterable[Sequence[int]]) -> int:
        """Bytes that upscaling needs at its peak, from the shapes of the LR photo and of the references."""
        return self.plan(lr_shape, ref_shapes).memory

    def _checked_inputs(self, lr, refs):
        """LR photo [h,w,3], Reference and plan; raises ValueError as `upscale` does."""
        lr = _checked("LR photo", lr, LEAST_LR)
        reference = refs if isinstance(refs, Reference) else self.encode_reference(refs)
        plan = self.plan(lr.shape, [photo.shape for photo in reference.photos])
        if plan.memory > self.max_memory:
            raise images.TooLargeError(
                f"upscaling a {lr.shape[1]}x{lr.shape[0]} photo with {_sizes(reference.photos)} needs about "
                f"{plan.memory / 2**30:.1f} GiB, allowed are {self.max_memory / 2**30:.1f} GiB; use smaller photos or "
                f"allow more (--max-memory)"
            )
        return lr, reference, plan


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
