"""Restores tiles with a Keras model.

The whole photo is searched in the whole references by levels (`network.levels`), and features of the references are computed
once, strip by strip. Of references too large for these to be kept, each tile of the LR photo is searched in a window, which
matches of small versions of the photos choose (`tiles`). Restoration goes tile by tile either way (`tiles`). So time and memory
grow with the area, and memory is estimated beforehand: what would not fit is refused before the system runs out of memory.

A model with a trunk of its own, which sees further than tiles overlap, restores the whole photo with it first, in tiles of
their own. Those tiles that the references do not show (`base.MIN_EXPLAINED`) stay so; into others it is blended.

The steps of a network that upscalers run are compiled once for photos of all sizes (`Steps`).
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

import keras
import numpy as np
from keras import ops

from c2m_tf.network import FEATURE_STRIDE, PATCH
from c2m_tf.network.levels import Searches, halved, match_around, match_by_levels
from c2m_tf.network.matching import flow_from_matches, match
from c2m_tf.network.model import ATLAS_GAP, C2Matching, atlas
from c2m_tf.photos.pixels import as_float
from c2m_tf.photos.result_size import Region
from c2m_tf.upscaling import plans
from c2m_tf.upscaling.base import MATCHED_SCORE, MIN_EXPLAINED, Found, TiledUpscaler, Work
from c2m_tf.upscaling.evidence import around_pixels
from c2m_tf.upscaling.tiles import CoarseMatches, CoarseReferences, Tile, positions, shrinking

Shared = TypeVar("Shared", bound="Steps")

# What encoding a reference pixel takes, and comparing a pair of cells, where restoring an LR pixel takes 1: of preset light on
# two cores with AVX2 (docs/benchmarks.md, speed).
_ENCODING, _MATCHING = 0.0075, 2.3e-8
_STRIP, _BESIDE = 64, 8  # cells along y of which features are computed at once, and beside them, further than these see


class Step(keras.Model):
    """A step of the network, compiled once for photos of all sizes; on JAX, which knows no unknown ones, once for each size.

    By itself Keras, on TensorFlow, compiles the first sizes that it sees as constants, and unknown ones for those that come
    later: their results differ in the last bits, so that a photo's result would depend on which came before. On JAX it first
    runs a model with layers of its own operation by operation, which takes minutes.

    Args:
        network: whose variables the step uses.
        function: of arrays, or dicts of arrays, with a batch of one.
    """

    def __init__(self, network: keras.Model, function: Callable[[Any], Any]) -> None:
        super().__init__(name="step", autocast=False)
        self.network = network
        self._function = function
        self._graph: Callable[[Any], Any] | None = None
        self.built = True

    def call(self, inputs: Any) -> Any:
        return self._function(inputs)

    def predict_on_batch(self, x: Any) -> Any:
        if self._graph is None:
            self._graph = self._jitted() if keras.backend.backend() == "jax" else _graph(self, x)
        return keras.tree.map_structure(np.asarray, self._graph(x))

    def _jitted(self) -> Callable[[Any], Any]:
        """A JAX function of inputs of this structure."""
        import jax

        variables = self.network.variables

        @jax.jit
        def run(values: Any, inputs: Any) -> Any:
            with keras.StatelessScope(state_mapping=list(zip(variables, values, strict=True))):
                return self(inputs)

        return lambda inputs: run([variable.value for variable in variables], inputs)


class Steps:
    """The steps of a model that upscalers run, each compiled when it is first used.

    Args:
        model: whose steps they are.
    """

    def __init__(self, model: keras.Model) -> None:
        raise NotImplementedError

    @classmethod
    def of(cls: type[Shared], model: keras.Model) -> Shared:
        """Those of a model, which all its upscalers share; kept with it, past Keras, which would take them for layers of it."""
        if "_upscaling_steps" not in model.__dict__:
            model.__dict__["_upscaling_steps"] = cls(model)
        return model.__dict__["_upscaling_steps"]

    def each(self) -> Iterator[Step]:
        """All of them."""
        for value in vars(self).values():
            yield from (value,) if isinstance(value, Step) else value.each()


def _graph(step: keras.Model, example: Any) -> Callable[[Any], Any]:
    """A TensorFlow function of inputs of the structure and types of an example, of any sizes."""
    import tensorflow as tf

    def signature(value: Any) -> Any:
        # Photos and features [1,h,w,channels], scores [1,h,w], candidates [h,w]; strengths and origins have one size.
        sizes = value.shape[:1] if value.ndim == 1 else (*value.shape[: min(1, value.ndim - 2)], None, None, *value.shape[3:])
        return tf.TensorSpec(sizes, value.dtype)

    return tf.function(step, input_signature=[keras.tree.map_structure(signature, example)], autograph=False)


class SearchSteps:
    """The steps of a search by levels (`levels.Searches`).

    Args:
        model: network that matches.
    """

    def __init__(self, model: keras.Model) -> None:
        # Two of each, without candidates and with.
        self._exact = [
            Step(model, lambda inputs: match(inputs["lr"], inputs["ref"], inputs.get("candidates"))) for _ in range(2)
        ]
        self._halved = Step(model, halved)
        self._around = [
            Step(model, lambda inputs: match_around(inputs["lr"], inputs["ref"], inputs.get("candidates"), *inputs["coarse"]))
            for _ in range(2)
        ]

    def match(self, lr: Any, ref: Any, candidates: Any = None, exact_pairs: float | None = None) -> tuple[Any, Any]:
        """`levels.match_by_levels` of arrays."""
        searches = Searches(self._run_exact, self._halved.predict_on_batch, self._run_around)
        return match_by_levels(lr, ref, candidates, searches, exact_pairs)

    def warm_up(self, channels: int) -> None:
        """Searches features of so many channels by levels, so that all is compiled."""
        features = np.ones((1, 12, 12, channels), np.float32)
        for candidates in (None, np.ones((12, 12), np.float32)):
            self.match(features, features, candidates, 0)

    def each(self) -> Iterator[Step]:
        """All of them."""
        yield from (*self._exact, self._halved, *self._around)

    def _run_exact(self, lr, ref, candidates):
        return _run(self._exact, {"lr": lr, "ref": ref}, candidates)

    def _run_around(self, lr, ref, candidates, *coarse):
        return _run(self._around, {"lr": lr, "ref": ref, "coarse": coarse}, candidates)


def _run(steps, inputs, candidates):
    if candidates is None:
        return steps[0].predict_on_batch(inputs)
    return steps[1].predict_on_batch({**inputs, "candidates": candidates})


def strips(pixels: int, cell: int, strip: int) -> int:
    """Number of the strips that `in_strips` computes of so many pixels along y."""
    return -(-pixels // (cell * strip))


def in_strips(
    step: Step, photo: np.ndarray, cell: int, strip: int, beside: int, report: Callable[[], None]
) -> dict[str, np.ndarray]:
    """What a step gives of a photo [1,H,W,3], computed for some rows at a time.

    Args:
        step: gives arrays [1,Y,...] or, named "candidates", [Y,X]; Y is the number of cells along y, or a multiple of it.
        photo: float32 or less, in [0, 1].
        cell: pixels of the photo per cell along y.
        strip: cells of which the result is taken at once.
        beside: cells above and below them that are given too, because the step sees them.
        report: called after each strip.
    """
    rows = -(-photo.shape[1] // cell)
    whole: dict[str, np.ndarray] = {}
    for start in range(0, rows, strip):
        before, end = min(start, beside), min(start + strip, rows)
        shown = photo[:, cell * (start - before) : cell * (end + beside)]
        rows_shown = -(-shown.shape[1] // cell)
        for name, values in step.predict_on_batch(shown.astype(np.float32)).items():
            axis = 0 if name == "candidates" else 1
            scale = values.shape[axis] // rows_shown
            if name not in whole:
                whole[name] = np.empty((*values.shape[:axis], scale * rows, *values.shape[axis + 1 :]), values.dtype)
            taken = slice(scale * before, scale * (before + end - start))
            whole[name][(slice(None),) * axis + (slice(scale * start, scale * end),)] = values[(slice(None),) * axis + (taken,)]
        report()
    return whole


class KerasUpscaler(TiledUpscaler):
    """Restores photos with one model.

    Args:
        model: C2Matching.
        search: "levels", "exact", "window", or "auto" for windows of large references and levels of others.
        tile: largest side of the tiles in LR pixels, a multiple of 4; by default photos of up to 16,384 pixels are one tile,
            and others are cut into tiles of at most 128, or 96 with windows.
        window: side of the windows in reference pixels, a multiple of 4, at least 4 times the tile.

    Raises:
        ValueError: unknown search, or sizes that do not fit together.
    """

    any_strength = True
    fits_tiles = True

    def __init__(self, model: C2Matching, *, search: str = "auto", tile: int | None = None, window: int | None = None) -> None:
        plans.check_sizes(search, tile, window)
        self.model = model
        self._search = search
        self._tile = tile
        self._window = plans.default_window(tile) if window is None else window
        self._steps = _Steps.of(model)

    def plan(self, lr_shape: Sequence[int], ref_shapes: Iterable[Sequence[int]]) -> plans.Plan:
        return self._plan(lr_shape, list(ref_shapes), self._search)

    def warm_up_plans(self, lr_shape: Sequence[int], ref_shapes: Sequence[Sequence[int]]) -> list[plans.Plan]:
        searches = ("levels", "window") if self._search == "auto" else (self._search,)
        return [self._plan(lr_shape, ref_shapes, search) for search in searches]

    def _plan(self, lr_shape: Sequence[int], ref_shapes: Sequence[Sequence[int]], search: str) -> plans.Plan:
        return plans.make_plan(lr_shape, ref_shapes, search, self._tile, self._window, self.model.own_trunk)

    def warm_up(self) -> None:
        self._steps.search.warm_up(self.model.extractor_lr.output.shape[-1])

    def searches(self, lr_shape: Sequence[int], ref_shapes: Sequence[Sequence[int]], plan: plans.Plan) -> int:
        if plan.search == "window":
            return 1
        return strips(lr_shape[0], 1, _STRIP) + sum(strips(shape[0], FEATURE_STRIDE, _STRIP) for shape in ref_shapes) + 1

    def effort(
        self, lr_shape: Sequence[int], ref_shapes: Sequence[Sequence[int]], plan: plans.Plan, region: Region | None
    ) -> float:
        restored = super().effort(lr_shape, ref_shapes, plan, region)
        ref_pixels = sum(shape[0] * shape[1] for shape in ref_shapes)
        if plan.search == "window":
            tiles = len(self._canvases(lr_shape, plan, region)[-1])
            encoded, matched = tiles * min(plan.window**2, ref_pixels), min(plan.window**2, ref_pixels) * restored
        else:
            encoded, matched = ref_pixels, ref_pixels * lr_shape[0] * lr_shape[1] if plan.search == "exact" else 0
        return restored + encoded * _ENCODING + matched / FEATURE_STRIDE**2 * _MATCHING

    def _find(self, work: Work) -> Found:
        if work.plan.search == "window":
            work.reference.encoded = None  # the memory estimate for windows does not include features of whole references
            return self._coarse_matches(work.lr, work.reference)
        encoded = self._encoded(work.reference, work.report)
        matches, score = self._matches(work.lr, encoded, None if work.plan.search == "levels" else np.inf, work.report)
        flow = flow_from_matches(matches)
        return _WholeMatches.of(np.asarray(flow)[0], np.asarray(score)[0], work.reference.photos)

    def _matches(self, lr: np.ndarray, encoded: dict[str, Any], exact_pairs: float | None, report: Callable[[], None]) -> Any:
        """Matches and scores of an LR photo in encoded references, as of `levels.match_by_levels`."""
        described = in_strips(self._steps.describe, as_float(lr)[None], 1, _STRIP, _BESIDE, report)["matching"]
        candidates = None if np.all(encoded["candidates"]) else encoded["candidates"]
        return self._steps.search.match(described, encoded["matching"], candidates, exact_pairs)

    def _restore_tiles(self, work: Work, tiles: Iterable[Tile]) -> Iterator[np.ndarray]:
        return self._restore_in_windows(work, tiles) if work.plan.search == "window" else self._restore_with_all(work, tiles)

    def _restore_alone(self, lr: np.ndarray, tiles: Iterable[Tile]) -> Iterator[np.ndarray]:
        for tile in tiles:
            yield self._steps.trunk.predict_on_batch({"lr": as_float(lr[tile.rows, tile.columns])[None]})[0]

    def _restore_with_all(self, work: Work, tiles: Iterable[Tile]) -> Any:
        """Restores tiles with the flow of the whole photo and the whole references."""
        lr, reference = work.lr, work.reference
        border = PATCH - 1
        flow = np.pad(work.found.atlas_flow, ((border, 0), (border, 0), (0, 0)))
        encoded = self._encoded(reference, work.report)
        features = {level: encoded[level] for level in self.model.levels}
        score = around_pixels(work.found.score)
        number, position = around_pixels(work.found.number), positions(around_pixels(work.found.flow))
        for tile in tiles:
            alone = None if work.alone is None else work.alone.part(tile)
            if alone is not None and not _is_explained(score[tile.rows, tile.columns]):
                yield alone
                continue
            rows, columns = slice(tile.y, tile.y + tile.height + border), slice(tile.x, tile.x + tile.width + border)
            inputs = {
                "lr": as_float(lr[tile.rows, tile.columns])[None],
                "flow": flow[rows, columns][None],
                "reference": features,
                "origin": np.array([tile.y, tile.x], np.int32),
                "strength": np.array([work.strength], np.float32),
                "score": score[tile.rows, tile.columns][None],
                **({} if alone is None else {"alone": alone[None]}),
            }
            work.note(tile, *(part[tile.rows, tile.columns] for part in (number, position, score)))
            yield self._steps.restore.predict_on_batch(inputs)[0]

    def _restore_in_windows(self, work: Work, tiles: Iterable[Tile]) -> Any:
        """Restores tiles, each searched in its own window.

        Windows differ between photos, so only the features of the small versions are kept.
        """
        lr, coarse = work.lr, work.found
        strength = np.array([work.strength], np.float32)
        for tile in tiles:
            alone = None if work.alone is None else work.alone.part(tile)
            if alone is not None and not _is_explained(coarse.scores(tile)):
                yield alone
                continue
            window = coarse.window(tile, work.plan.window)
            pixels = as_float(window.of(work.reference.photos))[None]
            inputs = {"lr": as_float(lr[tile.rows, tile.columns])[None], "ref": pixels, "strength": strength}
            if alone is not None:
                inputs["alone"] = alone[None]
            found = {name: value[0] for name, value in self._steps.whole.predict_on_batch(inputs).items()}
            score = around_pixels(found["score"])
            flow = around_pixels(found["flow"][: found["score"].shape[0], : found["score"].shape[1]])
            position = positions(flow) + np.array([window.y, window.x], np.float32)
            work.note(tile, np.full(score.shape, window.reference), position, score)
            yield found["sr"]

    def _encoded(self, reference: Any, report: Callable[[], None]) -> Any:
        """Features of whole references, computed once."""
        if reference.encoded is None:
            parts = [
                in_strips(self._steps.encode_reference, as_float(photo)[None], FEATURE_STRIDE, _STRIP, _BESIDE, report)
                for photo in reference.photos
            ]
            joined = _joined(parts)
            del parts
            # As tensors, which are not copied for each tile.
            reference.encoded = {name: ops.convert_to_tensor(joined.pop(name)) for name in list(joined)}
        return reference.encoded

    def _coarse_matches(self, lr: np.ndarray, reference: Any) -> CoarseMatches:
        return CoarseMatches(lr, self._coarse_references(lr.shape, reference), self._locate)

    def _coarse_references(self, lr_shape: Sequence[int], reference: Any) -> CoarseReferences:
        """Small versions of references by the factor that an LR photo needs, made once as long as the factor is the same."""
        factor = shrinking(lr_shape, reference.shapes)
        if reference.coarse is None or reference.coarse.factor != factor:
            reference.coarse = CoarseReferences(reference.photos, factor)
        return reference.coarse

    def _encoded_coarse(self, coarse: CoarseReferences) -> Any:
        """Matching features of small versions, computed once."""
        if coarse.encoded is None:
            encode = self._steps.encode_for_matching.predict_on_batch
            coarse.encoded = _joined([encode(photo[None]) for photo in coarse.photos])
        return coarse.encoded

    def _locate(self, lr: np.ndarray, coarse: CoarseReferences) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """See `tiles.Locate`."""
        matches, score = self._matches(lr, self._encoded_coarse(coarse), np.inf, lambda: None)
        return *_split(np.asarray(matches[0]), coarse.photos), np.asarray(score[0])


def _is_explained(scores: np.ndarray) -> bool:
    """Whether a tile with patches of those scores [h,w] is restored with the references."""
    return (scores >= MATCHED_SCORE).mean() >= MIN_EXPLAINED


# Arguments of `C2Matching.restore`, in its order.
_RESTORED_FROM = ("lr", "flow", "reference", "origin", "strength", "score", "alone")


class _WholeMatches(NamedTuple):
    """Matches of the whole photo: flow within each reference, score, flow in the atlas of all, and which reference."""

    flow: np.ndarray
    score: np.ndarray
    atlas_flow: np.ndarray
    number: np.ndarray

    @classmethod
    def of(cls, atlas_flow: np.ndarray, score: np.ndarray, references: Sequence[np.ndarray]) -> "_WholeMatches":
        height, width = score.shape
        grid = np.moveaxis(np.mgrid[:height, :width], 0, -1)
        number, inside = _split(atlas_flow[:height, :width] + grid, references)
        return cls(inside - grid, score, atlas_flow, number)


class _Steps(Steps):
    def __init__(self, model: C2Matching) -> None:
        self.encode_reference = Step(model, model.encode_reference)
        self.describe = Step(model, lambda lr: {"matching": model.describe(lr)})
        self.search = SearchSteps(model)
        self.encode_for_matching = Step(model, lambda photo: _for_matching(model.encode_reference(photo)))
        self.restore = Step(model, lambda inputs: model.restore(*(inputs.get(name) for name in _RESTORED_FROM)))
        self.whole = Step(model, model.searched)
        self.trunk = Step(model, model.trunk)


def _for_matching(encoded: dict[str, Any]) -> dict[str, Any]:
    """What matching needs of an encoded reference; graph compilers leave out the rest."""
    return {name: encoded[name] for name in ("matching", "candidates")}


def _joined(encoded: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return encoded[0] if len(encoded) == 1 else atlas(encoded)


def _split(matches: np.ndarray, refs: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Cells of an atlas [h,w,2] as the number of the reference [h,w] and the cell in it [h,w,2]."""
    heights = [-(-ref.shape[0] // FEATURE_STRIDE) + ATLAS_GAP for ref in refs]
    starts = np.concatenate([[0], np.cumsum(heights)[:-1]])
    number = np.searchsorted(starts, matches[..., 0], side="right") - 1
    return number, np.stack([matches[..., 0] - starts[number], matches[..., 1]], axis=-1)
