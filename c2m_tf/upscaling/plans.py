"""How a photo will be upscaled: which search, tiles and windows of which size, and how much memory that needs."""

import os
from collections.abc import Sequence
from typing import NamedTuple

from c2m_tf.network.grid import FEATURE_STRIDE
from c2m_tf.photos.images import SCALE
from c2m_tf.upscaling.tiles import OVERLAP

SEARCHES = ("auto", "exact", "window")
TILE = 96  # LR pixels a side; the outermost 8 overlap
WINDOW = 512  # reference pixels a side; a tile covers 384 of them
WHOLE = 16384  # LR pixels up to which a photo is one tile
SHARE_OF_MEMORY = 0.75

# Exact search is chosen up to these: pairs of cells compared (some ten seconds on two cores), and pixels of the references,
# whose features are all kept.
_EXACT_PAIRS = 2**32
_EXACT_REF_PIXELS = 1_250_000

# Peak bytes, an upper fit to measurements (benchmarks/scaling.py): framework and weights, a pixel that is restored at a time,
# a reference pixel that is encoded at a time (exact search keeps all features, and joins them), a result's pixel, a given
# photo's pixel.
_FIXED_BYTES = 1000 * 2**20
_BYTES_PER_RESTORED_PIXEL = 3400
_BYTES_PER_ENCODED_PIXEL = {"exact": 1700, "window": 900}
_BYTES_PER_RESULT_PIXEL = 32
_BYTES_PER_GIVEN_PIXEL = 16


class Plan(NamedTuple):
    """How a photo will be upscaled: search "exact" or "window", sides of tile and window in pixels, peak bytes."""

    search: str
    tile: int
    window: int
    memory: int


def make_plan(lr_shape: Sequence[int], ref_shapes: Sequence[Sequence[int]], search: str, tile: int | None, window: int) -> Plan:
    """The plan for a photo.

    Args:
        lr_shape: of the LR photo, [h,w,...].
        ref_shapes: of its references, [H,W,...] each.
        search: one of `SEARCHES`.
        tile: side of the tiles in LR pixels, or None to choose it.
        window: side of the windows in reference pixels.

    Returns:
        Plan.
    """
    lr_pixels = lr_shape[0] * lr_shape[1]
    ref_pixels = [shape[0] * shape[1] for shape in ref_shapes]
    if search == "auto":
        pairs = lr_pixels * sum(ref_pixels) / FEATURE_STRIDE**2
        search = "exact" if pairs <= _EXACT_PAIRS and sum(ref_pixels) <= _EXACT_REF_PIXELS else "window"
    if tile is None:
        tile = max(lr_shape[:2]) if search == "exact" and lr_pixels <= WHOLE else TILE
    encoded = sum(ref_pixels) if search == "exact" else max(min(window**2, pixels) for pixels in ref_pixels)
    restored = min(tile, lr_shape[0]) * min(tile, lr_shape[1]) * SCALE**2
    memory = (
        _FIXED_BYTES
        + restored * _BYTES_PER_RESTORED_PIXEL
        + encoded * _BYTES_PER_ENCODED_PIXEL[search]
        + lr_pixels * SCALE**2 * _BYTES_PER_RESULT_PIXEL
        + sum(ref_pixels) * _BYTES_PER_GIVEN_PIXEL
    )
    return Plan(search, tile, window, memory)


def default_window(tile: int | None) -> int:
    """Side of the windows, in reference pixels, for tiles of that side, None for the default."""
    return max(WINDOW, SCALE * (tile or TILE))


def check_sizes(search: str, tile: int | None, window: int | None) -> None:
    """Raises ValueError if search, tile and window cannot be used together; see `Upscaler`."""
    if search not in SEARCHES:
        raise ValueError(f"unknown search {search!r}; choose one of {', '.join(SEARCHES)}")
    for name, value in (("tile", tile), ("window", window)):
        if value is not None and (value <= 0 or value % FEATURE_STRIDE):
            raise ValueError(f"{name} {value} is no positive multiple of {FEATURE_STRIDE}")
    least = FEATURE_STRIDE * (OVERLAP // FEATURE_STRIDE + 1)
    if tile is not None and tile < least:
        raise ValueError(f"tile {tile} is too small: neighbours overlap by {OVERLAP} pixels; {least} is the least")
    if window is not None and window < SCALE * (tile or TILE):
        raise ValueError(
            f"window {window} is smaller than what a tile of {tile or TILE} LR pixels covers, {SCALE * (tile or TILE)}"
        )


def physical_memory() -> int:
    """Bytes of memory that the machine has."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 8 * 2**30  # Windows has no sysconf; assume a small machine
