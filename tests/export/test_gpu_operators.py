"""What LiteRT's GPU delegate (ML Drift) would refuse in a float16 file: nothing.

The rules are what the delegate of ai-edge-litert 2.3.0 said of files of this package, on a Vulkan device (docs/export.md).
"""

import pytest
from c2m_tf.export.phone_network import PhoneNetwork
from c2m_tf.export.tflite import export_tflite
from tensorflow.lite.python import schema_py_generated as schema
from tensorflow.lite.tools import flatbuffer_utils
from tiny_models import tiny_model

MAX_RANK = 4
NAMES = {number: name for name, number in vars(schema.BuiltinOperator).items() if isinstance(number, int)}
# Those that change shapes with data, take several steps of control, or gather by more than one axis.
REFUSED = {"GATHER_ND", "SCATTER_ND", "WHERE", "WHILE", "IF", "UNIQUE", "CUSTOM", "NON_MAX_SUPPRESSION_V4"}


def refusals(path):
    """Operators of a file that the delegate does not take, and why."""
    model = flatbuffer_utils.read_model(str(path))
    found = []
    for signature, graph in zip(model.signatureDefs, model.subgraphs, strict=True):
        shapes = [() if tensor.shape is None else tuple(tensor.shape) for tensor in graph.tensors]
        for operator in graph.operators:
            name = NAMES[model.operatorCodes[operator.opcodeIndex].builtinCode]
            here = f"{signature.signatureKey.decode()}: {name}"
            inputs = [index for index in operator.inputs if index >= 0]  # -1 is one that was left out
            if name in REFUSED:
                found.append(here)
            found += [
                f"{here} with a tensor of {shapes[index]}"
                for index in [*inputs, *operator.outputs]
                if len(shapes[index]) > MAX_RANK
            ]
            if name == "GATHER":
                places = graph.tensors[inputs[1]]
                if len(shapes[inputs[1]]) != 1 or places.type != schema.TensorType.INT32:
                    found.append(f"{here} with places of {shapes[inputs[1]]}, type {places.type}")
            if name == "STRIDED_SLICE" and operator.builtinOptions.shrinkAxisMask:
                found.append(f"{here} that drops an axis")
            if name == "PAD" and graph.tensors[inputs[0]].type != schema.TensorType.FLOAT32:
                found.append(f"{here} of integers, which compiles to a faulty shader")
            # A constant without axes is a parameter of its operator; DEQUANTIZE gives those that are stored in half precision.
            if name != "DEQUANTIZE" and any(shapes[index] == () for index in operator.outputs):
                found.append(f"{here} that gives a tensor without axes")
    return found


@pytest.mark.parametrize("parts", [{"own_trunk": True}, {"residual_offsets": False}])
def test_a_gpu_takes_all_operators_of_a_float16_file(tmp_path, parts):
    path = tmp_path / "c2m.tflite"
    export_tflite(PhoneNetwork(tiny_model(**parts)), path, "float16", tile=20, window=80)
    assert refusals(path) == []
