"""What the shape of a photo's spectrum says about how it was downsampled.

Spectra of photos are much alike: amplitudes fall with the frequency. A filter before downsampling bends that curve: after a
blur it falls more at the highest frequencies; means of areas let more aliases pass, and it falls less there. Both show more
along the diagonals than along the axes. How much fine detail a photo has depends on what it shows, the bend less so.

The scores' weights were fitted to photos by `benchmarks/spectrum.py`.
"""

import numpy as np
from scipy import fft

_WINDOW = 32
_STEP = 16
_HANN = np.outer(np.hanning(_WINDOW), np.hanning(_WINDOW)).astype(np.float32)
_MIN_SIDE = 64  # smaller photos have too few windows
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


def shape_of(luma: np.ndarray) -> np.ndarray | None:
    """The shape of the spectrum, whatever the contrast: mean powers of 32x32 pixels under a Hann window, every 16 pixels.

    Args:
        luma: float [H,W] in [0, 255].

    Returns:
        float [16], logarithms to base 2 of amplitudes, less their mean: 8 along the axes at 1.5, 3.5 ... 15.5 cycles per 32
        pixels, then 8 along the diagonals at as many in both directions. The same for the photo turned or mirrored, if all its
        pixels are in windows. None if a side is below 64 pixels, or for a photo of one colour.
    """
    if min(luma.shape) < _MIN_SIDE:
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
