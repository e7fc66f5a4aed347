"""Names of earlier versions still work, and say what they are called now."""

import numpy as np
import pytest
from c2m_tf.export.quantization import quantized_preset
from c2m_tf.training.config import read_config
from c2m_tf.training.starts import network_of
from training_runs import SMOKE

from c2m_tf import C2Matching, Upscaler
from c2m_tf.cli import main
from c2m_tf.photos import images
from c2m_tf.presets import RenamedWarning

SAID = "light-integer is now called light"


def test_the_old_preset_is_the_new_one():
    with pytest.warns(RenamedWarning, match=SAID):
        old = C2Matching.from_preset("light-integer")
    for weight, expected in zip(old.get_weights(), C2Matching.from_preset("light").get_weights(), strict=True):
        np.testing.assert_array_equal(weight, expected)
    with pytest.warns(RenamedWarning, match=SAID):
        assert Upscaler.from_preset("light-integer")._only.model.get_config() == old.get_config()
    with pytest.warns(RenamedWarning, match=SAID):
        assert quantized_preset("light-integer") == quantized_preset("light")


def test_files_of_the_old_variant_load():
    loaded = C2Matching.from_config({"variant": "light-integer", "own_trunk": True})
    assert loaded.count_params() == C2Matching.from_preset("light").count_params()
    assert not loaded.residual_offsets


def test_recipes_of_the_old_names_mean_the_new_ones():
    settings = ["start=light-integer", "variant=light-integer", "extractors=null"]
    with pytest.warns(RenamedWarning, match="residual_offsets: false"), pytest.warns(RenamedWarning, match=SAID):
        config = read_config("restoration", SMOKE / "restoration.yaml", settings)
    assert (config.start, config.variant, config.residual_offsets) == ("light", "light", False)
    assert not network_of(config).residual_offsets


def test_the_command_line_says_it_in_a_line(tmp_path, capfd):
    images.write(tmp_path / "lr.png", np.zeros((8, 8, 3), np.uint8))
    arguments = ["upscale", "-i", f"{tmp_path}/lr.png", "-o", f"{tmp_path}/sr.png"]
    with pytest.MonkeyPatch.context() as patch, pytest.warns(RenamedWarning) as caught:
        patch.setattr("warnings.formatwarning", None)  # the command line sets its own
        assert main([*arguments, "--model", "light-integer"]) == 0
        import warnings

        (warning,) = caught
        line = warnings.formatwarning(warning.message, warning.category, warning.filename, warning.lineno)
    assert line == f"c2m-tf: {SAID}; the old name goes in the next version\n"
    assert capfd.readouterr().err == ""
