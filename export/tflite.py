"""A network as one TFLite file of builtin ops, for phones: pixels in, pixels out.

    locate(lr_thumb [1,96,96,3], ref_thumb [1,384,384,3]) -> matches int32 [1,94,94,2] (y, x), score float32 [1,94,94]
    upscale(lr_tile [1,t,t,3], ref_window [1,W,W,3]) -> sr [1,4t,4t,3]
    upscale_alone(lr_tile [1,t,t,3]) -> sr [1,4t,4t,3]

All float32 in [0, 1]. `locate` takes small versions of the two photos, downsampled by one factor and padded to these sizes,
and gives the cell of 4x4 reference pixels that shows the 3x3 neighbourhood of each LR pixel; `upscale` takes tiles and windows,
which `c2m_tf.upscaling.tiles` chooses from those matches; `upscale_alone` needs no reference. Bicubic upsampling, matching
and sampling are inside the graph. Sizes are fixed, because the converter cannot lower matching for unknown ones. A .json
file beside it describes the model for an app.
"""

import copy
import hashlib
import json
import os
import tempfile
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from tensorflow.lite.python import schema_py_generated as schema
from tensorflow.lite.tools import flatbuffer_utils

from c2m_tf.photos.images import SCALE
from c2m_tf.photos.writing import write_single

from . import LR_THUMB, PHONE_TILE, PHONE_WINDOW, REF_THUMB, check_arguments
from .phone_network import PhoneForm

_LEAST_HALVED = 4096  # bytes of an array that is held in half precision


def export_tflite(
    network: PhoneForm,
    path: str | os.PathLike,
    precision: str = "float32",
    tile: int = PHONE_TILE,
    window: int = PHONE_WINDOW,
) -> dict:
    """Writes a network as a .tflite file and a .json beside it.

    Args:
        network: PhoneForm, quantized for int8, else not.
        path: .tflite file.
        precision: "float32"; "float16" for weights in half precision; "int8" for convolutions in int8.
        tile: side of the LR tiles in pixels, a multiple of 4.
        window: side of the reference's windows in pixels, a multiple of 4, at least 4 tiles.

    Returns:
        The content of the .json.

    Raises:
        ValueError: unknown precision, sizes that do not fit together, a path that cannot be written or is not named .tflite.
    """
    path = Path(path)
    check_arguments(path, precision, tile, window)
    content = _smaller(convert(network, precision, tile, window), half=precision == "int8")
    described = {
        "file": path.name,
        "variant": network.variant,
        "precision": precision,
        "scale": SCALE,
        "tile": tile,
        "window": window,
        "lr_thumb": LR_THUMB,
        "ref_thumb": REF_THUMB,
        "weights_sha256": weights_sha256(network),
        "psnr_y": None,
    }
    write_single(path, lambda file: file.write(content))
    write_description(path, described)
    return described


def write_description(path: str | os.PathLike, described: dict) -> None:
    """Writes the .json beside a .tflite file."""
    text = json.dumps(described, indent=2).encode()
    write_single(Path(path).with_suffix(".json"), lambda file: file.write(text))


def weights_sha256(model: keras.Model) -> str:
    """SHA-256, in hex, of all weights as float32, one after the other."""
    digest = hashlib.sha256()
    for weights in model.get_weights():
        digest.update(weights.astype("float32").tobytes())
    return digest.hexdigest()


def convert(network: PhoneForm, precision: str, tile: int, window: int) -> bytes:
    """The content of a .tflite file whose tensors have the names of their layers; arguments as of `export_tflite`."""
    network.hold_kernels()

    def upscale(lr_tile, ref_window):
        return {"sr": tf.clip_by_value(network({"lr": lr_tile, "ref": ref_window}), 0.0, 1.0)}

    def upscale_alone(lr_tile):
        return {"sr": tf.clip_by_value(network({"lr": lr_tile}), 0.0, 1.0)}

    def locate(lr_thumb, ref_thumb):
        matches, score = network.locate(lr_thumb, ref_thumb)
        return {"matches": matches, "score": score}

    # The network itself is left out of the module, or every layer of it would be saved with functions of its own.
    module = tf.Module()
    module.variables_of_network = [variable.value for variable in network.variables]
    module.upscale = tf.function(upscale, input_signature=_photos(lr_tile=tile, ref_window=window))
    module.upscale_alone = tf.function(upscale_alone, input_signature=_photos(lr_tile=tile))
    module.locate = tf.function(locate, input_signature=_photos(lr_thumb=LR_THUMB, ref_thumb=REF_THUMB))
    with tempfile.TemporaryDirectory() as folder:
        signatures = {"locate": module.locate, "upscale": module.upscale, "upscale_alone": module.upscale_alone}
        tf.saved_model.save(module, folder, signatures=signatures)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=list(signatures))
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]  # what does not convert is an error
        if precision != "float32":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if precision == "float16":
            converter.target_spec.supported_types = [tf.float16]
        return converter.convert()


def _smaller(content, half):
    """The file without the names of its tensors, which nothing needs (signatures have their own), and each array once.

    Args:
        content: of a .tflite file.
        half: whether arrays of float32 are held as float16, as the converter does it: by an operation before their use.
    """
    model = flatbuffer_utils.convert_bytearray_to_object(bytearray(content))
    for subgraph in model.subgraphs:
        for tensor in subgraph.tensors:
            tensor.name = b""
    if half:
        _hold_in_half(model)
    _hold_once(model)
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def _hold_once(model):
    places: dict[bytes, int] = {b"": 0}  # the first buffer is that of tensors that are computed
    buffers = model.buffers[:1]
    for user in [tensor for subgraph in model.subgraphs for tensor in subgraph.tensors] + list(model.metadata or []):
        buffer = model.buffers[user.buffer]
        data = b"" if buffer.data is None else bytes(buffer.data)
        if data not in places:
            places[data] = len(buffers)
            buffers.append(buffer)
        user.buffer = places[data]
    model.buffers = buffers


def _hold_in_half(model):
    opcode = schema.OperatorCodeT()
    opcode.builtinCode = opcode.deprecatedBuiltinCode = schema.BuiltinOperator.DEQUANTIZE
    opcode.version = 3  # the first that takes float16
    model.operatorCodes.append(opcode)
    halves: dict[int, int] = {}  # buffers of float16, by those of float32
    for subgraph in model.subgraphs:
        conversions = []
        for number, tensor in enumerate(list(subgraph.tensors)):
            data = model.buffers[tensor.buffer].data
            if tensor.type != schema.TensorType.FLOAT32 or data is None or len(data) < _LEAST_HALVED:
                continue
            if tensor.buffer not in halves:
                buffer = schema.BufferT()
                buffer.data = np.frombuffer(bytes(data), np.float32).astype(np.float16).tobytes()
                model.buffers.append(buffer)
                halves[tensor.buffer] = len(model.buffers) - 1
            held = copy.copy(tensor)
            held.type, held.buffer = schema.TensorType.FLOAT16, halves[tensor.buffer]
            subgraph.tensors.append(held)
            operation = schema.OperatorT()
            operation.opcodeIndex = len(model.operatorCodes) - 1
            operation.inputs, operation.outputs = [len(subgraph.tensors) - 1], [number]
            conversions.append(operation)
            tensor.buffer = 0
        subgraph.operators = conversions + list(subgraph.operators)


def _photos(**sides):
    return [tf.TensorSpec([1, side, side, 3], tf.float32, name) for name, side in sides.items()]
