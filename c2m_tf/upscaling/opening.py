"""Opens what restores photos with a model: a preset, a .keras file, a .tflite file, or the folder of a SavedModel."""

import os
from pathlib import Path
from typing import Any

from c2m_tf.machine import fastest_dtype
from c2m_tf.presets import PRESETS, check_model, load_model
from c2m_tf.startup import choose_device, limit_threads, start_keras
from c2m_tf.upscaling.base import TiledUpscaler
from c2m_tf.upscaling.plans import check_sizes


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


def _refuse_settings(path, dtype, search, tile, window):
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
