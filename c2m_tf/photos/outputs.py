"""Checks that results can be written, before any work is done."""

import os
import unicodedata
from collections.abc import Iterable
from pathlib import Path

from c2m_tf.photos import formats
from c2m_tf.photos.errors import ImageError
from c2m_tf.photos.paths import identities, is_url


class Inputs:
    """Files that no result may replace, however they are spelled or linked.

    Args:
        sources: files, or local folders whose files all count; what does not exist is passed over.
    """

    def __init__(self, sources: Iterable[str | os.PathLike]) -> None:
        self._known = {identity for source in sources for path in _members(source) for identity in identities(path)}

    def __contains__(self, path: str | os.PathLike) -> bool:
        """Whether a path leads to one of the files."""
        return not self._known.isdisjoint(identities(path))


def check_suffix(
    path: str | os.PathLike, with_alpha: bool = False, encoding: formats.Encoding = formats.DEFAULT_ENCODING
) -> None:
    """Raises ImageError if the suffix of `path` names no format that can be written, or none with alpha where needed."""
    suffix = Path(path).suffix.lower()
    if suffix not in formats.SUFFIXES:
        raise ImageError(
            f"{path}: cannot write {suffix or 'a file without suffix'}; choose one of {' '.join(formats.SUFFIXES)}"
        )
    if with_alpha and suffix not in formats.SUFFIXES_WITH_ALPHA:
        raise ImageError(f"{path}: {suffix} cannot hold transparency; choose one of {' '.join(formats.SUFFIXES_WITH_ALPHA)}")
    holds = formats.WRITTEN[formats.SUFFIXES[suffix]]
    if encoding.quality == "lossless" and not holds.lossless:
        raise ImageError(f"{path}: {suffix} is never lossless; choose .png or .webp")
    if isinstance(encoding.quality, int) and not holds.quality:
        raise ImageError(f"{path}: {suffix} is always lossless; a quality is for .jpg and .webp")
    if encoding.bits > holds.bits:
        raise ImageError(f"{path}: {suffix} is written with {holds.bits} bits; choose .png or .tif for {encoding.bits}")


def check_fits(path: str | os.PathLike, size: tuple[int, int], with_alpha: bool = False, bits: int = 8) -> None:
    """Raises ImageError if the format of `path`, whose suffix is known, cannot hold a photo of (height, width) pixels."""
    suffix = Path(path).suffix.lower()
    holds = formats.WRITTEN[formats.SUFFIXES[suffix]]
    height, width = size
    too_many = max(size) > holds.max_side
    if too_many or (holds.max_bytes is not None and height * width * (4 if with_alpha else 3) * bits // 8 > holds.max_bytes):
        limit = f"{holds.max_side:,} pixels per side" if too_many else f"{holds.max_bytes:,} bytes of pixels"
        raise ImageError(f"{path}: {suffix} holds at most {limit}, the result has {width}x{height} pixels; choose .png")


def check_output(path: str | os.PathLike, inputs: Inputs | Iterable[str | os.PathLike]) -> None:
    """Raises ImageError if a photo cannot be written to `path`, or if that would overwrite one of `inputs`; creates no file."""
    check_suffix(path)
    check_not_input(path, inputs)
    check_writable(path)


def check_not_input(path: str | os.PathLike, inputs: Inputs | Iterable[str | os.PathLike]) -> None:
    """Raises ImageError if writing to `path` would overwrite one of `inputs`: files, or folders whose files all count."""
    if path in (inputs if isinstance(inputs, Inputs) else Inputs(inputs)):
        raise ImageError(f"output {path} is an input; choose another name, inputs are never overwritten")


def check_distinct(paths: Iterable[str | os.PathLike]) -> None:
    """Raises ImageError if two outputs, which can be written, are one file."""
    seen: dict[str, list[Path]] = {}
    for path in map(Path, paths):
        alike = seen.setdefault(likeness(path), [])
        if any(are_one_file(path, other) for other in alike):
            raise ImageError(f"{path} is the name of another result too; give each its own")
        alike.append(path)


def likeness(path: str | os.PathLike) -> str:
    """Equal for all paths that a file system could take for one: it may not tell cases apart, or two spellings of an accent."""
    return unicodedata.normalize("NFC", os.path.realpath(path)).casefold()


def are_one_file(first: Path, second: Path) -> bool:
    """Whether two paths of one `likeness` are one file where they lie; either may exist or not, and no file is left."""
    first, second = Path(os.path.realpath(first)), Path(os.path.realpath(second))
    if first == second:
        return True
    if first.exists() or second.exists():
        return first.exists() and second.exists() and first.samefile(second)
    try:
        os.close(os.open(first, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        try:
            return second.exists()
        finally:
            first.unlink()
    except OSError as error:
        raise ImageError(f"cannot write {first}: {error.strerror or error}") from error


def check_writable(path: str | os.PathLike) -> None:
    """Raises ImageError if no file can be written to `path`; an existing file is not changed, and no new one is left."""
    path = Path(path)
    try:
        if path.is_dir():
            raise ImageError(f"{path} is a folder; give the name of a file")
        target = Path(os.path.realpath(path))
        if target.is_symlink():
            raise ImageError(f"cannot write {path}: it is a link that leads back to itself")
        if not target.parent.is_dir():
            raise ImageError(f"cannot write {path}: folder {path.parent} does not exist")
        if not os.access(target.parent, os.W_OK):
            raise ImageError(f"cannot write {path}: folder {path.parent} is not writable")
        if not target.exists():
            # Only the file system knows which names it takes.
            os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
            target.unlink()
        elif not target.is_file() or _is_standard_stream(target):
            raise ImageError(f"cannot write {path}: it is a pipe, a device or a standard stream; give the name of a file")
        elif not os.access(target, os.W_OK):
            raise ImageError(f"cannot write {path}: the file there is read-only")
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


def _members(source) -> list[str | os.PathLike]:
    """The files of a local folder; else what was given, if it can be there."""
    try:
        if is_url(source):
            return [source]
        path = Path(source)
        return list(path.iterdir()) if path.is_dir() else [path] if path.exists() else []
    except OSError as error:
        raise ImageError(f"{source} cannot be read: {error.strerror or error}") from error


def _is_standard_stream(target):
    """Whether standard output or error goes to that file: it would be replaced beneath them."""
    for number in (1, 2):
        try:
            if os.path.samestat(os.fstat(number), target.stat()):
                return True
        except OSError:  # a closed one
            continue
    return False
