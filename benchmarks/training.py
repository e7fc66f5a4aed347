"""Training throughput: patches per second by stage and precision, and where the time of a step goes.

    python benchmarks/training.py --stage restoration --photos DIR
    python benchmarks/training.py --stage teacher --photos DIR --precision mixed_bfloat16

Parts are timed alone, compiled, each with its own gradient where training takes one; "rest" is what the whole step takes beyond
them (residual blocks, loss, optimizer). Data is the time that one thread needs for a batch; training prepares batches
in threads of its own while the network works, so data costs nothing as long as it is below the step divided by their number.
"""

import argparse
import statistics
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from timing import machine, seconds

# The package `training` of the checkout, not this script of the same name.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

STAGES = ("teacher", "student", "restoration", "restoration-start", "adversarial")


def median(function: Callable[[], object], rounds: int) -> float:
    """Median seconds of a call, after one that is not counted."""
    function()
    return statistics.median(seconds(function) for _ in range(rounds))


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
    from c2m_tf.training.matching import Extractors, StudentTrainer, TeacherTrainer
    from c2m_tf.training.optimizers import GroupedAdam

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
    }


def restoration_parts(stage: str, precision: str, data: object, rounds: int) -> dict[str, float]:
    """Seconds by part of a restoration or adversarial step."""
    import keras
    import tensorflow as tf
    from c2m_tf.training.adversarial import AdversarialTrainer
    from c2m_tf.training.optimizers import GroupedAdam
    from c2m_tf.training.restoration import RestorationTrainer

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
        trainer = RestorationTrainer(network, learns_offsets=stage == "restoration", learns_encoder=True)
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
    }


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
    print(f"{'stage':<20}{'precision':<16}{'patches/s':>10}  milliseconds per patch by part")
    for stage in options.stage:
        matching = stage in ("teacher", "student")
        measure = matching_parts if matching else restoration_parts
        if matching:
            data = HomographyPairs(photos, [1.0], options.batch, 2)
        else:
            data = ReferencePairs(photos, [1.0], options.batch, 2, lr_size=options.lr_size, ref_size=5 * options.lr_size)
        for precision in options.precision:
            parts = measure(stage, precision, data, options.rounds)
            step = parts.pop("step")
            parts["rest"] = step - sum(value for name, value in parts.items() if name != "data")
            parts_text = "  ".join(f"{name} {1000 * value / options.batch:.0f}" for name, value in parts.items())
            print(f"{stage:<20}{precision:<16}{options.batch / step:>10.2f}  {parts_text}", flush=True)
    print(
        f"light network, batch {options.batch}, LR {options.lr_size}x{options.lr_size} (matching: 160x160 photos); {machine()}"
    )


if __name__ == "__main__":
    main()
