"""The wheel works without the checkout: all commands, with its own weights and recipes."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from training_data import make

from c2m_tf.photos import images

ROOT = Path(__file__).parents[1]

# What reads weights, recipes and int8 weights, in one process.
SCRIPT = """
import sys
import c2m_tf, c2m_tf.training
print(c2m_tf.__file__, c2m_tf.training.__file__)
from c2m_tf.cli import main
assert main(["upscale", "-i", "lr.png", "-r", "ref.png", "-o", "sr.png"]) == 0
settings = [f"root={sys.argv[1]}", "iterations=2", "validation=null"]
arguments = ["train", "teacher", "--config", "smoke/teacher", "--output", "run"]
assert main([*arguments, *(part for setting in settings for part in ("--set", setting))]) == 0
from c2m_tf.export.quantization import load_quantized, quantized_preset
assert load_quantized(quantized_preset("light")).built
"""


def run(*command, **options):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=900, **options)
    assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-2000:]
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Built from a copy, so that the checkout stays as it is."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for name in ("c2m_tf", "training", "export"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE", "LICENSE-WEIGHTS.md"):
        shutil.copy(ROOT / name, source)
    run(sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index", "-w", folder, source)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def environment(wheel, tmp_path_factory):
    """bin/ of a new environment that holds the wheel; other packages are those of this one."""
    folder = tmp_path_factory.mktemp("environment")
    run(sys.executable, "-m", "venv", "--without-pip", folder)
    run(sys.executable, "-m", "pip", "--python", folder / "bin/python", "install", "--no-deps", "--no-index", wheel)
    others = [path for path in sys.path if path.endswith("site-packages")]
    next(folder.glob("lib/python*/site-packages")).joinpath("others.pth").write_text("\n".join(others))
    return folder / "bin"


def test_everything_that_is_read_is_in_the_wheel(wheel):
    with zipfile.ZipFile(wheel) as file:
        names = set(file.namelist())
        metadata = next(file.read(name).decode() for name in names if name.endswith("METADATA"))
    for folder, installed in (("c2m_tf", "c2m_tf"), ("training", "c2m_tf/training"), ("export", "c2m_tf/export")):
        for path in (ROOT / folder).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                assert f"{installed}/{path.relative_to(ROOT / folder).as_posix()}" in names
    assert "Classifier: Typing :: Typed" in metadata
    assert "Author: c2m-tf contributors" in metadata


def test_commands_of_the_wheel_work_without_the_checkout(environment, tmp_path):
    work = tmp_path / "work"
    work.mkdir()
    clean = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    options = {"cwd": work, "env": clean}
    random = np.random.default_rng(0)
    images.write(work / "lr.png", random.random((8, 8, 3)))
    images.write(work / "ref.png", random.random((32, 32, 3)))
    assert "upscale" in run(environment / "c2m-tf", "--help", **options)

    places, *output = run(environment / "python", "-c", SCRIPT, make(tmp_path / "root"), **options).splitlines()
    assert all(path.startswith(str(environment.parent)) for path in places.split())
    assert images.read(work / "sr.png").rgb.shape == (32, 32, 3)
    assert "is finished: 2 iterations" in "\n".join(output)
    assert (work / "run/last.weights.h5").exists()
