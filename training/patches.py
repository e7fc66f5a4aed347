"""Patches of photos without references, for the trunk; the target may be a teacher's picture instead of the photo.

A teacher is any single-image 4x network. Its picture of an LR photo is a function of that photo, which the true photo is not,
and a small network learns many times faster from it (docs/training.md has the measurement). Pictures are made beforehand, of
whole photos:

    photos      FOLDER/NAME.jpg, ...          sides are cropped to multiples of 4 at the bottom and at the right
    teacher     TEACHER/NAME.png, ...         the teacher's result for Pillow's bicubic /4 of that crop, of the crop's size
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from c2m_tf.photos import images
from c2m_tf.photos.files import pairing_name

from .augmentation import RandomFlip, degraded_patch
from .sources import Photos, SourceError, photos_by_name, photos_in


class Patch(NamedTuple):
    """A patch of an LR photo and what the network should make of it.

    Attributes:
        lr: float32 [h,h,3] in [0, 1].
        target: float32 [4h,4h,3] in [0, 1].
    """

    lr: np.ndarray
    target: np.ndarray


class PhotoPatches:
    """Photos of several folders, and patches of them. Larger photos are drawn more often, by their area up to `MAX_AREA`.

    Args:
        folders: of photos, at least 4 * lr_size pixels high and wide.
        lr_size: side of the LR patches in pixels.
        teacher: folder with the teacher's pictures of all these photos; None to learn from the photos alone.
        degraded: share of the LR patches that are degraded as `photos.random_degradations` draws; their targets are not.

    Raises:
        SourceError: a folder without photos, photos that are damaged or too small, pictures of the teacher that are missing or
            of another size.
    """

    MAX_AREA = 640_000  # pixels; beyond it a photo is drawn as if it had so many

    def __init__(
        self,
        folders: Sequence[str | os.PathLike],
        lr_size: int,
        teacher: str | os.PathLike | None = None,
        degraded: float = 0.0,
    ) -> None:
        self.lr_size = lr_size
        self.degraded = degraded
        paths = [path for folder in folders for path in photos_in(Path(folder))]
        minimum = images.SCALE * lr_size
        self._photos = Photos(paths, minimum)
        self._teacher = None if teacher is None else Photos(_pictures(Path(teacher), paths), minimum)
        self._lr = []
        areas = []
        for index in range(len(paths)):
            photo = images.crop_to_multiple(self._photos[index])
            if self._teacher is not None and self._teacher[index].shape != photo.shape:
                raise SourceError(
                    f"{self._teacher.paths[index]} has shape {self._teacher[index].shape}; expected is {photo.shape}, "
                    f"the photo {paths[index]} cropped to multiples of 4"
                )
            self._lr.append(images.downsample(photo))
            areas.append(min(photo.shape[0] * photo.shape[1], self.MAX_AREA))
        self._ends = np.cumsum(areas) / np.sum(areas)

    def __len__(self) -> int:
        return len(self._lr)

    def draw(self, random: np.random.RandomState, teacher_share: float = 1.0) -> Patch:
        """A patch, flipped and transposed at random.

        Args:
            random: what is drawn depends on its state alone.
            teacher_share: the target is this share of the teacher's picture and the rest of the photo; ignored without teacher.

        Returns:
            Patch.
        """
        index = int(np.searchsorted(self._ends, random.random_sample(), side="right"))
        lr = self._lr[index]
        y, x = (random.randint(side - self.lr_size + 1) for side in lr.shape[:2])
        flip = RandomFlip(random)

        def cut(photo: np.ndarray, scale: int) -> np.ndarray:
            size = scale * self.lr_size
            return images.as_float(flip(photo[scale * y : scale * y + size, scale * x : scale * x + size]))

        photo = self._photos[index]
        target = cut(photo, images.SCALE)
        if self._teacher is not None:
            share = np.float32(teacher_share)
            target = share * cut(self._teacher[index], images.SCALE) + (1 - share) * target
        origin = (images.SCALE * y, images.SCALE * x)
        degraded = degraded_patch(photo, origin, images.SCALE * self.lr_size, random, self.degraded)
        return Patch(cut(lr, 1) if degraded is None else images.as_float(flip(degraded)), target)


def teacher_share(progress: float, share: float, until: float) -> float:
    """The teacher's share in the targets: `share` at first, falling linearly to 0 from `until` to the end.

    Args:
        progress: of the run, in [0, 1].
        share: in [0, 1].
        until: in [0, 1]; 1 keeps the share to the end.

    Returns:
        In [0, 1].
    """
    if progress <= until:
        return share
    return share * (1.0 - progress) / (1.0 - until)


def _pictures(folder: Path, paths: Sequence[Path]) -> list[Path]:
    """The teacher's picture of each photo."""
    found = photos_by_name(folder)
    known: dict[str, Path] = {}
    for path in paths:
        other = known.setdefault(pairing_name(path), path)
        if other is not path:
            raise SourceError(f"{other} and {path} have one name, and so one picture of the teacher in {folder}; rename one")
    missing = [path for path in paths if pairing_name(path) not in found]
    if missing:
        raise SourceError(
            f"{folder} has no picture named {missing[0].stem}.png of {missing[0]} ({len(missing)} of {len(paths)} are missing)"
        )
    return [found[pairing_name(path)] for path in paths]
