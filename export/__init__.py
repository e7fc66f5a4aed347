"""Export: SavedModel, TFLite and int8; installed as c2m_tf.export. Here: what a TFLite file may be, checked first."""

import os
from pathlib import Path

from c2m_tf.photos.images import check_writable
from c2m_tf.upscaling.plans import check_sizes

PRECISIONS = ("float32", "float16", "int8")
PHONE_TILE = 64  # LR pixels per side
PHONE_WINDOW = 384  # reference pixels per side
LR_THUMB = 96  # sides of the small versions that `locate` matches
REF_THUMB = 384


def check_arguments(path: str | os.PathLike, precision: str, tile: int, window: int) -> None:
    """Raises ValueError if `export_tflite` cannot use these."""
    path = Path(path)
    if path.suffix != ".tflite":
        raise ValueError(f"{path}: the result is a TFLite file; name it {path.with_suffix('.tflite').name}")
    for written in (path, path.with_suffix(".json")):
        check_writable(written)
    if precision not in PRECISIONS:
        raise ValueError(f"unknown precision {precision!r}; choose one of {', '.join(PRECISIONS)}")
    check_sizes("window", tile, window)
