"""Recipes: YAML files that are validated into the classes of `config_keys`.

Unknown keys and values of the wrong type are errors that name the key and the closest valid one of the same level.
"""

import dataclasses
import difflib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import TypeAdapter, ValidationError

from c2m_tf.photos.files import local_path
from c2m_tf.presets import check_model, current_name, warn_renamed
from c2m_tf.startup import one_line

from .config_keys import STAGES

_RECIPES = Path(__file__).parent / "recipes"


class ConfigError(ValueError):
    """A recipe that cannot be used; the message names the key."""


def recipe_names() -> list[str]:
    """Names of the recipes that ship with the package."""
    return sorted(path.relative_to(_RECIPES).with_suffix("").as_posix() for path in _RECIPES.glob("*/*.yaml"))


def find_recipe(recipe: str | os.PathLike) -> Path:
    """The file of a recipe: a file of that path, or the recipe of that name that ships with the package.

    Raises:
        ConfigError: there is none; the message names those that ship.
    """
    path = Path(recipe)
    if path.is_file() or path.suffix in (".yaml", ".yml"):
        return path
    if str(recipe) in recipe_names():
        return _RECIPES / f"{recipe}.yaml"
    raise ConfigError(f"config {recipe} is no file and no recipe that ships; recipes are {', '.join(recipe_names())}")


def read_config(stage: str, recipe: str | os.PathLike, settings: Sequence[str] = ()) -> Any:
    """The config of a stage from a recipe.

    Args:
        stage: a key of `STAGES`.
        recipe: YAML file, or name of a recipe that ships with the package, e.g. "published/restoration".
        settings: "key=value" each, overriding a key of the recipe. Nested keys are joined by dots, elements of lists are
            numbers ("data.sources.0.folder=photos"); values are YAML.

    Returns:
        An instance of the stage's class.

    Raises:
        ConfigError: no such recipe, no YAML, unknown or missing keys, values of the wrong type or range.
    """
    path = find_recipe(recipe)
    try:
        values = parsed_yaml(path.read_bytes())
    except OSError as error:
        raise ConfigError(f"config {path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ConfigError(f"config {path} is not YAML: {error}") from error
    if not isinstance(values, dict):
        raise ConfigError(f"config {path} holds no keys; expected are lines such as iterations: 5000")
    keys = [setting.partition("=")[0] for setting in settings]
    twice = next((key for key in keys if keys.count(key) > 1), None)
    if twice is not None:
        raise ConfigError(f"--set {twice} is given twice; give it once")
    for setting in settings:
        _apply(values, setting)
    return make_config(stage, values, str(path))


def make_config(stage: str, values: dict, origin: str = "config") -> Any:
    """The config of a stage from plain values; raises ConfigError as `read_config` does."""
    values = _with_paths(values)
    if values.get("variant") == "light-integer":
        warn_renamed("variant light-integer", "variant light with residual_offsets: false")
        values = {**values, "variant": "light", "residual_offsets": False}
    if isinstance(values.get("start"), str):
        values = {**values, "start": current_name(values["start"])}
    try:
        return TypeAdapter(STAGES[stage]).validate_python(values)
    except ValidationError as error:
        errors = error.errors(include_url=False)
        # A list whose only entry is wrong is reported as too short besides.
        errors = [fault for fault in errors if fault["type"] != "too_short" or len(errors) == 1]
        faults = [_fault(STAGES[stage], fault) for fault in errors]
        raise ConfigError(f"{origin}: {'; '.join(faults)}") from error


def as_yaml(config: Any) -> str:
    """The config with every key, as a YAML file that `read_config` reads back equal."""
    return yaml.safe_dump(TypeAdapter(type(config)).dump_python(config, mode="json"), sort_keys=False, width=120)


def without_distribution(config: Any) -> Any:
    """The config without the settings of its processes, which may be others when a run resumes; some runs have none."""
    return dataclasses.replace(config, distributed=None) if hasattr(config, "distributed") else config


def rooted(config: Any, path: str) -> Path:
    """A path of data as the config means it: relative ones start from `root`."""
    return Path(config.root) / path


def check_files(config: Any) -> None:
    """Raises ConfigError if a file or folder that a config names is not there; what is in them is not looked at."""
    data, validation = config.data, getattr(config, "validation", None)
    folders = [source.folder for source in getattr(data, "sources", ())] + list(getattr(data, "photos", ()))
    folders += [folder for folder in (getattr(data, "teacher", None), getattr(validation, "pairs", None)) if folder]
    for folder in folders:
        if not rooted(config, folder).is_dir():
            raise ConfigError(f"{rooted(config, folder)} is not a folder; expected is a folder of photos")
    if getattr(config, "start", None) is not None:
        check_model(config.start)
    for key in ("teacher", "extractors", "trunk", "branch", "descriptors"):
        file = getattr(config, key, None)
        if file not in (None, "vgg") and not Path(file).is_file():
            raise ConfigError(f"{key}: {file} does not exist")


def parsed_yaml(text: str | bytes) -> Any:
    """The plain values of YAML, paths with ~ and URLs of local files among them as paths.

    Raises:
        ValueError: it is not YAML, a key is given twice, or Python has no such value: dates that do not exist, lists that hold
            themselves.
    """
    try:
        return _with_paths(yaml.load(text, _Loader))
    except Exception as error:  # what PyYAML makes of odd values raises anything
        raise ValueError(one_line(error)) from error


class _Loader(yaml.SafeLoader):
    """YAML in which a key given twice is an error; PyYAML keeps the last without a word."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict:
        keys = [key.value for key, _ in node.value]
        twice = next((key for key, _ in node.value if keys.count(key.value) > 1), None)
        if twice is not None:
            raise yaml.constructor.ConstructorError(None, None, f"the key {twice.value} is given twice", twice.start_mark)
        return super().construct_mapping(node, deep)


def _with_paths(values: Any) -> Any:
    """The values with ~ and URLs of local files as paths."""
    if isinstance(values, dict):
        return {key: _with_paths(value) for key, value in values.items()}
    if isinstance(values, list):
        return [_with_paths(value) for value in values]
    return local_path(values) if isinstance(values, str) else values


def _apply(values: dict[str, Any], setting: str) -> None:
    keys, equals, text = setting.partition("=")
    if not equals or not keys:
        raise ConfigError(f"--set {setting}: expected is key=value, e.g. optimizer.learning_rate=1e-4")
    *sections, last = keys.split(".")
    place = values
    for section in sections:
        place = _step(place, section, setting)
    try:
        value = parsed_yaml(text)
    except ValueError as error:
        raise ConfigError(f"--set {setting}: the value is not YAML") from error
    if not isinstance(place, dict):
        _step(place, last, setting)
        last = int(last)
    place[last] = value


def _step(place: Any, key: str, setting: str) -> Any:
    if isinstance(place, dict):
        if place.get(key) is None:
            place[key] = {}
        place = place[key]
    elif isinstance(place, list) and key.isdecimal() and int(key) < len(place):
        place = place[int(key)]
    else:
        raise ConfigError(f"--set {setting}: there is no {key} to set")
    return place


def _fault(cls, fault: Mapping[str, Any]) -> str:
    location = [part for part in fault["loc"] if isinstance(part, int) or not part.startswith("function-")]
    key = ".".join(str(part) for part in location)
    if fault["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
        *section, name = [part for part in location if isinstance(part, str)]
        prefix = "".join(f"{part}." for part in section)
        known = [other.removeprefix(prefix) for other in _keys(cls) if other.startswith(prefix)]
        known = [other for other in known if "." not in other]  # of the same level
        near = difflib.get_close_matches(name, known, n=1)
        return f"unknown key {key}; " + (f"did you mean {prefix}{near[0]}?" if near else f"known are {', '.join(known)}")
    if fault["type"] in ("missing", "missing_argument"):
        return f"key {key} is missing"
    return f"{key}: {fault['msg'][0].lower()}{fault['msg'][1:]}, got {fault['input']!r}"


def _keys(cls, prefix: str = "") -> list[str]:
    """Dotted names of all keys of a config class, sections included."""
    keys = []
    for field in dataclasses.fields(cls):
        keys.append(prefix + field.name)
        for section in _sections(field.type):
            keys += _keys(section, f"{prefix}{field.name}.")
    return keys


def _sections(kind: Any) -> list[Any]:
    """Config classes that stand in a type, however deep."""
    if dataclasses.is_dataclass(kind):
        return [kind]
    return [section for part in get_args(kind) for section in _sections(part)]
