"""File formats of photos: how they are recognised, which are read and written, and what each can hold.

PNG, JPEG, WebP, BMP and TIFF are read and written. AVIF is read where Pillow was built with it, HEIC where the package
pillow-heif is installed (extra `heif`).
"""

from typing import Literal, NamedTuple

from PIL import features

try:
    from pillow_heif import register_heif_opener
except ImportError:
    HAS_HEIF = False
else:
    register_heif_opener()
    HAS_HEIF = True
HAS_AVIF = features.check("avif")


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
