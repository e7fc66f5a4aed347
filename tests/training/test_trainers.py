"""Trainers: each stage's loss falls, on TensorFlow and on JAX."""

import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from c2m_tf.training import losses
from c2m_tf.training.adversarial import AdversarialTrainer, PixelOnlyStart
from c2m_tf.training.augmentation import draw_homography, warp
from c2m_tf.training.optimizers import GroupedAdam
from c2m_tf.training.trainers import Extractors, RestorationTrainer, StudentTrainer, TeacherTrainer
from golden_models import golden, state
from tiny_models import SIZES, tiny_model

from c2m_tf import C2Matching
from c2m_tf.network.deform_conv import ModulatedDeformConv2D
from c2m_tf.network.discriminator import discriminator
from c2m_tf.network.features import perceptual_stem
from c2m_tf.weights import checkpoints

ROOT = Path(__file__).parents[2]


def homography_batch():
    """One pair of a textured photo and its warp, 96x96."""
    random = np.random.RandomState(0)
    coarse = random.randint(0, 256, (40, 40, 3), dtype=np.uint8)
    photo = coarse.repeat(4, axis=0).repeat(4, axis=1)
    homography = draw_homography(random)
    batch = {"hr": photo[:96, :96], "upsampled": photo[:96, :96], "ref": warp(photo, homography, (0, 0), 160)[:96, :96]}
    batch = {name: np.float32(value[None]) / 255 for name, value in batch.items()}
    return batch | {"homography": np.float32(homography[None])}


def reference_batch(batch=2, size=8):
    random = np.random.RandomState(0)
    hr = random.random_sample((batch, 4 * size, 4 * size, 3)).astype(np.float32)
    return {"lr": hr[:, ::4, ::4], "ref": hr[:, ::-1]}, hr


def golden_extractors():
    extractors = Extractors()
    for stem in (extractors.extractor_lr, extractors.extractor_ref):
        checkpoints.load_vgg_stem(stem, state("vgg19"))
    return extractors


def falls(trainer, batch, steps=4):
    """Whether the loss on one batch falls within a few steps."""
    history = [trainer.train_on_batch(*batch, return_dict=True)["loss"]]
    trainer.reset_metrics()
    for _ in range(steps):
        trainer.reset_metrics()
        history.append(trainer.train_on_batch(*batch, return_dict=True)["loss"])
    return history[-1] < history[0]


def test_teacher_and_student_learn():
    teacher = golden_extractors()
    trainer = TeacherTrainer(teacher)
    trainer.compile(optimizer=GroupedAdam(1e-4))
    batch = homography_batch()
    assert falls(trainer, (batch,))
    taught = [variable.numpy() for variable in teacher.variables]
    student = StudentTrainer(golden_extractors(), teacher)
    student.compile(optimizer=GroupedAdam(1e-4))
    assert falls(student, (batch,))
    assert len(student.trainable_variables) == 20
    for before, variable in zip(taught, teacher.variables, strict=True):
        assert np.array_equal(before, variable.numpy())


def test_student_loss_is_triplet_and_weighted_distillation():
    teacher, extractors, batch = golden_extractors(), golden_extractors(), homography_batch()
    trainer = StudentTrainer(extractors, teacher)
    batch["upsampled"] = batch["upsampled"] * 0.5
    features = trainer(batch)
    total = trainer.compute_loss(batch, y_pred=features)
    triplet = losses.triplet_loss(*features, batch["homography"]).loss
    distillation = losses.correlation_distillation(*features, *teacher(batch["hr"], batch["ref"]), batch["homography"])
    assert float(distillation) > 0
    np.testing.assert_allclose(float(total), float(triplet) + 15 * float(distillation), rtol=1e-5)


@pytest.mark.parametrize("learns_offsets", [False, True])
def test_restoration_learns(learns_offsets):
    network = tiny_model()
    trainer = RestorationTrainer(network, learns_offsets=learns_offsets, learns_encoder=False)
    trainer.compile(optimizer=GroupedAdam(1e-3), run_eagerly=True)  # a few steps do not repay compiling
    names = {variable.path for variable in trainer.trainable_variables}
    assert any("offset" in name for name in names) == learns_offsets
    assert not any("extractor_lr" in name or "reference_encoder" in name for name in names)
    assert falls(trainer, reference_batch())


def test_before_offsets_are_learnt_leaving_them_out_changes_nothing():
    network = C2Matching(**SIZES)  # new: its offsets are at their start
    inputs, _ = reference_batch()
    inputs["ref"] = inputs["ref"][:, :20]
    whole = RestorationTrainer(network, learns_offsets=True)(inputs)
    short = RestorationTrainer(network, learns_offsets=False)(inputs)
    np.testing.assert_allclose(short, whole, atol=1e-6)


def test_sampling_at_the_start_equals_the_deformable_convolution(rng):
    layer = ModulatedDeformConv2D(12)
    features = rng.normal(size=(2, 9, 7, 16)).astype(np.float32)
    pre_offset = rng.integers(-6, 7, (2, 5, 8, 9, 2)).astype(np.float32)
    whole = layer(features, np.zeros((2, 5, 8, 144), np.float32), np.full((2, 5, 8, 72), 0.5, np.float32), pre_offset)
    np.testing.assert_allclose(layer.call_integer_offsets(features, pre_offset), whole, atol=1e-5)


def adversarial_trainer(**options):
    perceptual = perceptual_stem("relu1_2")
    checkpoints.load_vgg_stem(perceptual, state("vgg19"))
    trainer = AdversarialTrainer(tiny_model(), discriminator(), perceptual, learns_offsets=False, **options)
    trainer.compile(GroupedAdam(1e-3), keras.optimizers.Adam(1e-3))
    return trainer


def test_adversarial_training_starts_with_pixels_only():
    trainer = adversarial_trainer()
    trainer.run_eagerly = True  # a few steps do not repay compiling
    inputs, hr = reference_batch(batch=1)

    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return 4

        def __getitem__(self, index):
            return inputs, hr

    changed, l1 = [], []

    class Watch(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            self.before = trainer.critic.get_weights()

        def on_train_batch_end(self, batch, logs=None):
            after = trainer.critic.get_weights()
            changed.append(any(not np.array_equal(a, b) for a, b in zip(self.before, after, strict=True)))
            self.before = after
            l1.append((batch + 1) * logs["l1"] - sum(l1))  # Keras reports means since the start

    history = trainer.fit(Batches(), verbose=0, callbacks=[PixelOnlyStart(2), Watch()]).history
    assert changed == [False, False, True, True]
    assert l1[-1] < l1[0]
    assert history["gradient_penalty"][0] > 0
    assert history["perceptual"][0] > 0
    assert int(trainer.critic_optimizer.iterations) == 2
    assert int(trainer.optimizer.iterations) == 4


def test_adversarial_losses_equal_the_published_ones():
    """Critic and network losses of one step, on golden SR photos in place of the network's."""
    arrays = golden("adversarial_losses")
    critic = discriminator(published=True)
    checkpoints.load_discriminator(critic, state("discriminator"))
    perceptual = perceptual_stem("relu5_1")
    checkpoints.load_vgg_stem(perceptual, state("vgg19_relu5_1"))
    trainer = AdversarialTrainer(tiny_model(), critic, perceptual)
    trainer.compile(GroupedAdam(0.0), keras.optimizers.Adam(0.0))
    hr, sr = arrays["hr"], arrays["sr"]
    measured = trainer._train_critic(tf.constant(hr), tf.constant(sr))
    expected = float(arrays["critic_loss_real"] + arrays["critic_loss_fake"])
    np.testing.assert_allclose(float(measured["critic_loss"]), expected, rtol=1e-3, atol=1e-6)
    value = trainer.adversarial_factor * losses.adversarial_loss(critic(sr, training=True))
    np.testing.assert_allclose(float(value), float(arrays["adversarial"]), rtol=1e-4)
    value = trainer.perceptual_factor * losses.perceptual_loss(perceptual(hr), perceptual(sr))
    np.testing.assert_allclose(float(value), float(arrays["perceptual"]), rtol=1e-4)


def run_script(script, **environment):
    paths = (Path(__file__).parent, ROOT / "tests", ROOT)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, paths))} | environment
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_trainers_learn_on_jax():
    pytest.importorskip("jax")
    run_script(
        """
import sys
sys.modules["tensorflow"] = None
import numpy as np, keras
from tiny_models import tiny_model
from c2m_tf.training.augmentation import draw_homography
from c2m_tf.training.trainers import *
from c2m_tf.training.optimizers import GroupedAdam
from c2m_tf.training.trainers import RestorationTrainer
keras.utils.set_random_seed(0)
random = np.random.RandomState(0)
photos = {name: random.random_sample((1, 64, 64, 3)).astype("float32") for name in ("hr", "upsampled", "ref")}
photos["homography"] = draw_homography(random)[None].astype("float32")
hr = photos["hr"][:, :32, :32]
network = tiny_model()
trainers = [
    (TeacherTrainer(Extractors()), (photos,)),
    (StudentTrainer(Extractors(), Extractors()), (photos,)),
    (RestorationTrainer(network, learns_offsets=False), ({"lr": hr[:, ::4, ::4], "ref": hr}, hr)),
]
for trainer, batch in trainers:
    trainer.compile(optimizer=GroupedAdam(1e-4))
    values = []
    for _ in range(4):
        trainer.reset_metrics()
        values.append(float(trainer.train_on_batch(*batch)[0] if len(batch) == 1 else trainer.train_on_batch(*batch)))
    print(values)
    assert np.isfinite(values).all() and (values[-1] < values[0]), values
""",
        KERAS_BACKEND="jax",
    )


@pytest.mark.slow
def test_each_trainer_takes_a_step_on_two_devices():
    run_script(
        """
import numpy as np, tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
import keras
from test_trainers import *
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
def makers():
    yield lambda: TeacherTrainer(golden_extractors()), None
    yield lambda: StudentTrainer(golden_extractors(), golden_extractors()), None
    yield lambda: RestorationTrainer(tiny_model(), learns_offsets=False), None
    yield adversarial_trainer, None
pair = homography_batch()
pair = {name: np.concatenate([value, value]) for name, value in pair.items()}
inputs, hr = reference_batch()
for number, (make, _) in enumerate(makers()):
    with strategy.scope():
        trainer = make()
        if number < 3:
            trainer.compile(optimizer=GroupedAdam(1e-3))
    before = trainer.trainable_variables[0].numpy().copy()
    data = tf.data.Dataset.from_tensors((pair,) if number < 2 else (inputs, hr))
    history = trainer.fit(data, verbose=0).history
    assert np.isfinite(history["loss"][0])
    assert not np.array_equal(before, trainer.trainable_variables[0].numpy())
    print("step", number)
"""
    )


@pytest.mark.slow
def test_bfloat16_keeps_master_weights_in_float32():
    network = tiny_model(dtype="mixed_bfloat16")
    trainer = RestorationTrainer(network, learns_offsets=False)
    trainer.compile(optimizer=GroupedAdam(1e-3))
    inputs, hr = reference_batch(batch=1)
    before = network.restoration.get_layer("head_large_0").kernel.numpy().copy()
    assert np.isfinite(trainer.train_on_batch(inputs, hr))
    kernel = network.restoration.get_layer("head_large_0").kernel
    assert kernel.dtype == "float32"
    # Steps far below the accuracy of bfloat16 are kept.
    assert 0 < np.abs(kernel.numpy() - before).max() <= 1.1e-3
    flow, score = network.find_flow(inputs["lr"], network.encode_reference(inputs["ref"]))
    assert flow.dtype == score.dtype == tf.float32
