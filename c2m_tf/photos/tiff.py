"""Tags of TIFF files, read before decoding: which picture is the photo, and whether the meaning of its pixels is known.

A TIFF file is a chain of pictures, each a set of numbered tags; raw files of cameras are TIFF files whose first picture is a
small preview. Sources: TIFF revision 6.0 (Adobe, 1992); Digital Negative specification 1.7 (Adobe, 2023).
"""

import os
from collections.abc import Iterator
from typing import Any, BinaryIO

from PIL.TiffImagePlugin import COMPRESSION_INFO, ImageFileDirectory_v2

from c2m_tf.photos.errors import ImageError

Tags = dict[int, Any]

NEW_SUBFILE_TYPE, SUBFILE_TYPE, WIDTH, LENGTH, BITS, COMPRESSION, PHOTOMETRIC = 254, 255, 256, 257, 258, 259, 262
COLOUR_MAP, SUB_DIRECTORIES, INK_SET, EXTRA_SAMPLES, SAMPLE_FORMAT, SUBSAMPLING = 320, 330, 332, 338, 339, 530
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
_CURE = "convert it to 8- or 16-bit gray or RGB"


def photo_tags(file: BinaryIO, name: str | os.PathLike) -> Tags:
    """The tags of the first picture of a TIFF file, checked to be the photo and of known meaning.

    Args:
        file: binary, at any position; its position is undefined afterwards.
        name: of the photo in error messages.

    Raises:
        ImageError: a raw file of a camera, a first picture that is a preview of another, or pixels whose range is unknown.
    """
    directories = _directories(file)
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
    return first


def describe(tags: Tags) -> str:
    """Kind of pixels in words, e.g. "gray, 32 bits, floating-point"."""
    bits = _several(tags.get(BITS, 1))
    formats = sorted({_SAMPLE_FORMAT_NAMES.get(value, str(value)) for value in _several(tags.get(SAMPLE_FORMAT, 1))})
    interpretation = tags.get(PHOTOMETRIC, -1)
    kind = _PHOTOMETRIC_NAMES.get(interpretation, f"photometric interpretation {interpretation}")
    return f"{kind}, {'+'.join(str(value) for value in bits)} bits, {' and '.join(formats)}"


def _check_kind(tags, name):
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


def _directories(file: BinaryIO) -> Iterator[Tags]:
    """Tags of every picture of a file, nested ones included; the first is the one that viewers show."""
    file.seek(0)
    header = file.read(8)
    if header[2:3] == b"+" or header[3:4] == b"+":  # 64-bit offsets
        header += file.read(8)
    directory = ImageFileDirectory_v2(header)
    waiting = [directory.next]
    seen: set[int] = set()
    while waiting and len(seen) < _MAX_DIRECTORIES:
        offset = waiting.pop(0)
        if not offset or offset in seen:
            continue
        seen.add(offset)
        directory = ImageFileDirectory_v2(header)
        file.seek(offset)
        directory.load(file)
        yield dict(directory)
        inner = directory.get(SUB_DIRECTORIES, ())
        waiting += [directory.next, *(int(value) for value in _several(inner))]


def _is_canon_raw(file):
    file.seek(8)
    return file.read(2) == b"CR"


def _pixels(tags):
    return int(tags.get(WIDTH, 0)) * int(tags.get(LENGTH, 0))


def _sides(tags):
    return f"{tags.get(WIDTH)}x{tags.get(LENGTH)}"


def _several(value):
    return value if isinstance(value, tuple) else (value,)
