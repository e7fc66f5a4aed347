"""The upscaler for what a user names as a model: a preset, a .keras file, a .tflite file, or the folder of a SavedModel."""

import os
from pathlib import Path

from c2m_tf.startup import start_keras
from c2m_tf.upscaling.base import TiledUpscaler
from c2m_tf.upscaling.plans import check_sizes


def open_upscaler(
    source: str | os.PathLike,
    *,
    dtype: str | None = None,
    max_memory: int | None = None,
    search: str = "auto",
    tile: int | None = None,
    window: int | None = None,
) -> TiledUpscaler:
    """Loads a model.

    Args:
        source: preset, .keras file, folder or handle, as of `C2Matching.from_preset`; .tflite file of `c2m-tf export tflite`;
            folder of `c2m-tf export saved-model`, the newest of whose versions is taken.
        dtype: dtype policy, None for the model's own. This and the last three are for presets and Keras models alone.
        max_memory: bytes that one photo may need; by default 75 % of the memory that the process may use.
        search, tile, window: see `upscaler.Upscaler`.

    Returns:
        TiledUpscaler.

    Raises:
        ValueError: no such model, a damaged one, or settings that it does not take.
        ImportError: a .tflite file, and its runtime is not installed.
    """
    check_sizes(search, tile, window)
    path = Path(source)
    is_saved_model = path.is_dir() and not (path / "config.json").is_file()  # Keras writes config.json into its folders
    if path.suffix == ".tflite" or is_saved_model:
        given = {"dtype": dtype, "search": None if search == "auto" else search, "tile": tile, "window": window}
        chosen = [name for name, value in given.items() if value is not None]
        if chosen:
            raise ValueError(f"{path} was exported with its own {chosen[0]}; leave --{chosen[0]} out")
    if path.suffix == ".tflite":
        from c2m_tf.upscaling.tflite_upscaler import TFLiteUpscaler

        return TFLiteUpscaler(path, max_memory=max_memory)
    start_keras()
    if is_saved_model:
        from c2m_tf.upscaling.saved_model_upscaler import SavedModelUpscaler

        return SavedModelUpscaler(path, max_memory=max_memory)
    from c2m_tf.upscaling.keras_upscaler import Upscaler
    from c2m_tf.weights.presets import load_model

    return Upscaler(load_model(source, dtype), max_memory=max_memory, search=search, tile=tile, window=window)
