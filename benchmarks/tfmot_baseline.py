"""Quantization-aware training by this project's layers on Keras 3 against that of tensorflow-model-optimization on Keras 2.

    pip install ".[tflite,tfmot]"
    python benchmarks/tfmot_baseline.py

Both start from the same float network, made of the restoration network's body: first convolution, residual blocks, one 2x
upsampling, last convolutions, bilinear skip. It is trained briefly on photos of scikit-image, quantized and trained further for
the same number of steps in both ways, converted to int8 and run by LiteRT on a photo that was not trained on. The legacy
library replaces Keras for its whole process, so it runs in a process of its own.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from timing import THREADS, machine, seconds

SIDE = 32  # of LR patches
BATCH = 8
WIDTH = 64
BLOCKS = 4
TILE = 96  # side of the LR photo that is timed
RATE, RATE_QUANTIZED = 4e-4, 2e-5


def photos(names: list[str]) -> list[np.ndarray]:
    """Photos of scikit-image, float32 [H,W,3] in [0, 1]."""
    from skimage import data

    return [getattr(data, name)()[..., :3].astype(np.float32) / 255 for name in names]


TRAINING, VALIDATION = ["astronaut", "coffee", "rocket"], ["chelsea"]


def halved(photo: np.ndarray) -> np.ndarray:
    """The photo at half the size, each pixel the mean of four."""
    height, width = (side // 2 * 2 for side in photo.shape[:2])
    return photo[:height, :width].reshape(height // 2, 2, width // 2, 2, 3).mean(axis=(1, 3))


def batches(steps: int, seed: int) -> Any:
    """Pairs of LR and HR patches."""
    random, sources = np.random.default_rng(seed), photos(TRAINING)
    for _ in range(steps):
        hr = []
        for _ in range(BATCH):
            photo = sources[random.integers(len(sources))]
            y, x = (random.integers(0, side - 2 * SIDE) for side in photo.shape[:2])
            hr.append(photo[y : y + 2 * SIDE, x : x + 2 * SIDE])
        yield np.stack([halved(patch) for patch in hr]), np.stack(hr)


def body(layers: Any, shuffle: type, enlarge: type, model: Any, size: int | None = None) -> Any:
    """The network, for any Keras: its `layers`, two layers of its own kind, and its `Model`."""

    def convolution(x: Any, filters: int, name: str) -> Any:
        return layers.Conv2D(filters, 3, padding="same", name=name)(x)

    lr = layers.Input((size, size, 3), name="lr")
    x = layers.LeakyReLU(0.1, name="first_leaky")(convolution(lr, WIDTH, "first"))
    for block in range(BLOCKS):
        y = layers.ReLU(name=f"body_{block}_relu")(convolution(x, WIDTH, f"body_{block}_conv1"))
        x = layers.Add(name=f"body_{block}_add")([x, convolution(y, WIDTH, f"body_{block}_conv2")])
    x = layers.LeakyReLU(0.1, name="tail_leaky")(shuffle(name="shuffle")(convolution(x, 4 * WIDTH, "tail")))
    x = layers.LeakyReLU(0.1, name="last_leaky")(convolution(x, 32, "last1"))
    return model(lr, layers.Add(name="sr")([convolution(x, 3, "last2"), enlarge(name="skip")(lr)]), name="body")


def own_layers(layers: Any) -> tuple[type, type]:
    """Pixel shuffle and bilinear enlargement for a Keras."""
    import tensorflow as tf

    class Shuffle(layers.Layer):
        def call(self, x: Any) -> Any:
            return tf.nn.depth_to_space(x, 2)

        def compute_output_shape(self, shape: Any) -> tuple:
            return (shape[0], shape[1] and 2 * shape[1], shape[2] and 2 * shape[2], shape[3] // 4)

    class Enlarge(layers.Layer):
        def call(self, x: Any) -> Any:
            return tf.image.resize(x, [2 * tf.shape(x)[1], 2 * tf.shape(x)[2]])

        def compute_output_shape(self, shape: Any) -> tuple:
            return (shape[0], shape[1] and 2 * shape[1], shape[2] and 2 * shape[2], shape[3])

    return Shuffle, Enlarge


def train(model: Any, optimizer: Any, steps: int, seed: int) -> None:
    """Trains by L1."""
    model.compile(optimizer=optimizer, loss="mean_absolute_error")
    for lr, hr in batches(steps, seed):
        model.train_on_batch(lr, hr)


def to_tflite(call: Callable, variables: list, optimizations: Sequence = ("DEFAULT",)) -> bytes:
    """A file of a function of one photo [1,TILE,TILE,3]; int8 where the function rounds, by default."""
    import tensorflow as tf

    module = tf.Module()
    module.kept = variables
    module.run = tf.function(lambda lr: {"sr": call(lr)}, input_signature=[tf.TensorSpec([1, TILE, TILE, 3], tf.float32, "lr")])
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(module, folder, signatures={"run": module.run})
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=["run"])
        converter.optimizations = [tf.lite.Optimize[name] for name in optimizations]
        return converter.convert()


def tfmot(folder: str, steps: int) -> None:
    """The legacy library's side: int8 files, with its own ranges and with ranges seeded by calibration."""
    import tf_keras as keras
    from tensorflow_model_optimization.python.core.quantization.keras import quantize
    from tensorflow_model_optimization.python.core.quantization.keras.default_8bit import default_8bit_quantize_configs

    layers = keras.layers
    shuffle, enlarge = own_layers(layers)
    network = body(layers, shuffle, enlarge, keras.Model)
    with np.load(f"{folder}/float.npz") as arrays:
        network.set_weights([arrays[name] for name in arrays.files])
    config = default_8bit_quantize_configs.Default8BitOutputQuantizeConfig

    def annotated(layer: Any) -> Any:
        if isinstance(layer, shuffle | enlarge):
            return quantize.quantize_annotate_layer(layer, quantize_config=config())
        return quantize.quantize_annotate_layer(layer)

    scope = {"Shuffle": shuffle, "Enlarge": enlarge, "Default8BitOutputQuantizeConfig": config}
    for name, seeded in (("library", False), ("library, ranges seeded", True)):
        with quantize.quantize_scope(scope):
            model = quantize.quantize_apply(keras.models.clone_model(network, clone_function=annotated))
        if seeded:
            seed_ranges(model, network, keras)
        train(model, keras.optimizers.legacy.Adam(RATE_QUANTIZED), steps, seed=2)
        Path(f"{folder}/{name}.tflite").write_bytes(
            to_tflite(lambda lr, model=model: model(lr, training=False), model.variables)
        )


def seed_ranges(model: Any, network: Any, keras: Any) -> None:
    """Sets each range of the legacy library's model to the range of the float network's activation on training patches."""
    names = [layer.name for layer in network.layers]
    seen = keras.Model(network.inputs, [layer.output for layer in network.layers])
    values = [seen(lr, training=False) for lr, _ in batches(8, seed=1)]
    reach = {
        name: (min(float(np.min(v[at])) for v in values), max(float(np.max(v[at])) for v in values))
        for at, name in enumerate(names)
    }
    for variable in model.variables:
        owner, _, kind = variable.name.rpartition("/")
        layer = owner.rpartition("/")[2].removeprefix("quant_")
        if layer == "quantize_layer":
            variable.assign({"quantize_layer_min": 0.0, "quantize_layer_max": 1.0}.get(kind.split(":")[0], variable))
        elif layer in reach and ("min:" in kind or "max:" in kind) and "kernel" not in kind:
            variable.assign(reach[layer]["max:" in kind])


def ours(folder: str, steps: int, float_steps: int) -> None:
    """This project's side, and the float network that both start from."""
    import keras
    from c2m_tf.export.fake_quantization import ActivationRange, QuantizedConv2D, kernel_limit
    from keras import layers

    keras.utils.set_random_seed(0)
    shuffle, enlarge = own_layers(layers)
    network = body(layers, shuffle, enlarge, keras.Model)
    train(network, keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(RATE, float_steps)), float_steps, seed=0)
    np.savez(f"{folder}/float.npz", *network.get_weights())

    def exchanged(layer: Any) -> Any:
        kind = QuantizedConv2D if isinstance(layer, layers.Conv2D) else type(layer)
        return kind.from_config(layer.get_config())

    def called(layer: Any, *inputs: Any, **options: Any) -> Any:
        if layer.name in ("first", "skip"):
            inputs = (ActivationRange((0.0, 1.0), name=f"range_in_{layer.name}")(inputs[0]),)
        outputs = layer(*inputs, **options)
        # A ReLU is part of the convolution before it; every other result is rounded.
        return outputs if layer.name.endswith("_conv1") else ActivationRange(name=f"range_{layer.name}")(outputs)

    model = keras.models.clone_model(network, clone_function=exchanged, call_function=called)
    own = {layer.name: layer for layer in model.layers}
    for layer in network.layers:
        if isinstance(layer, layers.Conv2D):
            own[layer.name].kernel.assign(layer.kernel)
            own[layer.name].bias.assign(layer.bias)
            own[layer.name].limit.assign(kernel_limit(layer.kernel.numpy()))
    ranges = [layer for layer in model.layers if isinstance(layer, ActivationRange)]
    for bounds in ranges:
        bounds.observing = True
    for lr, _ in batches(8, seed=1):
        model(lr)
    for bounds in ranges:
        bounds.observing = False

    def write(name: str, trained: Any, **options: Any) -> None:
        kept = [variable.value for variable in trained.variables]
        content = to_tflite(lambda lr: trained(lr, training=False), kept, **options)
        Path(f"{folder}/{name}.tflite").write_bytes(content)

    write("float32", network, optimizations=())
    write("calibration alone", model)
    train(model, keras.optimizers.Adam(RATE_QUANTIZED), steps, seed=2)
    write("this project", model)


def measured(path: Path, rounds: int) -> dict[str, float]:
    """PSNR on photos not trained on, seconds for a tile, bytes."""
    from ai_edge_litert.interpreter import Interpreter

    run = Interpreter(str(path), num_threads=THREADS).get_signature_runner("run")
    errors = []
    for photo in photos(VALIDATION):
        for y in range(0, photo.shape[0] - 2 * TILE + 1, 2 * TILE):
            for x in range(0, photo.shape[1] - 2 * TILE + 1, 2 * TILE):
                hr = photo[y : y + 2 * TILE, x : x + 2 * TILE]
                sr = run(lr=halved(hr)[None].astype(np.float32))["sr"][0].clip(0, 1)
                errors.append(np.mean((sr - hr) ** 2))
    lr = np.zeros((1, TILE, TILE, 3), np.float32)
    times = [seconds(lambda: run(lr=lr)) for _ in range(rounds)]
    return {"psnr": -10 * np.log10(np.mean(errors)), "seconds": float(np.median(times)), "bytes": path.stat().st_size}


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--float-steps", type=int, default=400)
    parser.add_argument("--steps", type=int, default=150, help="of quantization-aware training, in both ways")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--side", choices=("ours", "tfmot"), help="argument of each worker process")
    parser.add_argument("--folder")
    options = parser.parse_args()
    if options.side == "ours":
        ours(options.folder, options.steps, options.float_steps)
        return
    if options.side == "tfmot":
        tfmot(options.folder, options.steps)
        return
    root = str(Path(__file__).parents[1])
    with tempfile.TemporaryDirectory() as folder:
        for side in ("ours", "tfmot"):
            environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": root}
            if side == "tfmot":
                environment["TF_USE_LEGACY_KERAS"] = "1"
            command = [sys.executable, __file__, "--side", side, "--folder", folder]
            command += ["--steps", str(options.steps), "--float-steps", str(options.float_steps)]
            subprocess.run(command, check=True, env=environment, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        for name in ("float32", "calibration alone", "this project", "library", "library, ranges seeded"):
            row = measured(Path(f"{folder}/{name}.tflite"), options.rounds)
            print(f"{name:<26}{row['psnr']:>8.2f} dB{1000 * row['seconds']:>8.1f} ms{row['bytes'] / 1e3:>8.0f} kB", flush=True)
    print(f"{options.steps} steps of {BATCH} patches in both ways; {machine()}")


if __name__ == "__main__":
    main()
