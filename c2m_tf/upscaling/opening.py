"""Which preset a photo needs, and what restores photos with a model: a preset, a .keras or .tflite file, a SavedModel."""

import os
from pathlib import Path
from typing import Any, NamedTuple

from c2m_tf.photos.quality import PhotoQuality
from c2m_tf.presets import PRESETS, check_model, load_model
from c2m_tf.startup import choose_device, fastest_dtype, limit_threads, start_keras
from c2m_tf.upscaling.base import TiledUpscaler
from c2m_tf.upscaling.plans import check_sizes

AUTO = "auto"  # in place of a model's name
CLEAN = "mobile"
DEGRADED = "light-photo"

# A photo is degraded if one of these says so; how often they are right is in docs/evaluation.md. The scores' thresholds are
# above 0 so that of clean photos at most about 5 % are taken for degraded.
MIN_JPEG_QUALITY = 95
MAX_NOISE = 2.2  # grey levels of 255; at 2 the preset for clean photos is still the better one
MAX_BLURRED = 0.1
MAX_AVERAGED = 0.2


class Choice(NamedTuple):
    """A preset, and why."""

    preset: str
    reason: str


def choose(quality: PhotoQuality) -> Choice:
    """The preset for a photo of that quality."""
    found = []
    if quality.jpeg is not None and quality.jpeg < MIN_JPEG_QUALITY:
        found.append(f"JPEG quality {quality.jpeg}")
    if quality.noise is not None and quality.noise > MAX_NOISE:
        found.append(f"noise of {quality.noise:.1f} grey levels")
    if not found and quality.blurred is not None and quality.blurred > MAX_BLURRED:  # JPEG and noise disturb the spectrum
        found.append("blur")
    if not found and quality.averaged is not None and quality.averaged > MAX_AVERAGED:
        found.append("downsampling by averaging")
    return Choice(DEGRADED, ", ".join(found)) if found else Choice(CLEAN, "the photo looks clean")


def open_model(
    source: str | os.PathLike,
    *,
    dtype: str | None = None,
    search: str = "auto",
    tile: int | None = None,
    window: int | None = None,
    threads: int | None = None,
    device: str | None = None,
    trusted: bool = False,
) -> TiledUpscaler:
    """Loads a model, and what restores photos with it.

    Args:
        source, dtype, search, tile, window, threads, device, trusted: see `upscaler.Upscaler.from_preset`; "auto" is no model
            here.

    Returns:
        TiledUpscaler.

    Raises:
        ValueError: no such model, a damaged one, or settings that it does not support.
        ImportError: a .tflite file, and its runtime is not installed.
    """
    check_sizes(search, tile, window)
    if threads is not None:
        limit_threads(threads)
    if device is not None:
        choose_device(device)
    source = os.fspath(source)
    check_model(source)
    path = Path(source)
    if path.suffix == ".tflite":
        from c2m_tf.upscaling.tflite_upscaler import TFLiteUpscaler

        _refuse_settings(path, dtype, search, tile, window)
        return TFLiteUpscaler(path, threads=threads)
    start_keras()
    if device is not None and (device == "cpu") == bool(gpus()):
        found = "has started on a GPU; choose cpu before it is imported" if device == "cpu" else "sees no GPU; leave it out"
        raise ValueError(f"device {device}: Keras {found} (c2m-tf doctor says what is there)")
    # A preset's name means the preset, whatever lies in the working folder; ./light means that. Folders with a config.json are
    # Keras's own.
    if source not in PRESETS and path.is_dir() and not (path / "config.json").is_file():
        from c2m_tf.upscaling.saved_model_upscaler import SavedModelUpscaler

        _refuse_settings(path, dtype, search, tile, window)
        return SavedModelUpscaler(path, trusted=trusted)
    model = load_model(source, default_dtype() if dtype == "auto" else dtype)
    return upscaler_of(model, search=search, tile=tile, window=window)


def upscaler_of(model: Any, *, search: str = "auto", tile: int | None = None, window: int | None = None) -> TiledUpscaler:
    """What restores photos with a Keras model, by its kind.

    Args:
        model: C2Matching or Mobile.
        search, tile, window: see `upscaler.Upscaler`.

    Raises:
        ValueError: settings that it does not support.
    """
    from c2m_tf.network.mobile import Mobile
    from c2m_tf.upscaling.keras_upscaler import KerasUpscaler
    from c2m_tf.upscaling.mobile_upscaler import MobileUpscaler

    kind = MobileUpscaler if isinstance(model, Mobile) else KerasUpscaler
    return kind(model, search=search, tile=tile, window=window)


def default_dtype() -> str:
    """The dtype policy that "auto" stands for: of the processor, or float32 where a GPU does the work."""
    return "float32" if gpus() else fastest_dtype()


def gpus() -> list[str]:
    """GPUs that the backend sees, by its names for them."""
    import keras

    try:
        return keras.distribution.list_devices("gpu")
    except RuntimeError:  # JAX, where there is none
        return []


def _refuse_settings(path: Path, dtype: str | None, search: str, tile: int | None, window: int | None) -> None:
    """Raises ValueError if any is given, for a file that was exported with its own."""
    given = {
        "dtype": None if dtype == "auto" else dtype,
        "search": None if search == "auto" else search,
        "tile": tile,
        "window": window,
    }
    chosen = [name for name, value in given.items() if value is not None]
    if chosen:
        raise ValueError(f"{path} was exported with its own {chosen[0]}; leave --{chosen[0]} out")
