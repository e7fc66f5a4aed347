"""Atomic file writes: a file appears complete or not at all."""

import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_MAX_SUFFIX_BYTES = 16


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
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=".c2m-tf.", suffix=suffix)
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


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask
