"""Converts decoded pixels of any kind to RGB and alpha. docs/limits.md lists the result of every kind; tests compare each with
a second decoder.
"""

from typing import BinaryIO, NamedTuple

import numpy as np
from PIL import Image, ImageOps

from c2m_tf.photos import png, tiff
from c2m_tf.photos.colour import cmyk_to_srgb
from c2m_tf.photos.errors import ImageError
from c2m_tf.photos.metadata import NO_METADATA, Metadata, kept_metadata
from c2m_tf.photos.resampling import as_float

_SIXTEEN_BITS = ("I;16", "I;16B", "I;16L", "I;16N")
_GRAY = ("1", "L", "LA", "La")
_ASSOCIATED_ALPHA = {"La": "LA", "RGBa": "RGBA"}
_WITH_ALPHA = ("LA", "RGBA", "PA", *_ASSOCIATED_ALPHA)
_UNKNOWN_RANGE = ("I", "F")  # of Pillow's modes


class Pixels(NamedTuple):
    """What is decoded of a photo.

    Attributes:
        rgb: [H,W,3], float32 in [0, 1], or uint8.
        alpha: [H,W] of the same types, or None.
        gray: whether the photo is gray.
        icc_profile: embedded colour profile, or None.
        metadata: see `metadata.kept_metadata`.
    """

    rgb: np.ndarray
    alpha: np.ndarray | None = None
    gray: bool = False
    icc_profile: bytes | None = None
    metadata: Metadata = NO_METADATA


def has_alpha(picture: Image.Image) -> bool:
    """Whether `pixels_of_picture` will give alpha for a file that Pillow has opened and not decoded yet."""
    return picture.mode in _WITH_ALPHA or (picture.format == "PNG" and "transparency" in picture.info)


def pixels_of_memory(picture: Image.Image, name: str) -> Pixels:
    """Pixels of a picture of Pillow's in any mode, upright; what Pillow calls transparency becomes alpha.

    Args:
        picture: decoded or not; it is not changed.
        name: in error messages.

    Raises:
        ImageError: 32 bits per pixel, whose range is unknown.
    """
    if picture.mode in _UNKNOWN_RANGE:
        raise ImageError(
            f"the {name} has 32 bits per pixel (mode {picture.mode}), whose range is unknown; convert it to L, I;16 or RGB"
        )
    upright = ImageOps.exif_transpose(picture)
    gray = upright.mode in _GRAY
    if "transparency" in upright.info and upright.mode in ("1", "L", "P", "RGB"):
        upright = upright.convert("RGBA")
    found = pixels_of_picture(upright)
    return found._replace(gray=found.gray or gray, metadata=kept_metadata(upright))


def pixels_of_picture(
    image: Image.Image, header: png.Header | None = None, file: BinaryIO | None = None, tags: tiff.Tags | None = None
) -> Pixels:
    """The pixels of a picture that Pillow has decoded; metadata is left out.

    Args:
        image: loaded and upright, in any mode.
        header, file: for a PNG file, its header and the open file.
        tags: for a TIFF file, the tags of the picture.

    Returns:
        Pixels.
    """
    profile = image.info.get("icc_profile")
    profile = profile if isinstance(profile, bytes) else None
    if header is not None:
        rgb, alpha, gray = _png(image, header, file)
        return Pixels(rgb, alpha, gray, profile)
    if image.mode in _SIXTEEN_BITS:
        return Pixels(_three(_sixteen_bits(image, tags)), None, True, profile)
    if image.mode == "P" and tags is not None:
        return Pixels(_colour_map(tags)[np.asarray(image)], None, False, profile)
    if image.mode == "CMYK":
        return Pixels(as_float(np.asarray(cmyk_to_srgb(image, profile))))
    if image.mode in _ASSOCIATED_ALPHA:
        image = image.convert(_ASSOCIATED_ALPHA[image.mode])
    gray = image.mode in _GRAY
    if image.mode not in (*_GRAY, "RGB", "RGBA", "P", "PA"):
        profile = None  # it describes the colours before the conversion
    if image.mode in ("LA", "RGBA", "PA"):
        rgb, alpha = _colours_and_alpha(image)
        return Pixels(rgb, alpha, gray, profile)
    return Pixels(as_float(np.asarray(image.convert("RGB"))), None, gray, profile)


def _png(image, header, file):
    """rgb, alpha or None, and whether it is gray. The transparent colour is compared at the file's own depth."""
    key = header.transparency
    if header.colour_type == png.GRAY:
        if image.mode == "I;16":
            values = np.asarray(image)
            gray = values.astype(np.float32) / np.float32(65535.0)
        else:
            values = np.rint(np.asarray(image.convert("L")) * ((2**header.depth - 1) / 255.0)).astype(np.uint16)
            gray = as_float(np.asarray(image.convert("L")))
        alpha = None if key is None else np.float32(values != _samples(header, 1)[0])
        return _three(gray), alpha, True
    if header.colour_type == png.RGB:
        values = np.asarray(image)
        rgb = as_float(values)
        if key is None:
            return rgb, None, False
        if header.depth == 16:
            values = values * np.uint16(256) + png.lower_bytes(file)
        return rgb, np.float32((values != _samples(header, 3)).any(axis=-1)), False
    if header.colour_type == png.PALETTE:
        rgb = as_float(np.asarray(image.convert("RGB")))
        if key is None:
            return rgb, None, False
        alphas = np.full(256, 255, np.uint8)
        alphas[: min(len(key), 256)] = np.frombuffer(key[:256], np.uint8)
        return rgb, as_float(alphas[np.asarray(image)]), False
    return *_colours_and_alpha(image), header.colour_type == png.GRAY_ALPHA


def _colours_and_alpha(image):
    rgba = np.asarray(image.convert("RGBA"))
    return as_float(rgba[..., :3]), as_float(rgba[..., 3])


def _samples(header, count):
    """The samples of a transparent colour, uint16 [count]: two bytes each, of which as many bits count as a sample has."""
    stored = header.transparency[: 2 * count]
    if len(stored) < 2 * count:
        raise ValueError("its transparent colour is cut off")
    return np.frombuffer(stored, ">u2").astype(np.uint16) & np.uint16(2**header.depth - 1)


def _sixteen_bits(image, tags):
    """Gray of 16 bits, or of 12 in a TIFF file, as float32 [H,W] in [0, 1]."""
    tags = tags or {}
    bits = tags.get(tiff.BITS, 16)
    largest = np.float32(2 ** (bits[0] if isinstance(bits, tuple) else bits) - 1)
    values = np.asarray(image).astype(np.float32) / largest
    return 1.0 - values if tags.get(tiff.PHOTOMETRIC) == tiff.WHITE_IS_ZERO else values


def _colour_map(tags):
    """Colours of a TIFF palette, float32 [N,3]: 16 bits each, or, of some writers, 8."""
    colours = np.array(tags[tiff.COLOUR_MAP], np.float32).reshape(3, -1).T
    return np.ascontiguousarray(colours / np.float32(65535.0 if colours.max() > 255 else 255.0))


def _three(gray):
    return np.repeat(gray[..., None], 3, axis=2)
