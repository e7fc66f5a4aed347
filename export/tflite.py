"""C2Matching as one TFLite file of builtin ops, for phones: pixels in, pixels out.

    locate(lr_thumb [1,96,96,3], ref_thumb [1,384,384,3]) -> matches int32 [1,94,94,2] (y, x), score float32 [1,94,94]
    upscale(lr_tile [1,t,t,3], ref_window [1,W,W,3]) -> sr [1,4t,4t,3]

All float32 in [0, 1]. `locate` takes small versions of the two photos, made smaller by one factor and padded to these sizes,
and says which cell of 4x4 reference pixels shows the 3x3 neighbourhood of each LR pixel; `upscale` takes tiles and windows,
which `c2m_tf.windows` chooses from those matches. Bicubic upsampling, matching and sampling are inside the graph. Sizes are
fixed, because the converter cannot lower matching for sizes that it does not know. Beside the file stands a .json with what an
app has to know.
"""

import hashlib
import json
import os
import tempfile
from pathlib import Path

import tensorflow as tf

from c2m_tf.images import SCALE, check_writable, write_atomically
from c2m_tf.matching import match
from c2m_tf.model import C2Matching
from c2m_tf.plans import check_sizes
from c2m_tf.upsampling import bicubic_upsample

PRECISIONS = ("float32", "float16")
TILE = 64
WINDOW = 384
LR_THUMB = 96
REF_THUMB = 384


def export_tflite(
    model: C2Matching, path: str | os.PathLike, precision: str = "float32", tile: int = TILE, window: int = WINDOW
) -> dict:
    """Writes the model as a .tflite file and a .json beside it.

    Args:
        model: C2Matching.
        path: .tflite file.
        precision: "float32", or "float16" for weights in half precision.
        tile: side of the LR tiles in pixels, a multiple of 4.
        window: side of the reference's windows in pixels, a multiple of 4, at least 4 tiles.

    Returns:
        What the .json says.

    Raises:
        ValueError: unknown precision, sizes that do not fit together, a path that cannot be written or is not named .tflite.
    """
    path = Path(path)
    check_output(path)
    if precision not in PRECISIONS:
        raise ValueError(f"unknown precision {precision!r}; choose one of {', '.join(PRECISIONS)}")
    check_sizes("window", tile, window)
    with tempfile.TemporaryDirectory() as folder:
        module = _Module(model, tile, window)
        signatures = {"locate": module.locate, "upscale": module.upscale}
        tf.saved_model.save(module, folder, signatures=signatures)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=list(signatures))
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]  # what does not convert is an error
        if precision == "float16":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.target_spec.supported_types = [tf.float16]
        content = converter.convert()
    described = {
        "file": path.name,
        "variant": model.variant,
        "precision": precision,
        "scale": SCALE,
        "tile": tile,
        "window": window,
        "lr_thumb": LR_THUMB,
        "ref_thumb": REF_THUMB,
        "weights_sha256": weights_sha256(model),
        "psnr_y": None,
    }
    write_atomically(path, lambda file: file.write(content))
    write_atomically(path.with_suffix(".json"), lambda file: file.write(json.dumps(described, indent=2).encode()))
    return described


def check_output(path: Path) -> None:
    """Raises ValueError if `path` is not named .tflite or cannot be written."""
    if path.suffix != ".tflite":
        raise ValueError(f"{path}: the result is a TFLite file; name it {path.with_suffix('.tflite').name}")
    check_writable(path)


def weights_sha256(model: C2Matching) -> str:
    """SHA-256, in hex, of all weights as float32, one after the other."""
    digest = hashlib.sha256()
    for weights in model.get_weights():
        digest.update(weights.astype("float32").tobytes())
    return digest.hexdigest()


class _Module(tf.Module):
    """The two signatures; the variables are attributes so that the SavedModel holds them."""

    def __init__(self, model, tile, window):
        super().__init__()
        self._model = model
        self._variables = [variable.value for variable in model.variables]
        self.upscale = tf.function(self._upscale, input_signature=_photos(lr_tile=tile, ref_window=window))
        self.locate = tf.function(self._locate, input_signature=_photos(lr_thumb=LR_THUMB, ref_thumb=REF_THUMB))

    def _upscale(self, lr_tile, ref_window):
        return {"sr": tf.clip_by_value(self._model({"lr": lr_tile, "ref": ref_window}), 0.0, 1.0)}

    def _locate(self, lr_thumb, ref_thumb):
        features = self._model.extractor_lr(bicubic_upsample(lr_thumb))
        matches, score = match(features, self._model.extractor_ref(ref_thumb))
        return {"matches": matches, "score": score}


def _photos(**sides):
    return [tf.TensorSpec([1, side, side, 3], tf.float32, name) for name, side in sides.items()]
