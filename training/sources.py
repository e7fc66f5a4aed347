"""Folders of training photos, and the 160x160 windows that training draws from them.

    cufed       FOLDER/input/NAME.png and FOLDER/ref/NAME.png, 160x160, as the CUFED training set is published
    multiview   FOLDER/img/SCENE_*.jpg and FOLDER/pairs160.npz with `files` [F] and `pairs` int16 [P,>=6]: rows (image A, xA,
                yA, image B, xB, yB, ...), each two 160x160 windows of one scene that show the same thing
    single      FOLDER/*.jpg, photos without a reference
    layered     the same, see `layered`

Every photo is read once when a source is made, so that damaged photos are reported before training starts, not an hour later.
"""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from c2m_tf.photos import images
from c2m_tf.weights import read_npz

from .augmentation import LR_CENTRES, PHOTO_SIDE, draw_homography, draw_stronger_homography, warp

CACHE_BYTES = 2 * 2**30  # decoded photos that a source keeps; what exceeds it is decoded anew each time
_FAULTS_NAMED = 5


class SourceError(ValueError):
    """Training photos that cannot be used; the message names them."""


class Photos:
    """Photos of a source, all checked, decoded ones kept up to `CACHE_BYTES`.

    Args:
        paths: files.
        minimum: smallest height and width in pixels.

    Raises:
        SourceError: photos are damaged or too small; the first five are named.
    """

    def __init__(self, paths: Iterable[Path], minimum: int = PHOTO_SIDE) -> None:
        self.paths = list(paths)
        self._kept: dict[int, np.ndarray] = {}
        self._kept_bytes = 0
        faults = []
        for index, path in enumerate(self.paths):
            try:
                height, width = self[index].shape[:2]
            except images.ImageError as error:
                faults.append(str(error))
                continue
            if min(height, width) < minimum:
                faults.append(f"{path} has {width}x{height} pixels, at least {minimum}x{minimum} are needed")
        if faults:
            more = f"; and {len(faults) - _FAULTS_NAMED} more" if len(faults) > _FAULTS_NAMED else ""
            raise SourceError("; ".join(faults[:_FAULTS_NAMED]) + more)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> np.ndarray:
        """Photo as uint8 [H,W,3]."""
        photo = self._kept.get(index)
        if photo is None:
            photo = images.as_uint8(images.read(self.paths[index]).visible())
            if self._kept_bytes + photo.nbytes <= CACHE_BYTES:
                self._kept[index] = photo
                self._kept_bytes += photo.nbytes
        return photo


class CufedPairs:
    """The CUFED layout: input/ and ref/ with photos of the same names.

    Raises:
        SourceError: folders missing or empty, a photo without partner, two of one name, damaged or smaller than 160x160.
    """

    def __init__(self, folder: str | os.PathLike) -> None:
        folder = Path(folder)
        inputs, references = photos_by_name(folder / "input"), photos_by_name(folder / "ref")
        alone = sorted(inputs.keys() ^ references.keys())
        if alone:
            path = inputs.get(alone[0]) or references[alone[0]]
            side = "ref" if alone[0] in inputs else "input"
            raise SourceError(f"{path} has no partner of that name in {folder / side} ({len(alone)} such photos)")
        names = sorted(inputs)
        self.photos = Photos(inputs[name] for name in names)
        self.references = Photos((references[name] for name in names), minimum=12)

    def pair(self, random: np.random.RandomState) -> tuple[np.ndarray, np.ndarray]:
        """A photo and its reference, both uint8 [160,160,3]; a reference of another size is resized, as published."""
        index = random.randint(len(self.photos))
        reference = self.references[index]
        if reference.shape[:2] != (PHOTO_SIDE, PHOTO_SIDE):
            reference = images.bicubic(reference, (PHOTO_SIDE, PHOTO_SIDE))
        return self.photos[index][:PHOTO_SIDE, :PHOTO_SIDE], reference

    def window(self, random: np.random.RandomState) -> tuple[np.ndarray, tuple[int, int]]:
        """A photo and the origin (y, x) of a 160x160 window in it."""
        return _window(self.photos, random)


class MultiviewPairs:
    """Matched windows of photos of several scenes. Scenes are drawn with equal probability, whatever their numbers of pairs.

    Raises:
        SourceError: a file or the list is missing, damaged or names windows outside the photos.
    """

    def __init__(self, folder: str | os.PathLike) -> None:
        folder = Path(folder)
        listed = folder / "pairs160.npz"
        try:
            arrays = read_npz(listed)
            files, pairs = arrays["files"], arrays["pairs"].astype(np.int64)
        except (FileNotFoundError, ValueError, KeyError) as error:
            raise SourceError(f"{listed} cannot be used: {error}; expected is an .npz file with `files` and `pairs`") from error
        if files.ndim != 1 or files.dtype.kind != "U":
            raise SourceError(f"{listed} has files of shape {files.shape} and type {files.dtype}; expected is a list of names")
        if pairs.ndim != 2 or pairs.shape[1] < 6 or len(pairs) == 0:
            raise SourceError(f"{listed} has pairs of shape {pairs.shape}; expected are rows (A, xA, yA, B, xB, yB)")
        self.photos = Photos(folder / "img" / str(name) for name in files)
        self._pairs = pairs
        sizes = np.array([self.photos[index].shape[:2] for index in range(len(self.photos))])
        for side in (0, 3):
            image, x, y = pairs[:, side], pairs[:, side + 1], pairs[:, side + 2]
            known = (image >= 0) & (image < len(sizes))
            inside = (
                (y >= 0) & (x >= 0) & (y + PHOTO_SIDE <= sizes[image * known, 0]) & (x + PHOTO_SIDE <= sizes[image * known, 1])
            )
            if not (known & inside).all():
                row = int(np.flatnonzero(~(known & inside))[0])
                raise SourceError(f"{listed}: row {row} names a window outside its photo")
        scenes = [str(name).split("_")[0] for name in files]
        of_pair = np.array(scenes)[pairs[:, 0]]
        self._scenes = [np.flatnonzero(of_pair == scene) for scene in sorted(set(of_pair))]

    def pair(self, random: np.random.RandomState) -> tuple[np.ndarray, np.ndarray]:
        """Two windows that show the same thing, uint8 [160,160,3] each; either of the two may be the reference."""
        scene = self._scenes[random.randint(len(self._scenes))]
        row = self._pairs[scene[random.randint(len(scene))]]
        windows = [_cut(self.photos[row[side]], (row[side + 2], row[side + 1])) for side in (0, 3)]
        return (windows[1], windows[0]) if random.randint(2) else (windows[0], windows[1])

    def window(self, random: np.random.RandomState) -> tuple[np.ndarray, tuple[int, int]]:
        """A photo and the origin (y, x) of a 160x160 window in it."""
        scene = self._scenes[random.randint(len(self._scenes))]
        row = self._pairs[scene[random.randint(len(scene))]]
        return self.photos[row[0]], (int(row[2]), int(row[1]))


class SinglePhotos:
    """Photos without references: a photo warped by a homography serves as its own reference.

    Args:
        folder: photos of at least 160x160 pixels.
        held_back: number of photos, the last by name, that are not drawn but used for validation.

    Raises:
        SourceError: no folder, no photo left, damaged or too small photos.
    """

    def __init__(self, folder: str | os.PathLike, held_back: int = 0) -> None:
        drawn, self.held_back = photos_without(folder, held_back)
        self.photos = Photos(drawn)
        Photos(self.held_back)  # checked too

    def pair(self, random: np.random.RandomState) -> tuple[np.ndarray, np.ndarray]:
        """A window and the same warped by a homography, sharp, uint8 [160,160,3] each."""
        photo, origin = self.window(random)
        return _cut(photo, origin), warp(photo, draw_homography(random), origin, PHOTO_SIDE)

    def correspondence(self, random: np.random.RandomState) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """A window, the same warped by a stronger homography, and where each LR pixel lies there; see `LayeredPairs`."""
        photo, origin = self.window(random)
        homography = draw_stronger_homography(random)
        centres = np.stack([*np.meshgrid(LR_CENTRES, LR_CENTRES), np.ones((LR_CENTRES.size,) * 2)], axis=-1)
        mapped = centres @ homography.T
        positions = mapped[..., :2] / mapped[..., 2:]
        inside = ((positions >= -0.5) & (positions < PHOTO_SIDE - 0.5)).all(axis=-1, keepdims=True)
        warped = warp(photo, homography, origin, PHOTO_SIDE)
        return _cut(photo, origin), warped, np.where(inside, positions, np.nan).astype(np.float32)

    def window(self, random: np.random.RandomState) -> tuple[np.ndarray, tuple[int, int]]:
        """A photo and the origin (y, x) of a 160x160 window in it."""
        return _window(self.photos, random)


def source_of(folder: str | os.PathLike) -> "CufedPairs | MultiviewPairs | SinglePhotos":
    """The source that fits a folder's layout: pairs160.npz, or input/ and ref/, or photos.

    Raises:
        SourceError: no folder, or photos that cannot be used.
    """
    folder = Path(folder)
    if (folder / "pairs160.npz").exists():
        return MultiviewPairs(folder)
    if (folder / "input").is_dir() and (folder / "ref").is_dir():
        return CufedPairs(folder)
    return SinglePhotos(folder)


def photos_in(folder: Path) -> list[Path]:
    """Photos in a folder, in order of their names; raises SourceError if there is none."""
    if not folder.is_dir():
        raise SourceError(f"{folder} is not a folder; expected is a folder of photos")
    found = images.list_photos(folder)
    if not found:
        raise SourceError(f"{folder} holds no photo ({' '.join(images.PHOTO_SUFFIXES)})")
    return found


def photos_without(folder: str | os.PathLike, held_back: int) -> tuple[list[Path], list[Path]]:
    """Photos in a folder, and the last of them by name, which are held back; raises SourceError if that leaves none."""
    paths = photos_in(Path(folder))
    if held_back >= len(paths):
        raise SourceError(f"{folder} has {len(paths)} photos; {held_back} of them held back leave none to train on")
    return paths[: len(paths) - held_back], paths[len(paths) - held_back :]


def photos_by_name(folder: Path) -> dict[str, Path]:
    """{stem: path} of the photos in a folder, in order; raises SourceError if there is none, or if two have one stem."""
    try:
        return images.by_stem(photos_in(folder))
    except images.ImageError as error:
        raise SourceError(str(error)) from error


def _window(photos: Photos, random: np.random.RandomState) -> tuple[np.ndarray, tuple[int, int]]:
    photo = photos[random.randint(len(photos))]
    return photo, (random.randint(photo.shape[0] - PHOTO_SIDE + 1), random.randint(photo.shape[1] - PHOTO_SIDE + 1))


def _cut(photo: np.ndarray, origin: Sequence[int]) -> np.ndarray:
    y, x = origin
    return photo[y : y + PHOTO_SIDE, x : x + PHOTO_SIDE]
