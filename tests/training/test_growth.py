"""Networks grown from smaller ones compute the same."""

import numpy as np
import pytest
from c2m_tf.training.config import ConfigError
from c2m_tf.training.starts import grow, load_trunk, without_residual_offsets
from golden_models import golden
from tiny_models import SIZES, tiny_model

from c2m_tf import C2Matching
from c2m_tf.network.restoration import sizes_of

LARGER = {"content_blocks": 4, "medium_blocks": 2, "large_blocks": 3, "levels": ("relu3_1", "relu2_1", "relu1_1")}


def _trunk(model):
    """Arrays of a model's restoration network without what a reference needs."""
    arrays = {"/".join(variable.path.split("/")[-2:]): np.asarray(variable) for variable in model.restoration.variables}
    kept = ("content_extractor", "head_small", "body_small", "tail_")
    return {name: value for name, value in arrays.items() if name.startswith(kept)}


def _inputs():
    arrays = golden("light")
    return {"lr": arrays["lr"][None], "ref": arrays["ref"][None]}


def test_a_grown_network_computes_the_same(tiny):
    grown = grow(tiny, **LARGER)
    assert grown.arguments == tiny.arguments | LARGER
    inputs = _inputs()
    np.testing.assert_allclose(grown.predict_on_batch(inputs), tiny.predict_on_batch(inputs), atol=1e-5)
    alone = {"lr": inputs["lr"]}
    np.testing.assert_allclose(grown.predict_on_batch(alone), tiny.predict_on_batch(alone), atol=1e-5)


@pytest.mark.parametrize("sizes", [{}, LARGER])
def test_network_grown_from_one_without_residual_offsets_computes_the_same(tiny, sizes):
    integer = without_residual_offsets(tiny)
    inputs = _inputs()
    grown = grow(integer, **sizes, residual_offsets=True)
    np.testing.assert_allclose(grown.predict_on_batch(inputs), integer.predict_on_batch(inputs), atol=1e-5)
    if not sizes:
        kept = without_residual_offsets(grown)
        assert all(np.array_equal(a, b) for a, b in zip(kept.get_weights(), integer.get_weights(), strict=True))


@pytest.mark.parametrize("levels", [("relu2_1", "relu1_1"), ("relu3_1", "relu2_1", "relu1_1")])
def test_grown_network_ignores_the_reference_at_first(levels, tmp_path):
    source = tiny_model()
    np.savez(tmp_path / "trunk.npz", **_trunk(source))
    model = C2Matching(**SIZES | {"levels": levels})
    load_trunk(model, tmp_path / "trunk.npz")
    inputs = _inputs()
    with_reference, alone = model.predict_on_batch(inputs), model.predict_on_batch({"lr": inputs["lr"]})
    np.testing.assert_allclose(with_reference, alone, atol=1e-5)
    # The source's own trunk, its two larger levels taken out, is what both must be.
    for layer in source.restoration.layers:
        if layer.name.startswith(("head_medium", "head_large", "body_medium", "body_large")):
            layer.set_weights([np.zeros_like(weight) for weight in layer.get_weights()])
    np.testing.assert_allclose(alone, source.predict_on_batch({"lr": inputs["lr"]}), atol=1e-5)


def test_networks_do_not_grow_into_what_is_not_larger(full, light):
    with pytest.raises(ValueError, match="a full network cannot be grown from medium_blocks 16 to 8"):
        grow(full, **sizes_of("light"))
    with pytest.raises(ValueError, match="a light network cannot be grown from residual_offsets True to False"):
        grow(light, residual_offsets=False)
    with pytest.raises(ValueError, match="a light network cannot be grown from width 64 to 96"):
        grow(light, width=96)


def test_files_that_are_no_trunk_are_named(tmp_path, tiny):
    path = tmp_path / "trunk.npz"
    with pytest.raises(ConfigError, match="does not exist"):
        load_trunk(tiny, path)
    path.write_bytes(b"no file of arrays")
    with pytest.raises(ConfigError, match=r"trunk\.npz is not an \.npz file of arrays"):
        load_trunk(tiny, path)
    arrays = _trunk(tiny)
    np.savez(path, **{**arrays, "other/kernel": np.zeros(1)})
    with pytest.raises(ConfigError, match="holds other/kernel"):
        load_trunk(tiny, path)
    np.savez(path, **{name: value for name, value in arrays.items() if name != "tail_large_2/bias"})
    with pytest.raises(ConfigError, match=r"has no tail_large_2/bias \(1 arrays are missing\)"):
        load_trunk(tiny, path)
    np.savez(path, **{**arrays, "tail_large_2/bias": np.zeros(4)})
    with pytest.raises(ConfigError, match=r"tail_large_2/bias has shape \(4,\); expected is \(3,\)"):
        load_trunk(tiny, path)
