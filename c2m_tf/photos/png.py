"""Properties of PNG files that Pillow does not pass on completely: depth, transparent colour, large metadata.

Source: Portable Network Graphics (PNG) Specification, third edition (W3C, 2025), sections 5 and 11.
"""

import io
import os
import zlib
from collections.abc import Container, Iterator
from typing import BinaryIO, NamedTuple

import numpy as np
from PIL import Image, ImageOps, PngImagePlugin

from c2m_tf.photos.formats import ImageError

MAX_PROFILE_BYTES = 16 * 2**20
MAX_CHUNKS = 2**16
_FIRST_CHUNK, _SIZE, _DEPTH = 8, 16, 24  # offsets in a file
_ADAM7 = ((0, 8, 0, 8), (0, 8, 4, 8), (4, 8, 0, 4), (0, 4, 2, 4), (2, 4, 0, 2), (0, 2, 1, 2), (1, 2, 0, 1))  # rows, columns
_PIECE = 2**20
_CRITICAL = (b"IHDR", b"PLTE", b"IDAT", b"IEND")
_TEXT = (b"tEXt", b"zTXt", b"iTXt")
_READ = (b"XML:com.adobe.xmp", b"Raw profile type exif", b"Raw profile type APP1", b"Raw profile type iptc")
GRAY, RGB, PALETTE, GRAY_ALPHA, RGB_ALPHA = 0, 2, 3, 4, 6  # colour types
_CHANNELS = {GRAY: 1, RGB: 3, PALETTE: 1, GRAY_ALPHA: 2, RGB_ALPHA: 4}


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
    for kind, content in chunks(file, (b"tRNS",)):
        if kind == b"tRNS":
            transparency = content
        if kind == b"IDAT":
            break
    return Header(depth, colour_type, transparency)


def check_pixels(file: BinaryIO) -> None:
    """Checks that all pixels are there, and what the checksums of chunks (CRC) and of the pixels (Adler-32) say.

    Pillow does not compare those of pixels. Text is left out, because it is not read; what comes after the pixels may be cut.

    Args:
        file: that Pillow has accepted, at any position; its position is undefined afterwards.

    Raises:
        ValueError: pixels are missing, or a checksum does not fit; a second header, or a chunk that must be understood and is
            unknown.
        zlib.error: the pixels are damaged.
    """
    pixels = _Pixels(_bytes_of_pixels(file))
    file.seek(_FIRST_CHUNK)
    while len(start := file.read(8)) == 8 and start[4:].isalpha():
        left, kind = int.from_bytes(start[:4], "big"), start[4:]
        if (kind == b"IHDR") != (file.tell() == _SIZE) and not pixels.whole:
            raise ValueError("its header is not its first chunk alone")
        if kind[:1].isupper() and kind not in _CRITICAL and not pixels.whole:
            raise ValueError(f"its chunk {kind.decode()} is unknown")
        if kind in _TEXT:
            file.seek(left + 4, 1)
            continue
        checksum = zlib.crc32(kind)
        while left and (piece := file.read(min(left, _PIECE))):
            left -= len(piece)
            checksum = zlib.crc32(piece, checksum)
            if kind == b"IDAT":
                pixels.add(piece)
        stored = file.read(4)
        if left or len(stored) < 4:
            break
        if checksum != int.from_bytes(stored, "big"):
            raise ValueError(f"the checksum of its chunk {kind.decode('ascii', 'replace')} does not fit")
        if kind == b"IEND":
            break
    if not pixels.whole:
        raise ValueError("pixels are missing")


def without_text(file: BinaryIO, name: str | os.PathLike) -> tuple[BinaryIO, bytes | None]:
    """A PNG file that Pillow accepts: without text that is not read, whatever its size.

    Pillow refuses a file whose text or colour profile unpacks to more than 1 MiB.

    Args:
        file: binary, at any position; its position is undefined afterwards.
        name: of the photo in error messages.

    Returns:
        file: the same file, at its start, if nothing has to be removed.
        icc_profile: the colour profile if it is too large for Pillow, else None.

    Raises:
        ImageError: more than `MAX_CHUNKS` chunks, or a profile that unpacks to more than `MAX_PROFILE_BYTES`.
    """
    left_out: list[tuple[int, int]] = []
    profile, place, seen = None, _FIRST_CHUNK, set()
    for number, (kind, content) in enumerate(chunks(file, (b"iCCP", *_TEXT)), 1):
        if number > MAX_CHUNKS:
            raise ImageError(f"{name} has more than {MAX_CHUNKS:,} chunks; save it anew")
        end = file.tell()
        keyword = content.partition(b"\0")[0] if kind in _TEXT else kind
        if keyword in seen:  # the first one counts, so that one alone is unpacked
            left_out.append((place, end))
        elif kind == b"iCCP":
            seen.add(keyword)
            unpacked = _unpacked(content.partition(b"\0")[2][1:], MAX_PROFILE_BYTES)
            if unpacked is None:
                raise ImageError(f"{name} has a colour profile of more than {MAX_PROFILE_BYTES:,} bytes; give it another")
            if len(unpacked) > PngImagePlugin.MAX_TEXT_CHUNK:
                left_out.append((place, end))
                profile = unpacked
        elif kind in _TEXT:
            if keyword in _READ:
                seen.add(keyword)
            if not _is_read(kind, content):
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


def _is_read(kind: bytes, content: bytes) -> bool:
    """Whether text is metadata that is read, and small enough for Pillow."""
    keyword, _, rest = content.partition(b"\0")
    if keyword not in _READ:
        return False
    if kind == b"tEXt" or (kind == b"iTXt" and rest[:1] == b"\0"):
        return True
    unpacked = _unpacked(rest[1:] if kind == b"zTXt" else rest[2:].split(b"\0", 2)[-1], PngImagePlugin.MAX_TEXT_CHUNK)
    return unpacked is not None


def _unpacked(compressed: bytes, limit: int) -> bytes | None:
    """What zlib compressed; empty if it is damaged, None if there are more bytes than `limit`."""
    unpacker = zlib.decompressobj()
    try:
        unpacked = unpacker.decompress(compressed, limit)
    except zlib.error:
        return b""
    return None if unpacker.unconsumed_tail else unpacked


class _Pixels:
    """The rows of a photo, counted as they are unpacked from so many bytes as `needed` at least."""

    def __init__(self, needed: int) -> None:
        self._unpacker = zlib.decompressobj()
        self._left = needed

    def add(self, packed: bytes) -> None:
        """Unpacks what comes next, but not what comes after the rows; zlib compares the checksum when it reaches it."""
        while packed and self._left >= 0 and not self._unpacker.eof:
            self._left -= len(self._unpacker.decompress(packed, min(self._left + 1, _PIECE)))
            packed = self._unpacker.unconsumed_tail

    @property
    def whole(self) -> bool:
        """Whether all rows have come, and their checksum, or more after them."""
        return self._left < 0 or (self._left == 0 and self._unpacker.eof)


def _bytes_of_pixels(file: BinaryIO) -> int:
    """Bytes of all rows with their filters, before compression."""
    file.seek(_SIZE)
    width, height = (int.from_bytes(file.read(4), "big") for _ in range(2))
    depth, colour_type, _, _, interlaced = file.read(5)
    bits = depth * _CHANNELS[colour_type]
    total = 0
    for top, down, left, right in _ADAM7 if interlaced else ((0, 1, 0, 1),):
        rows, columns = len(range(top, height, down)), len(range(left, width, right))
        total += rows * (1 + (columns * bits + 7) // 8) if columns else 0
    return total


def chunks(file: BinaryIO, kinds: Container[bytes] | None = None) -> Iterator[tuple[bytes, bytes]]:
    """(kind, content) of every chunk, the content only of those `kinds`, to the end of the file, positioned after the chunk."""
    end = _FIRST_CHUNK
    while True:
        file.seek(end)
        start = file.read(8)
        if len(start) < 8:
            return
        length, kind = int.from_bytes(start[:4], "big"), start[4:]
        end += length + 12
        content = file.read(length) if kinds is None or kind in kinds else b""
        file.seek(end)
        yield kind, content
