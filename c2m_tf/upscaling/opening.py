"""Opens the upscaler for a model: a preset, a .keras file, a .tflite file, or the folder of a SavedModel."""

import os
from pathlib import Path

from c2m_tf.machine import fastest_dtype
from c2m_tf.renamed import current_name
from c2m_tf.startup import limit_threads, start_keras
from c2m_tf.upscaling.base import TiledUpscaler
from c2m_tf.upscaling.ensemble import check_ensemble
from c2m_tf.upscaling.plans import check_sizes


def open_upscaler(
    source: str | os.PathLike,
    *,
    dtype: str | None = None,
    max_memory: int | None = None,
    search: str = "auto",
    tile: int | None = None,
    window: int | None = None,
    threads: int | None = None,
    ensemble: int = 1,
) -> TiledUpscaler:
    """Loads a model.

    Args:
        source: preset, .keras file, folder or handle, as of `C2Matching.from_preset`; .tflite file of `c2m-tf export tflite`;
            folder of `c2m-tf export saved-model`, its newest version is used.
        dtype: dtype policy, None for the model's own, "auto" for the fastest on this machine. This, search, tile and window
            are for presets and Keras models only; files that were exported ignore "auto".
        max_memory: bytes that one photo may need; by default 75 % of the memory that the process may use.
        search, tile, window: see `upscaler.Upscaler`.
        threads: cores that the model may use, for processes that share a machine; by default those that the process may use.
            TensorFlow keeps to it if it has not started in this process; JAX does not.
        ensemble: orientations of each photo whose results are averaged, 1, 2, 4 or 8; see `ensemble`.

    Returns:
        TiledUpscaler.

    Raises:
        ValueError: no such model, a damaged one, or settings that it does not support.
        ImportError: a .tflite file, and its runtime is not installed.
    """
    check_sizes(search, tile, window)
    check_ensemble(ensemble)
    if threads is not None:
        limit_threads(threads)
    source = current_name(os.fspath(source))
    path = Path(source)
    if path.suffix == ".tflite":
        from c2m_tf.upscaling.tflite_upscaler import TFLiteUpscaler

        _refuse_settings(path, dtype, search, tile, window)
        return TFLiteUpscaler(path, max_memory=max_memory, threads=threads, ensemble=ensemble)
    start_keras()
    from c2m_tf.upscaling.keras_upscaler import Upscaler
    from c2m_tf.weights.presets import PRESETS, load_model

    # A preset's name means the preset, whatever lies in the working folder; ./light means that. Folders with a config.json are
    # Keras's own.
    if source not in PRESETS and path.is_dir() and not (path / "config.json").is_file():
        from c2m_tf.upscaling.saved_model_upscaler import SavedModelUpscaler

        _refuse_settings(path, dtype, search, tile, window)
        return SavedModelUpscaler(path, max_memory=max_memory, ensemble=ensemble)
    policy = default_dtype() if dtype == "auto" else dtype
    model = load_model(source, policy)
    return Upscaler(model, max_memory=max_memory, search=search, tile=tile, window=window, ensemble=ensemble)


def default_dtype() -> str:
    """The dtype policy that "auto" stands for: of the processor, or float32 where a GPU does the work."""
    import keras

    return "float32" if keras.distribution.list_devices("gpu") else fastest_dtype()


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
