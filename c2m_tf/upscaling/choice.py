"""Which preset a photo needs: the one for clean photos, or the one for degraded ones, by what its file and pixels say."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from c2m_tf.photos import images
from c2m_tf.photos.quality import PhotoQuality, quality_of
from c2m_tf.upscaling import opening, plans
from c2m_tf.upscaling.base import TiledUpscaler, check_memory, check_sides
from c2m_tf.upscaling.ensemble import check_ensemble, ensemble_bytes
from c2m_tf.upscaling.memory import default_max_memory

AUTO = "auto"  # in place of a model's name
CLEAN = "light"
DEGRADED = "light-photo"

# A photo is degraded if one of these says so; how often they are right is in docs/evaluation.md. The scores' thresholds are
# above 0 so that of clean photos at most about 5 % are taken for degraded.
MIN_JPEG_QUALITY = 95
MAX_NOISE = 2.2  # grey levels of 255; at 2 the preset for clean photos is still the better one
MAX_BLURRED = 0.1
MAX_AVERAGED = 0.2

_SECOND_MODEL_BYTES = 100 * 2**20  # what a second model adds to the process; 85 MiB were measured


class Choice(NamedTuple):
    """A preset, and why."""

    preset: str
    reason: str

    def __str__(self) -> str:
        return f"{self.preset}: {self.reason}"


def choose(quality: PhotoQuality) -> Choice:
    """The preset for a photo of that quality."""
    found = []
    if quality.jpeg is not None and quality.jpeg < MIN_JPEG_QUALITY:
        found.append(f"JPEG of quality {quality.jpeg}")
    if quality.noise is not None and quality.noise > MAX_NOISE:
        found.append(f"noise of {quality.noise:.1f} grey levels")
    if not found and quality.blurred is not None and quality.blurred > MAX_BLURRED:  # JPEG and noise disturb the spectrum
        found.append("blur")
    if not found and quality.averaged is not None and quality.averaged > MAX_AVERAGED:
        found.append("downsampling by averaging")
    return Choice(DEGRADED, ", ".join(found)) if found else Choice(CLEAN, "the photo looks clean")


class ChosenUpscalers:
    """The upscalers of both presets, each opened once, when a photo needs it.

    Args:
        settings: of `opening.open_upscaler`, besides the model.

    Raises:
        ValueError: sizes that do not fit together, or no such ensemble.
    """

    def __init__(self, **settings: Any) -> None:
        self._settings = settings
        self._search, self._tile = settings.get("search", "auto"), settings.get("tile")
        plans.check_sizes(self._search, self._tile, settings.get("window"))
        self._ensemble = settings.get("ensemble", 1)
        check_ensemble(self._ensemble)
        self._window = settings.get("window") or plans.default_window(self._tile)
        self._max_memory = settings.get("max_memory") or default_max_memory()
        self._opened: dict[str, TiledUpscaler] = {}

    def checked_plan(self, lr_shape: Sequence[int], ref_shapes: Sequence[Sequence[int]]) -> plans.Plan:
        """As `TiledUpscaler.checked_plan`: the same for both presets, and known before one is opened."""
        check_sides(lr_shape, ref_shapes)
        plan = plans.make_plan(lr_shape, ref_shapes, self._search, self._tile, self._window)
        more = _SECOND_MODEL_BYTES + ensemble_bytes(self._ensemble, lr_shape, ref_shapes)
        plan = plan._replace(memory=plan.memory + more)
        check_memory(plan, lr_shape, ref_shapes, self._max_memory)
        return plan

    def of(self, photo: images.Photo, tables: dict[int, list[int]] | None) -> tuple[TiledUpscaler, Choice]:
        """The upscaler for a photo; arguments are those of `quality.quality_of`. Raises ValueError as `open` does."""
        choice = choose(quality_of(photo, tables))
        return self.open(choice.preset), choice

    def open(self, preset: str) -> TiledUpscaler:
        """The upscaler of a preset; raises ValueError as `opening.open_upscaler` does."""
        if preset not in self._opened:
            self._opened[preset] = opening.open_upscaler(preset, **self._settings)
        return self._opened[preset]
