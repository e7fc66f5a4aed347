"""How a photo will be upscaled: which search, tiles and windows of which size, how much memory; and whether it can be."""

from collections.abc import Sequence
from typing import NamedTuple

from c2m_tf.network import FEATURE_STRIDE, REFERENCE_SCALES, REFINED_SCALES
from c2m_tf.photos.formats import TooLargeError
from c2m_tf.photos.pixels import SCALE
from c2m_tf.photos.result_size import Wanted
from c2m_tf.startup import usable_memory
from c2m_tf.upscaling.tiles import MAX_COARSE_CELLS, NARROW, Overlap

SEARCHES = ("auto", "levels", "exact", "window")
DEFAULT_TILE = 96  # LR pixels per side; the outermost 8 overlap
DEFAULT_BRANCH_TILE = 192  # of a single-image branch, which sees further and needs less memory; the outermost 24 overlap
DEFAULT_WINDOW = 512  # reference pixels per side; a default tile covers 384 of them
WHOLE_TILE = 128  # of photos that are no tile themselves, where features of whole references are kept
MOBILE_TILE = 384  # of a mobile network
MAX_WHOLE_PIXELS = WHOLE_TILE**2  # LR pixels up to which a photo is one tile
MIN_LR_SIDE = 3  # pixels: one 3x3 patch of cells
MIN_REF_SIDE = 12  # pixels: one 3x3 patch of cells of 4 pixels
ENSEMBLES = (1, 2, 4, 8)  # numbers of orientations whose results are averaged

SHARE = 0.75  # of the memory that this process may use, for one photo

# Pixels of the references up to which their features are all kept, for search by levels.
_LEVELS_REF_PIXELS = 2_700_000

# Peak bytes, an upper fit to measurements (benchmarks/scaling.py): framework and weights; per SR pixel of a tile; per
# reference pixel whose features are kept, or encoded at once for a window; per cell of a reference's small
# version (its matching features, and the same in the atlas); per pixel of the result.
_FIXED_BYTES = 1000 * 2**20
_BYTES_PER_RESTORED_PIXEL = 3400
_BYTES_PER_ENCODED_PIXEL = {"levels": 1200, "exact": 1700, "window": 900}
_BYTES_PER_COARSE_CELL = 2300
_BYTES_PER_RESULT_PIXEL = 32
# Of a single-image branch: per LR pixel of its tiles, and per pixel of its result, which is kept beside that with references.
_BYTES_PER_BRANCH_PIXEL = 4000
_BYTES_PER_ALONE_PIXEL = 12
# An int8 file in LiteRT (`tflite_upscaler`), beside photos.
_INT8_BYTES = 450 * 2**20
# Photos: per pixel given, and in addition per pixel of the largest one while it is decoded (most for photos with hidden
# pixels, then for WebP with alpha).
_BYTES_PER_GIVEN_PIXEL = 24
_BYTES_PER_DECODED_PIXEL = 16
# Of a mobile network: framework and weights; per LR pixel of a tile, of the photo; per reference pixel in each of its sizes.
_MOBILE_BYTES = 950 * 2**20
_MOBILE_BYTES_PER_TILE_PIXEL = 7_500
_MOBILE_BYTES_PER_MATCHED_PIXEL = 500
_MOBILE_BYTES_PER_ENCODED_PIXEL = 50
# Of all copies of all references, so that their numbers can be counted in 32 bits.
_MOST_ENCODED_PIXELS = 2**31 // 3
# Of an ensemble: turned copies of the photos, float32 RGB, and the sum of the results.
_BYTES_PER_TURNED_PIXEL = 12
_BYTES_PER_MEAN_PIXEL = 12


class Plan(NamedTuple):
    """How a photo will be upscaled.

    Attributes:
        search: "levels", "exact", "window" or "none".
        tile, window: sides in pixels of the LR photo and of the references.
        memory: peak bytes.
        branch_tile: side of the tiles that a single-image branch restores by itself; 0 if there is no such branch.
    """

    search: str
    tile: int
    window: int
    memory: int
    branch_tile: int = 0


def make_plan(
    lr_shape: Sequence[int],
    ref_shapes: Sequence[Sequence[int]],
    search: str,
    tile: int | None,
    window: int,
    branch: bool = False,
) -> Plan:
    """The plan for a photo.

    Args:
        lr_shape: of the LR photo, [h,w,...].
        ref_shapes: of its references, [H,W,...] each; empty for none.
        search: one of `SEARCHES`.
        tile: side of the tiles in LR pixels, or None to choose it.
        window: side of the windows in reference pixels.
        branch: whether the model has a single-image branch of its own, which restores the whole photo first.

    Returns:
        Plan.
    """
    lr_pixels = lr_shape[0] * lr_shape[1]
    ref_pixels = [shape[0] * shape[1] for shape in ref_shapes]
    if not ref_pixels:
        search = "none"
    elif search == "auto":
        search = "levels" if sum(ref_pixels) <= _LEVELS_REF_PIXELS else "window"
    branch_tile = max(lr_shape[:2]) if lr_pixels <= MAX_WHOLE_PIXELS else max(tile or 0, DEFAULT_BRANCH_TILE)
    if tile is None:
        whole = max(lr_shape[:2]) if lr_pixels <= MAX_WHOLE_PIXELS else WHOLE_TILE
        tile = DEFAULT_TILE if search == "window" else whole
    memory = _FIXED_BYTES + photo_bytes(lr_shape, ref_shapes)
    restored = _pixels(tile, lr_shape) * SCALE**2 * _BYTES_PER_RESTORED_PIXEL
    if branch:
        branch_bytes = _pixels(branch_tile, lr_shape) * _BYTES_PER_BRANCH_PIXEL
        kept = 0 if search == "none" else lr_pixels * SCALE**2 * _BYTES_PER_ALONE_PIXEL
        memory += kept + (branch_bytes if search == "none" else max(branch_bytes, restored))
    else:
        memory += restored
    if search in ("levels", "exact"):
        memory += sum(ref_pixels) * _BYTES_PER_ENCODED_PIXEL[search]
    elif search == "window":
        memory += max(min(window**2, pixels) for pixels in ref_pixels) * _BYTES_PER_ENCODED_PIXEL[search]
        memory += sum(min(MAX_COARSE_CELLS, pixels // FEATURE_STRIDE**2) for pixels in ref_pixels) * _BYTES_PER_COARSE_CELL
    return Plan(search, tile, window, memory, branch_tile if branch else 0)


def make_mobile_plan(
    lr_shape: Sequence[int],
    ref_shapes: Sequence[Sequence[int]],
    tile: int | None,
    scales: Sequence[float] = REFERENCE_SCALES + REFINED_SCALES,
) -> Plan:
    """The plan of a mobile network, which searches by levels and restores photo and single-image branch in the same tiles.

    Args:
        lr_shape, ref_shapes, tile: as of `make_plan`.
        scales: `Mobile.scales`.

    Raises:
        ValueError: references of more pixels than can be counted.
    """
    tile = MOBILE_TILE if tile is None else tile
    memory = _MOBILE_BYTES + photo_bytes(lr_shape, ref_shapes) + _pixels(tile, lr_shape) * _MOBILE_BYTES_PER_TILE_PIXEL
    if ref_shapes:
        memory += lr_shape[0] * lr_shape[1] * _MOBILE_BYTES_PER_MATCHED_PIXEL
        copies = sum(scale**2 for scale in scales)
        given = sum(shape[0] * shape[1] for shape in ref_shapes)
        if copies * given > _MOST_ENCODED_PIXELS:
            raise ValueError(
                f"references have {given / 1e6:.0f} megapixels, a mobile network takes "
                f"{_MOST_ENCODED_PIXELS / copies / 1e6:.0f}; give fewer or smaller ones, or choose --model light"
            )
        memory += int(copies * given * _MOBILE_BYTES_PER_ENCODED_PIXEL)
    return Plan("levels" if ref_shapes else "none", tile, 0, memory)


def _pixels(tile: int, lr_shape: Sequence[int]) -> int:
    return min(tile, lr_shape[0]) * min(tile, lr_shape[1])


def photo_bytes(lr_shape: Sequence[int], ref_shapes: Sequence[Sequence[int]]) -> int:
    """Peak bytes of the photos themselves: reading those of the given shapes, keeping them, and the result."""
    given = [shape[0] * shape[1] for shape in (lr_shape, *ref_shapes)]
    result = lr_shape[0] * lr_shape[1] * SCALE**2
    return sum(given) * _BYTES_PER_GIVEN_PIXEL + max(given) * _BYTES_PER_DECODED_PIXEL + result * _BYTES_PER_RESULT_PIXEL


def ensemble_bytes(ensemble: int, lr_shape: Sequence[int], ref_shapes: Sequence[Sequence[int]]) -> int:
    """What an ensemble needs beside one orientation: turned copies of the photos [h,w,...], and the sum of the results."""
    if ensemble == 1:
        return 0
    given = sum(shape[0] * shape[1] for shape in (lr_shape, *ref_shapes))
    return given * _BYTES_PER_TURNED_PIXEL + lr_shape[0] * lr_shape[1] * SCALE**2 * _BYTES_PER_MEAN_PIXEL


def unwanted_bytes(ensemble: int, lr_shape: Sequence[int], wanted: Wanted) -> int:
    """What is not needed of `photo_bytes` and `ensemble_bytes` where a part of the photo [h,w,...] is restored."""
    left_out = lr_shape[0] * lr_shape[1] - wanted.restored.height * wanted.restored.width
    return left_out * SCALE**2 * (_BYTES_PER_RESULT_PIXEL + (_BYTES_PER_MEAN_PIXEL if ensemble > 1 else 0))


def default_max_memory() -> int:
    """Default limit in bytes for one photo: `SHARE` of `startup.usable_memory`."""
    return int(SHARE * usable_memory())


def check_photos(lr_shape: Sequence[int], ref_shapes: Sequence[Sequence[int]]) -> None:
    """Raises ValueError if the LR photo or a reference is too small."""
    photos = [("LR photo", lr_shape, MIN_LR_SIDE), *(("reference", shape, MIN_REF_SIDE) for shape in ref_shapes)]
    for what, shape, minimum in photos:
        if min(shape[:2]) < minimum:
            raise ValueError(f"the {what} has {shape[1]}x{shape[0]} pixels; at least {minimum}x{minimum} are needed")


def check_memory(
    memory: int, lr_shape: Sequence[int], ref_shapes: Sequence[Sequence[int]], max_memory: int, exported: bool = False
) -> None:
    """Raises `TooLargeError` if photos of those shapes need more than so many bytes; offers an int8 file that needs less."""
    if memory > max_memory:
        fits = not exported and _INT8_BYTES + photo_bytes(lr_shape, ref_shapes) <= max_memory
        less = ", or: c2m-tf export tflite --model mobile --precision int8 makes a file for --model that needs less" * fits
        raise TooLargeError(
            f"upscaling a {lr_shape[1]}x{lr_shape[0]} photo {_listed(ref_shapes)} needs about {memory / 2**30:.1f} GiB, "
            f"allowed are {max_memory / 2**30:.1f} GiB; use smaller photos or allow more (--max-memory){less}"
        )


def check_ensemble(ensemble: int) -> None:
    """Raises ValueError if that is no number of orientations, one of `ENSEMBLES`."""
    if ensemble not in ENSEMBLES:
        raise ValueError(f"ensemble {ensemble} is no number of orientations; choose one of {', '.join(map(str, ENSEMBLES))}")


def _listed(ref_shapes: Sequence[Sequence[int]]) -> str:
    """References in words, e.g. "with a 640x480 reference"."""
    if not ref_shapes:
        return "without a reference"
    if len(ref_shapes) > 3:
        pixels = sum(shape[0] * shape[1] for shape in ref_shapes)
        return f"with {len(ref_shapes)} references of {pixels:,} pixels together"
    return "with " + " and ".join(f"a {shape[1]}x{shape[0]} reference" for shape in ref_shapes)


def default_window(tile: int | None) -> int:
    """Side of the windows, in reference pixels, for tiles of that side, None for the default."""
    return max(DEFAULT_WINDOW, SCALE * (tile or DEFAULT_TILE))


def check_sizes(search: str, tile: int | None, window: int | None, overlap: Overlap = NARROW) -> None:
    """Raises ValueError if search, tile and window cannot be used together; see `Upscaler`."""
    if search not in SEARCHES:
        raise ValueError(f"unknown search {search!r}; choose one of {', '.join(SEARCHES)}")
    for name, value in (("tile", tile), ("window", window)):
        if value is not None and (value <= 0 or value % FEATURE_STRIDE):
            raise ValueError(f"{name} {value} is not a positive multiple of {FEATURE_STRIDE}")
    minimum = overlap.pixels + 2 * overlap.grid - 1
    minimum += -minimum % FEATURE_STRIDE
    if tile is not None and tile < minimum:
        raise ValueError(f"tile {tile} is too small: neighbours overlap by {overlap.pixels} pixels; the minimum is {minimum}")
    covered = SCALE * (tile or DEFAULT_TILE)
    if window is not None and window < covered:
        raise ValueError(f"window {window} is smaller than what a tile of {tile or DEFAULT_TILE} LR pixels covers, {covered}")
