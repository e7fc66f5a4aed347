"""The options of every command that upscales, and the upscaler that they ask for."""

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from c2m_tf.upscaling.base import TiledUpscaler

_DTYPES = {"float32": "float32", "bfloat16": "mixed_bfloat16"}


def add_model_options(command: argparse.ArgumentParser) -> None:
    """Adds the options that `open_upscaler` reads."""
    command.add_argument(
        "--model",
        default="light",
        metavar="MODEL",
        help="preset, .keras file, exported .tflite file, or folder of an exported SavedModel (default: light)",
    )
    command.add_argument(
        "--dtype",
        choices=tuple(_DTYPES),
        help="of the convolutions (default: float32 for presets, a file's own for files)",
    )
    command.add_argument(
        "--search", choices=("auto", "exact", "window"), default="auto", help="exact for small photos, windows for large (auto)"
    )
    command.add_argument("--tile", type=int, metavar="PIXELS", help="side of the tiles of the LR photo (default: 96)")
    command.add_argument("--window", type=int, metavar="PIXELS", help="side of the reference's windows (default: 512)")
    command.add_argument(
        "--max-memory", type=float, metavar="GIB", help="memory that a photo may need (default: 75 %% of the machine's)"
    )


def open_upscaler(options: argparse.Namespace) -> "TiledUpscaler":
    """The upscaler for the options of `add_model_options`; raises as `c2m_tf.upscaling.opening.open_upscaler` does."""
    from c2m_tf.upscaling import opening

    allowed = None if options.max_memory is None else int(options.max_memory * 2**30)
    dtype = _DTYPES.get(options.dtype)
    return opening.open_upscaler(
        options.model, dtype=dtype, max_memory=allowed, search=options.search, tile=options.tile, window=options.window
    )
