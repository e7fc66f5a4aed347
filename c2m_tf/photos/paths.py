"""Paths as users give them: what they mean, and when two of them mean one file."""

import os
import re
from collections.abc import Hashable
from contextlib import suppress
from pathlib import Path
from urllib.parse import unquote

from c2m_tf.photos.errors import ImageError
from c2m_tf.startup import one_line

_LOCAL_URL = re.compile(r"(file|local):(//(localhost(?=/))?|(?=/))", re.IGNORECASE)


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


def _without_scheme(text):
    """The path of a URL of a local file; other text as it is."""
    found = _LOCAL_URL.match(text)
    return unquote(text[found.end() :], errors="surrogateescape") if found else text


def _remote_place(url):
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


def _real(path):
    """With links resolved; of two slashes at the beginning, which may mean something else elsewhere, one is left."""
    if "\0" in path:
        raise ImageError(f"{one_line(path)} holds a null character, which no path does")
    return re.sub("^//+", "/", os.path.realpath(path)) if os.sep == "/" else os.path.realpath(path)
