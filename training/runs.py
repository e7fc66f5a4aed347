"""Run folders: everything that a run writes and resumes from.

    config.yaml        the config with every key
    versions.json      of Python and of the packages that matter
    log.csv            one line per `log_every` iterations
    events.out...      the same, and pictures, for TensorBoard
    state.weights.h5   the whole trainer: networks, optimizers, averages; what a run resumes from
    best.*, last.*     what the stage makes: .weights.h5 of extractors or .keras of a C2Matching model
    validation/        pairs made of the photos that were held back, if validation needs them

Files appear complete or not at all, so that a crash or a full disk leaves the last good ones.
"""

import csv
import io
import json
import os
import platform
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml

from c2m_tf.photos import images
from c2m_tf.photos.files import remove_left_over, replacing
from c2m_tf.photos.images import check_writable, write_atomically
from c2m_tf.startup import first_line, one_line, processor_features, processor_name, usable_cores

from .config import as_yaml, parsed_yaml, without_distribution

if TYPE_CHECKING:
    import keras

_PACKAGES = ("c2m-tf", "tensorflow", "jax", "keras", "numpy", "pillow", "scikit-image")
_CONFIG = "config.yaml"
_STATE = "state.weights.h5"
_BEFORE_TRAINING = (_CONFIG, "versions.json", "log.csv", "validation")
_PRODUCTS = tuple(f"{name}{suffix}" for name in ("best", "last") for suffix in (".weights.h5", ".keras"))
# They change where photos lie, how often is written and how many threads read, and nothing of what is trained.
_FREE_KEYS = (("root",), ("log_every",), ("save_every",), ("data", "workers"))

_NOT_CURVES = ("iteration", "seconds_per_iteration")


class RunError(ValueError):
    """A run that cannot start; nothing has been trained."""


class RunFailedError(RuntimeError):
    """A run that cannot continue; the message gives the reason and what was kept."""


class Run:
    """The folder of a run, made if it is missing.

    Args:
        folder: run folder.
        stage: stage name.
        config: the config; a folder that holds a run resumes only under the same one, except for `_FREE_KEYS`.
        writes: False for a process of several that leaves the writing to another.

    Raises:
        RunError: the folder holds a run of another config, or cannot be written.
    """

    def __init__(self, folder: str | os.PathLike, stage: str, config: Any, writes: bool = True) -> None:
        check_run(folder, stage, config)
        self.writes = writes
        self.folder = Path(folder)
        self.state = state_of(folder)
        if writes:
            images.make_folder(folder)
            remove_left_over(self.folder / name for name in (*_BEFORE_TRAINING, _STATE, *_PRODUCTS))
            self._write_text(_CONFIG, as_yaml(without_distribution(config)))
            self._write_text("versions.json", json.dumps(_versions(), indent=2))
        self.rows = read_log(self.folder)

    def write_log(self, row: dict[str, Any]) -> None:
        """Adds a line to log.csv; the first line's keys and those that follow make the header."""
        self.rows.append(row)
        if not self.writes:
            return
        names = list(dict.fromkeys(name for line in self.rows for name in line))
        text = io.StringIO()
        writer = csv.DictWriter(text, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        try:
            self._write_text("log.csv", text.getvalue())
        except images.ImageError as error:
            raise RunFailedError(str(error)) from error

    def forget_after(self, iteration: int) -> None:
        """Drops log lines of iterations that a resumed run will do again."""
        self.rows = [row for row in self.rows if int(row["iteration"]) <= iteration]

    def best(self, figure: str) -> float | None:
        """Highest value of a validation figure so far, None if there is none."""
        values = [float(row[figure]) for row in self.rows if row.get(figure) not in (None, "")]
        return max(values, default=None)

    def load_state(self, trainer: "keras.Model") -> None:
        """Gives a trainer the state that the run stands at.

        Raises:
            RunError: the file is damaged or of another trainer.
        """
        try:
            trainer.load_weights(self.state)
        except Exception as error:  # a damaged file may raise anything: what zip, HDF5 and Keras raise on bytes of any kind
            raise RunError(
                f"{self.state} cannot be loaded ({first_line(error)}); restore it, or delete it to begin again"
            ) from error

    def save_weights(self, model: "keras.Model", name: str = _STATE) -> None:
        """Writes weights, the optimizer's included, to a file of that name; the older one stays until all is written."""
        self._replace(name, model.save_weights)

    def save_model(self, model: "keras.Model", name: str) -> None:
        """Writes a model to a file of that name, in the same manner."""
        self._replace(name, model.save)

    def _replace(self, name: str, save: Callable[[Path], None]) -> None:
        if not self.writes:
            return
        target = self.folder / name
        try:
            with replacing(target) as temporary:
                save(temporary)
        except (OSError, RuntimeError, ValueError) as error:
            left = f"; the one written before is intact: {target}" if target.exists() else ""
            raise RunFailedError(f"cannot write {target}: {' '.join(str(error).split())}{left}") from error

    def _write_text(self, name: str, text: str) -> None:
        images.write_atomically(self.folder / name, lambda file: file.write(text.encode()))


def state_of(folder: str | os.PathLike) -> Path:
    """The file that the run of a folder resumes from, if it exists."""
    return Path(folder) / _STATE


def check_run(folder: str | os.PathLike, stage: str, config: Any) -> None:
    """Raises ValueError if a run of this config can neither begin nor resume in the folder, which need not exist."""
    check_run_folder(folder)
    described = Path(folder) / _CONFIG
    if described.exists():
        _check_same(described, stage, config)


def check_run_folder(folder: str | os.PathLike) -> None:
    """Raises ValueError if no run can be written to the folder, which need not exist, or it holds something else."""
    folder = Path(folder)
    images.check_folder(folder)
    if folder.is_dir() and not (folder / _CONFIG).exists():
        unknown = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
        if unknown:
            raise RunError(f"{folder} holds {unknown[0]} but no run; give an empty or a new folder")


def read_log(folder: str | os.PathLike) -> list[dict[str, str]]:
    """The lines of a run folder's log.csv; none if there is no such file.

    Returns:
        {column: text} each, "" for nothing; the column iteration holds an integer, all others numbers.

    Raises:
        RunError: the file is damaged.
    """
    path = Path(folder) / "log.csv"
    if not path.exists():
        return []
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        for row in rows:
            int(row["iteration"])
            for name, value in row.items():
                float(value or 0)
                row[name] = value or ""
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
        raise RunError(f"{path} is no log of a run ({one_line(error)}); restore it, or delete it") from error
    return rows


def _check_same(described: Path, stage: str, config: Any) -> None:
    try:
        old = parsed_yaml(described.read_bytes())
    except (OSError, ValueError) as error:
        raise RunError(f"{described} cannot be read ({one_line(error)}); restore it, or give another folder") from error
    if not isinstance(old, dict):
        raise RunError(f"{described} holds no keys; restore it, or give another folder")
    new = yaml.safe_load(as_yaml(without_distribution(config)))
    if old.keys() == new.keys() and not _has_begun(described.parent):
        return  # a run that failed before it trained, of a recipe that has been corrected
    old, new = _without_free_keys(old), _without_free_keys(new)
    keys = sorted(str(key) for key in old.keys() | new.keys() if old.get(key) != new.get(key))
    if keys:
        raise RunError(
            f"{described.parent} holds a {stage} run of another config (it differs in {', '.join(keys)}); give another folder"
        )


def _has_begun(folder: Path) -> bool:
    """Whether a run folder holds more than what is written before training, events of its log aside."""
    return any(path.name not in _BEFORE_TRAINING and not path.name.startswith((".", "events.")) for path in folder.iterdir())


def _without_free_keys(values: dict[str, Any]) -> dict[str, Any]:
    values = {key: dict(value) if isinstance(value, dict) else value for key, value in values.items()}
    for *sections, last in _FREE_KEYS:
        section: Any = values
        for name in sections:
            section = section.get(name) if isinstance(section.get(name), dict) else {}
        section.pop(last, None)
    return values


def _versions() -> dict[str, Any]:
    import keras  # a run is checked without it

    versions = {"python": platform.python_version(), "machine": platform.machine(), "backend": keras.backend.backend()}
    versions |= {"processor": processor_name(), "features": list(processor_features()), "cores": usable_cores()}
    for package in _PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = None
    return versions


def plot(folder: str | os.PathLike, output: str | os.PathLike | None = None) -> Path:
    """Draws every column of log.csv against the iteration.

    Args:
        folder: run folder.
        output: .png to write; by default curves.png in the run folder.

    Returns:
        Path written.

    Raises:
        RunError: no log in the folder, nothing in it yet, or a damaged one.
        ImageError: the output cannot be written.
    """
    log = Path(folder) / "log.csv"
    if not log.is_file():
        raise RunError(f"{folder} holds no log.csv; give the folder of a run")
    rows = read_log(folder)
    if not rows:
        raise RunError(f"{log} has no lines yet; wait for the first log_every iterations")
    names = [name for name in rows[0] if name not in _NOT_CURVES]
    if not names:
        raise RunError(f"{log} has no column to draw; restore it")
    output = Path(output) if output is not None else Path(folder) / "curves.png"
    if output.suffix.lower() != ".png":
        raise RunError(f"{output}: curves are drawn as PNG; name it so")
    check_writable(output)

    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    columns = min(3, len(names))
    lines = -(-len(names) // columns)
    figure, axes = pyplot.subplots(lines, columns, figsize=(4.5 * columns, 3 * lines), squeeze=False, layout="constrained")
    for axis in axes.flat[len(names) :]:
        axis.remove()
    for name, axis in zip(names, axes.flat, strict=False):
        points = [(int(row["iteration"]), float(row[name])) for row in rows if row[name] != ""]
        axis.plot(*np.reshape(points, (-1, 2)).T, marker="." if len(points) < 50 else "", linewidth=1)
        axis.set_title(name.replace("_", " "))
        axis.set_xlabel("iteration")
        axis.grid(alpha=0.3)
    write_atomically(output, lambda file: figure.savefig(file, format="png", dpi=100))
    pyplot.close(figure)
    return output
