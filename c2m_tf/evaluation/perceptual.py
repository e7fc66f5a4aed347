"""Perceptual measures, since PSNR rewards blur; lower is better for all of them.

    flip   mean of FLIP (Andersson et al., 2020): the difference seen when the two photos are flipped on a screen at 67 pixels
           per degree of view; package flip-evaluator, extra `flip`, nothing is downloaded
    lpips  LPIPS (Zhang et al., CVPR 2018) on VGG-16, package piq, extra `perceptual`
    dists  DISTS (Ding et al., 2020), package piq, extra `perceptual`

piq downloads VGG-16 (528 MB) and the weights of both measures on first use. All are computed within the protocol's border.
"""

from collections.abc import Callable, Sequence

import numpy as np

from c2m_tf.photos.images import as_float

MEASURES = ("flip", "lpips", "dists")

# uint8 HR and SR [H,W,3] -> figure
Measure = Callable[[np.ndarray, np.ndarray], float]


def load_measures(names: Sequence[str]) -> dict[str, Measure]:
    """The measures of those names, ready for use.

    Args:
        names: of MEASURES.

    Returns:
        {name: measure}; a measure takes uint8 photos [H,W,3], HR and SR, and gives a float.

    Raises:
        ValueError: unknown name, or weights that cannot be downloaded.
        ImportError: the package is not installed; the message says how to install it.
    """
    for name in names:
        if name not in MEASURES:
            raise ValueError(f"unknown measure {name!r}; choose from {', '.join(MEASURES)}")
    return {name: _flip() if name == "flip" else _of_piq(name) for name in names}


def _flip():
    try:
        from flip_evaluator import evaluate
    except ImportError as error:
        raise ImportError(f"measure flip needs: pip install 'c2m-tf[flip]' ({error})") from error

    def measure(hr, sr):
        return float(evaluate(as_float(hr), as_float(sr), "LDR", inputsRGB=True, applyMagma=False)[1])

    return measure


def _of_piq(name):
    try:
        import piq
        import torch
    except ImportError as error:
        raise ImportError(f"measure {name} needs: pip install 'c2m-tf[perceptual]' ({error}); flip needs no torch") from error
    try:
        compare = {"lpips": piq.LPIPS, "dists": piq.DISTS}[name]()
    except OSError as error:  # urllib's errors are
        raise ValueError(
            f"measure {name} needs weights that piq downloads on first use, and that failed: {error}; go online once, or take "
            f"flip, which needs none"
        ) from error

    def measure(hr, sr):
        with torch.inference_mode():
            tensors = (torch.from_numpy(as_float(photo)).permute(2, 0, 1)[None] for photo in (sr, hr))
            return float(compare(*tensors))

    return measure
