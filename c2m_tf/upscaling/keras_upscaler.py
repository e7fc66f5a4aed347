"""Upscales photos of any size with a Keras model: arrays or files in, arrays out.

    upscaler = Upscaler(C2Matching.from_preset("light"))
    sr = upscaler.upscale(lr, ref)            # uint8 or float [h,w,3], [H,W,3] -> float32 [4h,4w,3] in [0, 1]

    reference = upscaler.encode_reference(ref)     # once, for any number of LR photos
    sr = upscaler.upscale(lr, reference)
    sr = upscaler.upscale(lr)                 # without a reference

Small photos are searched exactly: every patch of the LR photo is compared with every patch of the references. Above a budget,
each tile of the LR photo is searched in a window of the references, which matches of small versions of the photos choose
(`windows`). Restoration goes tile by tile either way (`tiles`). So time and memory grow with the area, and memory is
estimated beforehand: what would not fit is refused before the system runs out of memory.

A model with a trunk of its own restores those tiles with it alone that the references do not show (`base.MIN_EXPLAINED`).
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import keras
import numpy as np

from c2m_tf.network.grid import FEATURE_STRIDE, PATCH
from c2m_tf.network.model import ATLAS_GAP, C2Matching, atlas
from c2m_tf.photos.images import as_float
from c2m_tf.upscaling import plans
from c2m_tf.upscaling.base import (
    MATCHED_SCORE,
    MIN_EXPLAINED,
    MIN_LR_SIDE,
    MIN_REF_SIDE,
    PhotoLike,
    Reference,
    TiledUpscaler,
    Work,
)
from c2m_tf.upscaling.tiles import Tile
from c2m_tf.upscaling.windows import CoarseMatches, CoarseReferences, shrinking

__all__ = ["MIN_LR_SIDE", "MIN_REF_SIDE", "PhotoLike", "Reference", "Upscaler"]


class Upscaler(TiledUpscaler):
    """Upscales photos 4x with one model. Threads may share an upscaler; they take turns.

    Args:
        model: C2Matching.
        max_memory: bytes that one photo may need; by default 75 % of the memory that the process may use.
        search: "exact", "window", or "auto" for exact search of small photos.
        tile: largest side of the tiles in LR pixels, a multiple of 4; by default photos of up to 16,384 pixels are one tile,
            and others are cut into tiles of at most 96.
        window: side of the windows in reference pixels, a multiple of 4, at least 4 times the tile.
        ensemble: orientations of each photo whose results are averaged, 1, 2, 4 or 8; see `ensemble`.

    Raises:
        ValueError: unknown search, sizes that do not fit together, or no such ensemble.
    """

    any_strength = True
    fits_tiles = True

    def __init__(
        self,
        model: C2Matching,
        *,
        max_memory: int | None = None,
        search: str = "auto",
        tile: int | None = None,
        window: int | None = None,
        ensemble: int = 1,
    ) -> None:
        plans.check_sizes(search, tile, window)
        super().__init__(max_memory=max_memory, ensemble=ensemble)
        self.model = model
        self._search = search
        self._tile = tile
        self._window = plans.default_window(tile) if window is None else window
        self._encode_whole = _EncodeReference(model)
        self._encode_for_matching = _EncodeForMatching(model)
        self._find_flow = _FindFlow(model)
        self._restore = _Restore(model)

    def find_matches(self, lr: PhotoLike, refs: PhotoLike | Sequence[PhotoLike] | Reference) -> tuple[np.ndarray, np.ndarray]:
        lr, refs, plan = self._planned(lr, refs)
        with self._turn:
            pixels, reference = self._decoded(lr, refs)
            if plan.search == "window":
                coarse = self._coarse_matches(pixels, reference)
                return coarse.flow.astype(np.float32), coarse.score
            flow, score = self._exact_flow(pixels, reference)
        height, width = score.shape
        matches = flow[:height, :width] + np.moveaxis(np.mgrid[:height, :width], 0, -1)
        _, inside = _split(matches, reference.photos)
        return (inside - np.moveaxis(np.mgrid[:height, :width], 0, -1)).astype(np.float32), score

    def plan(self, lr_shape: Sequence[int], ref_shapes: Iterable[Sequence[int]]) -> plans.Plan:
        return plans.make_plan(lr_shape, list(ref_shapes), self._search, self._tile, self._window)

    def _encode(self, reference: Reference) -> None:
        """Whole references where a small photo would be searched exactly, else their small versions."""
        smallest = (MIN_LR_SIDE, MIN_LR_SIDE)
        if self.plan(smallest, reference.shapes).search == "exact":
            self._encoded(reference)
        else:
            self._encoded_coarse(self._coarse_references(smallest, reference))

    def _restore_tiles(self, work: Work, tiles: Iterable[Tile]) -> Iterator[np.ndarray]:
        return self._restore_exactly(work, tiles) if work.plan.search == "exact" else self._restore_in_windows(work, tiles)

    def _restore_alone(self, lr: np.ndarray, tiles: Iterable[Tile]) -> Iterator[np.ndarray]:
        for tile in tiles:
            yield self._alone(lr, tile)

    def _alone(self, lr, tile):
        return self.model.trunk.predict_on_batch({"lr": as_float(lr[tile.rows, tile.columns])[None]})[0]

    def _is_explained(self, scores):
        """Whether a tile with patches of those scores [h,w] is restored with the references."""
        return not self.model.own_trunk or (scores >= MATCHED_SCORE).mean() >= MIN_EXPLAINED

    def _restore_exactly(self, work, tiles):
        """Restores tiles with the flow of the whole photo and the whole references."""
        lr, reference = work.lr, work.reference
        flow, score = self._exact_flow(lr, reference)
        work.matched(score)
        border = PATCH - 1
        flow = np.pad(flow, ((border, 0), (border, 0), (0, 0)))
        features = {level: reference.encoded[level] for level in self.model.levels}
        score = np.pad(score, PATCH // 2, mode="edge")  # of the patch around each pixel
        for tile in tiles:
            if not self._is_explained(score[tile.rows, tile.columns]):
                yield self._alone(lr, tile)
                continue
            rows, columns = slice(tile.y, tile.y + tile.height + border), slice(tile.x, tile.x + tile.width + border)
            inputs = {
                "lr": as_float(lr[tile.rows, tile.columns])[None],
                "flow": flow[rows, columns][None],
                "reference": features,
                "origin": np.array([tile.y, tile.x], np.int32),
                "strength": np.array([work.strength], np.float32),
                "score": score[tile.rows, tile.columns][None],
            }
            yield self._restore.predict_on_batch(inputs)[0]

    def _restore_in_windows(self, work, tiles):
        """Restores tiles, each searched in its own window.

        Windows differ between photos, so only the features of the small versions are kept.
        """
        lr, reference = work.lr, work.reference
        reference.encoded = None  # the memory estimate for windows does not include features of whole references
        coarse = self._coarse_matches(lr, reference)
        work.matched(coarse.score)
        strength = np.array([work.strength], np.float32)
        for tile in tiles:
            if not self._is_explained(coarse.scores(tile)):
                yield self._alone(lr, tile)
                continue
            window = coarse.window(tile, work.plan.window).of(reference.photos)
            inputs = {"lr": as_float(lr[tile.rows, tile.columns])[None], "ref": as_float(window)[None], "strength": strength}
            yield self.model.predict_on_batch(inputs)[0]

    def _exact_flow(self, lr, reference):
        encoded = self._encoded(reference)
        matching = {name: encoded[name] for name in ("matching", "candidates")}
        flow, score = self._find_flow.predict_on_batch({"lr": as_float(lr)[None], "reference": matching})
        return flow[0], score[0]

    def _encoded(self, reference):
        """Features of whole references, computed once."""
        if reference.encoded is None:
            reference.encoded = _joined([self._encode_whole.predict_on_batch(as_float(ref)[None]) for ref in reference.photos])
        return reference.encoded

    def _coarse_matches(self, lr, reference):
        return CoarseMatches(lr, self._coarse_references(lr.shape, reference), self._locate)

    def _coarse_references(self, lr_shape, reference):
        """Small versions of references by the factor that an LR photo needs, made once as long as the factor is the same."""
        factor = shrinking(lr_shape, reference.shapes)
        if reference.coarse is None or reference.coarse.factor != factor:
            reference.coarse = CoarseReferences(reference.photos, factor)
        return reference.coarse

    def _encoded_coarse(self, coarse):
        """Matching features of small versions, computed once."""
        if coarse.encoded is None:
            coarse.encoded = _joined([self._encode_for_matching.predict_on_batch(photo[None]) for photo in coarse.photos])
        return coarse.encoded

    def _locate(self, lr: np.ndarray, coarse: CoarseReferences) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """See `windows.Locate`."""
        flow, score = self._find_flow.predict_on_batch({"lr": lr[None], "reference": self._encoded_coarse(coarse)})
        height, width = score.shape[1:]
        matches = flow[0, :height, :width] + np.moveaxis(np.mgrid[:height, :width], 0, -1)
        number, inside = _split(np.rint(matches).astype(int), coarse.photos)
        return number, inside, score[0]


class _Step(keras.Model):
    """A step of the network as a separate model, so that `predict_on_batch` compiles it."""

    def __init__(self, network: C2Matching) -> None:
        super().__init__(name="step", autocast=False)
        self.network = network
        self.built = True


class _EncodeReference(_Step):
    def call(self, photo: Any) -> Any:
        return self.network.encode_reference(photo)


class _EncodeForMatching(_Step):
    """Only what matching needs: graph compilers leave out the rest."""

    def call(self, photo: Any) -> Any:
        encoded = self.network.encode_reference(photo)
        return {name: encoded[name] for name in ("matching", "candidates")}


class _FindFlow(_Step):
    def call(self, inputs: Any) -> Any:
        return self.network.find_flow(inputs["lr"], inputs["reference"])


class _Restore(_Step):
    def call(self, inputs: Any) -> Any:
        names = ("lr", "flow", "reference", "origin", "strength", "score")
        return self.network.restore(*(inputs[name] for name in names))


def _joined(encoded):
    return encoded[0] if len(encoded) == 1 else atlas(encoded)


def _split(matches, refs):
    """Cells of an atlas [h,w,2] as the number of the reference [h,w] and the cell in it [h,w,2]."""
    heights = [-(-ref.shape[0] // FEATURE_STRIDE) + ATLAS_GAP for ref in refs]
    starts = np.concatenate([[0], np.cumsum(heights)[:-1]])
    number = np.searchsorted(starts, matches[..., 0], side="right") - 1
    return number, np.stack([matches[..., 0] - starts[number], matches[..., 1]], axis=-1)
