"""Writes photos to files, atomically."""

import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from c2m_tf.photos import colour
from c2m_tf.photos.deep import write_deep
from c2m_tf.photos.errors import ImageError
from c2m_tf.photos.files import remove_left_over, replacing
from c2m_tf.photos.formats import DEFAULT_ENCODING, SUFFIXES, WRITTEN, Encoding
from c2m_tf.photos.metadata import NO_METADATA, PNG_IPTC, Metadata, photoshop_resource
from c2m_tf.photos.outputs import check_fits, check_suffix
from c2m_tf.photos.resampling import as_float, as_uint8, as_uint16

_QUALITY = 95  # of JPEG and WebP
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # as Pillow counts it
_XMP_TAG, _IPTC_TAG = 700, 33723  # of TIFF


def write(
    path: str | os.PathLike,
    rgb: np.ndarray,
    alpha: np.ndarray | None = None,
    gray: bool = False,
    icc_profile: bytes | None = None,
    metadata: Metadata = NO_METADATA,
    encoding: Encoding = DEFAULT_ENCODING,
) -> None:
    """Writes a photo; the file appears complete or not at all, and an existing one is replaced only by a complete one.

    Args:
        path: target; the suffix chooses the format (`formats.SUFFIXES`).
        rgb: uint8 [H,W,3], or float [H,W,3] in [0, 1], which is clipped and rounded.
        alpha: optional, [H,W] of the same dtype and range.
        gray: write one channel (the luma of rgb).
        icc_profile: optional colour profile of rgb. It is embedded; where the format cannot hold it, colours are converted
            to sRGB.
        metadata: written where the format holds it.
        encoding: Encoding.

    Raises:
        ImageError: suffix unknown, format unable to hold alpha, as many pixels or that encoding, folder missing or not
            writable, disk full.
        ValueError: no encoding.
    """
    path = Path(path)
    encoding.check()
    check_suffix(path, alpha is not None, encoding)
    check_fits(path, np.shape(rgb)[:2], alpha is not None, encoding.bits)
    file_format = SUFFIXES[path.suffix.lower()]
    write_atomically(path, lambda file: encode(file, file_format, rgb, alpha, gray, icc_profile, metadata, encoding))


def encode(
    file: BinaryIO,
    file_format: str,
    rgb: np.ndarray,
    alpha: np.ndarray | None = None,
    gray: bool = False,
    icc_profile: bytes | None = None,
    metadata: Metadata = NO_METADATA,
    encoding: Encoding = DEFAULT_ENCODING,
) -> None:
    """Writes a photo of one of `formats.FORMATS` to an open binary file; other arguments as of `write`, which are checked."""
    holds = WRITTEN[file_format]
    deep = encoding.bits == 16
    if deep and file_format == "TIFF" and alpha is not None:
        gray = False  # few programs, and not Pillow, read gray with alpha of 16 bits
    if icc_profile and (not holds.profile or (not (holds.gray and gray) and colour.is_gray_profile(icc_profile))):
        rgb, icc_profile = as_uint8(colour.converted(as_uint8(rgb), icc_profile, None, gray)), None
    options: dict[str, Any] = {"icc_profile": icc_profile} if icc_profile else {}
    if encoding.metadata:
        options |= _metadata_options(file_format, metadata)
    if encoding.quality == "lossless":
        options |= {"lossless": True, "exact": True} if file_format == "WEBP" else {}
    elif holds.quality:
        options["quality"] = encoding.quality or _QUALITY
    if deep:
        write_deep(file, file_format, _deep_samples(rgb, alpha, gray), options)
    else:
        as_pillow(rgb, alpha, gray).save(file, file_format, **options)


def _metadata_options(file_format, metadata):
    """Options of Pillow's `save` for what the format holds."""
    given = {kind: value for kind, value in metadata._asdict().items() if value and kind in WRITTEN[file_format].metadata}
    iptc, xmp = given.pop("iptc", b""), given.get("xmp", b"")
    if file_format == "JPEG" and iptc:
        content = b"Photoshop 3.0\0" + photoshop_resource(iptc)
        given["extra"] = b"\xff\xed" + struct.pack(">H", len(content) + 2) + content
    elif file_format == "PNG":
        given.pop("xmp", None)
        texts = given["pnginfo"] = PngInfo()
        if xmp:
            texts.add_itxt("XML:com.adobe.xmp", xmp.decode())
        if iptc:
            profile = photoshop_resource(iptc)
            texts.add_text(PNG_IPTC, f"\niptc\n{len(profile):8d}\n{profile.hex()}\n", zip=True)
    elif file_format == "TIFF":
        tags = given["exif"] = _opened_exif(given.get("exif", b""))
        tags.update({tag: value for tag, value in ((_XMP_TAG, given.pop("xmp", b"")), (_IPTC_TAG, iptc)) if value})
    return given


def _opened_exif(exif):
    opened = Image.Exif()
    if exif:
        opened.load(exif)
    return opened


def _deep_samples(rgb, alpha, gray):
    """uint16 [H,W,channels]."""
    colours = as_uint16(as_float(rgb) @ _LUMA if gray else rgb)
    colours = colours[..., None] if gray else colours
    return colours if alpha is None else np.concatenate([colours, as_uint16(alpha)[..., None]], axis=2)


def as_pillow(rgb: np.ndarray, alpha: np.ndarray | None, gray: bool) -> Image.Image:
    """A picture of Pillow's, of mode L, LA, RGB or RGBA; arguments as of `write`."""
    picture = Image.fromarray(as_uint8(rgb))
    if gray:
        picture = picture.convert("L")
    if alpha is not None:
        picture.putalpha(Image.fromarray(as_uint8(alpha)))
    return picture


def write_single(path: str | os.PathLike, save: Callable[[BinaryIO], object]) -> None:
    """As `write_atomically`, after what killed processes left of the file is removed, for which its folder is listed."""
    remove_left_over([path])
    write_atomically(path, save)


def write_atomically(path: str | os.PathLike, save: Callable[[BinaryIO], object]) -> None:
    """Calls `save(file)` with a temporary binary file in the folder of `path`, then moves that to `path`.

    Raises:
        ImageError: the folder does not exist or cannot be written, the disk is full, or the target is a folder.
    """
    try:
        with replacing(path) as temporary, temporary.open("w+b") as file:
            save(file)
    except OSError as error:
        raise ImageError(f"cannot write {path}: {error.strerror or error}") from error
