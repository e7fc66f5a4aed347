"""What would be pushed loads again, and says what it is."""

import keras
import numpy as np
import pytest
import yaml
from tiny_models import equal, tiny_mobile

from c2m_tf import C2Matching
from c2m_tf.cli import main
from c2m_tf.presets import load_model
from c2m_tf.weights.publishing import model_card, write_folder


def test_the_folder_that_would_be_pushed_loads_again(tiny, tmp_path):
    write_folder(tiny, tmp_path / "hub", model_card(tiny, "runs/mine/best.keras", "hf://me/mine"))
    for loaded in (C2Matching.from_preset(tmp_path / "hub"), keras.saving.load_model(tmp_path / "hub")):
        assert loaded.arguments == tiny.arguments
        for found, expected in zip(loaded.get_weights(), tiny.get_weights(), strict=True):
            np.testing.assert_array_equal(found, expected)
    _, front, text = (tmp_path / "hub/README.md").read_text().split("---\n", 2)
    assert yaml.safe_load(front)["library_name"] == "keras"
    assert 'Upscaler.from_preset("hf://me/mine")' in text
    assert f"{tiny.count_params():,} parameters" in text
    assert "Not stated" in text


def test_the_card_of_a_preset_has_its_licence(tiny):
    assert "For research, teaching and evaluation only" in model_card(tiny, "light", "folder")
    card = model_card(tiny_mobile(), "mobile", "folder")
    assert "CC BY 4.0" in card
    assert "research" not in card


def test_a_mobile_network_is_pushed_too(tmp_path):
    network = tiny_mobile()
    write_folder(network, tmp_path / "hub", model_card(network, "runs/mine/best.keras", "hf://me/mine"))
    assert equal(load_model(tmp_path / "hub"), network)


@pytest.mark.parametrize("target", ["hf://name", "hf://a/b/c", "hf://a b/c", "{}"])
def test_targets_that_are_none_are_refused_before_the_model_is_loaded(tmp_path, capsys, target):
    (tmp_path / "thesis.txt").write_text("mine")
    assert main(["push", "--model", "none such", target.format(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert "hf://USER/NAME" in error
    assert error.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
