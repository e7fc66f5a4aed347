"""File formats of photos: how they are recognised, which are read and written, and what each can hold; exceptions about photos.

PNG, JPEG, WebP, BMP and TIFF are read and written. AVIF is read where Pillow was built with it, HEIC where the package
pillow-heif is installed (extra `heif`). Messages say what was given, what is expected and how to fix it.

HEIC files have pixels that are put together of others, so it is known how many are decoded for those that are shown: a grid
names the item of each of its cells, and may name one large item any number of times; each time it is decoded anew. Source:
ISO/IEC 14496-12 (boxes) and ISO/IEC 23008-12 (items), the latter's sections 6.5.3 and 6.6.2.3.
"""

import os
import struct
from collections.abc import Iterator
from typing import BinaryIO, Literal, NamedTuple

from PIL import features

try:
    from pillow_heif import register_heif_opener
except ImportError:
    HAS_HEIF = False
else:
    register_heif_opener()
    HAS_HEIF = True
HAS_AVIF = features.check("avif")

_MORE_THAN_PIXELS, _SLACK = 4, 2**22  # cells of a grid are whole, and there may be transparency
_DEPTH = 4  # of items that are made of others


class ImageError(ValueError):
    """A photo that cannot be read or written."""


class UnknownFormatError(ImageError):
    """Bytes that are no photo of a format that is read."""


class TooLargeError(ImageError):
    """A photo of more pixels than allowed, or that needs more memory."""


class Format(NamedTuple):
    """What a file of a format can hold.

    Attributes:
        max_side: pixels of width and height at most.
        max_bytes: of uncompressed pixels at most, where the format stores them so.
        alpha: whether it holds transparency.
        gray: whether it holds one channel.
        profile: whether it holds a colour profile.
        metadata: the kinds of it that it holds, fields of `metadata.Metadata`.
        quality: whether pixels are stored with a loss that a quality bounds.
        lossless: whether they can be stored without.
        bits: of a sample at most, of those that are written.
    """

    max_side: int
    max_bytes: int | None = None
    alpha: bool = True
    gray: bool = True
    profile: bool = True
    metadata: tuple[str, ...] = ("exif", "xmp", "iptc")
    quality: bool = False
    lossless: bool = True
    bits: int = 8


class Encoding(NamedTuple):
    """How a result is stored.

    Attributes:
        quality: of JPEG and WebP, from 1 to 100, or "lossless" for WebP; None for 95. Other formats lose nothing.
        bits: of a sample, 8, or 16 for PNG and TIFF.
        metadata: whether what is known of the photo besides its pixels and its colour profile is stored.
    """

    quality: int | Literal["lossless"] | None = None
    bits: int = 8
    metadata: bool = True

    def check(self) -> None:
        """Raises ValueError if these are no quality and no number of bits."""
        if self.quality not in (None, "lossless", *range(1, 101)):
            raise ValueError(f"quality {self.quality} is neither a number from 1 to 100 nor lossless")
        if self.bits not in (8, 16):
            raise ValueError(f"{self.bits} bits are not written; choose 8 or 16")


DEFAULT_ENCODING = Encoding()

# Sources: libjpeg's JPEG_MAX_DIMENSION (the format itself has 16 bits), WebP's and PNG's specifications; BMP and TIFF count
# bytes in 32 bits.
WRITTEN = {
    "PNG": Format(2**31 - 1, bits=16),
    "JPEG": Format(65_500, alpha=False, quality=True, lossless=False),
    "WEBP": Format(16_383, gray=False, metadata=("exif", "xmp"), quality=True),
    "BMP": Format(2**31 - 1, 2**32 - 2**16, alpha=False, profile=False, metadata=()),
    "TIFF": Format(2**31 - 1, 2**32 - 2**16, bits=16),
}
FORMATS = tuple(WRITTEN)
READ = (*FORMATS, *(["AVIF"] if HAS_AVIF else []), *(["HEIF"] if HAS_HEIF else []))

# Suffixes of results and their formats.
SUFFIXES = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".jpe": "JPEG",
    ".jfif": "JPEG",
    ".webp": "WEBP",
    ".bmp": "BMP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
}
SUFFIXES_WITH_ALPHA = tuple(suffix for suffix, name in SUFFIXES.items() if WRITTEN[name].alpha)
# Suffixes of files that count as photos in folders, even if the package that reads them is missing: that is then reported.
PHOTO_SUFFIXES = (*SUFFIXES, ".avif", ".heic", ".heif", ".hif")

HEADER_BYTES = 32
_HEIF_BRANDS = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1")


def format_of(header: bytes) -> str | None:
    """The format that the first `HEADER_BYTES` bytes of a file announce, whether or not it is read here; None if unknown."""
    if header.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if header.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if header.startswith(b"RIFF") and header[8:12] == b"WEBP":
        return "WEBP"
    if header.startswith(b"BM"):
        return "BMP"
    if header[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return "TIFF"
    if header[4:8] == b"ftyp":
        brands = {header[start : start + 4] for start in (8, *range(16, HEADER_BYTES, 4))}
        if brands & {b"avif", b"avis"}:
            return "AVIF"
        if brands & set(_HEIF_BRANDS):
            return "HEIF"
    return None


def check_items(file: BinaryIO, name: str | os.PathLike, pixels: int) -> None:
    """Checks what is decoded for a photo; the position is undefined afterwards.

    Args:
        file: that Pillow has accepted, at any position.
        name: of the photo in error messages.
        pixels: number of those that are shown.

    Raises:
        ImageError: far more pixels are decoded than are shown.
        struct.error, IndexError, KeyError: the file is damaged.
    """
    file.seek(0)
    meta = next((content for kind, content in _boxes(file.read()) if kind == b"meta"), None)
    if meta is None:  # a sequence without items
        return
    parts = dict(_boxes(meta[4:]))
    areas, made_of, transparency_of = _areas(parts[b"iprp"]), {}, []
    for kind, item, others in _references(parts.get(b"iref", b"\0" * 4)):
        if kind == b"dimg":
            made_of[item] = others
        elif kind == b"auxl":
            transparency_of.append((item, others))
    (primary,) = struct.unpack_from(">I" if parts[b"pitm"][0] else ">H", parts[b"pitm"], 4)
    shown = [primary, *(item for item, others in transparency_of if primary in others)]
    costs: dict[int, int] = {}

    def cost(item, depth):
        if item not in costs:
            if depth > _DEPTH:
                raise ImageError(f"{name} is made of items that are made of others, again and again; save it anew")
            parts_of = made_of.get(item)
            costs[item] = sum(cost(other, depth + 1) for other in parts_of) if parts_of else areas.get(item, 0)
        return costs[item]

    if sum(cost(item, 0) for item in shown) > _MORE_THAN_PIXELS * pixels + _SLACK:
        raise ImageError(f"{name} decodes far more pixels than it shows ({pixels:,}); save it anew")


def _boxes(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """(kind, content) of boxes one after the other."""
    place = 0
    while place + 8 <= len(content):
        size, kind = struct.unpack_from(">I4s", content, place)
        head = 8
        if size == 1:
            (size,) = struct.unpack_from(">Q", content, place + 8)
            head = 16
        end = len(content) if size == 0 else place + size
        if size and size < head:
            return
        yield kind, content[place + head : end]
        place = end


def _references(iref):
    """(kind, item, items that it refers to) of a reference box."""
    number = ">I" if iref[0] else ">H"
    size = struct.calcsize(number)
    for kind, content in _boxes(iref[4:]):
        (item,) = struct.unpack_from(number, content)
        (count,) = struct.unpack_from(">H", content, size)
        yield kind, item, struct.unpack_from(f">{count}{number[1]}", content, size + 2)


def _areas(iprp):
    """{item: pixels} by the size that is a property of it."""
    parts = dict(_boxes(iprp))
    sizes = [struct.unpack_from(">II", content, 4) if kind == b"ispe" else None for kind, content in _boxes(parts[b"ipco"])]
    content, areas, place = parts[b"ipma"], {}, 8
    item_of, index_of = ">I" if content[0] else ">H", ">H" if content[3] & 1 else ">B"
    for _ in range(struct.unpack_from(">I", content, 4)[0]):
        (item,) = struct.unpack_from(item_of, content, place)
        place += struct.calcsize(item_of) + 1
        for _ in range(content[place - 1]):
            (index,) = struct.unpack_from(index_of, content, place)
            place += struct.calcsize(index_of)
            index &= 0x7FFF if index_of == ">H" else 0x7F  # the highest bit says whether it must be understood
            if 0 < index <= len(sizes) and sizes[index - 1] is not None:
                areas[item] = sizes[index - 1][0] * sizes[index - 1][1]
    return areas
