"""Pixels as a network should see them: floats, of any kind to RGB and alpha, in one colour space, without what nobody sees.

docs/limits.md lists the result of every kind of pixels; tests compare each with a second decoder. Down- and upsampling are
Pillow's bicubic, the field's standard degradation.

A photo without a profile, or with a damaged one, is assumed to be sRGB. Conversions are relative colorimetric with
black point compensation, by Little CMS within Pillow, on 8 bits.

Of fully transparent pixels files may hold any colour: black, white, a key colour, erased content. A network would let it bleed
into visible pixels, so hidden pixels get the colour of the nearest visible one.
"""

import io
import math
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from PIL import Image, ImageCms, ImageOps
from scipy.ndimage import distance_transform_edt

from c2m_tf.photos import png, tiff
from c2m_tf.photos.formats import ImageError
from c2m_tf.photos.metadata import NO_METADATA, Metadata, kept_metadata

SCALE = 4
_FLOATS_AT_ONCE = 2**20

_ROWS = 64

_SIXTEEN_BITS = ("I;16", "I;16B", "I;16L", "I;16N")
_GRAY = ("1", "L", "LA", "La")
_ASSOCIATED_ALPHA = {"La": "LA", "RGBa": "RGBA"}
_WITH_ALPHA = ("LA", "RGBA", "PA", *_ASSOCIATED_ALPHA)
_UNKNOWN_RANGE = ("I", "F")  # of Pillow's modes


def as_uint8(values: np.ndarray) -> np.ndarray:
    """uint8 unchanged; float in [0, 1] clipped, scaled to 0..255 and rounded. NaN becomes 0."""
    values = np.asarray(values)
    return values if values.dtype == np.uint8 else _as_integers(values, np.uint8)


def as_uint16(values: np.ndarray) -> np.ndarray:
    """The same in 0..65535; uint8 times 257."""
    values = np.asarray(values)
    return values * np.uint16(257) if values.dtype == np.uint8 else _as_integers(values, np.uint16)


def _as_integers(values: np.ndarray, kind: type) -> np.ndarray:
    largest = np.float32(np.iinfo(kind).max)
    result: np.ndarray = np.empty(values.shape, kind)
    # Some rows at a time: a float copy of a large photo would take four times its own memory.
    rows = max(1, _FLOATS_AT_ONCE // max(1, math.prod(values.shape[1:])))
    for start in range(0, len(values), rows):
        part = np.nan_to_num(values[start : start + rows].astype(np.float32))
        result[start : start + rows] = np.rint(np.clip(part, 0.0, 1.0) * largest)
    return result


def as_float(values: np.ndarray) -> np.ndarray:
    """uint8 0..255 -> float32 [0, 1]; float as float32."""
    values = np.asarray(values)
    if values.dtype != np.uint8:
        return values.astype(np.float32)
    result = values.astype(np.float32)
    result /= np.float32(255.0)
    return result


def bicubic(values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Pillow's bicubic resize, the field's standard degradation: 8 bits in, 8 bits out, antialiased when shrinking.

    Args:
        values: uint8 [H,W,3] or [H,W].
        size: (height, width) of the result.

    Returns:
        uint8 of that size.
    """
    return np.asarray(Image.fromarray(values).resize((size[1], size[0]), Image.Resampling.BICUBIC))


def downsample(hr: np.ndarray) -> np.ndarray:
    """LR photo of an HR photo whose sides are multiples of 4: Pillow's bicubic by 4, uint8 [h,w,3]."""
    return bicubic(hr, (hr.shape[0] // SCALE, hr.shape[1] // SCALE))


def upsample(lr: np.ndarray) -> np.ndarray:
    """Pillow's bicubic by 4: uint8 [4h,4w,3] or [4h,4w]."""
    return bicubic(lr, (lr.shape[0] * SCALE, lr.shape[1] * SCALE))


def crop_to_multiple(photo: np.ndarray, multiple: int = SCALE) -> np.ndarray:
    """Drops rows at the bottom and columns at the right until both sides are multiples of 4."""
    height, width = (size // multiple * multiple for size in photo.shape[:2])
    return photo[:height, :width]


def converted(rgb: np.ndarray, source: bytes | None, target: bytes | None, gray: bool = False) -> np.ndarray:
    """Converts colours from one profile to another.

    Args:
        rgb: uint8 or float [H,W,3].
        source: profile of rgb, of RGB or, if the photo is gray, of gray; None means sRGB.
        target: RGB profile to convert to; None, or a profile of another kind, means sRGB.
        gray: whether the three channels are equal.

    Returns:
        uint8 [H,W,3]; rgb itself if no conversion is needed.
    """
    if source == target:
        return rgb
    source_profile, target_profile = _profile(source), _profile(target)
    if target_profile is None or space(target_profile) != "RGB":
        target_profile = _SRGB
    if source_profile is None:
        source_profile = _SRGB
    if source_profile is target_profile:
        return rgb
    pixels = as_uint8(rgb)
    if gray and space(source_profile) == "GRAY":
        image = Image.fromarray(np.ascontiguousarray(pixels[..., 0]))
    elif space(source_profile) == "RGB":
        image = Image.fromarray(pixels)
    else:
        return rgb
    return np.asarray(_converted(image, source_profile, target_profile))


def fill_hidden(rgb: np.ndarray, alpha: np.ndarray | None) -> np.ndarray:
    """Replaces the colours of fully transparent pixels.

    Args:
        rgb: [H,W,3] of any dtype.
        alpha: [H,W], 0 where nothing is visible; or None.

    Returns:
        rgb itself if no pixel, or every pixel, is hidden; else a copy in which each hidden pixel has the colour of the
        nearest visible one.
    """
    if alpha is None:
        return rgb
    hidden = alpha == 0
    if not hidden.any() or hidden.all():
        return rgb
    y, x = distance_transform_edt(hidden, return_distances=False, return_indices=True)
    filled = np.empty_like(rgb)
    for start in range(0, len(rgb), _ROWS):  # NumPy makes 8-byte copies of the indices: 16 bytes per pixel at one go
        rows = slice(start, start + _ROWS)
        filled[rows] = rgb[y[rows], x[rows]]
    return filled


def cmyk_to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """A CMYK image as RGB: converted to sRGB by its profile, or by Pillow's formula if it has none."""
    source = _profile(profile)
    if source is None or space(source) != "CMYK":
        return image.convert("RGB")
    return _converted(image, source, _SRGB)


def is_gray_profile(profile: bytes) -> bool:
    """Whether a profile describes one channel."""
    opened = _profile(profile)
    return opened is not None and space(opened) == "GRAY"


def space(profile: ImageCms.ImageCmsProfile) -> str:
    """Colour space that a profile describes: "RGB", "GRAY", "CMYK", ..."""
    return profile.profile.xcolor_space.strip()


_SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


def _profile(data: bytes | None) -> Any:
    """The profile of those bytes; None where there are none, or they are damaged in whatever way Little CMS notices."""
    if not isinstance(data, bytes):
        return None
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(data))
        space(profile)
    except Exception:
        return None
    return profile


def _converted(image: Image.Image, source: Any, target: Any) -> Any:
    """The image between two profiles, of which one that can be opened but not used is taken for sRGB."""
    intent, flags = ImageCms.Intent.RELATIVE_COLORIMETRIC, ImageCms.Flags.BLACKPOINTCOMPENSATION
    for own, other in ((source, target), (source, _SRGB), (_SRGB, target)):
        with suppress(Exception):
            return ImageCms.profileToProfile(image, own, other, intent, "RGB", flags=flags)
    return image.convert("RGB")


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


def _png(image: Image.Image, header: Any, file: Any) -> tuple[np.ndarray, Any, bool]:
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


def _colours_and_alpha(image: Image.Image) -> tuple[np.ndarray, np.ndarray]:
    rgba = np.asarray(image.convert("RGBA"))
    return as_float(rgba[..., :3]), as_float(rgba[..., 3])


def _samples(header: Any, count: int) -> np.ndarray:
    """The samples of a transparent colour, uint16 [count]: two bytes each, of which as many bits count as a sample has."""
    stored = header.transparency[: 2 * count]
    if len(stored) < 2 * count:
        raise ValueError("its transparent colour is cut off")
    return np.frombuffer(stored, ">u2").astype(np.uint16) & np.uint16(2**header.depth - 1)


def _sixteen_bits(image: Image.Image, tags: Mapping[int, Any] | None) -> np.ndarray:
    """Gray of 16 bits, or of 12 in a TIFF file, as float32 [H,W] in [0, 1]."""
    tags = tags or {}
    bits = tags.get(tiff.BITS, 16)
    largest = np.float32(2 ** (bits[0] if isinstance(bits, tuple) else bits) - 1)
    values = np.asarray(image).astype(np.float32) / largest
    return 1.0 - values if tags.get(tiff.PHOTOMETRIC) == tiff.WHITE_IS_ZERO else values


def _colour_map(tags: Mapping[int, Any]) -> np.ndarray:
    """Colours of a TIFF palette, float32 [N,3]: 16 bits each, or, of some writers, 8."""
    colours = np.array(tags[tiff.COLOUR_MAP], np.float32).reshape(3, -1).T
    return np.ascontiguousarray(colours / np.float32(65535.0 if colours.max() > 255 else 255.0))


def _three(gray: np.ndarray) -> np.ndarray:
    return np.repeat(gray[..., None], 3, axis=2)
