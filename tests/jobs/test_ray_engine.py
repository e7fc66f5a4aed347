"""Many photos on two Ray workers: bad photos, a worker that is killed, one that dies again and again."""

import os
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from ray_cluster import processes, two_cores

from c2m_tf.cli import main
from c2m_tf.jobs.folders import Job
from c2m_tf.jobs.ray_engine import RayEngine
from c2m_tf.jobs.work import MADE, Outcome
from c2m_tf.photos import images

pytest.importorskip("ray")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # minutes in all; the warnings are Ray's own

BAD = (7, 23, 41, 66, 99)


@pytest.fixture(scope="module")
def cluster():
    with two_cores():
        yield


def worker_processes():
    """Process ids of the actors."""
    return processes(lambda title: b"ray::" in title and b"_Actor" in title)


def kill_one_after(results, count, killed):
    while len(list(results.glob("*.png"))) < count:
        time.sleep(0.02)
    victim = worker_processes()[0]
    os.kill(victim, signal.SIGKILL)
    killed.append(victim)


def test_a_worker_is_killed_and_five_photos_are_bad(cluster, tiny, tmp_path, rng, capsys):
    """Nothing is lost, nothing is there twice, and what is there is not made again."""
    parquet = pytest.importorskip("pyarrow.parquet")
    tiny.save(tmp_path / "light.keras")
    results = tmp_path / "sr"
    (tmp_path / "lr").mkdir()
    images.write(tmp_path / "ref.png", rng.random((20, 28, 3)))
    for number in range(100):
        path = tmp_path / f"lr/{number:03}.png"
        if number in BAD:
            path.write_bytes(b"damaged")
        else:
            images.write(path, rng.random((6, 8, 3)))
    command = ["upscale", "-i", f"{tmp_path}/lr", "-r", f"{tmp_path}/ref.png", "-o", f"{results}"]
    command += ["--model", f"{tmp_path}/light.keras", "--report", f"{tmp_path}/report.parquet", "--dtype", "float32"]
    on_ray = [*command, "--engine", "ray", "--workers", "2"]
    killed: list[int] = []
    results.mkdir()
    killer = threading.Thread(target=kill_one_after, args=(results, 5, killed), daemon=True)
    killer.start()
    assert main(on_ray) == 1
    killer.join()
    assert killed
    output = capsys.readouterr()
    assert "5 failed" in output.out
    assert output.err.count("is not a PNG") == 5

    rows = parquet.read_table(tmp_path / "report.parquet").to_pylist()
    assert sorted(Path(row["name"]).name for row in rows) == [f"{number:03}.png" for number in range(100)]
    assert sorted(int(Path(row["name"]).stem) for row in rows if row["error"]) == list(BAD)
    assert sorted(path.name for path in results.iterdir()) == [f"{number:03}.png" for number in range(100) if number not in BAD]

    # The same bytes as in this process, for a sample, and nothing is made twice.
    sample = f"{results}/050.png"
    bytes_on_ray = Path(sample).read_bytes()
    Path(sample).unlink()
    times = {path.name: path.stat().st_mtime_ns for path in results.iterdir()}
    assert main(command) == 1
    assert capsys.readouterr().out.startswith("1 upscaled, 5 failed, 94 there already")
    assert Path(sample).read_bytes() == bytes_on_ray
    assert {path.name: path.stat().st_mtime_ns for path in results.iterdir() if path.name != "050.png"} == times


def deadly(job):
    """Stands for a photo that takes its process down, as one that the system kills for its memory does."""
    if job.lr == "deadly":
        os._exit(1)
    return Outcome(MADE)


def open_deadly(on_one_machine, cores):
    return deadly


def test_a_job_that_kills_its_worker_each_time_is_given_up_alone(cluster):
    jobs = [Job("deadly" if number == 5 else f"{number}", [], f"{number}.png") for number in range(40)]
    with RayEngine(open_deadly, workers=2) as engine:
        outcomes = dict(engine.run(jobs))
    assert sorted(outcomes) == list(range(40))
    assert [index for index, outcome in outcomes.items() if outcome.status != MADE] == [5]
    assert "its worker died 3 times" in outcomes[5].error


def test_a_model_that_cannot_be_opened_is_known_before_work_starts(cluster, tmp_path, capsys):
    images.write(tmp_path / "a.png", np.zeros((3, 3, 3)))
    command = ["upscale", "-i", f"{tmp_path}", "-o", f"{tmp_path}/sr", "--engine", "ray", "--workers", "2"]
    assert main([*command, "--model", "heavy"]) == 2
    error = capsys.readouterr().err
    assert "unknown preset 'heavy'" in error
    assert error.count("\n") == 1
    assert main([*command[:-1], "3", "--model", "heavy"]) == 2
    assert "--workers 3: the cluster has 2 cores" in capsys.readouterr().err
