"""Presets load, and match their descriptions."""

import numpy as np
import pytest

from c2m_tf import C2Matching, Mobile
from c2m_tf.presets import PRESETS, load_preset, save_preset


@pytest.mark.parametrize("name", PRESETS)
def test_presets_have_the_parameters_they_state(name):
    model = load_preset(name)
    assert model.count_params() == PRESETS[name].parameters
    assert all(np.isfinite(variable.numpy()).all() for variable in model.variables)


def test_a_preset_of_another_kind_of_network_is_refused():
    with pytest.raises(ValueError, match=r"mobile holds a Mobile model; a C2Matching model is expected"):
        C2Matching.from_preset("mobile")
    with pytest.raises(ValueError, match=r"light holds a C2Matching model; a Mobile model is expected"):
        Mobile.from_preset("light")


def test_presets_load_in_bfloat16(rng):
    model = load_preset("light", "mixed_bfloat16")
    sr = model.predict_on_batch({"lr": rng.random((1, 4, 5, 3), np.float32), "ref": rng.random((1, 12, 12, 3), np.float32)})
    assert np.isfinite(sr).all()


def test_a_saved_preset_holds_the_weights_in_half_precision(light, tmp_path):
    save_preset(light, tmp_path / "light.npz")
    with np.load(tmp_path / "light.npz") as arrays:
        kernel = arrays["restoration/head_small_0/kernel"]
    assert kernel.dtype == np.float16
    np.testing.assert_allclose(kernel, light.restoration.get_layer("head_small_0").kernel.numpy(), rtol=1e-3, atol=1e-6)
