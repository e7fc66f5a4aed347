"""Match maps: for every cell of the LR photo, where its match lies in the reference.

Hue is the direction of the displacement and saturation its length (a colour wheel: gray means no displacement); brightness is
the confidence, the mean cosine of the matched patches.
"""

import numpy as np
from skimage.color import hsv2rgb

_LENGTH_PERCENTILE = 95.0  # displacements of this percentile and above are drawn fully saturated


def match_map(flow: np.ndarray, score: np.ndarray) -> np.ndarray:
    """Draws a flow.

    Args:
        flow: float [h,w,2], (dy, dx) in cells, as `Upscaler.find_matches` returns it.
        score: float [h,w], mean cosine in [-1, 1].

    Returns:
        uint8 [4*h,4*w,3].
    """
    dy, dx = flow[..., 0], flow[..., 1]
    length = np.hypot(dy, dx)
    longest = max(float(np.percentile(length, _LENGTH_PERCENTILE)), 1.0)
    hue = np.arctan2(dy, dx) / (2.0 * np.pi) % 1.0
    colours = np.stack([hue, np.minimum(length / longest, 1.0), np.clip(score, 0.0, 1.0)], axis=-1)
    pixels = np.rint(hsv2rgb(colours) * 255.0).astype(np.uint8)
    return pixels.repeat(4, axis=0).repeat(4, axis=1)
