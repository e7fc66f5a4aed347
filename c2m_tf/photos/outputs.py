"""Checks that results can be written, before any work is done."""

import os
from collections.abc import Iterable
from pathlib import Path

from c2m_tf.photos import formats
from c2m_tf.photos.errors import ImageError


def check_suffix(path: str | os.PathLike, with_alpha: bool = False) -> None:
    """Raises ImageError if the suffix of `path` names no format that can be written, or none with alpha where needed."""
    suffix = Path(path).suffix.lower()
    if suffix not in formats.SUFFIXES:
        raise ImageError(
            f"{path}: cannot write {suffix or 'a file without suffix'}; choose one of {' '.join(formats.SUFFIXES)}"
        )
    if with_alpha and suffix not in formats.SUFFIXES_WITH_ALPHA:
        raise ImageError(f"{path}: {suffix} cannot hold transparency; choose one of {' '.join(formats.SUFFIXES_WITH_ALPHA)}")


def check_fits(path: str | os.PathLike, size: tuple[int, int], with_alpha: bool = False) -> None:
    """Raises ImageError if the format of `path`, whose suffix is known, cannot hold a photo of (height, width) pixels."""
    suffix = Path(path).suffix.lower()
    holds = formats.WRITTEN[formats.SUFFIXES[suffix]]
    height, width = size
    too_many = max(size) > holds.max_side
    if too_many or (holds.max_bytes is not None and height * width * (4 if with_alpha else 3) > holds.max_bytes):
        limit = f"{holds.max_side:,} pixels per side" if too_many else f"{holds.max_bytes:,} bytes of pixels"
        raise ImageError(f"{path}: {suffix} holds at most {limit}, the result has {width}x{height} pixels; choose .png")


def check_output(path: str | os.PathLike, inputs: Iterable[str | os.PathLike]) -> None:
    """Raises ImageError if a photo cannot be written to `path`, or if that would overwrite one of `inputs`; creates no file."""
    check_suffix(path)
    check_not_input(path, inputs)
    check_writable(path)


def check_not_input(path: str | os.PathLike, inputs: Iterable[str | os.PathLike]) -> None:
    """Raises ImageError if writing to `path` would overwrite one of `inputs`: files, or folders whose files all count."""
    path = Path(path)
    if not os.path.lexists(path):
        return
    for source in map(Path, inputs):
        if source.is_dir():
            same = path.is_file() and path.resolve().parent.samefile(source)
        else:
            same = source.exists() and path.exists() and path.samefile(source)
        if same:
            raise ImageError(f"output {path} is an input; choose another name, inputs are never overwritten")


def check_distinct(paths: Iterable[str | os.PathLike]) -> None:
    """Raises ImageError if two outputs are one file."""
    seen = set()
    for path in map(Path, paths):
        resolved = path.resolve()
        if resolved in seen:
            raise ImageError(f"{path} is the name of another result too; give each its own")
        seen.add(resolved)


def check_writable(path: str | os.PathLike) -> None:
    """Raises ImageError if no file can be written to `path`; an existing file is not changed, and no new one is left."""
    path = Path(path)
    try:
        if path.is_dir():
            raise ImageError(f"{path} is a folder; give the name of a file")
        target = path.resolve()
        if not target.parent.is_dir():
            raise ImageError(f"cannot write {path}: folder {path.parent} does not exist")
        if not os.access(target.parent, os.W_OK):
            raise ImageError(f"cannot write {path}: folder {path.parent} is not writable")
        if not target.exists():
            # Only the file system knows which names it takes.
            os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
            target.unlink()
    except OSError as error:
        raise ImageError(f"cannot write {path}: {error.strerror or error}") from error


def make_folder(path: str | os.PathLike) -> Path:
    """The folder `path`, made if it is missing; raises ImageError if that fails or it is a file."""
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ImageError(f"cannot make folder {folder}: {error.strerror}") from error
    return folder
