"""The single-image network: its parts, what it sees, and the published weights in it."""

import keras
import numpy as np
import pytest
from scipy.ndimage import maximum_filter

from c2m_tf.cli import main
from c2m_tf.network.single_image import (
    LargestAround,
    PixelsOfChannels,
    UnitLength,
    VarianceAround,
    single_image_network,
)
from c2m_tf.weights.checkpoints import CheckpointError, load_single_image


@pytest.fixture(scope="module")
def network():
    keras.utils.set_random_seed(3)
    return single_image_network()


def test_size_and_scale(network, rng):
    assert network.count_params() == 495_888
    for height, width in ((3, 3), (8, 16), (13, 7)):
        sr = network.predict_on_batch({"lr": rng.random((1, height, width, 3), np.float32)})
        assert sr.shape == (1, 4 * height, 4 * width, 3)
        assert np.isfinite(sr).all()


def test_largest_value_around(rng):
    features = rng.standard_normal((1, 21, 10, 3)).astype(np.float32)
    largest = np.asarray(LargestAround()(features))
    # Of an even number of pixels both look from four before to three after.
    expected = maximum_filter(features[0], (8, 8, 1), mode="constant", cval=-np.inf)
    np.testing.assert_array_equal(largest[0], expected)


def test_variance_of_a_small_photo_is_that_of_all_its_cells(rng):
    features = rng.random((1, 16, 24, 2)).astype(np.float32)
    variance = np.asarray(VarianceAround()(features))
    assert variance.shape == features.shape
    np.testing.assert_allclose(variance[0], np.broadcast_to(features[0].var(axis=(0, 1)), (16, 24, 2)), atol=1e-6)


def test_variance_is_that_of_the_cells_around(rng):
    features = np.zeros((1, 8, 96, 1), np.float32)
    features[:, :, :8] = rng.random((1, 8, 8, 1))
    variance = np.asarray(VarianceAround()(features))[0, 0, :, 0]
    assert (variance[:32] > 0).all() and (variance[32:] == 0).all()  # three cells to either side, and its own
    assert len(np.unique(variance[:8])) == 1


def test_sizes_that_are_no_multiple_of_a_cell(rng):
    constant = np.full((1, 13, 21, 2), 0.3, np.float32)
    np.testing.assert_allclose(VarianceAround()(constant), np.zeros_like(constant), atol=1e-6)


def test_pixels_of_channels():
    channels = np.arange(2 * 48, dtype=np.float32).reshape(1, 1, 2, 48)
    photo = np.asarray(PixelsOfChannels()(channels))
    assert photo.shape == (1, 4, 8, 3)
    for x in range(8):
        for y in range(4):
            np.testing.assert_array_equal(photo[0, y, x], channels[0, 0, x // 4, 4 * y + x % 4 :: 16])


def test_unit_length(rng):
    features = rng.standard_normal((1, 4, 5, 48)).astype(np.float32)
    np.testing.assert_allclose(np.linalg.norm(UnitLength()(features), axis=-1), 1.0, atol=1e-5)


def test_half_precision_computes_the_same_picture(network, rng):
    half = single_image_network(dtype="mixed_bfloat16")
    half.set_weights(network.get_weights())
    lr = {"lr": rng.random((1, 16, 16, 3), np.float32)}
    full = network.predict_on_batch(lr)
    assert half.predict_on_batch(lr).dtype == np.float32
    np.testing.assert_allclose(half.predict_on_batch(lr), full, atol=0.05 * np.abs(full).max())


def _published(network):
    """The arrays of a network under the names and shapes that PyTorch gives them."""
    state = {}
    for variable in network.variables:
        *_, layer, kind = variable.path.split("/")
        value = np.asarray(variable)
        if kind == "kernel":
            kind = "weight"
            if layer.endswith(("dw_conv", "lde_conv_0_0")):
                rows, columns, channels, multiplier = value.shape
                value = value.transpose(2, 3, 0, 1).reshape(channels * multiplier, 1, rows, columns)
            else:
                value = value.transpose(3, 2, 0, 1)
        elif kind in ("alpha", "belt"):
            value = value.reshape(1, -1, 1, 1)
        state[f"{_published_layer(layer)}.{kind}"] = value
    return state


def _published_layer(layer):
    for mine, theirs in (("to_img_0", "to_img.0"), ("lde_conv_0_0", "lde.conv_0.0"), ("lde_conv_0_1", "lde.conv_0.1")):
        layer = layer.replace(mine, theirs)
    layer = layer.replace("lde_conv_1", "lde.conv_1")
    if layer.startswith("feats_"):
        _, block, part, *rest = layer.split("_", 3)
        layer = ".".join(["feats", block, part, *rest])
    return layer


def test_published_weights(network, rng):
    state = _published(network)
    assert len(state) == 268
    other = single_image_network()
    load_single_image(other, state)
    lr = {"lr": rng.random((1, 9, 12, 3), np.float32)}
    np.testing.assert_allclose(other.predict_on_batch(lr), network.predict_on_batch(lr), atol=1e-5)


def test_other_weights_are_refused(network):
    state = _published(network)
    small = {**state, "to_img.0.weight": np.zeros((12, 48, 3, 3), np.float32)}
    with pytest.raises(CheckpointError, match=r"SMFANet\+ network for 4x: to_img.0.weight has shape \(12, 48, 3, 3\)"):
        load_single_image(network, small)
    del state["feats.11.smfa.alpha"]
    with pytest.raises(CheckpointError, match=r"SMFANet\+ network for 4x; missing: feats_11_smfa_alpha"):
        load_single_image(network, state)


def test_the_command_converts_the_published_file(network, tmp_path, capsys):
    torch = pytest.importorskip("torch")
    state = {name: torch.from_numpy(np.ascontiguousarray(value)) for name, value in _published(network).items()}
    torch.save({"params": state}, tmp_path / "published.pth")
    output = tmp_path / "trunk.npz"
    assert main(["train", "own-trunk-weights", f"{tmp_path}/published.pth", "-o", f"{output}"]) == 0
    with np.load(output) as arrays:
        assert set(arrays) == {"/".join(variable.path.split("/")[-2:]) for variable in network.variables}
        np.testing.assert_array_equal(
            arrays["feats_3_smfa_lde_conv_0_0/kernel"], _weights(network, "feats_3_smfa_lde_conv_0_0")
        )
    output.unlink()
    del state["to_img.0.bias"]
    torch.save(state, tmp_path / "cut.pth")
    capsys.readouterr()
    assert main(["train", "own-trunk-weights", f"{tmp_path}/cut.pth", "-o", f"{output}"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "SMFANet+ network for 4x; missing: to_img_0_bias" in error
    assert not output.exists()


def _weights(network, layer):
    return network.get_layer(layer).get_weights()[0]
