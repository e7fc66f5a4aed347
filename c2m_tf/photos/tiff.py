"""Tags of TIFF files, read before decoding: which picture is the photo, and whether the meaning of its pixels is known.

A TIFF file is a chain of pictures, each a set of numbered tags; raw files of cameras are TIFF files whose first picture is a
small preview. Only the tags that are used here are read, because those of a file may share one block of data, and there may be
any number of them. Sources: TIFF revision 6.0 (Adobe, 1992); Digital Negative specification 1.7 (Adobe, 2023); BigTIFF (2007).
"""

import lzma
import math
import os
import struct
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO

from PIL.TiffImagePlugin import COMPRESSION_INFO

from c2m_tf.photos.formats import ImageError

Tags = dict[int, Any]

NEW_SUBFILE_TYPE, SUBFILE_TYPE, WIDTH, LENGTH, BITS, COMPRESSION, PHOTOMETRIC = 254, 255, 256, 257, 258, 259, 262
COLOUR_MAP, SUB_DIRECTORIES, INK_SET, EXTRA_SAMPLES, SAMPLE_FORMAT, SUBSAMPLING = 320, 330, 332, 338, 339, 530
STRIP_OFFSETS, SAMPLES, STRIP_ROWS, STRIP_BYTES, PLANES = 273, 277, 278, 279, 284
TILE_WIDTH, TILE_LENGTH, TILE_OFFSETS, TILE_BYTES = 322, 323, 324, 325
DNG_VERSION = 50706
WHITE_IS_ZERO, BLACK_IS_ZERO, PALETTE, CMYK, YCBCR, CFA, LINEAR_RAW = 0, 1, 3, 5, 6, 32803, 34892
_PHOTOMETRIC_NAMES = {
    WHITE_IS_ZERO: "gray (white is zero)",
    BLACK_IS_ZERO: "gray",
    2: "RGB",
    PALETTE: "palette",
    4: "mask",
    CMYK: "CMYK",
    YCBCR: "YCbCr",
    8: "CIELab",
    9: "ICCLab",
    10: "ITULab",
    32844: "LogL",
    32845: "LogLuv",
}
_SAMPLE_FORMAT_NAMES = {1: "unsigned", 2: "signed", 3: "floating-point", 4: "undefined", 5: "complex", 6: "complex"}
_MAX_DIRECTORIES = 1000
_MAX_TAGS = 2**16  # of all directories
_READ = {  # tags that are used: how many values they may have
    **dict.fromkeys((NEW_SUBFILE_TYPE, SUBFILE_TYPE, WIDTH, LENGTH, COMPRESSION, PHOTOMETRIC, SAMPLES, STRIP_ROWS, PLANES), 1),
    **dict.fromkeys((INK_SET, TILE_WIDTH, TILE_LENGTH, DNG_VERSION), 1),
    **dict.fromkeys((BITS, SAMPLE_FORMAT, SUBSAMPLING), 2**10),
    **dict.fromkeys((STRIP_OFFSETS, STRIP_BYTES, TILE_OFFSETS, TILE_BYTES), 2**20),
    COLOUR_MAP: 3 * 2**16,
    SUB_DIRECTORIES: _MAX_DIRECTORIES,
}
_TYPES = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 13: "I", 16: "Q", 17: "q", 18: "Q"}  # of whole numbers
_UNPACKERS: dict[int, Any] = {
    8: zlib.decompressobj,
    32946: zlib.decompressobj,
    34925: lzma.LZMADecompressor,
}  # compressions with checksums
_PIECE = 2**20
_MORE_THAN_PIXELS, _SLACK = 4, 2**22  # tiles are padded, and strips may hold more than is shown
_CURE = "convert it to 8- or 16-bit gray or RGB"


def photo_tags(file: BinaryIO, name: str | os.PathLike) -> Tags:
    """The tags of the first picture of a TIFF file, checked to be the photo and of known meaning.

    Args:
        file: binary, at any position; its position is undefined afterwards.
        name: of the photo in error messages.

    Raises:
        ImageError: a raw file of a camera, a first picture that is a preview of another, or pixels whose range is unknown.
    """
    directories = _directories(file, name)
    first = next(directories)
    if DNG_VERSION in first or first.get(PHOTOMETRIC) in (CFA, LINEAR_RAW) or _is_canon_raw(file):
        raise ImageError(f"{name} is a raw file of a camera; develop it to a TIFF, PNG or JPEG photo")
    size = _pixels(first)
    for other in directories:
        if _pixels(other) > size:
            raise ImageError(
                f"{name} holds a picture of {_sides(first)} pixels before a larger one of {_sides(other)}, as raw files of "
                f"cameras do; save the picture that you mean as a file of its own"
            )
    if int(first.get(NEW_SUBFILE_TYPE, 0)) & 1 or first.get(SUBFILE_TYPE) == 2:
        raise ImageError(f"{name} says that its first picture is a small version of another; save that as a file of its own")
    _check_kind(first, name)
    _check_parts(first, name)
    return first


def describe(tags: Tags) -> str:
    """Kind of pixels in words, e.g. "gray, 32 bits, floating-point"."""
    bits = _several(tags.get(BITS, 1))
    formats = sorted({_SAMPLE_FORMAT_NAMES.get(value, str(value)) for value in _several(tags.get(SAMPLE_FORMAT, 1))})
    interpretation = tags.get(PHOTOMETRIC, -1)
    kind = _PHOTOMETRIC_NAMES.get(interpretation, f"photometric interpretation {interpretation}")
    return f"{kind}, {'+'.join(str(value) for value in bits)} bits, {' and '.join(formats)}"


def _check_kind(tags: dict[int, Any], name: str | os.PathLike) -> None:
    bits = _several(tags.get(BITS, 1))
    if max(bits) > 16:
        unit = "pixel" if len(bits) == 1 else "sample"
        raise ImageError(f"{name} has {max(bits)} bits per {unit}, whose range is unknown ({describe(tags)}); {_CURE}")
    if any(value != 1 for value in _several(tags.get(SAMPLE_FORMAT, 1))):
        raise ImageError(f"{name} has samples whose range is unknown ({describe(tags)}); {_CURE}")
    compression = tags.get(COMPRESSION, 1)
    if compression not in COMPRESSION_INFO:
        raise ImageError(f"{name} is a TIFF photo of compression {compression}, which is not supported; save it without")
    if tags.get(PHOTOMETRIC) == CMYK and tags.get(INK_SET, 1) != 1:
        raise ImageError(f"{name} has inks other than cyan, magenta, yellow and black; {_CURE}")
    if tags.get(PHOTOMETRIC) == YCBCR and compression == 1 and tuple(tags.get(SUBSAMPLING, (2, 2))) != (1, 1):
        raise ImageError(f"{name} is uncompressed YCbCr with subsampled colours, which is not supported; {_CURE}")


class _Layout:
    """How a file stores numbers: their order, and 32- or 64-bit offsets."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        file.seek(0)
        start = file.read(4)
        self._order = "<" if start[:2] == b"II" else ">"
        self._big = 43 in start[2:]
        self._offset = "Q" if self._big else "I"
        self._tag = struct.Struct(f"{self._order}HH{self._offset}{'8s' if self._big else '4s'}")
        if self._big:
            file.seek(8)
        (self.first,) = self._unpacked(self._offset)

    def count(self, offset: int) -> int:
        """Number of tags of the directory at an offset; raises struct.error if the file ends before."""
        self._file.seek(offset)
        return self._unpacked("Q" if self._big else "H")[0]

    def directory(self, count: int) -> tuple[Tags, int]:
        """Tags of `_READ` in the directory whose `count` was read last, and offset of the next one, 0 for none.

        Raises:
            struct.error: the directory is cut.
        """
        entries = self._file.read(count * self._tag.size)
        try:
            (following,) = self._unpacked(self._offset)
        except struct.error:  # its last directory may lack its end
            following = 0
        tags: Tags = {}
        for tag, kind, number, stored in self._tag.iter_unpack(entries):
            if tag in _READ and tag not in tags and kind in _TYPES and number:
                tags[tag] = self._values(_TYPES[kind], number, _READ[tag], stored)
        return tags, following

    def _values(self, kind: str, number: int, most: int, stored: bytes) -> Any:
        """One number, or a tuple of several, of which there are `most` at most."""
        if number * struct.calcsize(kind) > len(stored):
            self._file.seek(struct.unpack(self._order + self._offset, stored)[0])
            stored = self._file.read(min(number, most) * struct.calcsize(kind))
        values = struct.unpack_from(f"{self._order}{min(number, most)}{kind}", stored)
        return values[0] if len(values) == 1 else values

    def _unpacked(self, kind: str) -> tuple:
        layout = struct.Struct(self._order + kind)
        return layout.unpack(self._file.read(layout.size))


def _directories(file: BinaryIO, name: str | os.PathLike) -> Iterator[Tags]:
    """Tags of every picture of a file, nested ones included; the first is the one that viewers show.

    Raises:
        ImageError: there are more than `_MAX_TAGS` tags.
        ValueError: there is no picture.
        struct.error: the first directory is cut; what follows a later one that is cut is left out.
    """
    layout = _Layout(file)
    waiting = [layout.first]
    seen: set[int] = set()
    max_tags = _MAX_TAGS
    while waiting and len(seen) < _MAX_DIRECTORIES:
        offset = waiting.pop(0)
        if not offset or offset in seen:
            continue
        try:
            count = layout.count(offset)
            if count > max_tags:
                raise ImageError(f"{name} has more than {_MAX_TAGS:,} tags; save it anew")
            tags, following = layout.directory(count)
        except struct.error:
            if not seen:
                raise
            continue
        seen.add(offset)
        max_tags -= count
        yield tags
        waiting += [following, *_several(tags.get(SUB_DIRECTORIES, ()))]
    if not seen:
        raise ValueError("it holds no picture")


def check_strips(file: BinaryIO, tags: Tags, name: str | os.PathLike) -> None:
    """Unpacks the strips or tiles of a picture whose compression has checksums; libtiff does not read as far as those.

    Raises:
        ImageError: they hold far more than the pixels.
        ValueError: they are cut.
        zlib.error, lzma.LZMAError: they are damaged.
    """
    unpacker_of = _UNPACKERS.get(tags.get(COMPRESSION, 1))
    if unpacker_of is None:
        return
    tiled = TILE_OFFSETS in tags
    offsets = _several(tags.get(TILE_OFFSETS if tiled else STRIP_OFFSETS, ()))
    sizes = _several(tags.get(TILE_BYTES if tiled else STRIP_BYTES, ()))
    row = tags.get(WIDTH, 0) * _samples(tags) * max(_several(tags.get(BITS, 1))) // 8 + 1
    left = 2 * _MORE_THAN_PIXELS * row * tags.get(LENGTH, 0) + _SLACK
    for offset, size in zip(offsets, sizes, strict=False):
        file.seek(offset)
        unpacker = unpacker_of()
        while not unpacker.eof and (packed := file.read(min(size, _PIECE))):
            size -= len(packed)
            left -= len(packed)
            unpacked = b""
            while not unpacker.eof and (packed or unpacked):
                unpacked = unpacker.decompress(packed, _PIECE)
                packed = getattr(unpacker, "unconsumed_tail", b"")  # LZMADecompressor keeps it
                left -= len(unpacked)
                if left < 0:
                    raise ImageError(f"{name} unpacks to far more than its pixels; save it anew")
        if not unpacker.eof:
            raise ValueError("pixels are missing")


def _check_parts(tags: dict[int, Any], name: str | os.PathLike) -> None:
    """Raises ImageError if there are more strips or tiles than the picture needs, or far larger ones: each is decoded."""
    width, length = (tags.get(WIDTH, 0), tags.get(LENGTH, 0))
    if TILE_OFFSETS in tags and STRIP_OFFSETS not in tags:
        tile = max(tags.get(TILE_WIDTH, 1), 1), max(tags.get(TILE_LENGTH, 1), 1)
        across, down = math.ceil(width / tile[0]), math.ceil(length / tile[1])
        if across * tile[0] * down * tile[1] > _MORE_THAN_PIXELS * width * length + _SLACK:
            raise ImageError(f"{name} has tiles of {tile[0]}x{tile[1]} pixels, far larger than {width}x{length}; save it anew")
        needed, stored = across * down, tags[TILE_OFFSETS]
    else:
        rows = min(max(tags.get(STRIP_ROWS, length), 1), max(length, 1))
        needed, stored = math.ceil(length / rows), tags.get(STRIP_OFFSETS, ())
    if tags.get(PLANES, 1) == 2:
        needed *= _samples(tags)
    if len(_several(stored)) > needed:
        raise ImageError(f"{name} has {len(_several(stored))} strips or tiles where {needed} hold its pixels; save it anew")


def _samples(tags: dict[int, Any]) -> int:
    return max(tags.get(SAMPLES, 1), len(_several(tags.get(BITS, 1))))


def _is_canon_raw(file: BinaryIO) -> bool:
    file.seek(8)
    return file.read(2) == b"CR"


def _pixels(tags: dict[int, Any]) -> int:
    return int(tags.get(WIDTH, 0)) * int(tags.get(LENGTH, 0))


def _sides(tags: dict[int, Any]) -> str:
    return f"{tags.get(WIDTH)}x{tags.get(LENGTH)}"


def _several(value: Any) -> tuple:
    return value if isinstance(value, tuple) else (value,)
