"""Training batches: keras PyDatasets over sources of photos.

    HomographyPairs      a photo and its warp, with the homography: teacher and student
    CorrespondencePairs  LR photo and reference, with the cell of the reference that each LR pixel shows: descriptors
    ReferencePairs       LR photo and reference -> HR photo: restoration and adversarial training
    PatchBatches         LR patch -> the photo's, or a teacher's, patch: the trunk
    JointBatches         both of them: restoration that keeps what it can do without a reference

Position p of batch n depends on the seed, n and p alone. So every worker draws differently, a run that resumes at iteration n
continues with the same batches as an uninterrupted one, and processes that draw a part of the positions each (`first_position`)
draw together what one process would. LR photos come from Pillow's bicubic, 8 bits in and out, as the published training
makes them, unless a share of them is to be degraded.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import keras
import numpy as np

from c2m_tf.photos import images
from c2m_tf.photos.degradations import draw_reference_degradation

from .augmentation import LR_CENTRES, PHOTO_SIDE, RandomFlip, degraded_patch, draw_homography, warp
from .patches import PhotoPatches, teacher_share

# Ranges of recolouring, on values in [0, 1]: exponent, per-channel gain and per-channel offset.
_GAMMA, _GAIN, _SHIFT = 0.25, 0.15, 0.05

# Pixels around a window that its warp may reach into; homographies move pixels by up to about 55.
_SURROUNDINGS = 64


class Source(Protocol):
    """Source of training photos; see `c2m_tf.training.sources`."""

    def pair(self, random: np.random.RandomState) -> tuple[np.ndarray, np.ndarray]:
        """A photo and its reference, uint8 [160,160,3] each."""

    def window(self, random: np.random.RandomState) -> tuple[np.ndarray, tuple[int, int]]:
        """A photo, uint8 [H,W,3], and the origin (y, x) of a 160x160 window in it."""


class CorrespondenceSource(Source, Protocol):
    """Source whose true correspondence is known."""

    def correspondence(self, random: np.random.RandomState) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """A photo and its reference, uint8 [160,160,3] each, and where each LR pixel lies in the reference, float32 [40,40,2]:
        (x, y), pixel centres counted from 0, NaN where it is not seen.
        """


class _Batches(keras.utils.PyDataset):
    """Batches drawn from sources by weight, one per iteration.

    Args:
        sources: list of `Source`.
        weights: how often each is drawn, relative to each other.
        batch_size: photos per batch, of this process.
        iterations: the run's last iteration.
        first_iteration: batch 0 of this dataset is that of iteration `first_iteration`, counted from 0.
        seed: two datasets of one seed give the same batches.
        recolour: share of references whose colours are changed.
        degraded: share of LR photos, and apart from them of references, degraded as by `photos.random_degradations`.
        workers: threads that prepare batches ahead.
        first_position: of this process's photos in the batch of all processes.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        weights: Sequence[float],
        batch_size: int,
        iterations: int,
        first_iteration: int = 0,
        seed: int = 0,
        recolour: float = 0.0,
        degraded: float = 0.0,
        workers: int = 2,
        first_position: int = 0,
    ) -> None:
        super().__init__(workers=workers)
        self.positions = range(first_position, first_position + batch_size)
        self.sources = list(sources)
        self.shares = np.cumsum(weights) / np.sum(weights)
        self.iterations = iterations
        self.first_iteration = first_iteration
        self.seed = seed
        self.recolour = recolour
        self.degraded = degraded

    def __len__(self) -> int:
        return self.iterations - self.first_iteration

    def _samples(self, index: int) -> list[dict[str, np.ndarray]]:
        iteration = self.first_iteration + index
        seeds = [np.random.SeedSequence([self.seed, iteration, position]) for position in self.positions]
        return [self._sample(np.random.RandomState(np.random.MT19937(seed))) for seed in seeds]

    def _draw_source(self, random: np.random.RandomState) -> Any:
        return self.sources[int(np.searchsorted(self.shares, random.random_sample(), side="right"))]

    def _lr(self, photo: np.ndarray, origin: tuple[int, int], side: int, random: np.random.RandomState) -> np.ndarray:
        """The LR photo of a window, degraded or not."""
        degraded = degraded_patch(photo, origin, side, random, self.degraded)
        y, x = origin
        return images.downsample(photo[y : y + side, x : x + side]) if degraded is None else degraded

    def _changed(self, reference: np.ndarray, random: np.random.RandomState) -> np.ndarray:
        """A reference in other light, or degraded otherwise."""
        if random.random_sample() < self.recolour:
            reference = _recolour(reference, random)
        if self.degraded == 0.0:
            return reference
        return draw_reference_degradation(random, 1.0 - self.degraded)(reference)


class HomographyPairs(_Batches):
    """Batches for teacher and student; arguments as above.

    A batch is ({"hr": float32 [B,160,160,3], "upsampled": the same downsampled and upsampled by 4, "ref": the warp of hr
    [B,160,160,3], "homography": float32 [B,3,3] that maps pixels (x, y, 1) of hr to ref},).
    """

    def __getitem__(self, index: int) -> tuple[dict[str, np.ndarray]]:
        return (_stack(self._samples(index)),)

    def _sample(self, random: np.random.RandomState) -> dict[str, np.ndarray]:
        photo, (y, x) = self._draw_source(random).window(random)
        flip = RandomFlip(random)
        # The window's surroundings are flipped with it, because the warp needs them.
        top, left = max(0, y - _SURROUNDINGS), max(0, x - _SURROUNDINGS)
        photo = photo[top : y + PHOTO_SIDE + _SURROUNDINGS, left : x + PHOTO_SIDE + _SURROUNDINGS]
        photo, (y, x) = flip(photo), flip.origin(photo.shape, y - top, x - left)
        window = photo[y : y + PHOTO_SIDE, x : x + PHOTO_SIDE]
        homography = draw_homography(random)
        reference = self._changed(warp(photo, homography, (y, x), PHOTO_SIDE), random)
        upsampled = images.upsample(self._lr(photo, (y, x), PHOTO_SIDE, random))
        return {
            "hr": images.as_float(window),
            "upsampled": images.as_float(upsampled),
            "ref": images.as_float(reference),
            "homography": homography.astype(np.float32),
        }


class CorrespondencePairs(_Batches):
    """Batches for descriptors.

    Args:
        sources: list of `CorrespondenceSource`.
        arguments, options: as above.

    Raises:
        ValueError: sources whose true correspondence is not known.

    A batch is ({"lr": float32 [B,40,40,3], "ref": float32 [B,160,160,3], "cells": int32 [B,40,40]},). A cell is a block of 4x4
    pixels of the reference; `cells` has the number 40 * y + x of the cell that is nearest to what the LR pixel shows, -1 where
    the reference does not show it.
    """

    def __init__(self, sources: Sequence[CorrespondenceSource], *arguments: Any, **options: Any) -> None:
        for source in sources:
            if not hasattr(source, "correspondence"):
                raise ValueError(
                    f"sources: the true correspondence of {type(source).__name__} is not known; "
                    "descriptors are trained on sources of kind single or layered"
                )
        super().__init__(sources, *arguments, **options)

    def __getitem__(self, index: int) -> tuple[dict[str, np.ndarray]]:
        return (_stack(self._samples(index)),)

    def _sample(self, random: np.random.RandomState) -> dict[str, np.ndarray]:
        photo, reference, positions = self._draw_source(random).correspondence(random)
        flip = RandomFlip(random)
        return {
            "lr": images.as_float(self._lr(flip(photo), (0, 0), PHOTO_SIDE, random)),
            "ref": images.as_float(flip(self._changed(reference, random))),
            "cells": _cells(flip.positions(positions)),
        }


class ReferencePairs(_Batches):
    """Batches for restoration.

    Args:
        lr_size: side of the LR patches in pixels, at most 40. Smaller than 40 means a random crop of the 160x160 window.
        ref_size: side of the references in pixels, at most 160; a random crop of the reference's window, drawn independently.
        unrelated: share of samples whose reference belongs to another photo.
        central: crops lie in the middle of their windows, which overlap most there: at least a quarter of the rest stays on
            either side. False draws them from all of the window, as published.
        others: as above.

    A batch is ({"lr": float32 [B,h,h,3], "ref": float32 [B,H,H,3]}, hr float32 [B,4h,4h,3]).
    """

    def __init__(
        self,
        *arguments: Any,
        lr_size: int = 40,
        ref_size: int = PHOTO_SIDE,
        unrelated: float = 0.0,
        central: bool = False,
        **others: Any,
    ) -> None:
        super().__init__(*arguments, **others)
        self.central = central
        self.lr_size = lr_size
        self.ref_size = ref_size
        self.unrelated = unrelated

    def __getitem__(self, index: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
        batch = _stack(self._samples(index))
        return {"lr": batch["lr"], "ref": batch["ref"]}, batch["hr"]

    def _sample(self, random: np.random.RandomState) -> dict[str, np.ndarray]:
        hr, reference = self._draw_source(random).pair(random)
        if random.random_sample() < self.unrelated:
            _, reference = self._draw_source(random).pair(random)
        flip = RandomFlip(random)
        side = images.SCALE * self.lr_size
        y, x = _origin(hr.shape, side, random, self.central)
        hr, (y, x) = flip(hr), flip.origin(hr.shape, y, x, side)
        window = hr[y : y + side, x : x + side]
        reference = self._changed(reference, random)
        top, left = _origin(reference.shape, self.ref_size, random, self.central)
        reference = flip(reference[top : top + self.ref_size, left : left + self.ref_size])
        photos = {"lr": self._lr(hr, (y, x), side, random), "ref": reference, "hr": window}
        return {name: images.as_float(photo) for name, photo in photos.items()}


class PatchBatches(keras.utils.PyDataset):
    """Batches for the trunk. Batch n depends on the seed and n alone.

    Args:
        patches: PhotoPatches.
        batch_size: patches per batch, of this process.
        iterations: the run's last iteration.
        first_iteration: batch 0 of this dataset is that of iteration `first_iteration`, counted from 0.
        seed: two datasets of one seed give the same batches.
        share, until: of the teacher in the targets, see `patches.teacher_share`.
        workers: threads that prepare batches ahead.
        first_position: of this process's patches in the batch of all processes.

    A batch is ({"lr": float32 [B,h,h,3]}, target float32 [B,4h,4h,3]).
    """

    def __init__(
        self,
        patches: PhotoPatches,
        batch_size: int,
        iterations: int,
        first_iteration: int = 0,
        seed: int = 0,
        share: float = 1.0,
        until: float = 1.0,
        workers: int = 2,
        first_position: int = 0,
    ) -> None:
        super().__init__(workers=workers)
        self.positions = range(first_position, first_position + batch_size)
        self.patches = patches
        self.iterations = iterations
        self.first_iteration = first_iteration
        self.seed = seed
        self.share = share
        self.until = until

    def __len__(self) -> int:
        return self.iterations - self.first_iteration

    def __getitem__(self, index: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
        iteration = self.first_iteration + index
        share = teacher_share(iteration / self.iterations, self.share, self.until)
        # The last number keeps these patches apart from a run's pairs, which have the same seed and iteration.
        seeds = [np.random.SeedSequence([self.seed, iteration, position, 1]) for position in self.positions]
        drawn = [self.patches.draw(np.random.RandomState(np.random.MT19937(seed)), share) for seed in seeds]
        return {"lr": np.stack([patch.lr for patch in drawn])}, np.stack([patch.target for patch in drawn])


class JointBatches(keras.utils.PyDataset):
    """Batch n of pairs and batch n of patches, for `RestorationTrainer`.

    A batch is ({"lr": [B,h,h,3], "ref": [B,H,H,3], "alone": [A,a,a,3]}, {"sr": [B,4h,4h,3], "alone": [A,4a,4a,3]}), float32.
    """

    def __init__(self, pairs: ReferencePairs, patches: PatchBatches) -> None:
        super().__init__(workers=pairs.workers)
        self.pairs = pairs
        self.patches = patches

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        inputs, hr = self.pairs[index]
        alone, target = self.patches[index]
        return inputs | {"alone": alone["lr"]}, {"sr": hr, "alone": target}


def _cells(positions: np.ndarray) -> np.ndarray:
    """Numbers of the cells whose centres are nearest to positions [h,w,2], -1 for NaN."""
    first, side = LR_CENTRES[0], LR_CENTRES.size
    cells = np.rint((np.nan_to_num(positions) - first) / images.SCALE).clip(0, side - 1)
    return np.where(np.isnan(positions[..., 0]), -1, side * cells[..., 1] + cells[..., 0]).astype(np.int32)


def _origin(shape: Sequence[int], size: int, random: np.random.RandomState, central: bool) -> list[int]:
    """Of a square crop, drawn at random."""
    margins = [(side - size) // 4 if central else 0 for side in shape[:2]]
    return [random.randint(margin, side - size - margin + 1) for side, margin in zip(shape, margins, strict=False)]


def _recolour(photo: np.ndarray, random: np.random.RandomState) -> np.ndarray:
    """Other light: a power of the values, then per-channel gain and offset."""
    values = photo.astype(np.float32) / np.float32(255.0)
    values = values ** np.float32(np.exp(random.uniform(-_GAMMA, _GAMMA)))
    values = values * np.float32(1.0 + random.uniform(-_GAIN, _GAIN, 3)) + np.float32(random.uniform(-_SHIFT, _SHIFT, 3))
    return images.as_uint8(values)


def _stack(samples: Sequence[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    return {name: np.stack([sample[name] for sample in samples]) for name in samples[0]}
