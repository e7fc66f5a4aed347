"""Recipes: valid keys, and messages about invalid ones."""

from pathlib import Path

import pytest
from c2m_tf.training.config import STAGES, ConfigError, as_yaml, make_config, read_config, recipe_names

from c2m_tf.commands import train

RECIPES = sorted((Path(__file__).parents[2] / "training/recipes").glob("*/*.yaml"))
MINIMAL = {
    "iterations": 10,
    "batch_size": 2,
    "optimizer": {"learning_rate": "1e-4"},
    "data": {"sources": [{"kind": "single", "folder": "photos"}]},
}


def stage_of(recipe):
    """The stage that a recipe's header runs."""
    return recipe.read_text().split("c2m-tf train ", 1)[1].split()[0]


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_recipe_is_valid_and_says_how_long_it_takes(recipe):
    config = read_config(stage_of(recipe), recipe)
    assert isinstance(config, STAGES[stage_of(recipe)])
    header = "".join(line for line in recipe.read_text().splitlines(keepends=True) if line.startswith("#"))
    assert f"--config {recipe.parent.name}/{recipe.stem} " in header
    assert "Time:" in header


def test_recipes_are_found_by_name():
    assert recipe_names() == sorted(f"{path.parent.name}/{path.stem}" for path in RECIPES)
    recipe = read_config("restoration", "published/restoration")
    assert recipe == read_config("restoration", Path(__file__).parents[2] / "training/recipes/published/restoration.yaml")
    with pytest.raises(ConfigError, match=r"no recipe that ships; recipes are cpu/descriptors, cpu/finish, .*cpu/light, "):
        read_config("restoration", "published/everything")


def test_the_command_line_knows_every_stage():
    assert list(train.STAGES) == list(STAGES)


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_configs_round_trip_through_yaml(recipe, tmp_path):
    config = read_config(stage_of(recipe), recipe)
    (tmp_path / "config.yaml").write_text(as_yaml(config))
    assert read_config(stage_of(recipe), tmp_path / "config.yaml") == config


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"iteratons": 3}, "unknown key iteratons; did you mean iterations?"),
        ({"lr": 3}, "unknown key lr; known are iterations, batch_size, optimizer,"),
        ({"optimizer": {"lr": 1}}, "unknown key optimizer.lr; known are learning_rate, factors, warmup,"),
        ({"optimizer": {"learning_rate": 1, "warm_up": 3}}, "unknown key optimizer.warm_up; did you mean optimizer.warmup?"),
        ({"data": {"sources": [{"kind": "single", "folder": "x", "wieght": 1}]}}, "did you mean data.sources.weight?"),
        ({"iterations": "many"}, "iterations: input should be a valid integer"),
        ({"iterations": 0}, "iterations: input should be greater than 0"),
        (
            {"data": {"sources": [{"kind": "movie", "folder": "x"}]}},
            "data.sources.0.kind: input should be 'cufed', 'multiview'",
        ),
        ({"data": {"sources": []}}, "data.sources: tuple should have at least 1 item"),
        ({"optimizer": {}}, "key optimizer.learning_rate is missing"),
    ],
)
def test_invalid_configs_name_the_key(change, words):
    with pytest.raises(ConfigError) as error:
        make_config("teacher", MINIMAL | change, "recipe.yaml")
    assert str(error.value).startswith("recipe.yaml: ")
    assert words in str(error.value)


def test_settings_override_the_file(tmp_path):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        "iterations: 5\nbatch_size: 2\noptimizer: {learning_rate: 1e-3}\ndata: {sources: [{kind: single, folder: a}]}"
    )
    settings = ["iterations=7", "data.sources.0.folder=b", "optimizer.milestones=[3, 5]"]
    config = read_config("teacher", recipe, settings)
    assert config.iterations == 7
    assert config.data.sources[0].folder == "b"
    assert config.optimizer.milestones == (3, 5)
    assert config.optimizer.learning_rate == 1e-3


@pytest.mark.parametrize("setting", ["iterations", "=3", "data.sources.4.folder=b", "iterations.deep=3", "seed=[1"])
def test_wrong_settings_are_refused(setting, tmp_path):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("iterations: 5\ndata: {sources: [{kind: single, folder: a}]}")
    with pytest.raises(ConfigError, match="--set"):
        read_config("teacher", recipe, [setting])


@pytest.mark.parametrize("text", ["[1, 2", "just words", ""])
def test_files_that_hold_no_keys_are_refused(text, tmp_path):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(text)
    with pytest.raises(ConfigError, match=r"recipe\.yaml"):
        read_config("teacher", recipe)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_config("teacher", tmp_path / "nowhere.yaml")


def test_keys_given_twice_are_refused(tmp_path):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("iterations: 5\noptimizer: {learning_rate: 1}\niterations: 7\n")
    with pytest.raises(ConfigError, match="the key iterations is given twice"):
        read_config("teacher", recipe)
    recipe.write_text("iterations: 5\noptimizer: {learning_rate: 1, learning_rate: 2}\n")
    with pytest.raises(ConfigError, match="the key learning_rate is given twice"):
        read_config("teacher", recipe)
    with pytest.raises(ConfigError, match="--set seed is given twice"):
        read_config("restoration", "published/restoration", ["seed=1", "iterations=5", "seed=2"])


def test_paths_of_recipes_may_begin_with_the_home_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", f"{tmp_path}")
    values = {**MINIMAL, "root": f"file://{tmp_path}", "data": {"sources": [{"kind": "single", "folder": "~/photos"}]}}
    config = make_config("teacher", values)
    assert (config.root, config.data.sources[0].folder) == (f"{tmp_path}", f"{tmp_path}/photos")
