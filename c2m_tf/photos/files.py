"""Atomic file writes: a file appears complete or not at all."""

import hashlib
import os
import stat
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_MAX_SUFFIX_BYTES = 16
_PREFIX = ".c2m-tf."
_DIGITS = 16  # of a target's name, hashed, in the names of its temporary files


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
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=_prefix(target.name), suffix=suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.chmod(stat.S_IMODE(target.stat().st_mode) if target.exists() else 0o666 & ~_umask())
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def remove_left_over(paths: Iterable[str | os.PathLike]) -> None:
    """Removes the temporary files of processes that were killed while they wrote to one of `paths`.

    Nobody may be writing to those paths now; files beside them that stand for others stay. So does what cannot be removed:
    it is hidden, and another run meets it again.
    """
    found: dict[str, dict[str, list[str]]] = {}
    for path in paths:
        folder, name = os.path.split(os.path.realpath(path))
        if folder not in found:
            found[folder] = _temporary_files(folder)
        # Hashing is left out where there is nothing to find: paths may be millions.
        for temporary in found[folder].pop(_prefix(name), []) if found[folder] else []:
            with suppress(OSError):
                Path(temporary).unlink()


def _temporary_files(folder):
    """{prefix: paths} of the temporary files in a folder; none if it cannot be read."""
    found: dict[str, list[str]] = {}
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(_PREFIX):
                found.setdefault(entry.name[: len(_prefix(""))], []).append(entry.path)
    return found


def _prefix(name):
    """How the names of temporary files begin that stand for a file of that name, in every process; always as long."""
    return f"{_PREFIX}{hashlib.sha256(os.fsencode(name)).hexdigest()[:_DIGITS]}."


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask
