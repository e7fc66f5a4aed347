"""Restores tiles with a mobile network: matches of the whole photo first, then tile by tile.

Matches are those of the whole photo, so that a tile differs from the whole only by what convolutions see beyond its edges.
References are encoded once, strip by strip, and kept in half precision: 14 bytes a pixel of each copy, 6 of which are the
pixels themselves.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from keras import ops
from PIL import Image

from c2m_tf.network import FEATURE_STRIDE
from c2m_tf.network.mobile import Matches, Mobile, encode_copy
from c2m_tf.network.subcell import first_phase
from c2m_tf.network.upsampling import resized_length
from c2m_tf.photos.pixels import as_float
from c2m_tf.upscaling import plans
from c2m_tf.upscaling.base import DecodedReferences, TiledUpscaler, Work
from c2m_tf.upscaling.keras_upscaler import SearchSteps, Step, Steps, in_strips, strips
from c2m_tf.upscaling.tiles import WIDE, Tile, positions

_KEPT = np.float16  # type of what is kept of references
_STRIP, _BESIDE = 128, 8  # cells along y of a reference that are encoded at once, and beside them, further than encoding sees


class MobileUpscaler(TiledUpscaler):
    """Restores photos with one model.

    Args:
        model: Mobile.
        search, window: "auto" and None.
        tile: largest side of the tiles in LR pixels, a multiple of 4 of at least 64; 384 by default.

    Raises:
        ValueError: a tile that is too small, or a search or window: a mobile network has no choice of these.
    """

    any_strength = True
    fits_tiles = True
    overlap = WIDE

    def __init__(self, model: Mobile, *, search: str = "auto", tile: int | None = None, window: int | None = None) -> None:
        for name, value, default in (("search", search, "auto"), ("window", window, None)):
            if value != default:
                raise ValueError(
                    f"a mobile network has its own search for all sizes; leave --{name} {value} out, or choose --model light"
                )
        plans.check_sizes(search, tile, window, WIDE)
        self.model = model
        self._tile = tile
        self._steps = _Steps.of(model)

    def plan(self, lr_shape: Sequence[int], ref_shapes: Iterable[Sequence[int]]) -> plans.Plan:
        return plans.make_mobile_plan(lr_shape, list(ref_shapes), self._tile, self.model.scales)

    def searches(self, lr_shape: Sequence[int], ref_shapes: Sequence[Sequence[int]], plan: plans.Plan) -> int:
        heights = [resized_length(shape[0], scale) for shape in ref_shapes for scale in self.model.scales]
        encoded = sum(strips(height // FEATURE_STRIDE * FEATURE_STRIDE, FEATURE_STRIDE, _STRIP) for height in heights)
        # Each copy is refined, and searched before if it is one of those.
        return encoded + len(heights) + len(ref_shapes) * len(self.model.reference_scales)

    def warm_up(self) -> None:
        self._steps.search.warm_up(self.model.descriptors.output.shape[-1])

    def _find(self, work: Work) -> "_Found":
        steps, lr = self._steps, as_float(work.lr)[None]

        def match(*features):
            found = steps.search.match(*features)
            work.report()
            return found

        def refine(reference, cells):
            near = {name: reference[name] for name in ("phases", "norms")}
            found = Matches(*steps.refine.predict_on_batch({"lr": lr, "reference": near, "cells": cells}))
            work.report()
            return found

        described = steps.describe.predict_on_batch(lr)
        copies = self._encoded(work.reference, work.report)["copies"]
        matches = self.model.best_matches(described, copies, match, refine)
        trust = np.asarray(self.model.trust(matches.score))[0, ..., 0]
        return _Found.of(Matches(*(np.asarray(part) for part in matches)), trust, self.model.scales)

    def _restore_tiles(self, work: Work, tiles: Iterable[Tile]) -> Iterator[np.ndarray]:
        encoded, found = self._encoded(work.reference, work.report), work.found
        matches, position = found.matches, positions(found.flow)
        for tile in tiles:
            inputs = {
                "lr": as_float(work.lr[tile.rows, tile.columns])[None],
                "matches": tuple(part[:, tile.rows, tile.columns] for part in matches),
                "references": encoded["references"],
                "sizes": encoded["sizes"],
                "origin": np.array([tile.y, tile.x], np.int32),
                "strength": np.array([work.strength], np.float32),
            }
            noted = (found.number, position, found.score, found.weight)
            work.note(tile, *(part[tile.rows, tile.columns] for part in noted))
            yield self._steps.restore.predict_on_batch(inputs)[0]

    def _restore_alone(self, lr: np.ndarray, tiles: Iterable[Tile]) -> Iterator[np.ndarray]:
        for tile in tiles:
            yield self._steps.branch.predict_on_batch({"lr": as_float(lr[tile.rows, tile.columns])[None]})[0]

    def _encoded(self, reference: DecodedReferences, report: Callable[[], None]) -> dict:
        """What matching needs of each reference in each of its sizes, and pixels and phases of all, computed once."""
        if reference.encoded is None:
            copies = [
                self._encoded_copy(_resized(photo, scale), report) for photo in reference.photos for scale in self.model.scales
            ]
            for number, copy in enumerate(copies):
                if self.model.is_searched(number):
                    cells = as_float(first_phase(copy["phases"]))
                    copy["descriptors"] = self._steps.describe.predict_on_batch(cells).astype(_KEPT)
            sizes = np.array([copy["photo"].shape[1:3] for copy in copies], np.int32)
            # As tensors, which are not copied for each tile; the copies' phases are parts of these.
            both = [ops.convert_to_tensor(_joined([copy.pop(name) for copy in copies])) for name in ("photo", "phases")]
            phases = np.asarray(both[1])
            starts = np.cumsum([0, *(copy["norms"][..., 0].size for copy in copies)])
            for copy, start, end in zip(copies, starts[:-1], starts[1:], strict=True):
                copy["phases"] = phases[:, start:end].reshape(*copy["norms"].shape[:3], -1)
            reference.encoded = {"copies": copies, "references": tuple(both), "sizes": sizes}
        return reference.encoded

    def _encoded_copy(self, photo: np.ndarray, report: Callable[[], None]) -> dict[str, np.ndarray]:
        """`mobile.encode_copy` of [1,H,W,3], in half precision."""
        encoded = in_strips(self._steps.encode, photo, FEATURE_STRIDE, _STRIP, _BESIDE, report)
        return {"photo": photo, **{name: values.astype(_KEPT) for name, values in encoded.items()}}


def _resized(photo: np.ndarray, scale: float) -> np.ndarray:
    """A reference [H,W,3] in another size, as `upsampling.resized` makes it, of whole cells: float16 [1,H',W',3]."""
    height, width = (resized_length(size, scale) for size in photo.shape[:2])
    rows, columns = (size // FEATURE_STRIDE * FEATURE_STRIDE for size in (height, width))
    if (height, width) == photo.shape[:2]:
        return as_float(photo[:rows, :columns]).astype(_KEPT)[None]
    resized = np.empty((1, rows, columns, 3), _KEPT)
    for channel in range(3):
        values = Image.fromarray(as_float(photo[..., channel])).resize((width, height), Image.Resampling.LANCZOS)
        resized[0, ..., channel] = np.asarray(values)[:rows, :columns]
    return resized


def _joined(arrays: list[np.ndarray]) -> np.ndarray:
    """`block_aggregation.joined`, which frees each array once it is copied."""
    lengths = [array.shape[1] * array.shape[2] for array in arrays]
    result = np.empty((1, sum(lengths), arrays[0].shape[-1]), arrays[0].dtype)
    end = len(result[0])
    for length in reversed(lengths):
        result[0, end - length : end] = arrays.pop().reshape(length, -1)
        end -= length
    return result


class _Steps(Steps):
    """Small ones, each of which serves all references in all their sizes, and all levels of the search."""

    def __init__(self, model: Mobile) -> None:
        def encoded(photo):
            return {name: values for name, values in encode_copy(photo).items() if name != "photo"}

        self.encode = Step(model, encoded)
        self.describe = Step(model, model.descriptors)
        self.search = SearchSteps(model)
        self.refine = Step(model, lambda inputs: model.refine(inputs["lr"], inputs["reference"], inputs["cells"]))
        self.restore = Step(model, lambda inputs: _restored(model, inputs))
        self.branch = Step(model, model.branch)


def _restored(model, inputs):
    names = ("references", "sizes", "origin", "strength")
    return model.restore(inputs["lr"], Matches(*inputs["matches"]), *(inputs[name] for name in names))


class _Found(NamedTuple):
    """Matches of the whole photo: as the network takes them, as a match map draws them, and how much each counts [h,w]."""

    matches: Matches
    flow: np.ndarray
    score: np.ndarray
    number: np.ndarray
    weight: np.ndarray

    @classmethod
    def of(cls, matches: Matches, weight: np.ndarray, scales: Sequence[float]) -> "_Found":
        displacement, number, score = (part[0] for part in matches)
        grid = FEATURE_STRIDE * np.moveaxis(np.mgrid[: score.shape[0], : score.shape[1]], 0, -1)
        # A position in a reference's copy, in cells of the reference itself.
        scale = np.asarray(scales, np.float32)[number % len(scales)][..., None]
        flow = ((grid + displacement) / scale - grid) / np.float32(FEATURE_STRIDE)
        return cls(matches, flow, score, number // len(scales), weight)
