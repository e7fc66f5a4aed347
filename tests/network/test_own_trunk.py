"""Models with a trunk of their own: what it computes, and what files keep of it."""

import keras
import numpy as np
import pytest
from c2m_tf.export.phone_network import PhoneNetwork
from c2m_tf.export.quantization import load_quantized, save_quantized
from c2m_tf.training.averaging import average
from c2m_tf.training.config import ConfigError
from c2m_tf.training.growth import grow, load_own_trunk, with_own_trunk, without_own_trunk
from c2m_tf.training.restoration import RestorationTrainer
from c2m_tf.training.trunk import TrunkTrainer
from golden_models import golden_model

from c2m_tf import C2Matching
from c2m_tf.weights.presets import save_preset, without_residual_offsets


@pytest.fixture(scope="module")
def own():
    return with_own_trunk(golden_model("light"))


def test_it_is_the_restoration_network_without_its_bodies(own, rng):
    assert own.trunk.count_params() == 1_498_243
    lr = {"lr": rng.random((1, 9, 7, 3), np.float32)}
    source = golden_model("light")
    for layer in source.restoration.layers:
        if layer.name.startswith(("head_", "body_")):
            layer.set_weights([np.zeros_like(weight) for weight in layer.get_weights()])
    np.testing.assert_allclose(own.predict_on_batch(lr), source.predict_on_batch(lr), atol=1e-5)


def test_with_a_reference_nothing_changes(own, light, rng):
    inputs = {"lr": rng.random((1, 6, 5, 3), np.float32), "ref": rng.random((1, 24, 20, 3), np.float32)}
    np.testing.assert_allclose(own.predict_on_batch(inputs), light.predict_on_batch(inputs), atol=1e-6)
    inputs["strength"] = np.zeros(1, np.float32)
    alone = light.predict_on_batch({"lr": inputs["lr"]})
    np.testing.assert_allclose(own.predict_on_batch(inputs), alone, atol=1e-5)


def test_without_it_the_restoration_network_works_alone(own, light, rng):
    lr = rng.random((1, 6, 5, 3), np.float32)
    reduced = without_own_trunk(own)
    assert not reduced.own_trunk
    np.testing.assert_allclose(reduced.predict_on_batch({"lr": lr}), light.predict_on_batch({"lr": lr}), atol=1e-6)


def test_files_keep_it(own, tmp_path, rng):
    lr = {"lr": rng.random((1, 6, 5, 3), np.float32)}
    sr = own.predict_on_batch(lr)
    own.save(tmp_path / "own.keras")
    loaded = C2Matching.from_preset(tmp_path / "own.keras")
    assert loaded.own_trunk
    np.testing.assert_array_equal(loaded.predict_on_batch(lr), sr)
    half = C2Matching.from_preset(tmp_path / "own.keras", dtype="mixed_bfloat16")
    np.testing.assert_array_equal(half.trunk.get_weights()[0], own.trunk.get_weights()[0])
    save_preset(own, tmp_path / "own.npz")
    with np.load(tmp_path / "own.npz") as arrays:
        assert sum(name.startswith("trunk/") for name in arrays) == len(own.trunk.variables)


def test_networks_made_of_it_keep_it(own):
    for made in (without_residual_offsets(own), grow(own, "full"), average(own, own)):
        for weight, expected in zip(made.trunk.get_weights(), own.trunk.get_weights(), strict=True):
            np.testing.assert_allclose(weight, expected, rtol=1e-6)
    with pytest.raises(ValueError, match="one without have no average"):
        average(own, golden_model("light"))


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
        network = with_own_trunk(golden_model("light"))
        assert {variable.path.split("/")[0] for variable in trainer(network).trainable_variables} == trained


def test_weights_of_a_trunk_can_be_loaded(own, tmp_path):
    target = with_own_trunk(golden_model("light"))
    arrays = {"/".join(variable.path.split("/")[-2:]): np.asarray(variable) + 1 for variable in own.trunk.variables}
    np.savez(tmp_path / "trunk.npz", **arrays, **{"head_small_0/kernel": np.zeros((3, 3, 64, 64))})
    load_own_trunk(target, tmp_path / "trunk.npz")
    for weight, expected in zip(target.trunk.get_weights(), own.trunk.get_weights(), strict=True):
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(weight), expected + 1)
    np.savez(tmp_path / "trunk.npz", **{**arrays, "tail_large_2/bias": np.zeros(4)})
    with pytest.raises(ConfigError, match=r"tail_large_2/bias has shape \(4,\); expected is \(3,\)"):
        load_own_trunk(target, tmp_path / "trunk.npz")
    del arrays["tail_large_2/bias"]
    np.savez(tmp_path / "trunk.npz", **arrays)
    with pytest.raises(ConfigError, match=r"has no tail_large_2/bias \(1 arrays are missing\)"):
        load_own_trunk(target, tmp_path / "trunk.npz")
