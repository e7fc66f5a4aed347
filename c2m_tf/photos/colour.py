"""Colours as a network should see them: converted between colour spaces, and without those that full transparency hides.

A photo without a profile, or with a damaged one, is assumed to be sRGB. Conversions are relative colorimetric with
black point compensation, by Little CMS within Pillow, on 8 bits.

Of fully transparent pixels files may hold any colour: black, white, a key colour, erased content. A network would let it bleed
into visible pixels, so hidden pixels get the colour of the nearest visible one.
"""

import io
from contextlib import suppress

import numpy as np
from PIL import Image, ImageCms
from scipy.ndimage import distance_transform_edt

from c2m_tf.photos.resampling import as_uint8

_ROWS = 64


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
