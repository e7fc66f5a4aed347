"""Files: paths as users give them, the photos of a folder, and writes of which a file appears complete or not at all."""

import functools
import hashlib
import os
import platform
import re
import shutil
import stat
import tempfile
import time
import unicodedata
from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePath
from urllib.parse import unquote

from c2m_tf.photos.formats import PHOTO_SUFFIXES, ImageError
from c2m_tf.startup import one_line

_LOCAL_URL = re.compile(r"(file|local):(//(localhost(?=/))?|(?=/))", re.IGNORECASE)

_MAX_SUFFIX_BYTES = 16
_PREFIX = ".c2m-tf."
_DIGITS = 16  # of a target's name, hashed, in the names of its temporary files
_IDLE_SECONDS = 3600.0  # after which a temporary file of another machine counts as left over
_written_now: set[str] = set()  # temporary files of this process


def local_path(text: str) -> str:
    """What was given as a path, with ~ as the home folder, and a URL of a local file (file://, local://) as its path.

    Other URLs, and names that are no paths, stay as they are. A file whose name begins with ~ is called ./~NAME. A URL without
    a third slash is relative to the working folder, as fsspec reads it; %20 and the like are decoded.
    """
    if text.startswith("~"):
        with suppress(RuntimeError):  # no such user
            return str(Path(text).expanduser())
    return _without_scheme(text)


def is_url(path: str | os.PathLike) -> bool:
    """Whether a path is a URL; what `local_path` returns is one only if it is not of a local file."""
    return "://" in os.fspath(path)


def place(path: str | os.PathLike) -> Hashable:
    """Equal for two paths or URLs, however they are spelled or linked, whose files are written to one place.

    Raises:
        ImageError: the path holds a null character.
    """
    path = _without_scheme(os.fspath(path))  # ~ has its meaning on command lines and in tables alone
    return _remote_place(path) if is_url(path) else _real(path)


def identities(path: str | os.PathLike) -> set[Hashable]:
    """Two paths or URLs that have one of these in common lead to one file; those that differ in cases or by a hard link too."""
    found = place(path)
    if not isinstance(found, str):
        return {found}
    try:
        status = Path(found).stat()
    except (OSError, ValueError):
        return {found}
    return {found, (status.st_dev, status.st_ino)}


def _without_scheme(text: str) -> str:
    """The path of a URL of a local file; other text as it is."""
    found = _LOCAL_URL.match(text)
    return unquote(text[found.end() :], errors="surrogateescape") if found else text


def _remote_place(url: str) -> Hashable:
    """(kind of file system, its options, name there); a path if the URL leads to a local file by a detour."""
    try:
        import fsspec

        system, name = fsspec.core.url_to_fs(url)
    except Exception:  # no such file system: the URL is refused in words where it is opened
        return ("", "", url)
    while isinstance(inner := getattr(system, "fs", None), fsspec.AbstractFileSystem):  # caches
        system = inner
    if "file" in system.protocol:
        return _real(name)
    return (type(system).__name__, repr(sorted(system.storage_options.items())), name)


def _real(path: str) -> str:
    """With links resolved; of two slashes at the beginning, which may mean something else elsewhere, one is left."""
    if "\0" in path:
        raise ImageError(f"{one_line(path)} holds a null character, which no path does")
    return re.sub("^//+", "/", os.path.realpath(path)) if os.sep == "/" else os.path.realpath(path)


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


def _files(folder: str | os.PathLike) -> list[Path]:
    return _visible(folder, lambda path: path.is_file() or not path.exists())


def _visible(folder: str | os.PathLike, wanted: Callable[[Path], bool]) -> list[Path]:
    try:
        return sorted(path for path in Path(folder).iterdir() if not path.name.startswith(".") and wanted(path))
    except OSError as error:
        raise ImageError(f"folder {folder} cannot be read: {error.strerror or error}") from error


@contextmanager
def replacing(path: str | os.PathLike) -> Iterator[Path]:
    """A temporary file beside `path`, of the same suffix, which replaces `path` when the block ends without error.

    A symbolic link stays, and what it points to is replaced. Permissions of an older file stay as they were.

    Yields:
        Path of the temporary file, empty, to be written or overwritten.

    Raises:
        OSError: the folder cannot be written, or the disk is full.
    """
    target = Path(os.path.realpath(path))
    # Only the suffix of the target's name is kept, by which Keras chooses a format, so that the name is never too long.
    suffix = ".weights.h5" if target.name.endswith(".weights.h5") else target.suffix
    if len(os.fsencode(suffix)) > _MAX_SUFFIX_BYTES:
        suffix = ""
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=_temporary_prefix(target.name), suffix=suffix)
    os.close(handle)
    temporary = Path(name)
    _written_now.add(name)
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.chmod(stat.S_IMODE(target.stat().st_mode) if target.exists() else 0o666 & ~_umask())
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
        _written_now.discard(name)


@contextmanager
def temporary_folder(path: str | os.PathLike) -> Iterator[Path]:
    """A new hidden folder beside `path`, removed when the block ends; what killed processes left of such folders goes before.

    Raises:
        OSError: the folder cannot be made.
    """
    remove_left_over([path])
    parent, name = os.path.split(os.path.realpath(path))
    folder = tempfile.mkdtemp(dir=parent, prefix=_temporary_prefix(name))
    _written_now.add(folder)
    try:
        yield Path(folder)
    finally:
        shutil.rmtree(folder)
        _written_now.discard(folder)


def remove_left_over(paths: Iterable[str | os.PathLike]) -> None:
    """Removes the temporary files and folders of processes that were killed while they wrote to one of `paths`.

    Those that a process still writes stay, whichever it is: on this machine it is asked whether it runs; of other machines,
    which may share the folder, files stay that changed within an hour. Files that stand for other paths stay too, and what
    cannot be removed: it is hidden, and another run meets it again.
    """
    found: dict[str, dict[str, list[str]]] = {}
    for path in paths:
        folder, name = os.path.split(os.path.realpath(path))
        if folder not in found:
            found[folder] = _temporary_files(folder)
        # Hashing is left out where there is nothing to find: paths may be millions.
        for temporary in found[folder].pop(_prefix(name), []) if found[folder] else []:
            with suppress(OSError):
                if _is_left_over(Path(temporary)):
                    shutil.rmtree(temporary) if Path(temporary).is_dir() else Path(temporary).unlink()


def _temporary_files(folder: str) -> dict[str, list[str]]:
    """{prefix: paths} of the temporary files in a folder; none if it cannot be read."""
    found: dict[str, list[str]] = {}
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(_PREFIX):
                found.setdefault(entry.name[: len(_prefix(""))], []).append(entry.path)
    return found


def _temporary_prefix(name: str) -> str:
    """How the names of this process's temporary files begin that stand for a file or folder of that name."""
    return f"{_prefix(name)}{_machine()}-{os.getpid()}."


def _prefix(name: str) -> str:
    """How they begin in every process; always as long."""
    return f"{_PREFIX}{hashlib.sha256(os.fsencode(name)).hexdigest()[:_DIGITS]}."


def _is_left_over(temporary: Path) -> bool:
    """Whether the process that wrote a temporary file or folder has ended."""
    owner = temporary.name[len(_prefix("")) :].split(".")[0]
    machine, _, process = owner.partition("-")
    if machine == _machine() and process.isdecimal() and os.name == "posix":
        return str(temporary) not in _written_now if int(process) == os.getpid() else not _runs(int(process))
    files = [temporary, *temporary.rglob("*")]
    return time.time() - max(file.stat().st_mtime for file in files) > _IDLE_SECONDS


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # of another user
        return True
    return True


@functools.cache
def _machine() -> str:
    """Eight digits for where numbers of processes mean the same: this machine since its start, and this container."""
    parts = [platform.node()]
    with suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii"))
    with suppress(OSError):
        parts.append(str(Path("/proc/self/ns/pid").readlink()))
    return hashlib.sha256("".join(parts).encode("utf-8", "surrogateescape")).hexdigest()[:8]


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
