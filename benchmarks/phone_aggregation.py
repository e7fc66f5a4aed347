"""Deformable aggregation in LiteRT: the form that runs in Keras against the forms that go into TFLite files.

    python benchmarks/phone_aggregation.py

Each form is the aggregation without its three convolutions for offsets and masks, converted alone: reference feature, flow,
offsets and masks in, aggregated feature out. Medians of runs in turn, two threads, at the two levels of the light network for
tiles of 40 pixels (160x160x64 and 80x80x128).
"""

import argparse
import statistics
import tempfile
from collections.abc import Callable

import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from c2m_tf.export.fake_quantization import kernel_limit
from c2m_tf.export.phone_aggregation import ROWS_IN_STRIP, PhoneAggregation
from timing import THREADS, machine, seconds

from c2m_tf.network.matching import pre_offsets

LEVELS = (("160x160x64", 4, 64), ("80x80x128", 2, 128))
CELLS = 40
POINTS = 72


def layer_of(channels: int, scale: int, residual_offsets: bool, quantized: bool) -> PhoneAggregation:
    """An aggregation with random weights."""
    side = CELLS * scale
    layer = PhoneAggregation(channels, scale, residual_offsets, quantized, name="level")
    shape = (1, side, side)
    layer.build((*shape, 64), (*shape, channels), (1, CELLS + 2, CELLS + 2, 2), (*shape, channels))
    random = np.random.default_rng(0)
    layer.deform_conv.kernel.assign(random.normal(0, 0.05, layer.deform_conv.kernel.shape))
    if quantized:
        layer.limit.assign(kernel_limit(layer.deform_conv.kernel.numpy()))
        for bounds in layer.ranges.values():
            if bounds.fixed is None:
                bounds.low.assign(-4.0)
                bounds.high.assign(4.0)
    layer.hold_kernel()
    return layer


def strips(layer: PhoneAggregation) -> Callable:
    """The form of Keras: a strip of rows at a time, four gathers for each tap and group."""

    def run(reference: tf.Tensor, flow: tf.Tensor, raw: tf.Tensor) -> tf.Tensor:
        return layer.deform_conv(reference, raw[..., :-POINTS], tf.sigmoid(raw[..., -POINTS:]), pre_offsets(flow, layer.scale))

    return run


def phone(layer: PhoneAggregation) -> Callable:
    """The form of the files."""

    def run(reference: tf.Tensor, flow: tf.Tensor, raw: tf.Tensor) -> tf.Tensor:
        mask = layer._rounded("mask", tf.sigmoid(raw[..., -POINTS:]))
        cells = pre_offsets(flow, 1)
        if layer.quantized:
            reference = layer.ranges["joined"](reference)
        if layer.residual_offsets:
            output = layer._between_pixels(reference, cells, raw[..., :-POINTS], mask, ROWS_IN_STRIP)
        else:
            output = layer._at_pixels(reference, cells, mask, ROWS_IN_STRIP)
        return layer._rounded("output", output)

    return run


def converted(layer: PhoneAggregation, run: Callable, side: int, channels: int) -> Interpreter:
    """An interpreter of one form."""
    shapes = {"reference": (1, side, side, channels), "flow": (1, CELLS + 2, CELLS + 2, 2), "raw": (1, side, side, 3 * POINTS)}
    signature = [tf.TensorSpec(shape, tf.float32, name) for name, shape in shapes.items()]
    module = tf.Module()
    module.variables_of_layer = [variable.value for variable in layer.variables]
    module.run = tf.function(lambda reference, flow, raw: {"output": run(reference, flow, raw)}, input_signature=signature)
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(module, folder, signatures={"run": module.run})
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=["run"])
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        return Interpreter(model_content=converter.convert(), num_threads=THREADS)


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    random = np.random.default_rng(0)
    print(f"{'level':<12}{'form':<34}{'ms':>8}{'ratio':>8}")
    for name, scale, channels in LEVELS:
        side = CELLS * scale
        forms = {
            "Keras form, float32": (strips, True, False),
            "phone form, float32": (phone, True, False),
            "phone form, int8": (phone, True, True),
            "no residual offsets, float32": (phone, False, False),
            "no residual offsets, int8": (phone, False, True),
        }
        matches = random.integers(0, CELLS - 2, (CELLS, CELLS, 2))
        flow = np.zeros((1, CELLS + 2, CELLS + 2, 2), np.float32)
        flow[0, 2:, 2:] = matches - np.stack(np.mgrid[:CELLS, :CELLS], axis=-1)
        flow[0, -2:] = flow[0, :, -2:] = 0.0
        inputs = {
            "reference": random.normal(size=(1, side, side, channels)).astype(np.float32),
            "flow": flow,
            "raw": random.normal(size=(1, side, side, 3 * POINTS)).astype(np.float32),
        }
        runs = {}
        for form, (make, *kind) in forms.items():
            layer = layer_of(channels, scale, *kind)
            runner = converted(layer, make(layer), side, channels).get_signature_runner("run")
            needed = {key: inputs[key] for key in runner.get_input_details()}
            runs[form] = lambda runner=runner, needed=needed: runner(**needed)
        times = {form: [] for form in runs}
        for _ in range(options.rounds + 1):
            for form, run in runs.items():
                times[form].append(seconds(run))
        medians = {form: statistics.median(values[1:]) for form, values in times.items()}
        first = next(iter(medians.values()))
        for form, median in medians.items():
            print(f"{name:<12}{form:<34}{1000 * median:>8.1f}{first / median:>8.2f}", flush=True)
    print(f"median of {options.rounds} rounds; {machine()}")


if __name__ == "__main__":
    main()
