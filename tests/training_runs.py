"""Smoke runs on the command line, and what they leave behind."""

import csv
from pathlib import Path

import h5py

from c2m_tf.cli import main

SMOKE = Path(__file__).parents[1] / "training/recipes/smoke"


def training(arguments):
    """Runs c2m-tf train; returns the exit code."""
    return main(["train", *arguments])


def command(stage, root, output, *settings):
    """Arguments of a smoke run."""
    arguments = [stage, "--config", f"{SMOKE / stage}.yaml", "--output", f"{output}", "--set", f"root={root}"]
    return [*arguments, *(part for setting in settings for part in ("--set", setting))]


def rows(folder):
    with (folder / "log.csv").open() as file:
        return list(csv.DictReader(file))


def arrays(path):
    """Every number in a weights file, by name."""
    found = {}
    with h5py.File(path) as file:
        file.visititems(lambda name, item: found.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None)
    return found
