"""Properties of PNG files that Pillow does not pass on completely: depth, transparent colour, large metadata.

Source: Portable Network Graphics (PNG) Specification, third edition (W3C, 2025), sections 5 and 11.
"""

import io
import os
import zlib
from typing import BinaryIO, NamedTuple

import numpy as np
from PIL import Image, ImageOps, PngImagePlugin

from c2m_tf.photos.errors import ImageError

MAX_PROFILE_BYTES = 16 * 2**20
_FIRST_CHUNK, _DEPTH = 8, 24  # offsets in a file
_TEXT = (b"tEXt", b"zTXt", b"iTXt")
_WITH_ORIENTATION = (b"XML:com.adobe.xmp", b"Raw profile type exif", b"Raw profile type APP1")
GRAY, RGB, PALETTE, GRAY_ALPHA, RGB_ALPHA = 0, 2, 3, 4, 6  # colour types


class Header(NamedTuple):
    """Header of a PNG file.

    Attributes:
        depth: bits per sample, or per palette index.
        colour_type: GRAY, RGB, PALETTE, GRAY_ALPHA or RGB_ALPHA.
        transparency: content of the chunk tRNS, None if there is none: for GRAY and RGB the transparent colour, two bytes per
            sample; for PALETTE the alpha of the first entries.
    """

    depth: int
    colour_type: int
    transparency: bytes | None


def read_header(file: BinaryIO) -> Header:
    """The header of a PNG file that Pillow has accepted; the position in the file may be any, and is undefined afterwards."""
    transparency = None
    file.seek(_DEPTH)
    depth, colour_type = file.read(2)
    for kind, content in _chunks(file, (b"tRNS",)):
        if kind == b"tRNS":
            transparency = content
        if kind == b"IDAT":
            break
    return Header(depth, colour_type, transparency)


def without_text(file: BinaryIO, name: str | os.PathLike) -> tuple[BinaryIO, bytes | None]:
    """A PNG file that Pillow accepts: without text that does not concern pixels, whatever its size.

    Pillow refuses a file whose text or colour profile unpacks to more than 1 MiB.

    Args:
        file: binary, at any position; its position is undefined afterwards.
        name: of the photo in error messages.

    Returns:
        file: the same file, at its start, if nothing has to be removed.
        icc_profile: the colour profile if it is too large for Pillow, else None.

    Raises:
        ImageError: the profile unpacks to more than `MAX_PROFILE_BYTES`.
    """
    left_out, profile, place = [], None, _FIRST_CHUNK
    for kind, content in _chunks(file, (b"iCCP", *_TEXT)):
        end = file.tell()
        if kind == b"iCCP":
            unpacked = _unpacked(content.partition(b"\0")[2][1:], MAX_PROFILE_BYTES)
            if unpacked is None:
                raise ImageError(f"{name} has a colour profile of more than {MAX_PROFILE_BYTES:,} bytes; give it another")
            if len(unpacked) > PngImagePlugin.MAX_TEXT_CHUNK:
                left_out.append((place, end))
                profile = unpacked
        elif kind in _TEXT and not _holds_orientation(kind, content):
            left_out.append((place, end))
        place = end
    file.seek(0)
    if not left_out:
        return file, None
    kept = io.BytesIO()
    for start, end in left_out:
        kept.write(file.read(start - file.tell()))
        file.seek(end)
    kept.write(file.read())
    kept.seek(0)
    return kept, profile


def lower_bytes(file: BinaryIO) -> np.ndarray:
    """The lower eight bits of every sample of a 16-bit RGB file, of which Pillow gives the upper: uint8 [H,W,3], upright."""
    file.seek(0)
    with Image.open(without_text(file, "")[0], formats=("PNG",)) as image:
        # PNG stores the upper byte first; read as if the lower came first, the lower one is what is kept.
        image.tile = [tile._replace(args="RGB;16L") for tile in image.tile]
        image.load()
        ImageOps.exif_transpose(image, in_place=True)
        return np.asarray(image)


def _holds_orientation(kind, content):
    """Whether text is metadata in which Pillow looks for the orientation, and small enough for it."""
    keyword, _, rest = content.partition(b"\0")
    if keyword not in _WITH_ORIENTATION:
        return False
    if kind == b"tEXt" or (kind == b"iTXt" and rest[:1] == b"\0"):
        return True
    unpacked = _unpacked(rest[1:] if kind == b"zTXt" else rest[2:].split(b"\0", 2)[-1], PngImagePlugin.MAX_TEXT_CHUNK)
    return unpacked is not None


def _unpacked(compressed, limit):
    """What zlib compressed; empty if it is damaged, None if there are more bytes than `limit`."""
    unpacker = zlib.decompressobj()
    try:
        unpacked = unpacker.decompress(compressed, limit)
    except zlib.error:
        return b""
    return None if unpacker.unconsumed_tail else unpacked


def _chunks(file, kinds):
    """(kind, content) of every chunk, the content only of those `kinds`, to the end of the file, positioned after the chunk."""
    end = _FIRST_CHUNK
    while True:
        file.seek(end)
        start = file.read(8)
        if len(start) < 8:
            return
        length, kind = int.from_bytes(start[:4], "big"), start[4:]
        end += length + 12
        content = file.read(length) if kind in kinds else b""
        file.seek(end)
        yield kind, content
