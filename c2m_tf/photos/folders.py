"""Which files of a folder are photos."""

import os
from collections.abc import Iterable
from pathlib import Path

from c2m_tf.photos.errors import ImageError
from c2m_tf.photos.formats import PHOTO_SUFFIXES


def list_photos(folder: str | os.PathLike) -> list[Path]:
    """Photos of a folder, by their suffixes, in order of their names; links that lead nowhere are among them.

    Hidden files are left out: ._NAME.jpg is what macOS leaves beside NAME.jpg on memory cards and in archives. So are folders,
    and pipes, which would be waited for.

    Raises:
        ImageError: the folder does not exist or cannot be read.
    """
    return [path for path in _files(folder) if path.suffix.lower() in PHOTO_SUFFIXES]


def list_others(folder: str | os.PathLike) -> list[Path]:
    """Files of a folder that `list_photos` leaves out, except hidden ones; raises ImageError as it does."""
    return [path for path in _files(folder) if path.suffix.lower() not in PHOTO_SUFFIXES]


def check_exists(path: str | os.PathLike) -> None:
    """Raises ImageError if `path` does not exist or cannot be read."""
    try:
        if not Path(path).exists():
            raise ImageError(f"{path} does not exist")
    except OSError as error:
        raise ImageError(f"{path} cannot be read: {error.strerror or error}") from error


def by_stem(photos: Iterable[Path]) -> dict[str, Path]:
    """Photos indexed by their names without suffix.

    Raises:
        ImageError: two have one name, e.g. IMG_1.jpg and IMG_1.png.
    """
    found: dict[str, Path] = {}
    for path in photos:
        if path.stem in found:
            raise ImageError(f"{found[path.stem]} and {path.name} have one name; keep one of them")
        found[path.stem] = path
    return found


def _files(folder):
    try:
        visible = sorted(path for path in Path(folder).iterdir() if not path.name.startswith("."))
        return [path for path in visible if path.is_file() or not path.exists()]
    except OSError as error:
        raise ImageError(f"folder {folder} cannot be read: {error.strerror or error}") from error
