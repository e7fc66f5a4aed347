"""Training throughput: patches per second by stage and precision, its arithmetic, and where the time of a step goes.

    python benchmarks/training.py --stage restoration --photos DIR
    python benchmarks/training.py --stage teacher --photos DIR --precision mixed_bfloat16

Parts are timed alone, compiled, each with its own gradient where training takes one; "rest" is what the whole step takes beyond
them (residual blocks, loss, optimizer). Data is the time that one thread needs for a batch; training prepares batches
in threads of its own while the network works, so data costs nothing as long as it is below the step divided by their number.

Arithmetic is that of the convolutions and matrix products of the whole step with its gradients, as TensorFlow counts them in
the step's graph (a multiply-add is two operations), and stands beside what a convolution alone reaches on the same machine:
what is missing goes into everything else.
"""

import argparse
import statistics
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from timing import machine, seconds
from wrong_input import in_one_line

# The package `training` of the checkout, not this script of the same name.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

STAGES = ("teacher", "student", "trunk", "restoration", "restoration-start", "adversarial")


def median(function: Callable[[], object], rounds: int) -> float:
    """Median seconds of a call, after one that is not counted."""
    function()
    return statistics.median(seconds(function) for _ in range(rounds))


def operations(trainer: object, *batch: object) -> int:
    """Floating-point operations of a training step, of its convolutions and matrix products."""
    import tensorflow as tf

    batch = tf.nest.map_structure(tf.constant, batch)
    graph = tf.function(lambda: trainer.train_step(batch)).get_concrete_function().graph
    options = tf.compat.v1.profiler.ProfileOptionBuilder.float_operation()
    options["output"] = "none"
    profiler = tf.compat.v1.profiler.Profiler(graph)
    return profiler.profile_operations(options).total_float_ops


def convolution_rate(precision: str, side: int, batch: int, rounds: int) -> float:
    """Floating-point operations per second of the network's usual convolution, 3x3 of 64 channels, at the result's size."""
    import keras
    import tensorflow as tf

    dtype = keras.dtype_policies.get(precision).compute_dtype
    x = tf.random.normal((batch, side, side, 64), dtype=dtype)
    kernel = tf.random.normal((3, 3, 64, 64), dtype=dtype)
    convolve = tf.function(lambda: tf.nn.conv2d(x, kernel, 1, "SAME"))
    return 2 * batch * side**2 * 9 * 64**2 / median(convolve, 5 * rounds)


def gradient_step(function: Callable, inputs: list, variables: list) -> Callable[[], object]:
    """A compiled call of `function(*inputs)` with the gradient of its sum by inputs and variables."""
    import tensorflow as tf

    inputs = [tf.constant(value) for value in inputs]

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            outputs = tf.nest.flatten(function(*inputs))
            total = tf.add_n([tf.reduce_sum(tf.cast(output, tf.float32)) for output in outputs])
        sources = [*inputs, *(variable.value for variable in variables)]
        return [gradient for gradient in tape.gradient(total, sources) if gradient is not None]

    return step


def matching_parts(stage: str, precision: str, data: object, rounds: int) -> dict[str, float]:
    """Seconds by part of a teacher or student step."""
    import tensorflow as tf
    from c2m_tf.training import losses
    from c2m_tf.training.optimizers import GroupedAdam
    from c2m_tf.training.trainers import Extractors, StudentTrainer, TeacherTrainer

    extractors = Extractors(precision)
    trainer = TeacherTrainer(extractors) if stage == "teacher" else StudentTrainer(extractors, Extractors(precision))
    trainer.compile(optimizer=GroupedAdam(1e-4))
    (batch,) = data[0]
    features = [np.asarray(value, np.float32) for value in extractors(batch["hr"], batch["ref"])]
    homography = tf.constant(batch["homography"])
    triplet = gradient_step(lambda f, g: losses.triplet_loss(f, g, homography).loss, features, [])
    learning = gradient_step(lambda p, r: extractors(p, r), [batch["hr"], batch["ref"]], extractors.trainable_variables)
    return {
        "data": median(lambda: data[1], rounds),
        "features": median(learning, rounds),
        "matching loss": median(triplet, rounds),
        "step": median(lambda: trainer.train_on_batch(batch), rounds),
        "operations": operations(trainer, batch),
    }


def trunk_parts(precision: str, data: object, rounds: int) -> dict[str, float]:
    """Seconds of a step of the trunk that preset light has of its own."""
    from c2m_tf.training.optimizers import GroupedAdam
    from c2m_tf.training.trainers import TrunkTrainer

    from c2m_tf import C2Matching

    trainer = TrunkTrainer(C2Matching.from_preset("light", precision))
    trainer.compile(optimizer=GroupedAdam(1e-4))
    inputs, hr = data[0]
    inputs = {"lr": inputs["lr"]}
    return {
        "data": median(lambda: data[1], rounds),
        "step": median(lambda: trainer.train_on_batch(inputs, hr), rounds),
        "operations": operations(trainer, inputs, hr),
    }


def restoration_parts(stage: str, precision: str, data: object, rounds: int) -> dict[str, float]:
    """Seconds by part of a restoration or adversarial step."""
    import keras
    import tensorflow as tf
    from c2m_tf.training.adversarial import AdversarialTrainer
    from c2m_tf.training.optimizers import GroupedAdam
    from c2m_tf.training.trainers import RestorationTrainer

    from c2m_tf import C2Matching
    from c2m_tf.network.aggregation import DynamicAggregation
    from c2m_tf.network.discriminator import discriminator
    from c2m_tf.network.features import perceptual_stem
    from c2m_tf.network.matching import bordered, match

    network = C2Matching.from_preset("light", precision)
    if stage == "adversarial":
        trainer = AdversarialTrainer(network, discriminator(), perceptual_stem("relu3_4"), learns_encoder=True)
        trainer.compile(GroupedAdam(1e-4), keras.optimizers.Adam(1e-4))
    else:
        trainer = RestorationTrainer(network, learns_offsets=stage == "restoration", learns_encoder=True, alone_weight=0.0)
        trainer.compile(optimizer=GroupedAdam(1e-4))
    inputs, hr = data[0]
    encoder = network.reference_encoder
    encode = gradient_step(encoder, [inputs["ref"]], encoder.trainable_variables)
    describe = tf.function(lambda ref: network.extractor_lr(ref))
    reference = network.encode_reference(inputs["ref"])
    first = network.extractor_lr(np.repeat(np.repeat(inputs["lr"], 4, 1), 4, 2))
    search = tf.function(lambda: match(first, reference["matching"], reference["candidates"]))
    flow, _ = network.find_flow(inputs["lr"], reference)
    aggregations = [layer for layer in network.restoration.layers if isinstance(layer, DynamicAggregation)]

    def aggregate(layer):
        size = [layer.scale * side for side in inputs["lr"].shape[1:3]]
        x = np.zeros((len(hr), *size, 64), np.float32)
        level = {1: "relu3_1", 2: "relu2_1", 4: "relu1_1"}[layer.scale]
        features = [x, np.asarray(tf.cast(reference[level], tf.float32))]

        def call(x, r):
            return layer(x, r, bordered(flow), r[:, : size[0], : size[1]], training=True)

        return gradient_step(call, features, layer.trainable_variables)

    return {
        "data": median(lambda: data[1], rounds),
        "features": median(encode, rounds) + 2 * median(lambda: describe(hr), rounds),
        "matching": median(search, rounds),
        "aggregation": sum(median(aggregate(layer), rounds) for layer in aggregations),
        "step": median(lambda: trainer.train_on_batch(inputs, hr), rounds),
        "operations": operations(trainer, inputs, hr),
    }


@in_one_line
def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--photos", required=True, help="folder of photos of at least 160x160 pixels")
    parser.add_argument("--stage", choices=STAGES, nargs="+", default=STAGES)
    parser.add_argument("--precision", choices=("float32", "mixed_bfloat16"), nargs="+", default=("float32",))
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--lr-size", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()

    from c2m_tf.training.datasets import HomographyPairs, ReferencePairs
    from c2m_tf.training.sources import SinglePhotos

    photos = [SinglePhotos(options.photos)]
    for precision in options.precision:
        rate = convolution_rate(precision, 4 * options.lr_size, options.batch, options.rounds)
        print(f"a convolution alone, {precision}: {rate / 1e9:.0f} GFLOP/s")
    print(f"{'stage':<20}{'precision':<16}{'patches/s':>10}{'GFLOP':>8}{'GFLOP/s':>9}  milliseconds per patch by part")
    for stage in options.stage:
        matching = stage in ("teacher", "student")
        if matching:
            data = HomographyPairs(photos, [1.0], options.batch, 2)
        else:
            data = ReferencePairs(photos, [1.0], options.batch, 2, lr_size=options.lr_size, ref_size=5 * options.lr_size)
        for precision in options.precision:
            if stage == "trunk":
                parts = trunk_parts(precision, data, options.rounds)
            else:
                parts = (matching_parts if matching else restoration_parts)(stage, precision, data, options.rounds)
            step, arithmetic = parts.pop("step"), parts.pop("operations") / 1e9
            parts["rest"] = step - sum(value for name, value in parts.items() if name != "data")
            parts_text = "  ".join(f"{name} {1000 * value / options.batch:.0f}" for name, value in parts.items())
            figures = f"{options.batch / step:>10.2f}{arithmetic / options.batch:>8.1f}{arithmetic / step:>9.0f}"
            print(f"{stage:<20}{precision:<16}{figures}  {parts_text}", flush=True)
    print(
        f"light network, batch {options.batch}, LR {options.lr_size}x{options.lr_size} (matching: 160x160 photos); {machine()}"
    )


if __name__ == "__main__":
    main()
