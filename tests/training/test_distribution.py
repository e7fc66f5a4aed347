"""Distributed runs: settings, processes that meet, batches divided, and two processes that train as one."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from c2m_tf.training import datasets, distribution
from c2m_tf.training.config import ConfigError, as_yaml, make_config, read_config
from c2m_tf.training.distribution import ALONE, Group
from c2m_tf.training.patches import PhotoPatches
from c2m_tf.training.sources import CufedPairs, SinglePhotos
from training_data import make
from training_runs import SMOKE, arrays, command, rows, training

ROOT = Path(__file__).parents[2]
# TensorFlow takes longer to import than this takes to train, and a JAX machine need not have it.
SCRIPT = 'import sys; sys.modules["tensorflow"] = None; from c2m_tf.cli import main; sys.exit(main(["train", *sys.argv[1:]]))'


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return make(tmp_path_factory.mktemp("data") / "root")


@pytest.fixture
def port():
    with socket.socket() as free:
        free.bind(("", 0))
        return free.getsockname()[1]


@pytest.mark.parametrize(
    ("stage", "settings", "words"),
    [
        ("teacher", ["coordinator=host:1"], "needs coordinator, processes and rank together"),
        ("teacher", ["coordinator=host:1", "rank=0"], "needs coordinator, processes and rank together"),
        ("teacher", ["processes=2", "rank=0"], "key distributed.coordinator is missing"),
        ("teacher", ["coordinator=auto", "rank=1"], "coordinator auto finds rank itself"),
        ("teacher", ["coordinator=host", "processes=1", "rank=0"], "expected is host:port of process 0 or auto, got 'host'"),
        ("teacher", ["coordinator=host:99999", "processes=1", "rank=0"], "expected is host:port"),
        ("teacher", ["coordinator=host:1", "processes=2", "rank=2"], "distributed.rank is 2, but 2 processes have 0 to 1"),
        (
            "teacher",
            ["coordinator=host:1", "processes=2", "rank=-1"],
            "distributed.rank: input should be greater than or equal",
        ),
        ("teacher", ["coordinator=host:1", "processes=2", "rank=0"], "batch_size is 1, but it is divided among all processes"),
        ("restoration", ["coordinator=h:1", "processes=4", "rank=0"], "batch_size is 2, but it is divided"),
        ("teacher", ["coordinator=host:1", "processes=1", "rank=0"], "runs on JAX; set KERAS_BACKEND=jax"),
        ("teacher", ["coordinator=auto"], "keras/issues/20585"),
        ("adversarial", ["coordinator=auto"], "adversarial training runs in one process"),
    ],
)
def test_wrong_settings_are_one_line_before_any_work(root, tmp_path, capsys, stage, settings, words):
    there = {"restoration": ["extractors=vgg"], "adversarial": ["start=light"]}.get(stage, [])  # what no run has made here
    assert training(command(stage, root, tmp_path / "run", *there, *(f"distributed.{setting}" for setting in settings))) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_patches_without_a_reference_have_to_be_divisible_too(root, tmp_path, capsys):
    settings = [
        "extractors=vgg",
        "batch_size=4",
        "alone.batch_size=3",
        *(f"distributed.{key}" for key in ("coordinator=h:1", "processes=2", "rank=0")),
    ]
    assert training(command("restoration", root, tmp_path / "run", *settings)) == 2
    assert "alone.batch_size is 3, but it is divided among all processes: give a multiple of 2" in capsys.readouterr().err


def test_settings_of_processes_are_not_kept_in_run_folders(root, tmp_path):
    recipe = SMOKE / "teacher.yaml"
    config = read_config("teacher", recipe, [f"distributed.{key}" for key in ("coordinator=h:1", "processes=2", "rank=0")])
    assert config.distributed.processes == 2
    written = tmp_path / "config.yaml"
    written.write_text(as_yaml(read_config("teacher", recipe)))
    # `distributed: null` of a written config takes the keys of the section as a recipe without it does.
    assert read_config("teacher", written, ["distributed.coordinator=auto"]).distributed.coordinator == "auto"
    with pytest.raises(ConfigError, match=r"did you mean distributed\.coordinator"):
        make_config("teacher", {"distributed": {"coordinatr": "h:1"}})


def test_processes_draw_together_what_one_draws(root):
    cufed, single = CufedPairs(root / "data/cufed"), SinglePhotos(root / "data/single", 0)
    patches = PhotoPatches([root / "data/single"], 8, root / "data/teacher")

    def batches(group):
        first, size = group.part(6)
        common = {"iterations": 9, "first_iteration": 3, "seed": 5, "first_position": first}
        pairs = datasets.ReferencePairs([cufed, single], [1, 1], size, lr_size=8, ref_size=32, **common)
        alone = datasets.PatchBatches(patches, size, **common)
        yield datasets.HomographyPairs([single], [1], size, **common)[1][0]
        (inputs, targets) = datasets.JointBatches(pairs, alone)[1]
        yield inputs | targets

    whole = list(batches(ALONE))
    parts = [list(batches(Group(rank, 3))) for rank in range(3)]
    for number, batch in enumerate(whole):
        for name, expected in batch.items():
            np.testing.assert_array_equal(np.concatenate([part[number][name] for part in parts]), expected, err_msg=name)
            assert len(np.unique(expected.reshape(6, -1), axis=0)) == 6


def started(arguments, **variables):
    environment = os.environ | {"PYTHONPATH": str(ROOT), "KERAS_BACKEND": "jax"} | variables
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, *arguments], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def started_pair(port, root, output, *settings):
    """Both processes of a run, the one that leads first."""
    own = [f"distributed.{key}" for key in (f"coordinator=localhost:{port}", "processes=2")]
    return [started(command("teacher", root, output, *settings, *own, f"distributed.rank={rank}")) for rank in (0, 1)]


def started_by_slurm(port, root, output, *settings):
    """The same, as Slurm would start them."""
    arguments = command("teacher", root, output, *settings, "distributed.coordinator=auto")
    job = {"SLURM_JOB_ID": "1", "SLURM_STEP_NODELIST": "localhost", "SLURM_NTASKS": "2", "JAX_COORDINATOR_PORT": str(port)}
    return [started(arguments, **job, SLURM_PROCID=rank, SLURM_LOCALID=rank) for rank in ("0", "1")]


@pytest.mark.slow
def test_two_processes_train_as_one_with_their_batches_together(root, tmp_path, port):
    pytest.importorskip("jax")
    settings = ("batch_size=2", "optimizer.average=0.9")
    alone = started(command("teacher", root, tmp_path / "alone", *settings))
    assert alone.communicate(timeout=600) and alone.returncode == 0
    pair = started_pair(port, root, tmp_path / "pair", *settings)
    for process in pair:
        _, error = process.communicate(timeout=600)
        assert process.returncode == 0, error
    for expected, row in zip(rows(tmp_path / "alone"), rows(tmp_path / "pair"), strict=True):
        assert row.keys() == expected.keys()
        for name in row.keys() - {"seconds_per_iteration"}:
            assert float(row[name] or 0) == pytest.approx(float(expected[name] or 0), rel=1e-4), name
    assert (tmp_path / "alone/config.yaml").read_text() == (tmp_path / "pair/config.yaml").read_text()
    for file in ("state", "last", "best"):
        expected, found = (arrays(tmp_path / run / f"{file}.weights.h5") for run in ("alone", "pair"))
        assert expected.keys() == found.keys()
        for name in expected:
            # Single weights may differ more: where a gradient is almost zero, Adam makes much of sums in another order.
            difference = np.abs(found[name].astype(np.float64) - expected[name]).mean()
            assert difference <= 0.005 * np.abs(expected[name]).mean(), name
    assert len(list((tmp_path / "pair").glob("events.out.tfevents.*"))) == 1


@pytest.mark.slow
def test_a_signal_to_one_process_stops_both_and_both_resume(root, tmp_path, port):
    pytest.importorskip("jax")
    output = tmp_path / "run"
    settings = ("batch_size=2", "log_every=1", "save_every=500", "validation=null")
    pair = started_pair(port, root, output, *settings, "iterations=500")
    while not (output / "log.csv").exists():
        assert pair[0].poll() is None, pair[0].stderr.read()
        time.sleep(0.1)
    pair[1].send_signal(signal.SIGTERM)
    errors = [process.communicate(timeout=300)[1] for process in pair]
    assert [process.returncode for process in pair] == [128 + signal.SIGTERM] * 2, errors
    stopped = int(rows(output)[-1]["iteration"])
    assert all(f"stopped at iteration {stopped}, state saved" in error for error in errors)

    written = (output / "config.yaml").read_text()
    (output / "config.yaml").write_text(written.replace("iterations: 500", f"iterations: {stopped + 2}"))
    pair = started_by_slurm(port, root, output, *settings, f"iterations={stopped + 2}")
    errors = [process.communicate(timeout=300)[1] for process in pair]
    assert [process.returncode for process in pair] == [0, 0], errors
    assert [int(row["iteration"]) for row in rows(output)] == list(range(1, stopped + 3))


@pytest.mark.slow
def test_a_process_that_cannot_go_on_ends_the_other(root, tmp_path, port):
    pytest.importorskip("jax")
    output = tmp_path / "run"
    pair = started_pair(
        port, root, output, "batch_size=2", "iterations=500", "log_every=1", "save_every=500", "validation=null"
    )
    while not (output / "log.csv").exists():
        assert pair[0].poll() is None, pair[0].stderr.read()
        time.sleep(0.1)
    pair[1].kill()
    pair[1].communicate()
    _, error = pair[0].communicate(timeout=300)
    assert pair[0].returncode == 1, error
    assert "training cannot go on in process 0" in error
    assert "Traceback" not in error


@pytest.mark.slow
def test_processes_that_do_not_agree_are_told_why(root, tmp_path, port):
    pytest.importorskip("jax")
    own = [f"distributed.{key}" for key in (f"coordinator=localhost:{port}", "processes=2")]
    pair = [
        started(command("teacher", root, tmp_path / "run", "batch_size=2", f"seed={rank}", *own, f"distributed.rank={rank}"))
        for rank in (0, 1)
    ]
    errors = [process.communicate(timeout=300)[1] for process in pair]
    assert [process.returncode for process in pair] == [2, 2], errors
    assert all("process 1 has another config than process 0" in error for error in errors)
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
def test_processes_that_do_not_come_are_one_line(root, tmp_path, port, rank):
    pytest.importorskip("jax")
    own = [f"distributed.{key}" for key in (f"coordinator=localhost:{port}", "processes=2", f"rank={rank}", "wait=2")]
    process = started(command("teacher", root, tmp_path / "run", "batch_size=2", *own))
    _, error = process.communicate(timeout=300)
    assert process.returncode == 2, error
    assert f"the 2 processes did not all come to localhost:{port} within 2 seconds" in error
    assert error.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_a_port_that_is_taken_is_named(port):
    with socket.create_server(("", port)), pytest.raises(ConfigError, match=f"port {port} cannot be opened"):
        distribution._check_free(port)
