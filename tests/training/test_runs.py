"""Runs: end to end through the command line, resumed, stopped, broken off."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from c2m_tf.training.config import read_config
from c2m_tf.training.runs import Run
from tiny_models import tiny_mobile, tiny_model
from training_data import make
from training_runs import SMOKE, arrays, command, rows, training

from c2m_tf.cli import main as c2m_tf
from c2m_tf.network.features import STEM_CHANNELS
from c2m_tf.photos import images

ROOT = Path(__file__).parents[2]


@pytest.fixture
def root(tmp_path):
    return make(tmp_path / "root")


def test_every_stage_through_the_command_line(root, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    stages = ("teacher", "student", "trunk", "restoration", "adversarial", "descriptors", "mobile")
    runs = {stage: tmp_path / f"runs/smoke-{stage}" for stage in stages}
    # Small networks of the smoke student's extractors, in place of published ones.
    tiny_model(stem_channels=STEM_CHANNELS).save("tiny.keras")
    tiny_mobile().save("mobile.keras")
    starts = {"trunk": "tiny.keras", "restoration": "tiny.keras", "descriptors": "mobile.keras"}
    for stage, folder in runs.items():
        settings = [f"start={starts[stage]}"] if stage in starts else []
        settings += ["variant=null"] if stage == "restoration" else []
        assert training(command(stage, root, folder, *settings)) == 0, capsys.readouterr().err
        assert [row["iteration"] for row in rows(folder)] == ["2", "4"]
        assert all(np.isfinite(float(row["loss"])) for row in rows(folder))
        assert json.loads((folder / "versions.json").read_text())["keras"]
        assert read_config(stage, folder / "config.yaml").root == str(root)
        assert list(folder.glob("events.out.tfevents.*"))
    assert float(rows(runs["teacher"])[-1]["matched"]) > 0
    for stage in ("trunk", "restoration"):
        assert float(rows(runs[stage])[-1]["psnr_y"]) > 5
    assert "is finished: 4 iterations" in capsys.readouterr().out

    # What a run made is a model like any other.
    report = tmp_path / "report.json"
    model = str(runs["restoration"] / "best.keras")
    assert c2m_tf(["evaluate", "--pairs", f"{root}/data/pairs", "--model", model, "--json", f"{report}"]) == 0
    logged = float(rows(runs["restoration"])[-1]["psnr_y"])
    assert json.loads(report.read_text())["systems"]["best"]["mean"]["psnr_y"] == pytest.approx(logged, abs=1e-6)
    assert training(["preset", model, "-o", "preset.npz"]) == 0
    with np.load("preset.npz") as stored:
        assert stored["restoration/head_small_0/kernel"].dtype == np.float16
    assert training(["plot", str(runs["restoration"])]) == 0
    curves = images.read(runs["restoration"] / "curves.png").rgb
    assert curves.std() > 0.02

    # A finished run stays finished; another config needs another folder.
    assert training(command("teacher", root, runs["teacher"])) == 0
    assert len(rows(runs["teacher"])) == 2
    capsys.readouterr()
    assert training(command("teacher", root, runs["teacher"], "seed=3")) == 2
    assert "differs in seed" in capsys.readouterr().err


def started(arguments):
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, "-m", "c2m_tf", "train", *arguments], env=environment, stderr=subprocess.PIPE, text=True
    )


def wait_for(path, process, seconds=120):
    end = time.monotonic() + seconds
    while not path.exists():
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_killed_run_resumes_to_the_same_weights(root, tmp_path):
    longer = ("iterations=8", "optimizer.average=0.9", "validation=null")
    assert training(command("teacher", root, tmp_path / "whole", *longer)) == 0
    killed = tmp_path / "killed"
    process = started(command("teacher", root, killed, *longer))
    wait_for(killed / "state.weights.h5", process)
    process.kill()
    process.communicate()
    saved = arrays(killed / "state.weights.h5")
    iteration = next(int(value) for name, value in saved.items() if name.startswith("optimizer") and value.shape == ())
    assert 2 <= iteration < 8
    assert training(command("teacher", root, killed, *longer)) == 0
    expected, found = arrays(tmp_path / "whole/state.weights.h5"), arrays(killed / "state.weights.h5")
    assert expected.keys() == found.keys()
    for name in expected:
        if "distance" not in name:  # running means of what is shown
            np.testing.assert_array_equal(expected[name], found[name], err_msg=name)
    assert [row["iteration"] for row in rows(killed)] == ["2", "4", "6", "8"]


def test_sigterm_saves_and_stops(root, tmp_path):
    process = started(command("teacher", root, tmp_path / "run", "iterations=500", "save_every=500", "log_every=1"))
    wait_for(tmp_path / "run/log.csv", process)
    process.send_signal(signal.SIGTERM)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM, error
    stopped = int(rows(tmp_path / "run")[-1]["iteration"])
    assert f"stopped at iteration {stopped}, state saved" in error
    assert (tmp_path / "run/state.weights.h5").exists()


def test_a_non_finite_loss_stops_the_run(root, tmp_path, capsys):
    assert training(command("teacher", root, tmp_path / "run", "optimizer.learning_rate=1e30", "iterations=9")) == 1
    error = capsys.readouterr().err
    assert "the loss became nan at iteration" in error
    assert "is kept" in error


def test_a_full_disk_leaves_the_last_good_checkpoint(root, tmp_path):
    output = tmp_path / "run"
    assert training(command("teacher", root, output, "iterations=2", "validation=null")) == 0
    before = (output / "state.weights.h5").read_bytes()
    config = (output / "config.yaml").read_text()
    (output / "config.yaml").write_text(config.replace("iterations: 2", "iterations: 4"))
    arguments = command("teacher", root, output, "iterations=4", "validation=null")
    script = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000000, 1000000))\n"
        f"from c2m_tf.cli import main; sys.exit(main({['train', *arguments]!r}))"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 1, done.stderr
    assert "cannot write" in done.stderr
    assert "the one written before is intact" in done.stderr
    assert "Traceback" not in done.stderr
    assert (output / "state.weights.h5").read_bytes() == before
    assert not [path for path in output.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (lambda root: (root / "data/cufed/ref/001.png").unlink(), "has no partner"),
        (lambda root: (root / "data/single/photo1.png").write_bytes(b"\x89PNG"), "photo1.png"),
        (lambda root: shutil.rmtree(root / "data/single"), "single is not a folder"),
        (lambda root: (root / "weights/vgg19.npz").unlink(), "vgg19.npz do not exist"),
    ],
)
def test_invalid_runs_are_refused_before_anything_is_trained_or_written(root, tmp_path, capsys, fault, words):
    fault(root)
    assert training(command("teacher", root, tmp_path / "run")) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("stage", "settings", "words"),
    [
        ("student", ["teacher=nowhere.h5"], "teacher: nowhere.h5 does not exist"),
        ("restoration", ["extractors=null"], "needs the keys extractors and vgg"),
        ("restoration", ["start=nowhere.keras", "extractors=null"], "nowhere.keras does not exist"),
        ("restoration", ["start=tiny.keras", "extractors=null"], "tiny.keras, variant light: a custom network cannot be grown"),
        ("restoration", ["data.sources.0.held_back=2", "extractors=vgg"], "held_back is for photos of kind single and layered"),
        ("restoration", ["validation.pairs=data/single", "extractors=vgg"], "holds no pairs"),
        ("teacher", ["data.sources.1.held_back=0"], "needs photos"),
    ],
)
def test_settings_that_do_not_fit_together_are_refused(root, tmp_path, monkeypatch, capsys, tiny, stage, settings, words):
    monkeypatch.chdir(tmp_path)
    if "start=tiny.keras" in settings:
        tiny.save("tiny.keras")
    assert training(command(stage, root, tmp_path / "run", *settings)) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_other_folders_are_left_alone(root, tmp_path, capsys):
    (tmp_path / "run").mkdir()
    (tmp_path / "run/thesis.txt").write_text("mine")
    assert training(command("teacher", root, tmp_path / "run")) == 2
    assert "holds thesis.txt but no run" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["thesis.txt"]


def test_plot_and_preset_report_missing_files(tmp_path, capsys):
    assert training(["plot", str(tmp_path)]) == 2
    assert "log.csv does not exist" in capsys.readouterr().err
    assert training(["preset", "light", "-o", str(tmp_path / "weights.bin")]) == 2
    assert "name it so" in capsys.readouterr().err


def test_log_lines_after_the_resumed_iteration_are_forgotten(root, tmp_path):
    config = read_config("teacher", SMOKE / "teacher.yaml")
    run = Run(tmp_path / "run", "teacher", config)
    for iteration, matched in ((2, 0.5), (4, 0.9)):
        run.write_log({"iteration": iteration, "loss": 1.0, "matched": matched})
    again = Run(tmp_path / "run", "teacher", config)
    assert again.best("matched") == 0.9
    again.forget_after(2)
    assert again.best("matched") == 0.5
