"""The way of a photo: header, plan, memory, pixels, colours, tiles, result. Command line, server, jobs and evaluation call it.

upscaler = Upscaler.from_preset("auto")
result = upscaler("lr.jpg", "reference.jpg")              # paths, bytes, open files, arrays, pictures of Pillow's
result.image.save("sr.png")

references = upscaler.open_references(["a.jpg", "b.jpg"])  # read and encoded once, for any number of photos
result = upscaler("lr.jpg", references)
"""

import os
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from c2m_tf.photos.drawing import comparison_sheet
from c2m_tf.photos.formats import DEFAULT_ENCODING, Encoding
from c2m_tf.photos.image import Image, ImageLike
from c2m_tf.photos.metadata import with_origin
from c2m_tf.photos.pixels import as_float, as_uint8, downsample, upsample
from c2m_tf.photos.quality import quality_of
from c2m_tf.photos.result_size import FULL_SIZE, Region, ResultSize, Wanted
from c2m_tf.photos.writing import check_fits, check_suffix, write
from c2m_tf.presets import current_name
from c2m_tf.upscaling import opening, plans
from c2m_tf.upscaling.album import Album
from c2m_tf.upscaling.base import DecodedReferences, Matches, Progress, References, ReferencesLike, TiledUpscaler, UpscaleResult
from c2m_tf.upscaling.opening import AUTO, CLEAN, DEGRADED, choose

if TYPE_CHECKING:
    from c2m_tf.jobs.work import Job, Outcome
    from c2m_tf.network.mobile import Mobile
    from c2m_tf.network.model import C2Matching

_SECOND_MODEL_BYTES = 100 * 2**20  # what a second model adds to the process; 85 MiB were measured
_LARGE_ENOUGH = "the photo has as many pixels as are asked for"
_WARM_UP_SIDE = 48  # LR pixels
_MIN_ESTIMATED, _MIN_ESTIMATED_ALONE = 3 * _WARM_UP_SIDE**2, 10**6  # LR pixels, with references and without


class Upscaler:
    """Upscales photos 4x. Threads may share one; they take turns, and results do not depend on their order.

    `from_preset` opens presets and files, as the command line does.

    Args:
        model: C2Matching or Mobile; or a TiledUpscaler, which has its own search, tile and window.
        max_memory: bytes that one photo may need; by default 75 % of the memory that the process may use.
        search: "levels", "exact", "window", or "auto" for windows of large references and levels of others.
        tile: largest side of the tiles in LR pixels, a multiple of 4; by default photos of up to 16,384 pixels are one tile,
            and others are cut into tiles of at most 128, or 96 with windows; `mobile` takes tiles of at most 384.
        window: side of the windows in reference pixels, a multiple of 4, at least 4 times the tile.
        ensemble: orientations of each photo whose results are averaged: 1, 2, 4 or 8. It takes that many times as long.

    Raises:
        ValueError: `max_memory` is not a positive number of bytes, unknown search, sizes that do not fit together, or no such
            ensemble.
    """

    def __init__(
        self,
        model: "C2Matching | Mobile | TiledUpscaler",
        *,
        max_memory: int | None = None,
        search: str = "auto",
        tile: int | None = None,
        window: int | None = None,
        ensemble: int = 1,
    ) -> None:
        self._set(max_memory, ensemble)
        if not isinstance(model, TiledUpscaler):
            model = opening.upscaler_of(model, search=search, tile=tile, window=window)
        elif (search, tile, window) != ("auto", None, None):
            raise ValueError("search, tile and window are given to the TiledUpscaler itself; leave them out here")
        self._models: dict[str | None, TiledUpscaler] = {None: model}

    @classmethod
    def from_preset(
        cls,
        preset: str | os.PathLike = AUTO,
        *,
        dtype: str | None = "auto",
        max_memory: int | None = None,
        search: str = "auto",
        tile: int | None = None,
        window: int | None = None,
        threads: int | None = None,
        device: str | None = None,
        ensemble: int = 1,
        trusted: bool = False,
    ) -> "Upscaler":
        """The upscaler that the command line uses.

        Args:
            preset: "auto" takes a preset for each photo, by its quality, when the first one needs it; or a preset, .keras file,
                folder or handle, as of `C2Matching.from_preset`; a .tflite file of `c2m-tf export tflite`; or a folder of
                `c2m-tf export saved-model`, of which the newest version is used.
            dtype: dtype policy, "auto" for the fastest on this machine, None for the model's own. This, search, tile and window
                are for presets and Keras models only; files that were exported ignore "auto".
            max_memory, search, tile, window, ensemble: see `Upscaler`.
            threads: cores that the model may use, for processes that share a machine; by default those that the process may
                use. TensorFlow keeps to it if it has not started in this process; JAX does not.
            device: "cpu", "gpu" or "gpu:N", if Keras has not started in this process; by default a GPU if there is one.
            trusted: open a SavedModel, which is a program, even if it could read or write files or call Python.

        Raises:
            ValueError: no such model, a damaged one, or settings that it does not support.
            ImportError: a .tflite file, and its runtime is not installed.
        """
        plans.check_sizes(search, tile, window)
        preset = current_name(os.fspath(preset))
        upscaler = cls.__new__(cls)
        upscaler._set(max_memory, ensemble)
        upscaler._settings = {
            "dtype": dtype,
            "search": search,
            "tile": tile,
            "window": window,
            "threads": threads,
            "device": device,
            "trusted": trusted,
        }
        upscaler._models = {}
        upscaler._chooses = preset == AUTO
        if not upscaler._chooses:
            upscaler._model(preset)
        return upscaler

    def _set(self, max_memory: int | None, ensemble: int) -> None:
        plans.check_ensemble(ensemble)
        if max_memory is None:
            max_memory = plans.default_max_memory()
        if not 0 < max_memory < float("inf"):
            raise ValueError(f"max_memory {max_memory} is not a positive number of bytes; leave it out for 75 % of the memory")
        self.max_memory = int(max_memory)
        self.ensemble = ensemble
        self._chooses = False
        self._settings: dict[str, Any] = {}
        self._turn = threading.Lock()

    def __call__(
        self,
        lr: ImageLike,
        references: ReferencesLike | None = None,
        strength: float = 1.0,
        progress: Progress | None = None,
        *,
        scale: float | None = None,
        size: str | None = None,
        long_side: int | None = None,
        region: str | Sequence[int] | None = None,
        album: Album | None = None,
    ) -> UpscaleResult:
        """Upscales a photo.

        Args:
            lr: the photo, of at least 3x3 pixels: a path, the bytes of a file, an open binary file, an array [h,w,3] of uint8
                or float in [0, 1], a picture of Pillow's, or an Image.
            references: such a photo, of at least 12x12 pixels, or a list of them, of any sizes; or the result of
                `open_references`; or None for no reference. They are brought to the LR photo's colour space; arrays, and
                photos without a profile, are sRGB.
            strength: in [0, 1], how much of the references is used; 1 is the published network, at 0 they are not read.
            progress: called with (steps done, steps in all), before a photo is decoded, after each step of the search and after
                each tile. An exception that it raises stops the work.
            scale, size, long_side: of the result, at most one of them, see `ResultSize`; by default 4x. What is smaller is made
                at 4x and reduced; where the LR photo has as many pixels, it is reduced alone.
            region: the part of the upright photo that the result shows, (x, y, width, height) in LR pixels; None for all. It is
                the same as that part of the whole result, at the cost of the tiles that it lies in.
            album: in place of references, photos from which those are chosen that show what the LR photo shows.

        Returns:
            UpscaleResult.

        Raises:
            ValueError: a photo that cannot be read or used, a size above 4x, a region outside the photo, strength outside
                [0, 1] or one that the model does not support (exported files support 0 and 1), or References of another
                upscaler; `ImageError` if a file cannot be read, `TooLargeError` if more memory is needed than allowed. All that
                headers say is known before a pixel is decoded.
        """
        part = None if region is None else Region.of(region)
        with self.prepare(lr, references, strength, ResultSize(scale, size, long_side), part, album) as prepared:
            return prepared.run(progress)

    def prepare(
        self,
        lr: ImageLike,
        references: ReferencesLike | None = None,
        strength: float = 1.0,
        size: ResultSize = FULL_SIZE,
        region: Region | None = None,
        album: Album | None = None,
    ) -> "PreparedPhoto":
        """The first half of a call: opens photos and checks what their headers say. Arguments and errors are those of a call.

        References of an album are chosen here, for which the LR photo is decoded and matched with some of its photos.

        Returns:
            PreparedPhoto, whose `run` does the rest.
        """
        self.check_strength(strength)
        size.check()
        with ExitStack() as stack:
            image = Image.open(lr, _name(lr, "LR photo"))
            if image is not lr:
                stack.enter_context(image)
            plans.check_photos(image.upright_shape, [])
            wanted = Wanted(image.upright_shape, size, region)
            opened, words = None, ""
            if album is not None and strength > 0:
                references, words = self._chosen(image, references, album)
            if isinstance(references, References):
                opened = references if strength > 0 else None
            elif references is not None and strength > 0:
                opened = self._open(references, kept=False)
                stack.callback(opened.close)
            if opened is not None and opened.owner is not self:
                raise ValueError("these References were opened by another upscaler; use open_references of this one")
            self._check(image.upright_shape, [] if opened is None else opened.shapes, wanted)
            return PreparedPhoto(self, image, opened, strength, (size, region), words, stack.pop_all())

    def _chosen(self, lr: Image, references: ReferencesLike | None, album: Album) -> tuple[list[Image] | None, str]:
        """References out of an album, None if none suits, and why, in words."""
        if references is not None:
            raise ValueError("references and an album are given; give one of them")
        if not self.reports_matches:
            raise ValueError("a SavedModel does not report its matches, by which references are chosen; give them one by one")

        def weights(photo: Image) -> np.ndarray:
            with self.prepare(lr, photo) as prepared:
                return prepared.find_weights()

        choice = album.choose(lr, weights)
        return [album.open(name) for name in choice.names] or None, choice.words

    def open_references(self, references: ImageLike | Sequence[ImageLike]) -> References:
        """References for several LR photos: opened now, read and encoded when the first photo needs them, and kept.

        Args:
            references: as of a call.

        Raises:
            ValueError: as of a call, as far as headers say it.
        """
        opened = self._open(references, kept=True)
        try:
            self._check((plans.MIN_LR_SIDE, plans.MIN_LR_SIDE, 3), opened.shapes)
        except ValueError:
            opened.close()
            raise
        return opened

    def find_matches(self, lr: ImageLike, references: ReferencesLike) -> Matches:
        """Where the references show what the LR photo shows, without upscaling it; arguments and errors are those of a call."""
        with self.prepare(lr, references) as prepared:
            return prepared.find_matches()

    def upscale_folder(
        self,
        source: str | os.PathLike,
        references: str | os.PathLike | Sequence[str | os.PathLike] | None,
        output: str | os.PathLike,
        *,
        suffix: str = "",
        quality: int | Literal["lossless"] | None = None,
        bits: int = 8,
        metadata: bool = True,
        scale: float | None = None,
        size: str | None = None,
        long_side: int | None = None,
        strength: float = 1.0,
        overwrite: bool = False,
        progress: Callable[[int, int], None] | None = None,
    ) -> "list[tuple[Job, Outcome]]":
        """Upscales all photos of a folder. A photo that fails costs its own result only; results that are there are kept.

        Args:
            source: folder of LR photos.
            references: photos for all of them; or folders, of which each LR photo gets those of its name; None for none.
            output: folder for the results, made if it is missing.
            suffix: results are called NAME and this, with .png unless it ends with a format's own, as in "_4x.jpg".
            quality, bits, metadata: how results are stored, see `Image.save`.
            scale, size, long_side, strength: as of a call.
            overwrite: make results again that are there and complete.
            progress: called with (photos done, photos in all) after each photo.

        Returns:
            list of (Job, Outcome), one for each photo; `Outcome.error` says why a photo failed.

        Raises:
            ValueError: the source is no folder of photos, a reference does not exist, or the output cannot be written.
        """
        from c2m_tf.jobs.work import upscale_folder

        encoding = Encoding(quality, bits, metadata)
        return upscale_folder(
            self,
            source,
            references,
            output,
            suffix=suffix,
            encoding=encoding,
            size=ResultSize(scale, size, long_side),
            strength=strength,
            overwrite=overwrite,
            progress=progress,
        )

    @property
    def reports_matches(self) -> bool:
        """Whether results have matches; a SavedModel does not report them."""
        return self._chooses or self._only.reports_matches

    def check_strength(self, strength: float) -> None:
        """Raises ValueError if the strength lies outside [0, 1] or the model does not support it."""
        if not 0.0 <= strength <= 1.0:
            raise ValueError(f"strength {strength} lies outside [0, 1]; 0 uses nothing of the references, 1 all that fits")
        if strength not in (0.0, 1.0) and not (self._chooses or self._only.any_strength):
            raise ValueError(f"an exported file knows strength 0 and 1, not {strength}; give a preset or a .keras file")

    def estimated_memory(self, lr_shape: Sequence[int], ref_shapes: Sequence[Sequence[int]]) -> int:
        """Bytes that upscaling needs at its peak, from the shapes [h,w,...] of the LR photo and of the references."""
        if self._chooses:  # neither preset need be open
            search, tile, window = (self._settings[name] for name in ("search", "tile", "window"))
            degraded = plans.make_plan(lr_shape, ref_shapes, search, tile, window or plans.default_window(tile))
            clean = plans.make_mobile_plan(lr_shape, ref_shapes, tile)
            memory = max(degraded.memory, clean.memory) + _SECOND_MODEL_BYTES
        else:
            memory = self._only.plan(lr_shape, ref_shapes).memory
        return memory + plans.ensemble_bytes(self.ensemble, lr_shape, ref_shapes)

    def load(self) -> None:
        """Opens a model now, where the first photo would otherwise choose one; raises ValueError as `from_preset` does."""
        if self._chooses:
            self._model(CLEAN)

    def warm_up(self, progress: Progress | None = None) -> None:
        """Upscales small photos, with a reference and without, so that all that the first photo would wait for is done."""
        lr, reference = _small_photos()
        with self._turn:
            for model in [self._model(preset) for preset in (CLEAN, DEGRADED)] if self._chooses else [self._only]:
                for plan in model.warm_up_plans(lr.shape, [reference.shape]):
                    model.restore(lr, DecodedReferences([reference]), plan, progress=progress)
                model.warm_up()
                if model.restores_alone:
                    model.restore(lr, None, model.plan(lr.shape, []), progress=progress)

    def _open(self, references: ImageLike | Sequence[ImageLike], kept: bool) -> References:
        several: Sequence[Any] = references if isinstance(references, (list, tuple)) else [references]
        if not several:
            raise ValueError("the list of references is empty; leave references out to upscale without one")
        images: list[Image] = []
        try:
            for reference in several:
                # Later changes of the caller's arrays must not reach what is kept.
                own = reference.copy() if kept and isinstance(reference, np.ndarray) else reference
                images.append(Image.open(own, _name(own, "reference")))
        except ValueError:
            for image in images:
                image.close()
            raise
        return References(self, images, kept)

    def _check(self, lr_shape: Sequence[int], ref_shapes: Sequence[Sequence[int]], wanted: Wanted | None = None) -> None:
        """Raises ValueError if photos of those shapes cannot be upscaled."""
        plans.check_photos(lr_shape, ref_shapes)
        most = None if self._chooses else self._only.max_references
        if most is not None and len(ref_shapes) > most:
            raise ValueError(f"{len(ref_shapes)} references are given, this model takes {most} per photo; give the best")
        if not ref_shapes and not (self._chooses or self._only.restores_alone):
            raise ValueError("this model was exported without upscale_alone; give a reference, or export it again")
        memory = self.estimated_memory(lr_shape, ref_shapes)
        if wanted is not None:
            memory -= plans.unwanted_bytes(self.ensemble, lr_shape, wanted)
        exported = not (self._chooses or self._only.fits_tiles)
        plans.check_memory(memory, lr_shape, ref_shapes, self.max_memory, exported)

    @property
    def _only(self) -> TiledUpscaler:
        """The model, where the photo does not choose it."""
        return next(iter(self._models.values()))

    def _model(self, preset: str) -> TiledUpscaler:
        """The model of a preset or file, opened once."""
        if preset not in self._models:
            self._models[preset] = opening.open_model(preset, **self._settings)
        return self._models[preset]

    def _model_for(self, lr: Image) -> tuple[TiledUpscaler, str | None, str]:
        """The model for a photo, its name, and why it was chosen."""
        if not self._chooses:
            (name, model), *_ = self._models.items()
            return model, name, ""
        choice = choose(quality_of(lr))
        return self._model(choice.preset), *choice


class PreparedPhoto:
    """A photo whose header was read and whose memory is allowed; made by `Upscaler.prepare`. As a context it closes its files.

    Attributes:
        lr: Image, not decoded yet if it came from a file.
        album: which references were chosen out of an album, and why, in words; empty without one.
    """

    def __init__(
        self,
        owner: Upscaler,
        lr: Image,
        references: References | None,
        strength: float,
        wanted: tuple[ResultSize, Region | None],
        album: str,
        files: ExitStack,
    ) -> None:
        self.lr = lr
        self._files = files
        self._owner = owner
        self._references = references
        self._strength = strength
        self._wanted = wanted
        self.album = album

    def __enter__(self) -> "PreparedPhoto":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self._files.close()

    def check_output(self, path: str | os.PathLike, encoding: Encoding = DEFAULT_ENCODING) -> None:
        """Raises `ImageError` if a file of that suffix cannot hold the result, stored so; nothing is decoded."""
        check_suffix(path, self.lr.holds_alpha, encoding)
        check_fits(path, self.wanted.shape, self.lr.holds_alpha, encoding.bits)

    @property
    def wanted(self) -> Wanted:
        """What of the photo's result is made, by what is known of its size; raises `ImageError` if it cannot be."""
        return Wanted(self.lr.upright_shape, *self._wanted)

    def estimated_seconds(self) -> float | None:
        """How long `run` will take here, by the time that a small photo takes, which is upscaled twice for it.

        Returns:
            None for less work than the estimate itself takes, and for exported files, whose tiles have one size.
        """
        owner, wanted, shapes = self._owner, self.wanted, self._shapes
        pixels = wanted.restored.height * wanted.restored.width
        if not wanted.enlarges or pixels < (_MIN_ESTIMATED if shapes else _MIN_ESTIMATED_ALONE):
            return None
        with owner._turn:
            model, *_ = owner._model_for(self.lr.load())
            if not model.fits_tiles:
                return None
            plan = self._plan(model)
            lr, reference = _small_photos()
            references = DecodedReferences([reference]) if shapes else None
            for _ in range(2):  # the first time includes compilation
                start = time.perf_counter()
                model.restore(lr, references, plan)
                seconds = time.perf_counter() - start
            small = model.effort(lr.shape, [reference.shape][: len(shapes)], plan, None)
            whole = model.effort(self.lr.upright_shape, shapes, plan, wanted.restored)
        return owner.ensemble * seconds * whole / small

    def run(self, progress: Progress | None = None) -> UpscaleResult:
        """Decodes and upscales the photo; arguments, result and errors are those of a call of the upscaler."""
        owner = self._owner
        wanted, part = self.wanted, None
        with owner._turn:
            lr = self.lr.load()
            if not wanted.enlarges:
                return UpscaleResult(self._reduced(wanted), None, None, None, None, _LARGE_ENOUGH)
            model, name, reason, references = self._decoded(progress)
            visible = lr.visible()
            part = None if wanted.restored.is_all(visible.shape) else wanted.restored
            restored = model.restore(visible, references, self._plan(model), self._strength, owner.ensemble, progress, part)
        alpha = None if lr.alpha is None else wanted.of_whole(upsample(as_uint8(lr.alpha)))
        names = [] if self._references is None else self._references.names
        image = self.lr.replaced(wanted.reduced(restored.rgb), alpha, with_origin(lr.metadata, names))
        evidence = None if restored.evidence is None else restored.evidence._replace(names=tuple(names))
        return UpscaleResult(image, restored.coverage, name, restored.matches, evidence, reason, restored.tiles, self.album)

    def _reduced(self, wanted: Wanted) -> Image:
        """The LR photo itself, reduced."""
        rows, columns = wanted.restored.rows, wanted.restored.columns
        alpha = None if self.lr.alpha is None else wanted.reduced(as_float(self.lr.alpha[rows, columns]))
        return self.lr.replaced(wanted.reduced(as_float(self.lr.visible()[rows, columns])), alpha)

    def write_comparison(self, path: str | os.PathLike, result: UpscaleResult) -> None:
        """Writes a sheet of bicubic, result and reference, as far as there are such; raises `ImageError` if that fails."""
        lr = self.lr
        bicubic = as_uint8(self.wanted.of_whole(upsample(as_uint8(lr.visible()))))
        reference = None if self._references is None else self._references.first
        reference = None if reference is None else as_uint8(reference)
        sheet = comparison_sheet(bicubic, as_uint8(result.image.rgb), reference, title=result.title)
        write(path, sheet, icc_profile=None if lr.gray else lr.icc_profile)

    def find_matches(self) -> Matches:
        """Where the references show what the photo shows; raises ValueError if there is none."""
        return self._found("find_matches")

    def find_weights(self) -> np.ndarray:
        """How much the references would count for each part of the photo, see `TiledUpscaler.find_weights`."""
        return self._found("find_weights")

    def _found(self, what: str) -> Any:
        if self._references is None:
            raise ValueError("matches are those of references; give one")
        with self._owner._turn:
            model, _, _, references = self._decoded(None)
            return getattr(model, what)(self.lr.visible(), references, self._plan(model))

    @property
    def _shapes(self) -> Sequence[Sequence[int]]:
        return [] if self._references is None else self._references.shapes

    def _plan(self, model: TiledUpscaler) -> plans.Plan:
        return model.plan(self.lr.upright_shape, self._shapes)

    def _decoded(self, progress: Progress | None) -> tuple[TiledUpscaler, str | None, str, DecodedReferences | None]:
        """The model for the photo, its name and why it was chosen, and the references in the photo's colours."""
        lr = self.lr.load()
        model, name, reason = self._owner._model_for(lr)

        steps = model.steps(lr.upright_shape, self._shapes, self._plan(model), self._owner.ensemble, self.wanted.restored)

        def report() -> None:
            if progress is not None:
                progress(0, steps)

        report()
        decoded = None if self._references is None else self._references.decoded_for(model, lr, report)
        return model, name, reason, decoded


def _small_photos() -> tuple[np.ndarray, np.ndarray]:
    """An LR photo, and a reference that shows the same."""
    noise = np.random.default_rng(0).integers(0, 256, (_WARM_UP_SIDE // 3, _WARM_UP_SIDE // 3, 3), np.uint8)
    reference = upsample(upsample(noise))[: 4 * _WARM_UP_SIDE, : 4 * _WARM_UP_SIDE]
    return downsample(reference), reference


def _name(photo: Any, what: str) -> str | None:
    """What errors call a photo; None for its path."""
    return None if isinstance(photo, (str, os.PathLike)) or hasattr(photo, "name") else what
