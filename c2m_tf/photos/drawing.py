"""Pictures about photos: comparison sheets, photos side by side, each with a title; and match maps.

A match map shows for every cell of the LR photo where its match lies in the reference. Hue is the direction of the displacement
and saturation its length (a colour wheel: gray means no displacement); brightness is the confidence, the mean cosine of the
matched patches.
"""

from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from skimage.color import hsv2rgb

_MARGIN = 8
_MAX_ASPECT = 4
_TITLE_HEIGHT = 22
_BACKGROUND = (255, 255, 255)
_INK = (30, 30, 30)

_LENGTH_PERCENTILE = 95.0  # displacements of this percentile and above are drawn fully saturated


def fullest_box(values: np.ndarray, size: tuple[int, int]) -> tuple[int, int, float]:
    """The box of one size in which values add up to the most, by a summed-area table.

    Args:
        values: float [H,W], not negative.
        size: (height, width) of the box; cut to those of `values`.

    Returns:
        (top, left, sum) of the first such box in row-major order.
    """
    height, width = (min(side, limit) for side, limit in zip(size, values.shape, strict=True))
    table = np.pad(values.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    sums = table[height:, width:] - table[:-height, width:] - table[height:, :-width] + table[:-height, :-width]
    top, left = np.unravel_index(int(sums.argmax()), sums.shape)
    return int(top), int(left), float(sums[top, left])


class Panel(NamedTuple):
    """One photo of a sheet: its title and uint8 pixels [H,W,3]."""

    title: str
    pixels: np.ndarray


def sheet(rows: list[list[Panel]], height: int = 360) -> np.ndarray:
    """Draws rows of panels, each scaled to one height, or less if it would be wider than four times that height.

    Args:
        rows: list of rows, each a list of `Panel`; a row may hold any number.
        height: height of the panels in pixels.

    Returns:
        uint8 [H,W,3].
    """
    drawn = [[(panel.title, _scaled(panel.pixels, height)) for panel in row] for row in rows]
    row_width = max(sum(image.width + _MARGIN for _, image in row) for row in drawn) + _MARGIN
    row_height = height + _TITLE_HEIGHT + _MARGIN
    canvas = Image.new("RGB", (row_width, row_height * len(drawn) + _MARGIN), _BACKGROUND)
    pen = ImageDraw.Draw(canvas)
    font = ImageFont.load_default(14)
    for number, row in enumerate(drawn):
        left, top = _MARGIN, _MARGIN + number * row_height
        for title, image in row:
            pen.text((left, top), title, fill=_INK, font=font)
            canvas.paste(image, (left, top + _TITLE_HEIGHT))
            left += image.width + _MARGIN
    return np.asarray(canvas)


def crop_panels(panels: list[Panel], box: tuple[int, int, int, int]) -> list[Panel]:
    """The same panels cut to `box` = (top, left, height, width)."""
    top, left, height, width = box
    return [Panel(panel.title, panel.pixels[top : top + height, left : left + width]) for panel in panels]


def most_changed_box(first: np.ndarray, second: np.ndarray, size: int) -> tuple[int, int, int, int]:
    """The square in which two photos differ most.

    Args:
        first, second: uint8 [H,W,3].
        size: side of the square in pixels; cut to the photos' sides if those are smaller.

    Returns:
        (top, left, height, width).
    """
    change = np.abs(first.astype(np.float64) - second).sum(axis=2)
    height, width = min(size, change.shape[0]), min(size, change.shape[1])
    top, left, _ = fullest_box(change, (height, width))
    return top, left, height, width


def comparison_sheet(
    bicubic: np.ndarray,
    sr: np.ndarray,
    reference: np.ndarray | None,
    hr: np.ndarray | None = None,
    detail: int = 96,
    title: str = "result",
) -> np.ndarray:
    """Sheet of bicubic, SR, HR and reference (where given), and below them the square that changed most, enlarged.

    Args:
        bicubic, sr, hr: uint8 [H,W,3].
        reference: uint8 [H',W',3], or None.
        detail: side of the enlarged square in pixels.
        title: of the SR, as the name of the model that made it.

    Returns:
        uint8 picture.
    """
    whole = [Panel("bicubic", bicubic), Panel(title, sr)]
    if hr is not None:
        whole.append(Panel("HR", hr))
    box = most_changed_box(bicubic, sr, detail)
    last = [] if reference is None else [Panel("reference", reference)]
    return sheet([[*whole, *last], crop_panels(whole, box)])


def _scaled(pixels: np.ndarray, height: int) -> Image.Image:
    image = Image.fromarray(pixels)
    scale = min(height / image.height, _MAX_ASPECT * height / image.width)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.resize(size, Image.Resampling.NEAREST if scale > 1 else Image.Resampling.LANCZOS)


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
