"""The demonstration and the weights that ship."""

import numpy as np
import pytest

from c2m_tf import C2Matching
from c2m_tf.cli import main
from c2m_tf.photos import images
from c2m_tf.photos.sheets import most_changed_box
from c2m_tf.weights.presets import PRESETS, load_preset, save_preset


def test_demo_writes_its_pictures_and_beats_bicubic_by_far(tmp_path, capsys):
    assert main(["demo", "-o", f"{tmp_path}/new"]) == 0
    names = {"lr.png", "ref.png", "bicubic.png", "sr.png", "comparison.png"}
    assert {path.name for path in (tmp_path / "new").iterdir()} == names
    bicubic, ours = (float(line.split()[1]) for line in capsys.readouterr().out.splitlines()[:2])
    assert ours > bicubic + 2
    assert images.read(tmp_path / "new" / "sr.png").rgb.shape == images.read(tmp_path / "new" / "ref.png").rgb.shape


@pytest.mark.parametrize("name", PRESETS)
def test_presets_have_the_parameters_they_state(name):
    model = C2Matching.from_preset(name)
    assert model.count_params() == PRESETS[name].parameters
    assert all(np.isfinite(variable.numpy()).all() for variable in model.variables)


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


def test_the_most_changed_square_is_found(rng):
    first = rng.integers(0, 50, (60, 80, 3), np.uint8)
    second = first.copy()
    second[20:30, 40:50] += 100
    top, left, height, width = most_changed_box(first, second, 10)
    assert (top, left, height, width) == (20, 40, 10, 10)
    assert most_changed_box(first, second, 500)[2:] == (60, 80)
