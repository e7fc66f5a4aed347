"""Upscaling photos of any size with a model: arrays or files in, arrays out, with every input checked first.

    upscaler = Upscaler(C2Matching.from_preset("light"))
    sr = upscaler.upscale(lr, ref)            # uint8 or float [h,w,3], [H,W,3] -> float32 [4h,4w,3] in [0, 1]

    reference = upscaler.encode_reference(ref)     # once, for as many LR photos as you like
    sr = upscaler.upscale(lr, reference)

Small photos are searched exactly: every patch of the LR photo is compared with every patch of the references. Above a budget,
each tile of the LR photo is searched in a window of the references, which matches of small versions of the photos choose
(`windows`). Restoration goes tile by tile either way (`tiles`). So time and memory grow with the area, and memory is
estimated beforehand: what would not fit is refused instead of being killed by the system.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import keras
import numpy as np

from c2m_tf.network.grid import FEATURE_STRIDE, PATCH
from c2m_tf.network.model import ATLAS_GAP, C2Matching, atlas
from c2m_tf.photos.images import as_float
from c2m_tf.upscaling import plans
from c2m_tf.upscaling.base import LEAST_LR, LEAST_REF, Photo, Reference, TiledUpscaler
from c2m_tf.upscaling.windows import CoarseMatches

__all__ = ["LEAST_LR", "LEAST_REF", "Photo", "Reference", "Upscaler"]


class Upscaler(TiledUpscaler):
    """Upscales photos 4x with one model. Threads may share an upscaler; they take turns.

    Args:
        model: C2Matching.
        max_memory: bytes that one photo may need; by default 75 % of the machine's memory.
        search: "exact", "window", or "auto" for exact as long as the photos are small.
        tile: side of the tiles in LR pixels, a multiple of 4; by default photos of up to 16,384 pixels are one tile, and
            others go in tiles of 96.
        window: side of the windows in reference pixels, a multiple of 4, at least 4 tiles.

    Raises:
        ValueError: unknown search, or sizes that do not fit together.
    """

    def __init__(
        self,
        model: C2Matching,
        max_memory: int | None = None,
        search: str = "auto",
        tile: int | None = None,
        window: int | None = None,
    ) -> None:
        plans.check_sizes(search, tile, window)
        super().__init__(max_memory)
        self.model = model
        self._search = search
        self._tile = tile
        self._window = plans.default_window(tile) if window is None else window
        self._encode = _Compiled(lambda ref: model.encode_reference(ref))
        self._find_flow = _Compiled(lambda inputs: model.find_flow(inputs["lr"], inputs["reference"]))
        self._restore = _Compiled(
            lambda inputs: model.restore(inputs["lr"], inputs["flow"], inputs["reference"], inputs["origin"])
        )

    def find_matches(self, lr: Photo, refs: Photo | Sequence[Photo] | Reference) -> tuple[np.ndarray, np.ndarray]:
        lr, reference, plan = self._checked_inputs(lr, refs)
        with self._turn:
            if plan.search == "window":
                coarse = CoarseMatches(lr, reference.photos, self._locate)
                return coarse.flow.astype(np.float32), coarse.score
            flow, score = self._exact_flow(lr, reference)
        height, width = score.shape
        matches = flow[:height, :width] + np.stack(np.mgrid[:height, :width], axis=-1)
        _, inside = _split(matches, reference.photos)
        return (inside - np.stack(np.mgrid[:height, :width], axis=-1)).astype(np.float32), score

    def plan(self, lr_shape: Sequence[int], ref_shapes: Iterable[Sequence[int]]) -> plans.Plan:
        return plans.make_plan(lr_shape, list(ref_shapes), self._search, self._tile, self._window)

    def _exact_flow(self, lr, reference):
        if reference.encoded is None:
            encoded = [self._encode.predict_on_batch(as_float(photo)[None]) for photo in reference.photos]
            reference.encoded = encoded[0] if len(encoded) == 1 else atlas(encoded)
        flow, score = self._find_flow.predict_on_batch({"lr": as_float(lr)[None], "reference": reference.encoded})
        return flow[0], score[0]

    def _restorer(self, lr: np.ndarray, reference: Reference, plan: plans.Plan) -> Callable[[Any], np.ndarray]:
        return self._exactly(lr, reference) if plan.search == "exact" else self._in_windows(lr, reference, plan)

    def _exactly(self, lr, reference):
        """Restores tiles with the flow of the whole photo and the whole references."""
        flow, _ = self._exact_flow(lr, reference)
        border = PATCH - 1
        flow = np.pad(flow, ((border, 0), (border, 0), (0, 0)))

        def restore(tile):
            rows, columns = slice(tile.y, tile.y + tile.height + border), slice(tile.x, tile.x + tile.width + border)
            inputs = {
                "lr": as_float(lr[tile.rows, tile.columns])[None],
                "flow": flow[rows, columns][None],
                "reference": reference.encoded,
                "origin": np.array([tile.y, tile.x], np.int32),
            }
            return self._restore.predict_on_batch(inputs)[0]

        return restore

    def _in_windows(self, lr, reference, plan):
        """Restores tiles, each searched in its own window."""
        coarse = CoarseMatches(lr, reference.photos, self._locate)

        def restore(tile):
            window = coarse.window(tile, plan.window).of(reference.photos)
            inputs = {"lr": as_float(lr[tile.rows, tile.columns])[None], "ref": as_float(window)[None]}
            return self.model.predict_on_batch(inputs)[0]

        return restore

    def _locate(self, lr, refs):
        encoded = [self._encode.predict_on_batch(ref[None]) for ref in refs]
        reference = encoded[0] if len(encoded) == 1 else atlas(encoded)
        flow, score = self._find_flow.predict_on_batch({"lr": lr[None], "reference": reference})
        height, width = score.shape[1:]
        matches = flow[0, :height, :width] + np.stack(np.mgrid[:height, :width], axis=-1)
        number, inside = _split(np.rint(matches).astype(int), refs)
        return number, inside, score[0]


class _Compiled(keras.Model):
    """A function of arrays, compiled by `predict_on_batch`."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        super().__init__(name="compiled", autocast=False)
        self._function = function
        self.built = True

    def call(self, inputs: Any) -> Any:
        return self._function(inputs)


def _split(matches, refs):
    """Cells of an atlas [h,w,2] as the number of the reference [h,w] and the cell in it [h,w,2]."""
    heights = [-(-ref.shape[0] // FEATURE_STRIDE) + ATLAS_GAP for ref in refs]
    starts = np.concatenate([[0], np.cumsum(heights)[:-1]])
    number = np.searchsorted(starts, matches[..., 0], side="right") - 1
    return number, np.stack([matches[..., 0] - starts[number], matches[..., 1]], axis=-1)
