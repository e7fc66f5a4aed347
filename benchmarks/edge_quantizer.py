"""int8 by AI Edge Quantizer: the float32 file of `light` quantized after training, to compare with ours.

    pip install ".[tflite,train]" ai-edge-quantizer==0.10.0
    python benchmarks/edge_quantizer.py --data FOLDER ... -o edge.tflite
    c2m-tf export tflite --model light --precision int8 -o int8.tflite
    python benchmarks/tflite.py --pairs FOLDER int8.tflite edge.tflite

The same operations are to run in int8 as in our files: convolutions, what lies between them, gathering and product of the
aggregation; matching, positions and the bilinear skip stay float32. Of these the quantizer knows all but LeakyReLU.

Each photo of the calibration, from the folders of training photos, is a window and the same window warped as its reference;
all three signatures run on it. The quantizer observes a range per tensor of each signature, but the signatures share
biases, whose scale follows from the range of the convolution's input: so tensors of one layer get one range.
"""

import argparse
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.tools import flatbuffer_utils
from ai_edge_quantizer import calibrator, qtyping, quantizer, recipe_manager
from ai_edge_quantizer.utils import qsv_utils
from c2m_tf.export.phone_network import PhoneNetwork
from c2m_tf.export.phone_sizes import LR_THUMB, PHONE_TILE, PHONE_WINDOW, REF_THUMB
from c2m_tf.export.tflite import convert
from c2m_tf.training.homography import draw_homography, warp
from c2m_tf.training.sources import source_of
from wrong_input import in_one_line

from c2m_tf.network.model import C2Matching
from c2m_tf.photos import images

_AGGREGATION = r"/(medium|large)_\d+/"


def samples(folders: list[str], count: int) -> dict[str, list[dict[str, np.ndarray]]]:
    """Inputs of each signature, drawn from folders of training photos with equal probability."""
    random, sources = np.random.RandomState(0), [source_of(folder) for folder in folders]
    found: dict[str, list] = {"locate": [], "upscale": [], "upscale_alone": []}
    for number in range(count):
        photo, origin = sources[number % len(sources)].window(random)
        below, right = (max(0, REF_THUMB - side) for side in photo.shape[:2])
        photo = np.pad(photo, ((0, below), (0, right), (0, 0)), mode="edge")
        y, x = (min(start, side - REF_THUMB) for start, side in zip(origin, photo.shape, strict=False))
        ref = images.as_float(warp(photo, draw_homography(random), (y, x), REF_THUMB))[None]
        lr = images.as_float(images.downsample(photo[y : y + REF_THUMB, x : x + REF_THUMB]))[None]
        start = (LR_THUMB - PHONE_TILE) // 2
        tile = lr[:, start : start + PHONE_TILE, start : start + PHONE_TILE]
        found["locate"].append({"lr_thumb": lr, "ref_thumb": ref})
        found["upscale"].append({"lr_tile": tile, "ref_window": ref[:, :PHONE_WINDOW, :PHONE_WINDOW]})
        found["upscale_alone"].append({"lr_tile": tile})
    return found


def recipe(content: bytes) -> recipe_manager.RecipeManager:
    """What runs in int8, by regular expressions on names of tensors."""
    name = qtyping.TFLOperationName
    rules = {
        r"(extractor_lr|extractor_ref|reference_encoder)_": (name.CONV_2D, name.MAX_POOL_2D),
        r"(restoration|trunk)_\d+/": (name.CONV_2D, name.LOGISTIC, name.CONCATENATION),
        r"(body_\w+_add|/skip_\w+)_\d+/": (name.ADD,),
        r"pixel_shuffle": (name.RESHAPE, name.TRANSPOSE),
        _AGGREGATION: (name.PAD, name.RESHAPE, name.GATHER, name.STRIDED_SLICE, name.MUL),
    }
    result = recipe_manager.RecipeManager()
    for regex, operations in rules.items():
        for operation in operations:
            result.add_static_config(regex, operation, activation_num_bits=8, weight_num_bits=8)
    # Positions have numbered names like everything else there (strided_slice_13): only their shapes tell them apart.
    positions = "|".join(re.escape(name) for name in _positions(content))
    result.add_quantization_config(rf"^({positions});?$", name.ALL_SUPPORTED, algorithm_key="no_quantize")
    return result


def _positions(content: bytes) -> Iterator[str]:
    """Names of what the aggregations compute on pairs of coordinates and on the nine taps."""
    for graph in flatbuffer_utils.convert_bytearray_to_object(bytearray(content)).subgraphs:
        for operation in graph.operators:
            tensor = graph.tensors[operation.outputs[0]]
            name = tensor.name.decode()
            if re.search(_AGGREGATION, name) and (len(tensor.shape) == 3 or tuple(tensor.shape[-1:]) in ((2,), (9,))):
                yield name


def of_layers(ranges: dict[str, Any]) -> dict[str, Any]:
    """One range for the tensors of one layer, whichever signatures they are of."""

    def layer(name: str) -> str:
        return name.replace("phone_network_1/", "").replace("trunk_1", "restoration_1")

    joined: dict[str, Any] = {}
    for name, seen in ranges.items():
        joined[layer(name)] = qsv_utils.min_max_update(joined.get(layer(name), {}), seen)
    return {name: joined[layer(name)] for name in ranges}


def without_names(content: bytes) -> bytes:
    """The file without names of tensors, as ours are; the quantizer's has its weights behind the tables."""
    model = flatbuffer_utils.convert_bytearray_to_object(bytearray(content))
    for buffer in model.buffers:
        if buffer.offset:
            buffer.data = np.frombuffer(content, np.uint8, buffer.size, buffer.offset)
            buffer.offset = buffer.size = 0
    for graph in model.subgraphs:
        for tensor in graph.tensors:
            tensor.name = b""
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


@in_one_line
def main() -> None:
    """Writes the file."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", required=True, nargs="+", metavar="FOLDER", help="of training photos")
    parser.add_argument("--photos", type=int, default=24, help="of the calibration (default: 24)")
    parser.add_argument("-o", "--output", required=True, metavar="FILE.tflite")
    options = parser.parse_args()
    photos = samples(options.data, options.photos)
    network = PhoneNetwork(C2Matching.from_preset("light", "float32"))
    content = convert(network, "float32", PHONE_TILE, PHONE_WINDOW)
    chosen = recipe(content)
    observer = calibrator.Calibrator(
        content,
        num_threads=2,
        mode=calibrator.CalibrationMode.CALIBRATION_PROFILER_BASED,
        qsv_update_func=qsv_utils.min_max_update,  # as ours; by default it averages over photos
    )
    observer.calibrate(photos, chosen)
    result = quantizer.Quantizer(content, chosen.get_quantization_recipe()).quantize(of_layers(observer.get_model_qsvs()))
    Path(options.output).write_bytes(without_names(bytes(result.quantized_model)))


if __name__ == "__main__":
    main()
