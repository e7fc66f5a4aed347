"""Files at local paths, or at URLs of file systems that fsspec knows: s3://, gs://, az://, hf://, sftp://, memory://, ...

Local paths need nothing. URLs need fsspec, and the package of their file system (s3fs for s3://), which reads credentials from
where it always does.
"""

import secrets
import shutil
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, NamedTuple

from c2m_tf.photos import images
from c2m_tf.photos.files import is_url, remove_left_over, replacing
from c2m_tf.photos.formats import PHOTO_SUFFIXES
from c2m_tf.startup import one_line


def absolute(path: str) -> str:
    """A local path as another process finds it, wherever that works; a URL as it is."""
    return path if is_url(path) else str(Path(path).absolute())


def is_folder(path: str) -> bool:
    """Whether a folder is at a path or URL; raises ImageError if that cannot be found out, or nothing is there."""
    if not is_url(path):
        images.check_exists(path)
        return Path(path).is_dir()
    with _reported(path, "read"):
        system, name = _file_system(path)
        if not system.exists(name):
            raise images.ImageError(f"{path} does not exist")
        return bool(system.isdir(name))


class Folder(NamedTuple):
    """What a folder holds, hidden entries left out: paths or URLs of photos, and names of other files and of folders."""

    photos: list[str]
    others: list[str]
    folders: list[str]


def list_folder(folder: str) -> Folder:
    """What is in a folder, in order of names; raises ImageError if it cannot be read. Photos are as of `images.list_photos`."""
    if not is_url(folder):
        others, folders = images.list_others(folder), images.list_folders(folder)
        return Folder([str(path) for path in images.list_photos(folder)], _names(others), _names(folders))
    with _reported(folder, "read"):
        system, name = _file_system(folder)
        entries = sorted((PurePosixPath(entry["name"]).name, entry["type"]) for entry in system.ls(name, detail=True))
    found = Folder([], [], [])
    for name, kind in entries:
        if name.startswith("."):
            continue
        if kind == "directory":
            found.folders.append(name)
        elif PurePosixPath(name).suffix.lower() in PHOTO_SUFFIXES:
            found.photos.append(joined(folder, name))
        else:
            found.others.append(name)
    return found


def joined(folder: str, name: str) -> str:
    """The path or URL of a file in a folder."""
    return f"{folder.rstrip('/')}/{name}" if is_url(folder) else str(Path(folder) / name)


def exists(path: str) -> bool:
    """Whether a file is there; raises ImageError if that cannot be found out."""
    if not is_url(path):
        return Path(path).exists()
    with _reported(path, "read"):
        system, name = _file_system(path)
        return bool(system.exists(name))


@contextmanager
def opened(path: str) -> Iterator[BinaryIO]:
    """The binary file at a path or URL, open for reading; raises ImageError if there is none or it cannot be read."""
    with ExitStack() as stack:
        with _reported(path, "read"):
            if is_url(path):
                system, name = _file_system(path)
                file = stack.enter_context(system.open(name, "rb"))
            else:
                images.check_exists(path)
                file = stack.enter_context(Path(path).open("rb"))
        yield file


def fetch(url: str, target: Path) -> None:
    """Copies the file at a URL to a local one; raises ImageError if there is none or it cannot be read."""
    with _reported(url, "read"):
        system, name = _file_system(url)
        system.get_file(name, str(target))


def store(source: Path, path: str) -> None:
    """Copies a local file to a path or URL, where it appears complete or not at all; raises ImageError if that fails."""
    with _reported(path, "write"):
        if not is_url(path):
            with replacing(path) as temporary:
                shutil.copyfile(source, temporary)
            return
        system, name = _file_system(path)
        temporary_name = _beside(name)
        try:
            system.put_file(str(source), temporary_name)
            system.mv(temporary_name, name)
        except BaseException:
            if system.exists(temporary_name):
                system.rm_file(temporary_name)
            raise


def clear(paths: Iterable[str]) -> None:
    """Removes what killed processes left beside files at local paths, to which nobody writes any more.

    URLs are passed over: finding such files would take a listing of all results there.
    """
    remove_left_over(path for path in paths if not is_url(path))


def check_writable(paths: Iterable[str]) -> None:
    """Checks that files can be written: in each local folder, which is made if missing; once in each bucket or host of URLs.

    Raises:
        ImageError: a folder cannot be made, or a file cannot be written there.
    """
    probed = set()
    for path in paths:
        place = "/".join(path.split("/", 3)[:3]) if is_url(path) else str(Path(path).parent)
        if place in probed:
            continue
        probed.add(place)
        if is_url(path):
            with _reported(path, "write"):
                system, name = _file_system(path)
                probe = _beside(name)
                system.pipe_file(probe, b"")
                system.rm_file(probe)
        else:
            images.make_folder(place)
            images.check_writable(path)


def _names(paths: Iterable[Path]) -> list[str]:
    return [path.name for path in paths]


def _beside(name: str) -> str:
    """A new name in the folder of `name`, of the same suffix, hidden."""
    path = PurePosixPath(name)
    return str(path.with_name(f".c2m-tf.{secrets.token_hex(8)}{path.suffix}"))


def _file_system(url: str) -> tuple[Any, str]:
    """The file system of a URL, and the file's name there; raises ImageError if there is no such file system."""
    try:
        import fsspec
    except ImportError as error:
        raise ImportError(f"{one_line(error)}; files at URLs need: pip install 'c2m-tf[ray]'") from error
    try:
        return fsspec.core.url_to_fs(url)
    except (ValueError, ImportError) as error:  # no such protocol; its package is not installed
        raise images.ImageError(f"{url}: {one_line(error)}") from error


@contextmanager
def _reported(path: str, verb: str) -> Iterator[None]:
    try:
        yield
    except (images.ImageError, ImportError):
        raise
    except FileNotFoundError as error:
        reason = "does not exist" if verb == "read" else "cannot be written: its folder or bucket does not exist"
        raise images.ImageError(f"{path} {reason}") from error
    except Exception as error:  # every file system has errors of its own, without a common base
        reason = getattr(error, "strerror", None) or one_line(error)
        raise images.ImageError(f"{path} cannot be {'read' if verb == 'read' else 'written'}: {reason}") from error
