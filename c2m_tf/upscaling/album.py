"""References out of a folder of photos: those that show what an LR photo shows.

    upscaler("lr.jpg", album=Album("holiday"))

Two steps. All photos of the folder are ranked by descriptors of small versions: of those that network `mobile` describes cells
by, how many find each other, and find their neighbours' neighbours. The best are then matched by the model that upscales, and
chosen one by one, each for what it shows better than those before. Descriptors are kept in the folder, by content.
"""

import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from PIL import Image as Picture

from c2m_tf.photos.files import list_photos
from c2m_tf.photos.formats import ImageError
from c2m_tf.photos.image import Image
from c2m_tf.photos.pixels import as_float, as_uint8
from c2m_tf.photos.writing import make_folder, write_atomically
from c2m_tf.upscaling.base import MATCHED_SCORE, MIN_EXPLAINED
from c2m_tf.upscaling.evidence import blend_weight
from c2m_tf.weights import read_npz

if TYPE_CHECKING:
    from c2m_tf.upscaling.base import Matches

CACHE = ".c2m-album"
_VERSION = "2"  # of descriptors; files of others are made again
_SIDE = 40  # pixels of the longer side of small versions
_LEVELS = 127  # of descriptors as they are kept, in int8
_RANKED = 12  # photos that are matched
_GRID = 32  # cells per side in which coverage is counted
_MIN_GAIN = 0.01  # share of the photo that a further reference must add
_COPY_SIDE = 32  # pixels per side in which copies are compared
_COPY_DIFFERENCE = 4.0  # grey levels in the mean
_COPY_PIXELS = 2.25  # times the LR photo's, up to which a photo of the same content adds nothing
_AGREEING = 4  # of eight neighbours


class Choice(NamedTuple):
    """References that were chosen for a photo.

    Attributes:
        paths: of the references, the one that shows most first; none if nothing suits.
        words: what was chosen, and why.
    """

    paths: tuple[Path, ...]
    words: str


class Album:
    """The photos of a folder.

    Args:
        folder: of photos.
        references_per_photo: how many are chosen at most.
        cache: folder for what was computed of the photos, made if it is missing; by default `.c2m-album` in the folder, and
            where nothing can be written there, it is computed again each time.

    Attributes:
        skipped: names of photos that cannot be read, and why; known after `index`.

    Raises:
        ImageError: the folder cannot be read, or holds no photos; or the cache cannot be made.
        ValueError: `references_per_photo` is not positive.
    """

    def __init__(
        self, folder: str | os.PathLike, references_per_photo: int = 3, cache: str | os.PathLike | None = None
    ) -> None:
        if references_per_photo < 1:
            raise ValueError(f"{references_per_photo} references per photo are none; give 1 or more")
        self.folder = Path(folder)
        self._most = references_per_photo
        self._cache = self.folder / CACHE if cache is None else make_folder(cache)
        self._photos = list_photos(self.folder)
        if not self._photos:
            raise ImageError(f"{self.folder} holds no photos for an album")
        self._digests: dict[Path, str] = {}
        self._described: dict[Path, np.ndarray] = {}  # of photos whose descriptors cannot be kept in files
        self.skipped: dict[str, str] = {}

    def index(self, progress: Callable[[Sequence[Path]], Iterable[Path]] = iter) -> None:
        """Describes all photos that were not yet.

        Args:
            progress: wraps the photos that are gone through, as `rich.progress.track` does.
        """
        for path in progress(self._photos):
            if path in self._digests or path.name in self.skipped:
                continue
            try:
                self._digests[path] = hashlib.sha256(path.read_bytes()).hexdigest()
                self._descriptors(path)
            except (ValueError, OSError) as error:
                self._digests.pop(path, None)
                self.skipped[path.name] = str(error)

    def choose(self, lr: Image, match: Callable[[Path], "Matches"]) -> Choice:
        """References for an LR photo.

        Args:
            lr: the photo.
            match: gives the matches of the photo in a reference, see `Upscaler.find_matches`.
        """
        self.index()
        described = describe(as_uint8(lr.visible()))
        ranked = sorted(self._digests, key=lambda path: -agreement(described, self._descriptors(path)))
        shown: dict[Path, np.ndarray] = {}
        explains: dict[Path, float] = {}
        for path in ranked:
            if len(shown) == _RANKED:
                break
            with suppress(ValueError):  # too small, or more than memory allows
                if not _is_copy(path, lr):
                    score = match(path).score
                    shown[path], explains[path] = _weights(score), float((score >= MATCHED_SCORE).mean())
        suitable = {path: weights for path, weights in shown.items() if explains[path] >= MIN_EXPLAINED}
        chosen: list[Path] = []
        gains: list[float] = []
        covered = np.zeros((_GRID, _GRID), np.float32)
        while suitable and len(chosen) < self._most:
            best = max(suitable, key=lambda path: np.maximum(covered, suitable[path]).sum())
            gain = float((np.maximum(covered, suitable[best]) - covered).mean())
            if chosen and gain < _MIN_GAIN:
                break
            covered = np.maximum(covered, suitable.pop(best))
            chosen.append(best)
            gains.append(gain)
        of = f"of {len(self._digests)} photos in {self.folder}"
        if not chosen:
            return Choice((), f"none {of} shows what the photo shows")
        listed = ", ".join(f"{path.name} ({gain:+.0%} of the photo)" for path, gain in zip(chosen, gains, strict=True))
        return Choice(tuple(chosen), f"{listed} {of}")

    def _descriptors(self, path: Path) -> np.ndarray:
        """int8 [h,w,channels] of a photo, out of the cache, or computed and put there."""
        if path in self._described:
            return self._described[path]
        file = self._cache / f"{self._digests[path]}-{_VERSION}.npz"
        with suppress(OSError, ValueError):  # it is damaged, which .npz files notice by checksums
            return read_npz(file)["descriptors"]
        with Image.open(path) as photo:
            described = describe(as_uint8(photo.visible()))
        try:
            self._cache.mkdir(parents=True, exist_ok=True)
            write_atomically(file, lambda target: np.savez(target, descriptors=described))
        except (OSError, ImageError):
            self._described[path] = described
        return described


def describe(photo: np.ndarray) -> np.ndarray:
    """Descriptors of the cells of a small version of a photo, uint8 [H,W,3]: int8 [h,w,channels], unit vectors times 127."""
    height, width = photo.shape[:2]
    scale = _SIDE / max(height, width)
    size = (max(3, round(scale * width)), max(3, round(scale * height)))
    small = np.asarray(Picture.fromarray(photo).resize(size, Picture.Resampling.LANCZOS))
    return np.rint(_network()(as_float(small)[None])[0] * _LEVELS).astype(np.int8)


def agreement(first: np.ndarray, second: np.ndarray) -> float:
    """How much two photos show the same, by their descriptors.

    Returns:
        The share of cells whose best match finds them again, give or take a cell, and lies where its neighbours' matches do.
    """
    (height, width), (rows, columns) = first.shape[:2], second.shape[:2]
    one, other = (part.reshape(-1, part.shape[2]).astype(np.float32) for part in (first, second))
    cosines = one @ other.T
    there, back = cosines.argmax(axis=1), cosines.argmax(axis=0)
    place = np.stack(np.divmod(np.arange(height * width), width), axis=-1)
    returned = np.stack(np.divmod(back[there], width), axis=-1)
    mutual = (np.abs(returned - place).max(axis=-1) <= 1).reshape(height, width)
    moved = (np.stack(np.divmod(there, columns), axis=-1) - place).reshape(height, width, 2)
    padded = np.pad(moved, ((1, 1), (1, 1), (0, 0)), mode="constant", constant_values=2 * max(rows, columns, height, width))
    neighbours = sum(
        np.abs(padded[y : y + height, x : x + width] - moved).max(axis=-1) <= 1
        for y in range(3)
        for x in range(3)
        if (y, x) != (1, 1)
    )
    return float((mutual & (neighbours >= _AGREEING)).mean())


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


def _weights(score: np.ndarray) -> np.ndarray:
    """How much each part of the photo would count, float32 [_GRID,_GRID], by the scores [h,w] of its patches."""
    weight = blend_weight(np.asarray(score, np.float32))
    return np.asarray(Picture.fromarray(weight).resize((_GRID, _GRID), Picture.Resampling.BOX))


def _is_copy(path: Path, lr: Image) -> bool:
    """Whether a photo is the LR photo itself, or one of no more detail that shows the same."""
    height, width, _ = lr.upright_shape
    with Image.open(path) as photo:
        rows, columns, _ = photo.upright_shape
        if rows * columns > _COPY_PIXELS * height * width or abs(rows * width - columns * height) > 0.03 * rows * width:
            return False
        pictures = [Picture.fromarray(as_uint8(each.visible())).convert("L") for each in (photo, lr)]
    small = [np.asarray(each.resize((_COPY_SIDE, _COPY_SIDE), Picture.Resampling.BOX), np.float32) for each in pictures]
    return bool(np.abs(small[0] - small[1]).mean() < _COPY_DIFFERENCE)
