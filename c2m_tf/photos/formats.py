"""File formats of photos: how they are recognised, which are read and written, and what each can hold.

PNG, JPEG, WebP, BMP and TIFF are read and written. AVIF is read where Pillow was built with it, HEIC where the package
pillow-heif is installed (extra `heif`).
"""

from typing import NamedTuple

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
        exif: whether it holds EXIF.
    """

    max_side: int
    max_bytes: int | None = None
    alpha: bool = True
    gray: bool = True
    profile: bool = True
    exif: bool = True


# Sources: libjpeg's JPEG_MAX_DIMENSION (the format itself has 16 bits), WebP's and PNG's specifications; BMP and TIFF count
# bytes in 32 bits.
WRITTEN = {
    "PNG": Format(2**31 - 1),
    "JPEG": Format(65_500, alpha=False),
    "WEBP": Format(16_383, gray=False),
    "BMP": Format(2**31 - 1, 2**32 - 2**16, alpha=False, profile=False, exif=False),
    "TIFF": Format(2**31 - 1, 2**32 - 2**16),
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
