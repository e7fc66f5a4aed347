"""Atomic file writes: a file appears complete or not at all."""

import functools
import hashlib
import os
import platform
import shutil
import stat
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_MAX_SUFFIX_BYTES = 16
_PREFIX = ".c2m-tf."
_DIGITS = 16  # of a target's name, hashed, in the names of its temporary files
_IDLE_SECONDS = 3600.0  # after which a temporary file of another machine counts as left over
_written_now: set[str] = set()  # temporary files of this process


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


def _temporary_files(folder):
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


def _prefix(name):
    """How they begin in every process; always as long."""
    return f"{_PREFIX}{hashlib.sha256(os.fsencode(name)).hexdigest()[:_DIGITS]}."


def _is_left_over(temporary):
    """Whether the process that wrote a temporary file or folder has ended."""
    owner = temporary.name[len(_prefix("")) :].split(".")[0]
    machine, _, process = owner.partition("-")
    if machine == _machine() and process.isdecimal() and os.name == "posix":
        return str(temporary) not in _written_now if int(process) == os.getpid() else not _runs(int(process))
    files = [temporary, *temporary.rglob("*")]
    return time.time() - max(file.stat().st_mtime for file in files) > _IDLE_SECONDS


def _runs(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # of another user
        return True
    return True


@functools.cache
def _machine():
    """Eight digits for where numbers of processes mean the same: this machine since its start, and this container."""
    parts = [platform.node()]
    with suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii"))
    with suppress(OSError):
        parts.append(str(Path("/proc/self/ns/pid").readlink()))
    return hashlib.sha256("".join(parts).encode("utf-8", "surrogateescape")).hexdigest()[:8]


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask
