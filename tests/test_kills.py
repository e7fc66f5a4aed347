"""Commands that are killed (SIGKILL) at random moments: nothing that is complete is lost, nothing half-written is taken for
complete, and the same command makes the rest.

`KILLS` sets how often each command is killed in the long run, 50 times if it is not set.
"""

import csv
import json
import os
import random
import shutil
import time

import forked_commands
import numpy as np
import pytest
from tiny_models import tiny_model
from training_data import make
from training_runs import arrays, command, rows

from c2m_tf.photos import images
from c2m_tf.presets import load_model

KILLS = int(os.environ.get("KILLS", "50"))


@pytest.fixture(params=[2, pytest.param(KILLS, marks=pytest.mark.slow)], ids=["short", "long"])
def kills(request):
    return request.param


@pytest.fixture
def photos(tmp_path, rng):
    """12 photos in lr/, and 4 pairs of an HR photo and its reference in pairs/."""
    for folder in ("lr", "pairs"):
        (tmp_path / folder).mkdir()
    for number in range(12):
        images.write(tmp_path / f"lr/{number:02}.png", rng.random((96, 128, 3)))
    for number in range(8):
        images.write(tmp_path / f"pairs/{number // 2}_{number % 2}.png", rng.random((200, 240, 3)))
    return tmp_path


class Killer:
    """Runs one command again and again, and kills it after a random time, up to that which a whole run takes."""

    def __init__(self, arguments, log):
        self._arguments, self._log = arguments, log
        self._longest = 1.0
        self.draw = random.Random(0)
        self.killed = 0

    def whole(self):
        """Runs the command to its end."""
        started = time.monotonic()
        process = forked_commands.start(self._arguments, self._log)
        process.join(600)
        assert process.exitcode == 0, self._log.read_text()
        self._longest = time.monotonic() - started

    def kill(self, patience=lambda process: None):
        """Kills the command at a random moment after `patience` ends; returns whether it ended before."""
        process = forked_commands.start(self._arguments, self._log)
        patience(process)
        process.join(self.draw.random() * self._longest)
        process.kill()
        process.join(60)
        assert process.exitcode in (0, -9), self._log.read_text()
        self.killed += process.exitcode == -9
        return process.exitcode == 0


def content(folder):
    """{name: bytes} of what is visible in a folder and its folders."""
    found = (path for path in folder.rglob("[!.]*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def hidden(folder):
    return list(folder.rglob(".c2m-tf.*"))


def check(folder, killer, kills, number, meaning):
    """Kills a command so often while it fills a folder with so many files, and at last lets it end.

    Args:
        meaning: of (name, content) of a file, equal if files say the same.
    """

    def found():
        return {name: meaning(name, written) for name, written in content(folder).items()}

    killer.whole()
    complete, before = found(), {}
    assert len(complete) == number
    while killer.killed < kills:
        if len(before) == number or killer.killed == 0:
            for path in folder.iterdir():
                path.unlink()
            before = {}
        killer.kill()
        now = found()
        assert now.items() <= complete.items()  # what is there is whole
        assert now.keys() >= before.keys()  # and stays
        before = now
    killer.whole()
    assert found() == complete
    assert hidden(folder) == []


def test_a_folder_that_is_upscaled(photos, kills):
    (photos / "sr").mkdir()
    arguments = ["upscale", "-i", f"{photos}/lr", "-o", f"{photos}/sr", "--model", "light"]
    arguments += ["--report", f"{photos}/sr/report.csv"]

    def meaning(name, written):
        """Of the report the photos alone: it says of each whether its result was there."""
        if name != "report.csv":
            return written
        return tuple(sorted(row[0] for row in csv.reader(written.decode().splitlines())))

    check(photos / "sr", Killer(arguments, photos / "log"), kills, 13, meaning)


def test_an_evaluation(photos, kills):
    made = photos / "made"
    made.mkdir()
    arguments = ["evaluate", "--pairs", f"{photos}/pairs", "--model", "light", "--save-images", f"{made}"]
    arguments += ["--json", f"{made}/report.json", "--sheet", f"{made}/sheet.png"]

    def meaning(name, written):
        """Of the report the figures."""
        return json.dumps(json.loads(written)["systems"]) if name == "report.json" else written

    check(made, Killer(arguments, photos / "log"), kills, 6, meaning)


@pytest.mark.slow
def test_a_training_run(tmp_path):
    root, run, whole = make(tmp_path / "root"), tmp_path / "run", tmp_path / "whole"
    state, log = run / "state.weights.h5", run / "log.csv"
    tiny_model().save(tmp_path / "tiny.keras")
    settings = [f"start={tmp_path}/tiny.keras", "iterations=20", "save_every=1", "log_every=1", "validation.every=5"]
    commands = [["train", *command("trunk", root, folder, *settings)] for folder in (whole, run)]
    Killer(commands[0], tmp_path / "log").whole()
    killer = Killer(commands[1], tmp_path / "log")

    def until_it_saves(process):
        """Most runs have saved something before they are killed."""
        before = state.stat().st_mtime_ns if state.exists() else None
        until = time.monotonic() + killer.draw.choice([0, 600, 600, 600])
        while time.monotonic() < until and process.is_alive():
            if state.exists() and state.stat().st_mtime_ns != before:
                return
            time.sleep(0.01)

    saved = 0
    while killer.killed < KILLS:
        if killer.kill(until_it_saves):  # before it was killed
            shutil.rmtree(run)
            saved = 0
        if state.exists():
            before, saved = saved, int(arrays(state)["optimizer/vars/0"])
            assert saved >= before
        if log.exists():
            assert [int(row["iteration"]) for row in rows(run)] == list(range(1, len(rows(run)) + 1))
        for product in run.glob("[!.]*.keras"):
            load_model(product)
    killer.whole()
    finished, expected = arrays(state), arrays(whole / state.name)
    assert finished.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(finished[name], value, err_msg=name)
    assert hidden(run) == []
