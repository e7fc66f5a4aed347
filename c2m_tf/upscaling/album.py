"""References out of a folder of photos: those that show what an LR photo shows.

    upscaler("lr.jpg", album=Album("holiday"))

Two steps. All photos are ranked by the descriptors that network `mobile` has for cells of small versions, in three sizes: how
many cells find each other, as their neighbours do, by one displacement. Counted on 8 photos among 400 others, 9 of 10
references are among the first twelve, also if they show half of the photo, or it half of them. The best are then matched by the
model that upscales, and chosen one by one, each for what it shows better than those before. Descriptors are kept in the folder,
by content.
"""

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from PIL import Image as Picture

from c2m_tf.photos.drawing import fullest_box
from c2m_tf.photos.files import list_photos
from c2m_tf.photos.formats import ImageError
from c2m_tf.photos.headers import opened
from c2m_tf.photos.image import Image
from c2m_tf.photos.pixels import as_float, as_uint8
from c2m_tf.photos.writing import make_folder, write_atomically
from c2m_tf.weights import read_npz

CACHE = ".c2m-album"
_VERSION = "3"  # of descriptors; files of others are made again
_SIDES = (48, 34, 24)  # pixels of the longer side of small versions
_PAIRED = ((0, 0), (0, 1), (0, 2), (1, 0), (2, 0))  # which of the photo and of another one are compared
_LEVELS = 127  # of descriptors as they are kept, in int8
_RANKED = 12  # photos that are matched
_MIN_AGREEING = 40  # cells; photos of other things have 30 in the mean, 1 in 100 more than 60
_MIN_SHARE = 1 / 8  # of the cells that agree with the best
_GRID = 32  # cells per side in which coverage is counted
_LEAST_SHARE = 0.08  # of the photo that a reference must show
_MIN_GAIN = 0.03  # share of the photo that a further reference must add; unrelated ones add 0.01 to 0.02
_COPY_SIDE = 32  # pixels per side in which copies are compared
_COPY_DIFFERENCE = 4.0  # grey levels in the mean
_COPY_PIXELS = 2.25  # times the LR photo's, up to which a photo of the same content adds nothing
_ALIKE = 4  # of eight neighbours
_BOX = 5  # cells per side within which displacements count as one


class Choice(NamedTuple):
    """References that were chosen for a photo.

    Attributes:
        names: of the photos, the one that shows most first; none if nothing suits.
        words: what was chosen, and why.
    """

    names: tuple[str, ...]
    words: str


class Album:
    """Photos to choose references from.

    Args:
        photos: a folder of photos; or photos by name, as paths or open files.
        references_per_photo: how many are chosen at most.
        cache: folder for what was computed of the photos, made if it is missing; by default `.c2m-album` in the folder of
            photos. Without one, and where nothing can be written, it is computed again each time.

    Attributes:
        skipped: names of photos that cannot be read, and why; known after `index`.

    Raises:
        ImageError: the folder cannot be read, or holds no photos; or the cache cannot be made.
        ValueError: `references_per_photo` is not positive.
    """

    def __init__(
        self,
        photos: str | os.PathLike | Mapping[str, "str | os.PathLike | BinaryIO"],
        references_per_photo: int = 3,
        cache: str | os.PathLike | None = None,
    ) -> None:
        if references_per_photo < 1:
            raise ValueError(f"{references_per_photo} references per photo are none; give 1 or more")
        self._most = references_per_photo
        self._cache = None if cache is None else make_folder(cache)
        self._where = ""
        self._photos: Mapping[str, Any]
        if isinstance(photos, Mapping):
            self._photos = photos
        else:
            folder = Path(photos)
            self._photos = {path.name: path for path in list_photos(folder)}
            self._cache = self._cache or folder / CACHE
            self._where = f" in {folder}"
        if not self._photos:
            raise ImageError(f"there are no photos for an album{self._where}")
        self._count = 0  # photos that can be read; known after `index`
        self._digests: dict[str, str] = {}  # of photos of different content
        self._described: dict[str, list[np.ndarray]] = {}  # of those whose descriptors cannot be kept in files
        self.skipped: dict[str, str] = {}

    def index(self, progress: Callable[[Sequence[str]], Iterable[str]] = iter) -> None:
        """Describes all photos that were not yet.

        Args:
            progress: wraps the names that are gone through, as `rich.progress.track` does.
        """
        if self._digests or self.skipped:
            return
        for name in progress(list(self._photos)):
            try:
                with opened(self._photos[name]) as file:
                    digest = hashlib.sha256(file.read()).hexdigest()
                if digest not in self._digests.values():
                    self._descriptors(name, digest)
                    self._digests[name] = digest
            except (ValueError, OSError) as error:
                self.skipped[name] = str(error)
        self._count = len(self._photos) - len(self.skipped)

    def open(self, name: str) -> Image:
        """The photo of that name, not decoded yet."""
        photo = Image.open(self._photos[name], name)
        photo.filename = name
        return photo

    def choose(self, lr: Image, weigh: Callable[[Image], np.ndarray]) -> Choice:
        """References for an LR photo.

        Args:
            lr: the photo.
            weigh: gives how much a reference would count for each part of the photo, [h,w], see `TiledUpscaler.find_weights`.
        """
        self.index()
        described = describe(as_uint8(lr.visible()))
        agreeing = {name: agreement(described, self._descriptors(name, digest)) for name, digest in self._digests.items()}
        shown: dict[str, np.ndarray] = {}
        enough = max(_MIN_AGREEING, _MIN_SHARE * max(agreeing.values(), default=0))
        for name in sorted(agreeing, key=lambda name: -agreeing[name]):
            if len(shown) == _RANKED or agreeing[name] < enough:
                break
            with suppress(ValueError), self.open(name) as photo:  # too small, or more than memory allows
                if not _is_copy(photo, lr):
                    weight = Picture.fromarray(np.asarray(weigh(photo), np.float32))
                    shown[name] = np.asarray(weight.resize((_GRID, _GRID), Picture.Resampling.BOX))
        suitable = {name: weights for name, weights in shown.items() if weights.mean() >= _LEAST_SHARE}
        chosen: list[str] = []
        gains: list[float] = []
        covered = np.zeros((_GRID, _GRID), np.float32)
        while suitable and len(chosen) < self._most:
            best = max(suitable, key=lambda name: np.maximum(covered, suitable[name]).sum())
            gain = float((np.maximum(covered, suitable[best]) - covered).mean())
            if chosen and gain < _MIN_GAIN:
                break
            covered = np.maximum(covered, suitable.pop(best))
            chosen.append(best)
            gains.append(gain)
        of = f"of {self._count} photos{self._where}"
        if not chosen:
            return Choice((), f"none {of} shows what the photo shows")
        listed = ", ".join(f"{name} ({gain:+.0%} of the photo)" for name, gain in zip(chosen, gains, strict=True))
        return Choice(tuple(chosen), f"{listed} {of}")

    def _descriptors(self, name: str, digest: str) -> list[np.ndarray]:
        """`describe` of a photo, out of the cache, or computed and put there."""
        if digest in self._described:
            return self._described[digest]
        file = None if self._cache is None else self._cache / f"{digest}-{_VERSION}.npz"
        if file is not None:
            with suppress(OSError, ValueError):  # it is damaged, which .npz files notice by checksums
                return list(read_npz(file).values())
        with self.open(name) as photo:
            described = describe(as_uint8(photo.visible()))
        try:
            if file is None:
                raise OSError
            file.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(file, lambda target: np.savez(target, *described))
        except (OSError, ImageError):
            self._described[digest] = described
        return described


def describe(photo: np.ndarray) -> list[np.ndarray]:
    """Descriptors of the cells of small versions of a photo, uint8 [H,W,3]: int8 [h,w,channels], vectors of length 127."""
    network, described = _network(), []
    for side in _SIDES:
        scale = side / max(photo.shape[:2])
        height, width = (max(3, round(scale * length)) for length in photo.shape[:2])
        small = np.asarray(Picture.fromarray(photo).resize((width, height), Picture.Resampling.LANCZOS))
        described.append(np.rint(network(as_float(small)[None])[0] * _LEVELS).astype(np.int8))
    return described


def agreement(first: Sequence[np.ndarray], second: Sequence[np.ndarray]) -> int:
    """How much two photos show the same, in any two sizes, by their descriptors.

    Returns:
        The number of cells whose best match finds them again, give or take a cell, and lies where their neighbours' matches do,
        by the displacement that most of them share.
    """
    return max(_agreeing(first[one], second[other]) for one, other in _PAIRED)


def _agreeing(first: np.ndarray, second: np.ndarray) -> int:
    (height, width), (rows, columns) = first.shape[:2], second.shape[:2]
    one, other = (part.reshape(-1, part.shape[2]).astype(np.float32) for part in (first, second))
    there, back = (one @ other.T).argmax(axis=1), (other @ one.T).argmax(axis=1)  # along rows, which is faster
    place = np.stack(np.divmod(np.arange(height * width), width), axis=-1)
    returned = np.stack(np.divmod(back[there], width), axis=-1)
    mutual = (np.abs(returned - place).max(axis=-1) <= 1).reshape(height, width)
    moved = (np.stack(np.divmod(there, columns), axis=-1) - place).reshape(height, width, 2)
    padded = np.pad(moved, ((1, 1), (1, 1), (0, 0)), mode="constant", constant_values=2 * max(rows, columns, height, width))
    alike = sum(
        np.abs(padded[y : y + height, x : x + width] - moved).max(axis=-1) <= 1
        for y in range(3)
        for x in range(3)
        if (y, x) != (1, 1)
    )
    votes = np.zeros((rows + height + _BOX, columns + width + _BOX), np.int32)
    np.add.at(votes, tuple((moved[mutual & (alike >= _ALIKE)] + (height, width)).T), 1)
    return round(fullest_box(votes, (_BOX, _BOX))[2])


def _network() -> Callable[[np.ndarray], np.ndarray]:
    """The descriptors of preset `mobile`, as a function of arrays, loaded once."""
    if "step" not in _loaded:
        from c2m_tf.startup import start_keras

        start_keras()
        from c2m_tf.presets import load_model
        from c2m_tf.upscaling.keras_upscaler import Step

        model = load_model("mobile", "float32")
        _loaded["step"] = Step(model, model.descriptors)
    return _loaded["step"].predict_on_batch


_loaded: dict = {}


def _is_copy(photo: Image, lr: Image) -> bool:
    """Whether a photo is the LR photo itself, or one of no more detail that shows the same."""
    (height, width, _), (rows, columns, _) = lr.upright_shape, photo.upright_shape
    if rows * columns > _COPY_PIXELS * height * width or abs(rows * width - columns * height) > 0.03 * rows * width:
        return False
    pictures = [Picture.fromarray(as_uint8(each.visible())).convert("L") for each in (photo, lr)]
    small = [np.asarray(each.resize((_COPY_SIDE, _COPY_SIDE), Picture.Resampling.BOX), np.float32) for each in pictures]
    return bool(np.abs(small[0] - small[1]).mean() < _COPY_DIFFERENCE)
