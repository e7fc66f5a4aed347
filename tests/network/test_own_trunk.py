"""Models with a trunk of their own: what it computes, and what files keep of it."""

import keras
import numpy as np
import pytest
from c2m_tf.export.phone_network import PhoneNetwork
from c2m_tf.export.quantization import load_quantized, save_quantized
from c2m_tf.training.config import ConfigError
from c2m_tf.training.starts import average, grow, load_own_trunk, with_own_trunk, without_own_trunk, without_residual_offsets
from c2m_tf.training.trainers import RestorationTrainer, TrunkTrainer
from tiny_models import tiny_model

from c2m_tf import C2Matching
from c2m_tf.network.model import around_pixels
from c2m_tf.presets import save_preset


@pytest.fixture(scope="module")
def own():
    return with_own_trunk(tiny_model())


def test_it_works_alone_without_a_reference(own, tiny, rng):
    lr = {"lr": rng.random((1, 9, 7, 3), np.float32)}
    np.testing.assert_allclose(own.predict_on_batch(lr), own.trunk.predict_on_batch(lr), atol=1e-6)
    assert np.abs(own.predict_on_batch(lr) - tiny.predict_on_batch(lr)).max() > 0.01


def test_mixing_follows_the_scores(own, rng):
    lr = rng.random((1, 9, 12, 3), np.float32)
    sr = rng.random((1, 36, 48, 3), np.float32)
    alone = own.predict_on_batch({"lr": lr})
    score = np.repeat(np.float32([0.1, 0.3, 0.45, 0.6, 0.9]), [2, 3, 2, 3, 2])
    mixed = np.asarray(own.blend(sr, lr, np.broadcast_to(score, (1, 9, 12))))
    # Weights are upsampled bilinearly, so between two scores half an LR pixel of either is mixed.
    np.testing.assert_allclose(mixed[:, :, :18], alone[:, :, :18], atol=1e-5)
    np.testing.assert_allclose(mixed[:, :, 30:], sr[:, :, 30:], atol=1e-5)
    np.testing.assert_allclose(mixed[:, :, 23:25], (alone + sr)[:, :, 23:25] / 2, atol=0.1)
    half = np.asarray(own.blend(sr, lr, np.ones((1, 9, 12), np.float32), np.float32([0.5])))
    np.testing.assert_allclose(half, (alone + sr) / 2, atol=1e-5)


def test_scores_around_pixels(rng):
    score = rng.random((2, 4, 5), np.float32)
    np.testing.assert_array_equal(around_pixels(score), np.pad(score, ((0, 0), (1, 1), (1, 1)), mode="edge"))


def test_a_reference_is_used_where_it_fits(own, tiny, rng):
    ref = rng.random((1, 48, 48, 3), np.float32)
    lr = ref.reshape(1, 12, 4, 12, 4, 3).mean((2, 4))
    inputs = {"lr": lr, "ref": ref}
    _, score = own.find_flow(lr, own.encode_reference(ref))
    expected = own.blend(tiny.predict_on_batch(inputs), lr, around_pixels(score))
    np.testing.assert_allclose(own.predict_on_batch(inputs), expected, atol=1e-5)
    inputs["strength"] = np.zeros(1, np.float32)
    np.testing.assert_allclose(own.predict_on_batch(inputs), own.predict_on_batch({"lr": lr}), atol=1e-6)


def test_without_it_the_restoration_network_works_alone(own, tiny, rng):
    lr = rng.random((1, 6, 5, 3), np.float32)
    reduced = without_own_trunk(own)
    assert not reduced.own_trunk
    np.testing.assert_allclose(reduced.predict_on_batch({"lr": lr}), tiny.predict_on_batch({"lr": lr}), atol=1e-6)


def test_files_keep_it(own, tmp_path, rng):
    lr = {"lr": rng.random((1, 6, 5, 3), np.float32)}
    sr = own.predict_on_batch(lr)
    own.save(tmp_path / "own.keras")
    loaded = C2Matching.from_preset(tmp_path / "own.keras")
    assert loaded.own_trunk
    np.testing.assert_allclose(loaded.predict_on_batch(lr), sr, atol=1e-5)
    half = C2Matching.from_preset(tmp_path / "own.keras", dtype="mixed_bfloat16")
    np.testing.assert_array_equal(half.trunk.get_weights()[0], own.trunk.get_weights()[0])
    save_preset(own, tmp_path / "own.npz")
    with np.load(tmp_path / "own.npz") as arrays:
        assert sum(name.startswith("trunk/") for name in arrays) == len(own.trunk.variables)


def test_networks_made_of_it_keep_it(own):
    for made in (without_residual_offsets(own), grow(own, large_blocks=2), average(own, own)):
        for weight, expected in zip(made.trunk.get_weights(), own.trunk.get_weights(), strict=True):
            np.testing.assert_allclose(weight, expected, rtol=1e-6)
    with pytest.raises(ValueError, match="own_trunk True and one of False have no average"):
        average(own, tiny_model())


def test_a_quantized_network_has_one_too(own, tmp_path, rng):
    lr = {"lr": rng.random((1, 6, 5, 3), np.float32)}
    np.testing.assert_allclose(PhoneNetwork(own)(lr), own.predict_on_batch(lr), atol=1e-5)
    network = PhoneNetwork(own, quantized=True)
    network.fit_kernel_limits()
    for layer in network.ranges():
        layer.high.assign(1.0)
    save_quantized(network, tmp_path / "int8.npz")
    loaded = load_quantized(tmp_path / "int8.npz")
    assert loaded.own_trunk
    np.testing.assert_allclose(loaded(lr), network(lr), atol=2.5 / 255)  # a kernel may round the other way


def test_stages_train_it_or_leave_it_alone():
    for trainer, trained in (
        (TrunkTrainer, {"trunk"}),
        (RestorationTrainer, {"trunk", "restoration"}),
        (lambda network: RestorationTrainer(network, alone_weight=0.0), {"restoration"}),
    ):
        network = with_own_trunk(tiny_model())
        assert {variable.path.split("/")[0] for variable in trainer(network).trainable_variables} == trained


def test_its_weights_can_be_loaded(own, tmp_path):
    target = with_own_trunk(tiny_model())
    arrays = {"/".join(variable.path.split("/")[-2:]): np.asarray(variable) + 1 for variable in own.trunk.variables}
    np.savez(tmp_path / "trunk.npz", **arrays)
    load_own_trunk(target, tmp_path / "trunk.npz")
    for weight, expected in zip(target.trunk.get_weights(), own.trunk.get_weights(), strict=True):
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(weight), expected + 1)
    np.savez(tmp_path / "trunk.npz", **{**arrays, "to_img_0/bias": np.zeros(4)})
    with pytest.raises(ConfigError, match=r"to_img_0/bias has shape \(4,\); expected is \(48,\)"):
        load_own_trunk(target, tmp_path / "trunk.npz")
    np.savez(tmp_path / "trunk.npz", **{**arrays, "head_small_0/bias": np.zeros(4)})
    with pytest.raises(ConfigError, match="holds head_small_0/bias, which a trunk of its own has not"):
        load_own_trunk(target, tmp_path / "trunk.npz")
    del arrays["to_img_0/bias"]
    np.savez(tmp_path / "trunk.npz", **arrays)
    with pytest.raises(ConfigError, match=r"has no to_img_0/bias \(1 arrays are missing\)"):
        load_own_trunk(target, tmp_path / "trunk.npz")
