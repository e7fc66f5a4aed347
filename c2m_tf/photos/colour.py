"""Colour profiles: conversion of photos between colour spaces.

A photo without a profile, or with a damaged one, is assumed to be sRGB. Conversions are relative colorimetric with
black point compensation, by Little CMS within Pillow, on 8 bits.
"""

import io
from contextlib import suppress

import numpy as np
from PIL import Image, ImageCms

from c2m_tf.photos.photo import Photo
from c2m_tf.photos.resampling import as_float, as_uint8
from c2m_tf.photos.transparency import fill_hidden


def reference_colours(reference: Photo, lr: Photo) -> np.ndarray:
    """A reference as the network should see it beside an LR photo.

    Args:
        reference, lr: as read.

    Returns:
        float32 [H,W,3] in [0, 1]: the reference's colours in the colour space of the LR photo, those of hidden pixels filled.
    """
    rgb = converted(reference.rgb, reference.icc_profile, lr.icc_profile, reference.gray)
    return fill_hidden(rgb if rgb.dtype == np.float32 else as_float(rgb), reference.alpha)


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


def _profile(data):
    """The profile of those bytes; None where there are none, or they are damaged in whatever way Little CMS notices."""
    if not isinstance(data, bytes):
        return None
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(data))
        space(profile)
    except Exception:
        return None
    return profile


def _converted(image, source, target):
    """The image between two profiles, of which one that can be opened but not used is taken for sRGB."""
    intent, flags = ImageCms.Intent.RELATIVE_COLORIMETRIC, ImageCms.Flags.BLACKPOINTCOMPENSATION
    for own, other in ((source, target), (source, _SRGB), (_SRGB, target)):
        with suppress(Exception):
            return ImageCms.profileToProfile(image, own, other, intent, "RGB", flags=flags)
    return image.convert("RGB")
