"""Opens photos: sizes from headers before any pixel is decoded, and every failure as an `ImageError`.

A photo is given as the path of a file or as an open binary file. Of a pipe, which can be read only once, the bytes are kept.

The course of JPEG files is known before Pillow decodes them: their segments and scans are counted, and their end is found. Each
scan is decoded over all pixels, and a file may have any number of them, of 33 bytes each ("Two issues with the JPEG standard",
LJT-01-003, libjpeg-turbo). Source: ITU-T T.81, annex B.
"""

import io
import os
import re
import stat
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple

from PIL import Image, ImageFile

from c2m_tf.photos import formats, png, tiff
from c2m_tf.photos.formats import ImageError, TooLargeError, UnknownFormatError
from c2m_tf.startup import one_line

MAX_SEGMENTS = 1000
MAX_SCANS = 100  # libjpeg's own progressive files have ten

_START_OF_IMAGE, _END_OF_IMAGE, _START_OF_SCAN = 0xD8, 0xD9, 0xDA
_ALONE = (0x01, *range(0xD0, 0xD9))  # markers without a length
_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")  # within a scan 0xFF00 is a byte, and 0xFFD0 to 0xFFD7 restart it
_PIECE = 2**16

MAX_PIXELS = 8192 * 8192
MAX_PIPE_BYTES = 512 * 2**20

# Pillow's warnings about unusual metadata; errors still raise. Set once, because `warnings.catch_warnings` around each photo
# swaps global state, which goes wrong where several threads read photos.
warnings.filterwarnings("ignore", module=r"PIL\.")


def check_segments(file: BinaryIO, name: str | os.PathLike) -> None:
    """Raises ImageError if more than `MAX_SEGMENTS` come before the first scan; the position is undefined afterwards."""
    _walk(file, name, to_first_scan=True)


def check_scans(file: BinaryIO, name: str | os.PathLike) -> None:
    """Checks a file to its end; the position is undefined afterwards.

    Raises:
        ImageError: more than `MAX_SCANS` scans or `MAX_SEGMENTS` segments.
        ValueError: no end-of-image marker.
    """
    _walk(file, name, to_first_scan=False)


def _walk(file: BinaryIO, name: str | os.PathLike, to_first_scan: bool) -> None:
    file.seek(0)
    segments = scans = 0
    while (marker := _next_marker(file)) != _END_OF_IMAGE:
        if marker is None:
            raise ValueError("it lacks its end")
        if marker in _ALONE:
            continue
        scans += marker == _START_OF_SCAN
        segments += marker != _START_OF_SCAN
        if segments > MAX_SEGMENTS or scans > MAX_SCANS:
            raise ImageError(f"{name} has more than {MAX_SEGMENTS:,} segments or {MAX_SCANS} scans; save it anew")
        if to_first_scan and scans:
            return
        length = int.from_bytes(file.read(2), "big")
        file.seek(max(length - 2, 0), 1)


def _next_marker(file: BinaryIO) -> int | None:
    """The second byte of the next marker, behind which the file is positioned; None if there is none."""
    kept = b""
    while piece := file.read(_PIECE):
        content = kept + piece
        found = _MARKER.search(content)
        if found:
            file.seek(found.end() - len(content), 1)
            return content[found.end() - 1]
        kept = content[-1:]
    return None


class Header(NamedTuple):
    """What a photo's header says: height and width in pixels as stored (orientation not applied), one of `formats.READ`."""

    height: int
    width: int
    format: str


def read_header(
    source: str | os.PathLike | BinaryIO, name: str | os.PathLike | None = None, max_pixels: int = MAX_PIXELS
) -> Header:
    """Reads the header of a photo; nothing is decoded.

    Args:
        source: path of a file; or an open binary file at its start, where it is left.
        name: of the photo in error messages; by default its path.
        max_pixels: refuse larger photos.

    Returns:
        Header.

    Raises:
        ImageError: see `images.read`.
    """
    with opened(source) as file, decoding(file, name or name_of(source), max_pixels) as image:
        return Header(image.height, image.width, image.format or "")


@contextmanager
def decoding(file: BinaryIO, name: str | os.PathLike, max_pixels: int = MAX_PIXELS) -> Iterator[Image.Image]:
    """Pillow's image of an open file, with its size checked; whatever decoders raise within the block becomes an ImageError.

    What a header may cost is bounded: segments of JPEG, chunks of PNG, tags of TIFF.

    Args:
        file: binary, at its start.
        name: of the photo in error messages.
        max_pixels: refuse larger photos.

    Raises:
        UnknownFormatError: not one of the formats.
        TooLargeError: more pixels than allowed.
        ImageError: damaged or truncated, a preview instead of the photo, or pixels of unknown meaning (see `tiff`). The two
            above are ImageErrors too.
    """
    start = file.read(formats.HEADER_BYTES)
    if not start:
        raise ImageError(f"{name} is empty (0 bytes)")
    file_format = formats.format_of(start)
    if file_format not in formats.READ:
        raise UnknownFormatError(_unknown(name, file_format))
    file.seek(-len(start), os.SEEK_CUR)
    kind = ""
    try:
        profile = None
        if file_format == "PNG":
            file, profile = png.without_text(file, name)
        elif file_format == "TIFF":
            kind = f" ({tiff.describe(tiff.photo_tags(file, name))})"
        elif file_format == "JPEG":
            check_segments(file, name)
        file.seek(0)
        with _strictly(), Image.open(file, formats=formats.READ) as image:
            if image.width * image.height > max_pixels:
                raise TooLargeError(f"{name} has {image.width}x{image.height} pixels, more than the limit of {max_pixels:,}")
            if profile is not None:
                image.info["icc_profile"] = profile
            yield image
    except ImageError:
        raise
    except Image.UnidentifiedImageError as error:
        raise ImageError(f"{name} is damaged or truncated, or a {file_format} of a kind that is not supported{kind}") from error
    except Image.DecompressionBombError as error:
        raise TooLargeError(f"{name} is too large: the limit is {max_pixels:,} pixels") from error
    except MemoryError as error:
        raise ImageError(f"{name} does not fit into memory") from error
    except Exception as error:  # a decoder's, of any type
        if isinstance(error, OSError) and error.errno is not None:
            raise ImageError(f"{name} cannot be read: {error.strerror}") from error
        raise ImageError(f"{name} is damaged or truncated: {one_line(error)}") from error


_strictness = threading.Lock()
_strict_blocks = 0
_was_lenient = False


@contextmanager
def _strictly() -> Iterator[None]:
    """Pillow refuses damaged files within the block, whatever `ImageFile.LOAD_TRUNCATED_IMAGES` says.

    Other packages set it for the whole process; it is put back when the last block of all threads ends.
    """
    global _strict_blocks, _was_lenient
    with _strictness:
        if _strict_blocks == 0:
            _was_lenient, ImageFile.LOAD_TRUNCATED_IMAGES = ImageFile.LOAD_TRUNCATED_IMAGES, False
        _strict_blocks += 1
    try:
        yield
    finally:
        with _strictness:
            _strict_blocks -= 1
            if _strict_blocks == 0:
                ImageFile.LOAD_TRUNCATED_IMAGES = _was_lenient


@contextmanager
def opened(source: str | os.PathLike | BinaryIO) -> Iterator[BinaryIO]:
    """The binary file at a path, opened, or an open file itself, whose position is restored afterwards.

    Raises:
        ImageError: no such file, a folder, an empty file, or one that cannot be read.
    """
    if not isinstance(source, (str, os.PathLike)):
        start = source.tell()
        try:
            yield source
        finally:
            source.seek(start)
        return
    with _open(Path(source)) as file:
        if file.seek(0, io.SEEK_END) == 0:
            raise ImageError(f"{source} is empty (0 bytes)")
        file.seek(0)
        yield file


def name_of(source: str | os.PathLike | BinaryIO) -> str:
    """Name of a source in error messages: its path, or the name of an open file."""
    return str(source) if isinstance(source, (str, os.PathLike)) else str(getattr(source, "name", "the photo"))


def _is_stream(path: Path) -> bool:
    """Whether a path leads to a pipe, a socket or a terminal, which can be read only once and has no size."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISCHR(mode) or stat.S_ISSOCK(mode)


def _open(path: Path) -> BinaryIO:
    try:
        if path.is_dir():
            raise ImageError(f"{path} is a folder; give a photo")
        if not path.exists():
            raise ImageError(f"{path} does not exist")
        return _read_stream(path) if _is_stream(path) else path.open("rb")
    except OSError as error:
        raise ImageError(f"{path} cannot be read: {error.strerror or error}") from error


def _read_stream(path: Path) -> BinaryIO:
    with path.open("rb") as stream:
        content = stream.read(MAX_PIPE_BYTES + 1)
    if len(content) > MAX_PIPE_BYTES:
        raise ImageError(f"{path} gives more than {MAX_PIPE_BYTES:,} bytes; give the photo as a file")
    kept = io.BytesIO(content)
    kept.name = str(path)
    return kept


def _unknown(name: str | os.PathLike, file_format: str | None) -> str:
    if file_format == "HEIF":
        return f"{name} is a HEIC photo; reading it needs pillow-heif: pip install 'c2m-tf[heif]'"
    if file_format == "AVIF":
        return f"{name} is an AVIF photo, which this build of Pillow cannot read; install Pillow from its wheels"
    return f"{name} is not a PNG, JPEG, WebP, BMP or TIFF photo"
