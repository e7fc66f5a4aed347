"""Warm-up requests in a SavedModel: TensorFlow Serving answers them before it calls a version available, so that no user waits
for what a first request costs.

assets.extra/tf_serving_warmup_requests is a TFRecord file of PredictionLog messages. Their few fields are written here, because
the package that has their classes (tensorflow-serving-api) brings nothing else that is used. Source of the field numbers:
tensorflow_serving/apis/{prediction_log,predict,model}.proto.
"""

from pathlib import Path

import numpy as np
import tensorflow as tf

FILE = Path("assets.extra") / "tf_serving_warmup_requests"

_LR_SIDE, _REF_SIDE = 16, 48  # pixels

# Field numbers.
_PREDICT_LOG = 6  # of PredictionLog
_REQUEST = 1  # of PredictLog
_MODEL_SPEC, _INPUTS = 1, 2  # of PredictRequest
_NAME, _SIGNATURE_NAME = 1, 3  # of ModelSpec
_KEY, _VALUE = 1, 2  # of an entry of a map


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
