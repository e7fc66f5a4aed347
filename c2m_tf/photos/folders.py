"""Which files of a folder are photos."""

import os
import unicodedata
from collections.abc import Iterable
from pathlib import Path, PurePath

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


def list_folders(folder: str | os.PathLike) -> list[Path]:
    """Folders in a folder, except hidden ones; raises ImageError as `list_photos` does."""
    return _visible(folder, Path.is_dir)


def pairing_name(path: str | os.PathLike) -> str:
    """By which a photo is paired with others: its name without suffix, with accents in one spelling; macOS has another one."""
    return unicodedata.normalize("NFC", PurePath(path).stem)


def check_exists(path: str | os.PathLike) -> None:
    """Raises ImageError if `path` does not exist or cannot be read."""
    try:
        if not Path(path).exists():
            raise ImageError(f"{path} does not exist")
    except OSError as error:
        raise ImageError(f"{path} cannot be read: {error.strerror or error}") from error


def by_stem(photos: Iterable[Path]) -> dict[str, Path]:
    """Photos indexed by their `pairing_name`.

    Raises:
        ImageError: two have one name, e.g. IMG_1.jpg and IMG_1.png.
    """
    found: dict[str, Path] = {}
    for path in photos:
        other = found.setdefault(pairing_name(path), path)
        if other is not path:
            raise ImageError(f"{other} and {path.name} have one name; keep one of them")
    return found


def _files(folder):
    return _visible(folder, lambda path: path.is_file() or not path.exists())


def _visible(folder, wanted):
    try:
        return sorted(path for path in Path(folder).iterdir() if not path.name.startswith(".") and wanted(path))
    except OSError as error:
        raise ImageError(f"folder {folder} cannot be read: {error.strerror or error}") from error
