"""What restores photos tile by tile: base class of the engines, one for each kind of model.

`keras_upscaler.KerasUpscaler` restores tiles with a Keras model, `tflite_upscaler.TFLiteUpscaler` with a .tflite file,
`saved_model_upscaler.SavedModelUpscaler` with a SavedModel. They take arrays that were checked; `upscaler.Upscaler` makes those
out of photos. Nothing here needs a deep learning framework.

References are optional: without them the trunk restores the photo (`network.restoration`).
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import PurePath
from typing import Any, NamedTuple, Protocol, TypeAlias

import numpy as np

from c2m_tf.photos.image import Image, ImageLike
from c2m_tf.photos.pixels import SCALE
from c2m_tf.photos.result_size import Orientation, Region
from c2m_tf.upscaling.evidence import Evidence, Noted, blend_weight
from c2m_tf.upscaling.plans import Plan
from c2m_tf.upscaling.tiles import NARROW, WIDE, Canvas, CoarseReferences, Overlap, Tile

# Mean cosine of a matched patch from which on the reference explains the patch. On the eight validation groups a true reference
# explains 7 to 68 % of the patches by this measure, searched by levels, an unrelated one 4 % at most.
MATCHED_SCORE = 0.6
# Share of explained patches below which a tile is better off without the reference, where that has a network of its own.
MIN_EXPLAINED = 0.06

# A self-ensemble takes the first of these. The second is turned by 180 degrees, which moves a photo on the matching's grid
# along both axes; each size is a group, so that a photo turned by one of its orientations gives the turned result. A network
# is not quite equivariant, and above all matches differ; the mean has less of both errors. Source: "Seven Ways to Improve
# Example-Based Single Image Super Resolution" (Timofte et al., CVPR 2016), section 3.5; "EDSR+" (Lim et al., CVPRW 2017).
ORIENTATIONS = tuple(
    Orientation(mirrored, upturned, transposed)
    for transposed in (False, True)
    for mirrored, upturned in ((False, False), (True, True), (True, False), (False, True))
)

Progress = Callable[
    [int, int], None
]  # of (steps done, steps in all): parts of the search, and tiles; what it raises stops the work


class Found(Protocol):
    """What matching finds, for `Matches`; engines add what they need to restore tiles."""

    @property
    def flow(self) -> np.ndarray: ...

    @property
    def score(self) -> np.ndarray: ...


class Matches(NamedTuple):
    """Where references show what an LR photo shows, for `photos.match_map`. With window search, of small versions of both.

    Attributes:
        flow: float32 [h,w,2], (dy, dx) in cells of 4 reference pixels; of several references, in the one that fits best.
        score: float32 [h,w], mean cosine of the matched patches, in [-1, 1].
    """

    flow: np.ndarray
    score: np.ndarray


class DecodedReferences:
    """References as an engine takes them, and what it computes of them alone.

    Attributes:
        photos: list of [H,W,3], uint8 or float32 in [0, 1].
        encoded: features of the whole references, for exact search; None until they are computed.
        coarse: small versions of the references, for window search; None until they are made.
    """

    def __init__(self, photos: list[np.ndarray]) -> None:
        self.photos = photos
        self.encoded: dict[str, Any] | None = None
        self.coarse: CoarseReferences | None = None

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """Shapes of the photos, [H,W,3] each."""
        return [photo.shape for photo in self.photos]


class Alone(NamedTuple):
    """The part of a photo that a single-image branch has restored: its first LR pixel, and float32 [4h,4w,3]."""

    y: int
    x: int
    pixels: np.ndarray

    @classmethod
    def of(cls, canvas: Canvas, pixels: np.ndarray) -> "Alone":
        """What a canvas has collected."""
        return cls(canvas.region.y, canvas.region.x, pixels)

    def part(self, tile: Tile) -> np.ndarray:
        """The pixels of a tile, float32 [4h,4w,3]."""
        y, x = SCALE * (tile.y - self.y), SCALE * (tile.x - self.x)
        return self.pixels[y : y + SCALE * tile.height, x : x + SCALE * tile.width]


class Work(NamedTuple):
    """One photo to be restored with references.

    Attributes:
        lr: [h,w,3], uint8 or float32 in [0, 1].
        reference: DecodedReferences.
        plan: Plan.
        strength: in (0, 1], how much of the references is used.
        found: what `_find` found, None if the model does not report its matches.
        alone: the photo as the single-image branch restores it; None if the plan has no tiles for it.
        report: called after each step of the search.
        note: called for each tile that is restored with the references: with the tile, and of its pixels the number of the
            reference [h,w], the first pixel of the block in it [h,w,2], the score [h,w], and, if the model says so, how much
            the reference counts [h,w].
    """

    lr: np.ndarray
    reference: DecodedReferences
    plan: Plan
    strength: float
    found: Any = None
    alone: Alone | None = None
    report: Callable[[], None] = lambda: None
    note: Callable[..., None] = lambda tile, *found: None


class Restored(NamedTuple):
    """A restored photo.

    Attributes:
        rgb: float32 [4h,4w,3] in [0, 1].
        tiles: restored, in all orientations.
        coverage: share of the photo's patches, in [0, 1], that a reference shows (`MATCHED_SCORE`); of several orientations
            their mean. None without references, or if the model does not report its matches.
        matches: of the photo as it stands; None where coverage is.
        evidence: of the photo as it stands; None where coverage is.
    """

    rgb: np.ndarray
    tiles: int
    coverage: float | None = None
    matches: Matches | None = None
    evidence: Evidence | None = None


class TiledUpscaler(ABC):
    """Restores photos tile by tile, one at a time."""

    max_references: int | None = None  # for one photo; None for any number
    reports_matches = True  # whether `find_matches` works; an exported SavedModel does not report its matches
    overlap: Overlap = NARROW  # of tiles, but for those of the plan's branch
    fits_tiles = False  # whether tiles may be smaller than the plan's, as those of exported files may not
    any_strength = False  # whether strengths between 0 and 1 are supported
    restores_alone = True  # whether photos without references are; older exported files have no signature for it

    @abstractmethod
    def plan(self, lr_shape: Sequence[int], ref_shapes: Iterable[Sequence[int]]) -> Plan:
        """How a photo of that shape will be restored with references of those shapes."""

    @abstractmethod
    def _find(self, work: Work) -> Found | None:
        """Matches of the whole photo; None if the model does not report them."""

    @abstractmethod
    def _restore_tiles(self, work: Work, tiles: Iterable[Tile]) -> Iterator[np.ndarray]:
        """Yields the SR pixels, float [4h,4w,3], of each tile of the LR photo; `work.found` is what `_find` found."""

    @abstractmethod
    def _restore_alone(self, lr: np.ndarray, tiles: Iterable[Tile]) -> Iterator[np.ndarray]:
        """The same without a reference."""

    def warm_up_plans(self, lr_shape: Sequence[int], ref_shapes: Sequence[Sequence[int]]) -> list[Plan]:
        """Plans for a small photo that between them use all that is compiled when it is first used."""
        return [self.plan(lr_shape, ref_shapes)]

    def warm_up(self) -> None:  # noqa: B027  # most engines have nothing more
        """Compiles what photos need that are larger than those of `warm_up_plans`."""

    def tiles(self, lr_shape: Sequence[int], plan: Plan, ensemble: int = 1, region: Region | None = None) -> int:
        """Number of tiles of a photo of that shape, or of a part of it."""
        return sum(
            len(canvas)
            for orientation in ORIENTATIONS[:ensemble]
            for canvas in self._canvases(orientation.turned_shape(lr_shape), plan, _turned(region, orientation, lr_shape))
        )

    def searches(self, lr_shape: Sequence[int], ref_shapes: Sequence[Sequence[int]], plan: Plan) -> int:
        """Steps of `_find` where nothing is known of the references yet: how often it calls `work.report`, or less often."""
        del lr_shape, ref_shapes, plan
        return 0

    def steps(
        self,
        lr_shape: Sequence[int],
        ref_shapes: Sequence[Sequence[int]],
        plan: Plan,
        ensemble: int = 1,
        region: Region | None = None,
    ) -> int:
        """Number of steps that `restore` reports: those of the search, and tiles."""
        searched = 0
        for orientation in ORIENTATIONS[:ensemble] if ref_shapes else ():
            searched += self.searches(
                orientation.turned_shape(lr_shape), [orientation.turned_shape(shape) for shape in ref_shapes], plan
            )
        return searched + self.tiles(lr_shape, plan, ensemble, region)

    def effort(self, lr_shape: Sequence[int], ref_shapes: Sequence[Sequence[int]], plan: Plan, region: Region | None) -> float:
        """What restoring a photo, or a part of it, takes in one orientation, in LR pixels: their number with tiles' overlap."""
        del ref_shapes
        return float(sum(tile.height * tile.width for tile in self._canvases(lr_shape, plan, region)[-1]))

    def find_matches(self, lr: np.ndarray, reference: DecodedReferences, plan: Plan) -> Matches:
        """Where the references show what the LR photo shows; raises ValueError if the model does not report it."""
        found = self._find(Work(lr, reference, plan, 1.0))
        if found is None:
            raise ValueError("a SavedModel does not report its matches; give a preset, a .keras or a .tflite file")
        return _matches(found)

    def find_weights(self, lr: np.ndarray, reference: DecodedReferences, plan: Plan) -> np.ndarray:
        """How much the references would count for each patch of the LR photo, float [h,w] in [0, 1]."""
        found: Any = self._find(Work(lr, reference, plan, 1.0))
        return found.weight if hasattr(found, "weight") else blend_weight(np.asarray(found.score, np.float32))

    def restore(
        self,
        lr: np.ndarray,
        reference: DecodedReferences | None,
        plan: Plan,
        strength: float = 1.0,
        ensemble: int = 1,
        progress: Progress | None = None,
        region: Region | None = None,
    ) -> Restored:
        """Restores a photo.

        Args:
            lr: [h,w,3], uint8 or float32 in [0, 1].
            reference: DecodedReferences, None for none.
            plan: of `plan`, for photos of these shapes.
            strength: in (0, 1], how much of the references is used.
            ensemble: orientations whose results are averaged, one of `plans.ENSEMBLES`.
            progress: called after each step of the search and each tile.
            region: the part of the photo that is restored, the same as in the whole; None for all. Matches are those of the
                whole photo.

        Returns:
            Restored.
        """
        shapes = [] if reference is None else reference.shapes
        steps = self.steps(lr.shape, shapes, plan, ensemble, region)
        if ensemble == 1:
            return self._restored(lr, reference, plan, strength, progress, 0, steps, region)
        height, width = lr.shape[:2] if region is None else (region.height, region.width)
        total = np.zeros((SCALE * height, SCALE * width, 3), np.float32)
        results: list[Restored] = []
        done = 0
        for orientation in ORIENTATIONS[:ensemble]:
            turned = None if reference is None else DecodedReferences([orientation.turned(photo) for photo in reference.photos])
            part = _turned(region, orientation, lr.shape)
            photo = orientation.turned(lr)
            result = self._restored(photo, turned, plan, strength, progress, done, steps, part)
            done += self.steps(photo.shape, [] if turned is None else turned.shapes, plan, region=part)
            total += orientation.turned_back(result.rgb)
            results.append(result._replace(rgb=total))
        total /= ensemble
        coverages = [result.coverage for result in results if result.coverage is not None]
        tiles = sum(result.tiles for result in results)
        return results[0]._replace(tiles=tiles, coverage=float(np.mean(coverages)) if coverages else None)

    def _restored(
        self,
        lr: np.ndarray,
        reference: DecodedReferences | None,
        plan: Plan,
        strength: float,
        progress: Progress | None,
        done: int,
        steps: int,
        region: Region | None,
    ) -> Restored:
        """One orientation, after so many steps of others."""

        def report(number=1):
            nonlocal done
            done += number
            if progress is not None and number:
                progress(done, steps)

        def collected(canvas, results):
            for place, result in zip(canvas, results, strict=True):
                canvas.add(place, result)
                report()
            return canvas.photo()

        *branch, canvas = self._canvases(lr.shape, plan, region)
        tiles = sum(len(tiles) for tiles in (*branch, canvas))
        if reference is None:
            return Restored(_clipped(collected(canvas, self._restore_alone(lr, canvas))), tiles)
        alone = Alone.of(branch[0], collected(branch[0], self._restore_alone(lr, branch[0]))) if branch else None
        noted = Noted(region or Region(0, 0, lr.shape[1], lr.shape[0]), strength)
        work = Work(
            lr,
            reference,
            plan,
            strength,
            alone=alone,
            report=report,
            note=lambda tile, *found: noted.add(canvas.core(tile), tile, *found),
        )
        searched = done + self.searches(lr.shape, reference.shapes, plan)
        found = self._find(work)
        report(searched - done)
        rgb = _clipped(collected(canvas, self._restore_tiles(work._replace(found=found), canvas)))
        if found is None:
            return Restored(rgb, tiles)
        return Restored(rgb, tiles, float((found.score >= MATCHED_SCORE).mean()), _matches(found), noted.evidence)

    def _canvases(self, lr_shape: Sequence[int], plan: Plan, region: Region | None) -> list[Canvas]:
        """Canvases of the tiles: those of the branch, if the plan has any, and then those restored with the references."""
        height, width = lr_shape[:2]
        canvases = []
        if not plan.branch_tile or plan.search != "none":
            canvases.append(Canvas(height, width, plan.tile, SCALE, self.fits_tiles, region, self.overlap))
            region = canvases[0].covered  # tiles of which a part is needed are restored whole
        if plan.branch_tile:
            canvases.insert(0, Canvas(height, width, plan.branch_tile, SCALE, True, region, WIDE))
        return canvases


class UpscaleResult(NamedTuple):
    """An upscaled photo, and what became known of it.

    Attributes:
        image: Image of four times the sides, with the LR photo's transparency (upsampled by bicubic), grayness, colour profile
            and metadata; `rgb` is float32 in [0, 1].
        coverage: share of the photo's patches, in [0, 1], that a reference shows; None without references, or if the model does
            not report its matches.
        preset: the preset or file that restored the photo; None of a model that has no name.
        matches: where the references show it; None where coverage is.
        evidence: of each pixel of the photo, from which reference its block of the result comes, from where, and how much; None
            where coverage is.
        reason: why that preset was chosen, in words; empty if it was not chosen by the photo.
        tiles: number of tiles that were restored.
        album: which references were chosen out of an album, and why, in words; empty without one.
    """

    image: Image
    coverage: float | None
    preset: str | None
    matches: Matches | None
    evidence: Evidence | None
    reason: str = ""
    tiles: int = 0
    album: str = ""

    @property
    def title(self) -> str:
        """The name of the preset or file, for pictures."""
        return PurePath(self.preset).name if self.preset else "upscaled"


class References:
    """References for several LR photos, which are read and encoded once. Made by `Upscaler.open_references`, for it alone.

    Attributes:
        shapes: (H, W, 3) of each, as its header says.
        names: of their files, or "reference 1" and so on, for what is said of them.
    """

    def __init__(self, owner: Any, images: Sequence[Image], kept: bool) -> None:
        self.owner = owner
        self.shapes = [image.stored_shape for image in images]
        self.names = [image.filename or f"reference {number}" for number, image in enumerate(images, 1)]
        self._images: list[Image | None] = list(images)
        self._kept = kept
        self._key: tuple[Any, ...] | None = None
        self._decoded: DecodedReferences | None = None

    @property
    def first(self) -> np.ndarray | None:
        """The first one in the colours of the photo that was upscaled last; None before any was."""
        return None if self._decoded is None else self._decoded.photos[0]

    def close(self) -> None:
        """Closes files that were not read yet."""
        for image in self._images:
            if image is not None:
                image.close()

    def decoded_for(self, model: TiledUpscaler, lr: Image, report: Callable[[], None]) -> DecodedReferences:
        """The references in the colours of an LR photo; calls `report` before each is decoded.

        What the model computed of them stays as long as model and colour space do.
        """
        key = (model, lr.icc_profile)
        if self._decoded is None or key != self._key:
            self._key = self._decoded = None  # frees the old features before the new ones are computed
            photos = []
            for number, image in enumerate(self._images):
                assert image is not None
                report()
                photos.append(image.in_colours_of(lr))
                if not self._kept:
                    self._images[number] = None
            self._decoded, self._key = DecodedReferences(photos), key
        return self._decoded


ReferencesLike: TypeAlias = ImageLike | Sequence[ImageLike] | References


def _turned(region: Region | None, orientation: Orientation, lr_shape: Sequence[int]) -> Region | None:
    return None if region is None else orientation.turned_region(region, lr_shape)


def _clipped(rgb: np.ndarray) -> np.ndarray:
    return np.clip(rgb, 0.0, 1.0, out=rgb)


def _matches(found: Any) -> Matches:
    return Matches(np.asarray(found.flow, np.float32), np.asarray(found.score, np.float32))
