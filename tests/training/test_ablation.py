"""The ablation: four networks that differ in one part each, compared in a table and a sheet."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from c2m_tf.training.config import ConfigError, read_config
from c2m_tf.training.matching import Extractors
from c2m_tf.training.starts import vgg_extractors
from training_data import make

from c2m_tf import C2Matching
from c2m_tf.cli import main
from c2m_tf.network.matching import bordered
from c2m_tf.network.warping import warp_offsets
from c2m_tf.photos import images
from c2m_tf.presets import load_model

RECIPES = Path(__file__).parents[2] / "training/recipes/ablation"
RUNS = ("teacher", "contrast-extractors", "student", "baseline", "aggregation", "contrast", "distillation")


def small_recipes(folder, root):
    """The recipes that ship, on the test's photos and cut to two steps."""
    folder.mkdir()
    for path in RECIPES.glob("*.yaml"):
        values = yaml.safe_load(path.read_text())
        values |= {"iterations": 2, "batch_size": 1, "root": str(root), "log_every": 2, "save_every": 2}
        values["data"]["sources"] = [{"kind": "single", "folder": "data/single", "held_back": 1}]
        values["validation"] |= {"every": 2}
        if "pairs" in values["validation"]:
            values["validation"]["pairs"] = "data/pairs"
            values["data"] |= {"lr_size": 8, "ref_size": 32}
        else:
            values["validation"]["photos"] = 1
        (folder / path.name).write_text(yaml.safe_dump(values))
    return folder


@pytest.mark.slow
def test_the_ablation_trains_its_runs_and_compares_the_four(tmp_path, capsys):
    root = make(tmp_path / "root")
    recipes, output = small_recipes(tmp_path / "recipes", root), tmp_path / "runs"
    arguments = ["train", "ablation", "--config", f"{recipes}", "--output", f"{output}"]
    assert main(arguments) == 0, capsys.readouterr().err
    assert {path.name for path in output.iterdir()} == {*RUNS, "table.md", "report.json", "sheet.png"}
    report = json.loads((output / "report.json").read_text())
    assert list(report["systems"]) == ["bicubic", "baseline", "aggregation", "contrast", "distillation"]
    table = (output / "table.md").read_text()
    assert table == capsys.readouterr().out
    assert "| + distillation |" in table
    assert "Seed 10." in table
    assert images.read(output / "sheet.png").rgb.std() > 0.05

    # Baseline and aggregation match by VGG's features as they are, the other two by those of their runs.
    matched = {name: report["systems"][name]["mean"]["matched_degraded"] for name in report["systems"] if name != "bicubic"}
    assert matched["baseline"] == matched["aggregation"]
    models = {name: load_model(output / name / "last.keras") for name in RUNS[3:]}
    assert [models[name].variant for name in RUNS[3:]] == ["light-warp", "light", "light", "light"]
    config = read_config("restoration", recipes / "baseline.yaml")
    starts = {"baseline": vgg_extractors(config), "aggregation": vgg_extractors(config)}
    for name, run in (("contrast", "contrast-extractors"), ("distillation", "student")):
        starts[name] = Extractors()
        starts[name].load_weights(output / run / "best.weights.h5")
    for name, start in starts.items():
        for ours, theirs in zip(models[name].extractor_lr.get_weights(), start.extractor_lr.get_weights(), strict=True):
            np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_recipes_of_the_four_differ_in_their_piece_alone():
    configs = {name: yaml.safe_load((RECIPES / f"{name}.yaml").read_text()) for name in RUNS[3:]}
    for name, config in configs.items():
        read_config("restoration", f"ablation/{name}")
        for key in ("variant", "extractors"):
            config.pop(key)
    assert all(config == configs["baseline"] for config in configs.values())
    student, alone = (yaml.safe_load((RECIPES / f"{name}.yaml").read_text()) for name in ("student", "contrast-extractors"))
    assert alone.pop("teacher") is None
    student.pop("teacher")
    assert student == alone


def test_warped_features_are_those_that_the_flow_points_to(rng):
    """With a kernel that copies the middle tap, the layer gives the reference moved by the flow."""
    model = C2Matching.light(flow_warping=True)
    layer = model.restoration.get_layer("medium")
    kernel = np.zeros(layer.deform_conv.kernel.shape, np.float32)
    kernel[1, 1] = np.eye(128)
    layer.deform_conv.kernel.assign(2.0 * kernel)  # masks are 0.5
    reference = rng.random((1, 20, 24, 128), np.float32)
    flow = np.zeros((1, 6, 7, 2), np.float32)
    flow[..., 0], flow[..., 1] = 2, -1  # cells; two pixels each at this level
    sampled = layer(np.zeros((1, 12, 14, 64), np.float32), reference, bordered(flow))
    np.testing.assert_allclose(sampled[0, 2:, 4:], reference[0, 6:16, 2:12], atol=1e-6)


def test_taps_follow_the_flow_of_their_neighbours(rng):
    flow = rng.integers(-5, 6, (1, 6, 7, 2)).astype(np.float32)
    offsets = np.asarray(warp_offsets(bordered(flow), 2))
    assert offsets.shape == (1, 12, 14, 9, 2)
    np.testing.assert_array_equal(offsets[0, 4, 6, 4], 2 * flow[0, 1, 2])
    np.testing.assert_array_equal(offsets[0, 4, 6, 0], offsets[0, 3, 5, 4])
    np.testing.assert_array_equal(offsets[0, 4, 6, 8], offsets[0, 5, 7, 4])
    np.testing.assert_array_equal(offsets[0, 11, 13, 8], offsets[0, 11, 13, 4])


def test_recipes_that_cannot_be_compared_are_refused_before_training(tmp_path, capsys):
    root = make(tmp_path / "root")
    recipes = small_recipes(tmp_path / "recipes", root)
    arguments = ["train", "ablation", "--config", f"{recipes}", "--output", f"{tmp_path}/runs"]
    (recipes / "contrast.yaml").write_text((recipes / "contrast.yaml").read_text().replace("data/pairs", "data/single"))
    assert main(arguments) == 2
    assert "need the same validation.pairs" in capsys.readouterr().err
    (recipes / "contrast.yaml").unlink()
    assert main(arguments) == 2
    assert "contrast.yaml cannot be read" in capsys.readouterr().err
    assert not list((tmp_path / "runs").iterdir())
    with pytest.raises(ConfigError, match="is no file and no recipe"):
        read_config("restoration", "ablation/none")
