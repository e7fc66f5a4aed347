"""C2Matching as a SavedModel that TensorFlow Serving and plain `tf.saved_model.load` run, without Keras and this package.

    serving_default(lr_image: string [], ref_image: string []) -> sr_image: string []     PNG or JPEG in, PNG out
    upscale(lr: float32 [1,h,w,3], ref: float32 [1,H,W,3]) -> sr: float32 [1,4h,4w,3]     RGB in [0, 1], any size
    serving_alone(lr_image: string []) -> sr_image: string []                             the same two without a reference
    upscale_alone(lr: float32 [1,h,w,3]) -> sr: float32 [1,4h,4w,3]

The search is exact and the photo is restored at once (`c2m_tf.upscaling` has windows and tiles), so memory is
bounded by the limits on pixels, which are checked inside the graph before a photo is decoded. Warm-up requests lie beside the
graph (`warm_up`).
"""

import os
from pathlib import Path

import numpy as np
import tensorflow as tf

from c2m_tf.network.base import ReferenceModel
from c2m_tf.photos.files import temporary_folder
from c2m_tf.photos.images import ImageError, make_folder
from c2m_tf.startup import one_line
from c2m_tf.upscaling.plans import MIN_LR_SIDE, MIN_REF_SIDE
from c2m_tf.upscaling.saved_model_upscaler import is_version

from . import photos

MAX_LR_PIXELS = 256 * 256
MAX_REF_PIXELS = 1024 * 1024

FILE = Path("assets.extra") / "tf_serving_warmup_requests"

_LR_SIDE, _REF_SIDE = 16, 48  # pixels

# Field numbers.
_PREDICT_LOG = 6  # of PredictionLog
_REQUEST = 1  # of PredictLog
_MODEL_SPEC, _INPUTS = 1, 2  # of PredictRequest
_NAME, _SIGNATURE_NAME = 1, 3  # of ModelSpec
_KEY, _VALUE = 1, 2  # of an entry of a map


def export_saved_model(
    model: ReferenceModel,
    folder: str | os.PathLike,
    max_lr_pixels: int = MAX_LR_PIXELS,
    max_ref_pixels: int = MAX_REF_PIXELS,
) -> Path:
    """Writes FOLDER/N, where N is one more than the largest version there, or 1.

    Args:
        model: C2Matching or Mobile.
        folder: made if missing.
        max_lr_pixels, max_ref_pixels: larger photos are refused.

    Returns:
        Path of the version written; it appears complete or not at all.

    Raises:
        ImageError: the folder cannot be made or written, or the disk is full.
    """
    folder = make_folder(folder)
    versions = [int(path.name) for path in folder.iterdir() if is_version(path.name)]
    target = folder / str(max(versions, default=0) + 1)
    module = _Module(model, max_lr_pixels, max_ref_pixels)
    signatures = {name: getattr(module, name) for name in SIGNATURES}
    try:
        # All versions stand for one name, so that the next export finds what killed ones left.
        with temporary_folder(folder / "version") as temporary:
            tf.saved_model.save(module, str(temporary / "model"), signatures=signatures)
            write_requests(temporary / "model")
            (temporary / "model").rename(target)
    except (OSError, tf.errors.OpError) as error:
        raise ImageError(f"cannot write {target}: {one_line(getattr(error, 'message', error))}") from error
    return target


def _photo(name):
    return tf.TensorSpec([1, None, None, 3], tf.float32, name)


SIGNATURES = ("serving_default", "upscale", "serving_alone", "upscale_alone")


class _Module(tf.Module):
    def __init__(self, model, max_lr_pixels, max_ref_pixels):
        super().__init__()
        self._model = model
        self._limits = {"lr": (MIN_LR_SIDE, max_lr_pixels), "ref": (MIN_REF_SIDE, max_ref_pixels)}
        self._variables = [variable.value for variable in model.variables]  # what the file holds

    # Functions of their own, which the file holds once for both signatures that call them.
    @tf.function(input_signature=[_photo("lr"), _photo("ref")], autograph=False)
    def _with_reference(self, lr, ref):
        return tf.clip_by_value(self._model({"lr": lr, "ref": ref}), 0.0, 1.0)

    @tf.function(input_signature=[_photo("lr")], autograph=False)
    def _alone(self, lr):
        return tf.clip_by_value(self._model({"lr": lr}), 0.0, 1.0)

    @tf.function(input_signature=[tf.TensorSpec([], tf.string, "lr_image"), tf.TensorSpec([], tf.string, "ref_image")])
    def serving_default(self, lr_image, ref_image):
        lr = photos.decode(lr_image, "lr_image", *self._limits["lr"])
        ref = photos.decode(ref_image, "ref_image", *self._limits["ref"])
        sr = self._with_reference(tf.cast(lr, tf.float32)[None] / 255.0, tf.cast(ref, tf.float32)[None] / 255.0)
        return {"sr_image": photos.encode(sr[0])}

    @tf.function(input_signature=[tf.TensorSpec([], tf.string, "lr_image")])
    def serving_alone(self, lr_image):
        lr = photos.decode(lr_image, "lr_image", *self._limits["lr"])
        return {"sr_image": photos.encode(self._alone(tf.cast(lr, tf.float32)[None] / 255.0)[0])}

    @tf.function(input_signature=[_photo("lr"), _photo("ref")])
    def upscale(self, lr, ref):
        with tf.control_dependencies([*self._checks("lr", lr), *self._checks("ref", ref)]):
            lr, ref = tf.identity(lr), tf.identity(ref)
        return {"sr": self._with_reference(lr, ref)}

    @tf.function(input_signature=[_photo("lr")])
    def upscale_alone(self, lr):
        with tf.control_dependencies(self._checks("lr", lr)):
            lr = tf.identity(lr)
        return {"sr": self._alone(lr)}

    def _checks(self, what, photo):
        minimum, maximum = self._limits[what]
        size = tf.shape(photo, tf.int64)[1:3]
        faults = (
            (tf.reduce_all(size >= minimum), f"{what} is too small, at least {minimum}x{minimum} pixels are needed:", size),
            (tf.reduce_prod(size) <= maximum, f"{what} is too large, the limit is {maximum} pixels:", size),
            (tf.reduce_all((photo >= -1e-3) & (photo <= 1.0 + 1e-3)), f"{what} has values outside [0, 1]"),
        )
        return [tf.debugging.Assert(right, list(words)) for right, *words in faults]


def write_requests(folder: Path) -> None:
    """Writes a request for each signature that takes encoded photos into the folder of a SavedModel's version."""
    lr, ref = (_png(side) for side in (_LR_SIDE, _REF_SIDE))
    requests = {"serving_default": {"lr_image": lr, "ref_image": ref}, "serving_alone": {"lr_image": lr}}
    path = folder / FILE
    path.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for signature, inputs in requests.items():
            writer.write(prediction_log(signature, inputs))


def prediction_log(signature: str, inputs: dict[str, bytes]) -> bytes:
    """A serialized PredictionLog.

    Args:
        signature: name of the signature.
        inputs: value of each string scalar.
    """
    spec = _field(_NAME, b"c2m") + _field(_SIGNATURE_NAME, signature.encode())
    request = _field(_MODEL_SPEC, spec)
    for name, value in inputs.items():
        tensor = tf.make_tensor_proto(value).SerializeToString()
        request += _field(_INPUTS, _field(_KEY, name.encode()) + _field(_VALUE, tensor))
    return _field(_PREDICT_LOG, _field(_REQUEST, request))


def _field(number: int, content: bytes) -> bytes:
    """A field of a protocol buffer whose content has a length: tag, length, content."""
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*encoded, value])


def _png(side: int) -> bytes:
    ramp = np.linspace(0, 255, side).astype(np.uint8)
    return tf.io.encode_png(np.broadcast_to(ramp[:, None, None], (side, side, 3))).numpy()
