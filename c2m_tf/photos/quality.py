"""What has become of a photo on its way: JPEG, noise, blur and averaging, estimated from its file and its pixels.

JPEG. The quantization tables in a JPEG file say its quality. A photo that was a JPEG once still says so in another format: the
coefficients of its 8x8 blocks lie at multiples of the steps of one table, as long as it was not resized.

Noise. What hides noise best, texture, is nearly the same in red, green and blue, but a sensor's noise is
not. So noise is measured in differences of channels, in the smoothest blocks. Gray photos have none; there, noise and texture
cannot be told apart this way.

Blur and averaging. Spectra of photos are much alike: amplitudes fall with the frequency. A filter before downsampling bends
that curve: after a blur it falls more at the highest frequencies; means of areas let more aliases pass, and it falls less
there. Both show more along the diagonals than along the axes. How much fine detail a photo has depends on what it shows, the
bend less so. The scores' weights were fitted to photos by `benchmarks/spectrum.py`.
"""

import math
from typing import NamedTuple

import numpy as np
from scipy import fft, ndimage

from c2m_tf.photos.image import Image
from c2m_tf.photos.pixels import as_float

_WINDOW = 32
_STEP = 16
_HANN = np.outer(np.hanning(_WINDOW), np.hanning(_WINDOW)).astype(np.float32)
_MIN_SIDE_OF_SPECTRUM = 64  # smaller photos have too few windows
_LOW = np.arange(-3, 4)  # frequencies across an axis that count as along it; 3 are 0.09 cycles per pixel
_FLOOR = 1.0  # of the power in grey levels of 255; a tenth of what rounding to 8 bits adds

_BLURRED = np.array(
    [
        *(0.385, -0.176, 0.114, 0.076, 0.064, 0.169, -0.208, -0.034),  # axes
        *(-0.250, -0.123, 0.247, 0.681, 0.392, 0.002, -0.711, -0.627),  # diagonals
    ]
)
_BLURRED_BIAS = -3.582
_AVERAGED = np.array(
    [
        *(-0.223, 0.110, 0.241, -0.027, -0.388, -0.672, 0.329, 0.489),  # axes
        *(0.066, 0.428, -0.083, -0.678, -0.747, -0.489, 0.591, 1.056),  # diagonals
    ]
)
_AVERAGED_BIAS = 1.691

_SIDE = 512  # of the middle part of a photo that is measured
_BLOCK = 8
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)

# ITU-T T.81, table K.1, that libjpeg and Pillow scale by the quality.
_LUMA_TABLE = np.array(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ]
).ravel()
_QUALITIES = np.arange(1, 101)
_SCALES = np.where(_QUALITIES < 50, 5000 // _QUALITIES, 200 - 2 * _QUALITIES)
_TABLES = np.clip((_LUMA_TABLE * _SCALES[:, None] + 50) // 100, 1, 255)

_JPEG_SIDE = 256  # of the part in which traces of JPEG are searched
_MIN_COEFFICIENTS = 100  # from fewer, a chance fit of one of so many tables would look like a true one
_MIN_STEP = 3  # smaller steps drown in the rounding of pixels
# Mean cosine of the coefficients' phases in their table's steps; 1 for multiples. Of 99 photos at a quarter of their sides,
# at least 0.53 after JPEG of quality 30 to 95, and at most 0.22 without.
_MIN_FIT = 0.4

# Standard deviation of white noise of 1 in the tenth of the blocks where it seems weakest.
_WEAKEST_TENTH = 0.79
_CROSS_DIFFERENCE = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32) / 6  # keeps the deviation of white noise
_MIN_SIDE = 32  # of photos whose noise is measured


def shape_of(luma: np.ndarray) -> np.ndarray | None:
    """The shape of the spectrum, whatever the contrast: mean powers of 32x32 pixels under a Hann window, every 16 pixels.

    Args:
        luma: float [H,W] in [0, 255].

    Returns:
        float [16], logarithms to base 2 of amplitudes, less their mean: 8 along the axes at 1.5, 3.5 ... 15.5 cycles per 32
        pixels, then 8 along the diagonals at as many in both directions. The same for the photo turned or mirrored, if all its
        pixels are in windows. None if a side is below 64 pixels, or for a photo of one colour.
    """
    if min(luma.shape) < _MIN_SIDE_OF_SPECTRUM:
        return None
    windows = np.lib.stride_tricks.sliding_window_view(luma, (_WINDOW, _WINDOW))[::_STEP, ::_STEP].reshape(-1, _WINDOW, _WINDOW)
    windows = (windows - windows.mean(axis=(1, 2), keepdims=True)) * _HANN
    power = (np.abs(fft.fft2(windows)) ** 2).mean(axis=0)
    if power.max() < _FLOOR:
        return None
    frequencies = np.arange(1, _WINDOW // 2 + 1)
    axes = (power[frequencies[:, None], _LOW] + power[_LOW, frequencies[:, None]]).mean(axis=1)
    diagonals = power[frequencies, frequencies] + power[frequencies, -frequencies]
    amplitudes = np.log2(np.concatenate([axes, diagonals]) + _FLOOR) / 2
    pairs = amplitudes.reshape(-1, 2).mean(axis=1)
    return pairs - pairs.mean()


def blurred(shape: np.ndarray) -> float:
    """More than 0 if the shape is more like that of a photo blurred before downsampling than like that of a sharp one.

    Args:
        shape: of `shape_of`.

    Returns:
        About 1 for a Gaussian blur of 1.5 pixels before downsampling to a quarter, -1 for bicubic or Lanczos alone. It rises up
        to a blur of about 3 pixels and falls for more, where rounding to 8 bits hides the amplitudes.
    """
    return float(shape @ _BLURRED + _BLURRED_BIAS)


def averaged(shape: np.ndarray) -> float:
    """More than 0 if the shape is more like that of a photo downsampled by the mean of areas than by bicubic or Lanczos.

    Args:
        shape: of `shape_of`.

    Returns:
        About 1 for means of areas of 4x4 pixels, -1 for bicubic or Lanczos to a quarter.
    """
    return float(shape @ _AVERAGED + _AVERAGED_BIAS)


class PhotoQuality(NamedTuple):
    """What a photo's file and pixels say about its quality.

    Attributes:
        jpeg: quality from 1 to 100 as libjpeg counts it, of other tables that of the most similar; None if nothing
            speaks of JPEG.
        noise: standard deviation in grey levels of 255, of noise that is independent per channel; None of gray photos
            and of those with a side below 32 pixels.
        blurred: more than 0 if the spectrum is more like that of a photo blurred before downsampling, about 1 for a Gaussian
            blur of 1.5 pixels before downsampling to a quarter, than like that of one downsampled by bicubic or Lanczos.
        averaged: more than 0 if the spectrum is more like that of a photo downsampled by the mean of areas. The last two are
            None of photos with a side below 64 pixels and of those of one colour; JPEG and noise disturb them.
    """

    jpeg: int | None
    noise: float | None
    blurred: float | None
    averaged: float | None


def quality_of(photo: Image) -> PhotoQuality:
    """Estimates the quality of a photo; of large ones, of the 512x512 pixels in the middle.

    Args:
        photo: Image.

    Returns:
        PhotoQuality.
    """
    rgb = as_float(_middle(photo.rgb, _SIDE))
    luma = luma_of(rgb)
    jpeg = jpeg_quality(photo.jpeg_tables) if photo.jpeg_tables else jpeg_quality_of_pixels(luma)
    shape = shape_of(luma)
    if shape is None:
        return PhotoQuality(jpeg, _noise(rgb), None, None)
    return PhotoQuality(jpeg, _noise(rgb), blurred(shape), averaged(shape))


def luma_of(rgb: np.ndarray) -> np.ndarray:
    """The luma of JPEG, float32 [H,W] in [0, 255], of float32 [H,W,3] in [0, 1]."""
    return rgb @ (_LUMA * 255)


def jpeg_quality(tables: dict[int, list[int]]) -> int:
    """The quality whose luma table resembles the first of a file's tables most: by the mean ratio of steps."""
    ratios = np.log(np.maximum(tables[min(tables)], 1) / _TABLES)
    return int(_QUALITIES[np.abs(ratios).mean(axis=1).argmin()])


def jpeg_quality_of_pixels(luma: np.ndarray) -> int | None:
    """The quality of the JPEG that a photo was before, as its pixels show.

    Args:
        luma: float [H,W] in [0, 255]; may be cut out of the decoded photo at any place.

    Returns:
        From 1 to 100; None if there are no traces, or the tables were not libjpeg's.
    """
    if min(luma.shape) < 3 * _BLOCK:
        return None
    part = _middle(luma, _JPEG_SIDE)
    # Compression leaves zeros where its blocks are, and only there.
    shifts = [(y, x) for y in range(_BLOCK) for x in range(_BLOCK)]
    zeros = [(np.abs(_coefficients(part[y:, x:])[:, 1:, 1:]) < 0.5).mean() for y, x in shifts]
    y, x = shifts[int(np.argmax(zeros))]
    values = _coefficients(part[y:, x:]).reshape(-1, _BLOCK * _BLOCK)[:, 1:]
    fits = [_fit(values, table[1:]) for table in _TABLES]
    best = int(np.argmax(fits))
    return int(_QUALITIES[best]) if fits[best] >= _MIN_FIT else None


def _fit(values: np.ndarray, steps: np.ndarray) -> float:
    """Mean cosine of the phases of coefficients [blocks, 63] in steps [63]; 0 if too few say anything."""
    ratios = values[:, steps >= _MIN_STEP] / steps[steps >= _MIN_STEP]
    ratios = ratios[np.abs(ratios) > 0.6]  # those that would be rounded to 0 fit any large step
    return float(np.cos(2 * np.pi * ratios).mean()) if ratios.size >= _MIN_COEFFICIENTS else 0.0


def _coefficients(luma: np.ndarray) -> np.ndarray:
    """Discrete cosine transforms of the blocks from the first pixel on, [blocks, 8, 8]."""
    return fft.dctn(_blocks(luma), axes=(1, 2), norm="ortho")


def _blocks(plane: np.ndarray) -> np.ndarray:
    height, width = (side // _BLOCK for side in plane.shape)
    cut = plane[: height * _BLOCK, : width * _BLOCK].reshape(height, _BLOCK, width, _BLOCK)
    return cut.swapaxes(1, 2).reshape(-1, _BLOCK, _BLOCK)


def _noise(rgb: np.ndarray) -> float | None:
    """Standard deviation of noise per channel in grey levels of 255; None if it cannot be measured."""
    red, green, blue = np.moveaxis(rgb * np.float32(255), -1, 0)
    if min(red.shape) < _MIN_SIDE or ((red == green).all() and (blue == green).all()):
        return None
    root = math.sqrt(2)  # a difference of two channels has so much more noise than one
    return (_noise_of_plane((red - green) / root) + _noise_of_plane((blue - green) / root)) / 2


def _noise_of_plane(plane: np.ndarray) -> float:
    """Standard deviation of noise in the smoothest blocks of [H,W]."""
    differences = ndimage.convolve(plane, _CROSS_DIFFERENCE)[1:-1, 1:-1]
    return float(np.percentile(_blocks(differences).std(axis=(1, 2)), 10) / _WEAKEST_TENTH)


def _middle(photo: np.ndarray, side: int) -> np.ndarray:
    """The middle of a photo, at most `side` pixels high and wide."""
    top, left = (max(0, length - side) // 2 for length in photo.shape[:2])
    return photo[top : top + side, left : left + side]
