"""Restores tiles with a mobile network: matches of the whole photo first, then tile by tile.

Matches are those of the whole photo, so that a tile differs from the whole only by what convolutions see beyond its edges.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from c2m_tf.network import FEATURE_STRIDE
from c2m_tf.network.levels import Searches, halved, match_around
from c2m_tf.network.matching import match
from c2m_tf.network.mobile import Matches, Mobile, encode_copy
from c2m_tf.photos.pixels import as_float
from c2m_tf.upscaling import plans
from c2m_tf.upscaling.base import DecodedReferences, TiledUpscaler, Work
from c2m_tf.upscaling.keras_upscaler import Step, Steps
from c2m_tf.upscaling.tiles import WIDE, Tile, positions

DEFAULT_TILE = 256  # LR pixels per side

# Peak bytes, an upper fit to measurements: framework and weights; per LR pixel of a tile, of the photo, and per pixel of a
# reference in all its sizes.
_FIXED_BYTES = 1300 * 2**20
_BYTES_PER_TILE_PIXEL = 20_000
_BYTES_PER_MATCHED_PIXEL = 2_500
_BYTES_PER_ENCODED_PIXEL = 220


class MobileUpscaler(TiledUpscaler):
    """Restores photos with one model.

    Args:
        model: Mobile.
        search, window: "auto" and None.
        tile: largest side of the tiles in LR pixels, a multiple of 4 of at least 64; 256 by default.

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
        self._tile = DEFAULT_TILE if tile is None else tile
        self._steps = _Steps.of(model)

    def plan(self, lr_shape: Sequence[int], ref_shapes: Iterable[Sequence[int]]) -> plans.Plan:
        shapes = list(ref_shapes)
        memory = _FIXED_BYTES + plans.photo_bytes(lr_shape, shapes)
        memory += min(self._tile, lr_shape[0]) * min(self._tile, lr_shape[1]) * _BYTES_PER_TILE_PIXEL
        if shapes:
            memory += lr_shape[0] * lr_shape[1] * _BYTES_PER_MATCHED_PIXEL
            copies = sum(scale**2 for scale in self.model.scales)
            memory += int(copies * sum(shape[0] * shape[1] for shape in shapes) * _BYTES_PER_ENCODED_PIXEL)
        return plans.Plan("exact" if shapes else "none", self._tile, 0, memory)

    def _find(self, work: Work) -> "_Found":
        steps, lr = self._steps, as_float(work.lr)[None]
        searches = Searches(
            lambda lr, ref, candidates: steps.exact.predict_on_batch({"lr": lr, "ref": ref}),
            steps.halved.predict_on_batch,
            lambda lr, ref, candidates, *coarse: steps.around.predict_on_batch({"lr": lr, "ref": ref, "coarse": coarse}),
        )

        def refine(reference, cells):
            near = {name: reference[name] for name in ("phases", "norms")}
            return Matches(*steps.refine.predict_on_batch({"lr": lr, "reference": near, "cells": cells}))

        described = steps.describe.predict_on_batch(lr)
        matches = self.model.best_matches(described, self._encoded(work.reference)["copies"], searches, refine)
        trust = np.asarray(self.model.trust(matches.score))[0, ..., 0]
        return _Found.of(Matches(*(np.asarray(part) for part in matches)), trust, self.model.scales)

    def _restore_tiles(self, work: Work, tiles: Iterable[Tile]) -> Iterator[np.ndarray]:
        encoded, found = self._encoded(work.reference), work.found
        matches, position = found.matches, positions(found.flow)
        for tile in tiles:
            inputs = {
                "lr": as_float(work.lr[tile.rows, tile.columns])[None],
                "matches": tuple(part[:, tile.rows, tile.columns] for part in matches),
                "pixels": encoded["pixels"],
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

    def _encoded(self, reference: DecodedReferences) -> dict:
        """What matching needs of each reference in each of its sizes, and the pixels of all, computed once."""
        if reference.encoded is None:
            encode, describe = (step.predict_on_batch for step in (self._steps.encode, self._steps.describe))
            copies = [copy for photo in reference.photos for copy in self.model.copies(as_float(photo)[None], encode, describe)]
            photos, lows = ([copy.pop(name) for copy in copies] for name in ("photo", "low"))
            pixels = tuple(np.concatenate([part.reshape(1, -1, 3) for part in parts], axis=1) for parts in (photos, lows))
            sizes = np.array([part.shape[1:3] for part in photos], np.int32)
            reference.encoded = {"copies": copies, "pixels": pixels, "sizes": sizes}
        return reference.encoded


class _Steps(Steps):
    """Small ones, each of which serves all references in all their sizes, and all levels of the search."""

    def __init__(self, model: Mobile) -> None:
        self.encode = Step(model, encode_copy)
        self.describe = Step(model, model.descriptors)
        self.exact = Step(model, lambda inputs: match(inputs["lr"], inputs["ref"]))
        self.halved = Step(model, halved)
        self.around = Step(model, lambda inputs: match_around(inputs["lr"], inputs["ref"], None, *inputs["coarse"]))
        self.refine = Step(model, lambda inputs: model.refine(inputs["lr"], inputs["reference"], inputs["cells"]))
        self.restore = Step(model, lambda inputs: _restored(model, inputs))
        self.branch = Step(model, model.branch)


def _restored(model, inputs):
    names = ("pixels", "sizes", "origin", "strength")
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
