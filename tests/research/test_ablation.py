"""The ablation: four networks that differ in one part each, compared in a table and a sheet."""

import json

import ablation
import numpy as np
import pytest
import yaml
from c2m_tf.training.config import ConfigError, read_config
from c2m_tf.training.starts import vgg_extractors
from c2m_tf.training.trainers import Extractors
from training_data import make

from c2m_tf.photos import images
from c2m_tf.presets import load_model

RECIPES = ablation.RECIPES
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
    ablation.main(["--recipes", f"{recipes}", "--output", f"{output}"])
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
        read_config("restoration", RECIPES / f"{name}.yaml")
        for key in ("variant", "extractors"):
            config.pop(key)
    assert all(config == configs["baseline"] for config in configs.values())
    student, alone = (yaml.safe_load((RECIPES / f"{name}.yaml").read_text()) for name in ("student", "contrast-extractors"))
    assert alone.pop("teacher") is None
    student.pop("teacher")
    assert student == alone


def test_recipes_that_cannot_be_compared_are_refused_before_training(tmp_path):
    root = make(tmp_path / "root")
    recipes = small_recipes(tmp_path / "recipes", root)
    arguments = ["--recipes", f"{recipes}", "--output", f"{tmp_path}/runs"]
    (recipes / "contrast.yaml").write_text((recipes / "contrast.yaml").read_text().replace("data/pairs", "data/single"))
    with pytest.raises(ConfigError, match=r"need the same validation\.pairs"):
        ablation.main(arguments)
    (recipes / "contrast.yaml").unlink()
    with pytest.raises(ConfigError, match=r"contrast\.yaml cannot be read"):
        ablation.main(arguments)
    assert not list((tmp_path / "runs").iterdir())
