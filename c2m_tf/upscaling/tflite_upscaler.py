"""Restores photos of any size with a .tflite file, as phones do: fixed tiles and windows, no TensorFlow.

`locate` of the file matches small versions of the photos, from which `windows` chooses a window of the reference for each tile;
`upscale` restores the tile from it, or `upscale_alone` without a reference. Tiles that are smaller than the file's are extended
by their mirror image: networks take rows and columns that repeat for an edge of the photo, which costs up to 2 dB. Windows
repeat their last row and column, which match nothing: a tile's edge would match the edge of a window's mirror image, wherever
the tile's edge lies in the reference. Small versions repeat theirs too; matches that fall there do not count.

The runtime keeps a signature's memory until its interpreter is deleted, so each signature gets its own interpreter while it is
used: peak memory is that of the larger one.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from c2m_tf.network import FEATURE_STRIDE, PATCH
from c2m_tf.photos.pixels import SCALE, as_float
from c2m_tf.startup import usable_cores
from c2m_tf.upscaling.base import Found, TiledUpscaler, Work
from c2m_tf.upscaling.plans import Plan, photo_bytes
from c2m_tf.upscaling.tiles import CoarseMatches, CoarseReferences, Tile

# Inputs, which are square photos, and outputs. Files exported before the trunk lack the last one.
_SIGNATURES = {
    "locate": (("lr_thumb", "ref_thumb"), ("matches", "score")),
    "upscale": (("lr_tile", "ref_window"), ("sr",)),
    "upscale_alone": (("lr_tile",), ("sr",)),
}


class _PeakBytes(NamedTuple):
    """An upper fit to measurements: a constant, and per SR pixel of a tile and pixel of a window, with all their features."""

    fixed: int
    per_tile_pixel: int
    per_window_pixel: int


# The file as it is and its arrays of half precision unfolded to twice their size.
_FILE_COPIES = 3
_FLOAT_BYTES = _PeakBytes(300 * 2**20, 6000, 3000)
_INT8_BYTES = _PeakBytes(150 * 2**20, 2000, 1000)


class TFLiteUpscaler(TiledUpscaler):
    """Restores photos with a file that `c2m-tf export tflite` or `quantize` wrote.

    Args:
        path: .tflite file.
        threads: number of threads of the runtime; by default the cores that the process may use.

    Raises:
        ValueError: no such file, or a file of another kind.
        ImportError: the runtime, ai-edge-litert, is not installed.
    """

    def __init__(self, path: str | os.PathLike, *, threads: int | None = None) -> None:
        self.path = Path(path)
        self._threads = usable_cores() if threads is None else threads
        interpreter = _interpreter(self.path, self._threads)
        known = interpreter.get_signature_list()
        sizes = {}
        self.restores_alone = "upscale_alone" in known
        for signature, (inputs, outputs) in _SIGNATURES.items():
            if signature == "upscale_alone" and not self.restores_alone:
                continue
            runner = _runner(self.path, interpreter, signature) if signature in known else None
            sizes[signature] = [] if runner is None else _sides(runner, inputs, outputs)
            if not sizes[signature]:
                raise ValueError(
                    f"{path} has no signature {signature}({', '.join(inputs)}) -> {', '.join(outputs)} of fitting sizes; "
                    f"make one by c2m-tf export tflite"
                )
        is_int8 = any(tensor["dtype"] == np.int8 for tensor in interpreter.get_tensor_details())
        self._peak = _INT8_BYTES if is_int8 else _FLOAT_BYTES
        self.tile, self.window = sizes["upscale"]
        self._lr_thumb, self._ref_thumb = sizes["locate"]

    def plan(self, lr_shape: Sequence[int], ref_shapes: Iterable[Sequence[int]]) -> Plan:
        memory = (
            self._peak.fixed
            + _FILE_COPIES * self.path.stat().st_size
            + (SCALE * self.tile) ** 2 * self._peak.per_tile_pixel
            + self.window**2 * self._peak.per_window_pixel
            + photo_bytes(lr_shape, list(ref_shapes))
        )
        return Plan("window", self.tile, self.window, memory)

    def _find(self, work: Work) -> Found:
        return self._coarse_matches(work.lr, work.reference)

    def _restore_tiles(self, work: Work, tiles: Iterable[Tile]) -> Iterator[np.ndarray]:
        lr, reference, coarse = work.lr, work.reference, work.found
        upscale = self._runner("upscale")
        for tile in tiles:
            work.note(tile, *coarse.at_pixels(tile))
            window = coarse.window(tile, self.window).of(reference.photos)
            inputs = {
                "lr_tile": mirrored(as_float(lr[tile.rows, tile.columns]), self.tile),
                "ref_window": extended(as_float(window), self.window),
            }
            yield upscale(**inputs)["sr"][0, : SCALE * tile.height, : SCALE * tile.width]

    def _restore_alone(self, lr: np.ndarray, tiles: Iterable[Tile]) -> Iterator[np.ndarray]:
        upscale = self._runner("upscale_alone")
        for tile in tiles:
            sr = upscale(lr_tile=mirrored(as_float(lr[tile.rows, tile.columns]), self.tile))["sr"]
            yield sr[0, : SCALE * tile.height, : SCALE * tile.width]

    def _runner(self, signature):
        """A function that runs a signature, in an interpreter of its own."""
        runner = _runner(self.path, _interpreter(self.path, self._threads), signature)

        def run(**inputs):
            try:
                return runner(**inputs)
            except RuntimeError as error:
                raise _damaged(self.path, error) from error

        return run

    def _coarse_matches(self, lr: np.ndarray, reference: Any) -> CoarseMatches:
        factor = max(1.0, max(lr.shape[:2]) / self._lr_thumb)
        for photo in reference.photos:
            factor = max(factor, max(photo.shape[:2]) / self._ref_thumb)
        if reference.coarse is None or reference.coarse.factor != factor:
            reference.coarse = CoarseReferences(reference.photos, factor)
        return CoarseMatches(lr, reference.coarse, self._locate)

    def _locate(self, lr: np.ndarray, coarse: CoarseReferences) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Matches of small photos in the reference that fits best at each place; see `tiles.Locate`."""
        height, width = (side - PATCH + 1 for side in lr.shape[:2])
        lr_thumb = extended(lr, self._lr_thumb)
        best_number = np.zeros((height, width), int)
        best_match, best_score = np.zeros((height, width, 2), int), np.full((height, width), -2.0, np.float32)
        locate = self._runner("locate")
        for number, ref in enumerate(coarse.photos):
            found = locate(lr_thumb=lr_thumb, ref_thumb=extended(ref, self._ref_thumb))
            match, score = found["matches"][0, :height, :width], found["score"][0, :height, :width]
            last = np.array(ref.shape[:2]) // FEATURE_STRIDE - PATCH
            score = np.where((match <= last).all(axis=-1), score, -1.0)
            better = score > best_score
            best_number[better], best_score[better] = number, score[better]
            best_match[better] = np.minimum(match, last)[better]
        return best_number, best_match, best_score


def _interpreter(path: Path, threads: int | None) -> Any:
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError as error:
        raise ImportError(f"{path} needs the TFLite runtime; install it by pip install ai-edge-litert") from error
    if not path.is_file():
        raise ValueError(f"model {path} does not exist")
    try:
        return Interpreter(str(path), num_threads=threads)
    except (ValueError, RuntimeError) as error:
        raise _damaged(path, error) from error


def _runner(path, interpreter, signature):
    try:
        return interpreter.get_signature_runner(signature)
    except (ValueError, RuntimeError) as error:
        raise _damaged(path, error) from error


def _sides(runner: Any, inputs: Sequence[str], outputs: Sequence[str]) -> Any:
    """Sides of the photos that a signature takes; none if it is another signature than expected."""
    given, made = runner.get_input_details(), runner.get_output_details()
    if set(given) != set(inputs) or not set(outputs) <= set(made):
        return []
    shapes = [tuple(int(side) for side in given[name]["shape"]) for name in inputs]
    sides = [shape[1] for shape in shapes if len(shape) == 4]
    if shapes != [(1, side, side, 3) for side in sides] or min(sides) < PATCH:
        return []
    across = {"sr": SCALE * sides[0], "matches": sides[0] - PATCH + 1, "score": sides[0] - PATCH + 1}
    last = {"sr": (3,), "matches": (2,), "score": ()}
    expected = {name: (1, across[name], across[name], *last[name]) for name in outputs}
    return sides if all(tuple(made[name]["shape"]) == expected[name] for name in outputs) else []


def _damaged(path: Path, error: BaseException) -> ValueError:
    """What the runtime finds wrong with a file: parts of it when it is opened, others only when they are used."""
    return ValueError(f"{path} is not a TFLite file that this runtime reads: {' '.join(str(error).split())}")


def extended(photo: np.ndarray, side: int, mode: Any = "edge") -> np.ndarray:
    """[h,w,3] -> [1,side,side,3]: the photo, extended as NumPy's `pad` does; by its last row and column."""
    return np.pad(photo, ((0, side - photo.shape[0]), (0, side - photo.shape[1]), (0, 0)), mode=mode)[None]


def mirrored(photo: np.ndarray, side: int) -> np.ndarray:
    """[h,w,3] -> [1,side,side,3]: beyond the last row and column follows the mirror image, as often as there is room."""
    return extended(photo, side, "symmetric")
