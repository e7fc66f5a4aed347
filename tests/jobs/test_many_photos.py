"""Many photos in this process: resumed, sharded, reported, from and to URLs."""

import csv

import numpy as np
import pytest
from killed_writer import write_and_be_killed

from c2m_tf import Upscaler
from c2m_tf.cli import main
from c2m_tf.jobs import storage
from c2m_tf.jobs.work import Worker, is_complete
from c2m_tf.photos import images
from c2m_tf.upscaling import opening
from c2m_tf.upscaling.batch import Job


@pytest.fixture(scope="module")
def upscaler(light):
    return Upscaler(light)


@pytest.fixture
def model(upscaler, monkeypatch):
    """Arguments for a model that has been opened already; tests/test_cli.py opens one from a file."""
    monkeypatch.setattr(opening, "open_upscaler", lambda source, **sizes: upscaler)
    return ["--model", "golden"]


@pytest.fixture
def folder(tmp_path, rng):
    """Four LR photos, one of them damaged, and a reference."""
    (tmp_path / "lr").mkdir()
    for name in "abc":
        images.write(tmp_path / f"lr/{name}.png", rng.random((6, 8, 3), np.float32))
    (tmp_path / "lr/d.png").write_bytes(b"damaged")
    images.write(tmp_path / "ref.png", rng.random((20, 28, 3), np.float32))
    return tmp_path


def rows(path):
    with path.open(newline="") as file:
        return {row["name"].rsplit("/", 1)[-1]: row for row in csv.DictReader(file)}


def test_what_is_there_and_complete_is_not_made_again(folder, model, capsys):
    command = ["upscale", "-i", f"{folder}/lr", "-r", f"{folder}/ref.png", "-o", f"{folder}/sr", *model]
    command += ["--report", f"{folder}/report.csv"]
    assert main(command) == 1
    assert capsys.readouterr().out.startswith("3 upscaled, 1 failed; references explain")
    first = rows(folder / "report.csv")
    assert {name: row["status"] for name, row in first.items()} == {
        "a.png": "made",
        "b.png": "made",
        "c.png": "made",
        "d.png": "failed",
    }
    assert "is not a PNG" in first["d.png"]["error"]
    assert (first["a.png"]["tiles"], first["a.png"]["error"]) == ("1", "")
    assert float(first["a.png"]["seconds"]) > 0

    # One result was cut short by another program, one is missing.
    before = {name: (folder / f"sr/{name}.png").read_bytes() for name in "abc"}
    (folder / "sr/a.png").write_bytes(before["a"][:20])
    (folder / "sr/b.png").unlink()
    kept = (folder / "sr/c.png").stat()
    assert main(command) == 1
    assert capsys.readouterr().out.startswith("2 upscaled, 1 failed, 1 there already (--overwrite makes them again)")
    assert (folder / "sr/c.png").stat() == kept
    assert {name: (folder / f"sr/{name}.png").read_bytes() for name in "abc"} == before
    assert rows(folder / "report.csv")["c.png"]["status"] == "kept"
    assert main([*command, "--overwrite"]) == 1
    assert capsys.readouterr().out.startswith("3 upscaled, 1 failed;")


def test_what_a_killed_run_left_behind_is_removed_by_the_next(folder, model, capsys):
    command = ["upscale", "-i", f"{folder}/lr", "-o", f"{folder}/sr", *model]
    main(command)
    before = sorted(path.name for path in (folder / "sr").iterdir())
    for name in ("a.png", "elsewhere.png"):
        write_and_be_killed(folder / "sr" / name)
    assert len(list((folder / "sr").glob(".c2m-tf.*"))) == 2
    main(command)
    assert "3 there already" in capsys.readouterr().out
    assert len(list((folder / "sr").glob(".c2m-tf.*"))) == 1  # that of a file which is no result of this run
    assert sorted(path.name for path in (folder / "sr").glob("[!.]*")) == before


def test_results_of_another_size_and_of_turned_photos(tmp_path, rng):
    images.write(tmp_path / "lr.png", rng.random((6, 8, 3)))
    job = Job(f"{tmp_path}/lr.png", [], f"{tmp_path}/sr.png")
    assert not is_complete(job)
    for size, complete in (((24, 32), True), ((32, 24), True), ((24, 28), False)):
        images.write(job.output, rng.random((*size, 3)))
        assert is_complete(job) == complete


def test_shards_make_everything_once(folder, model, capsys):
    for shard in ("1/2", "2/2"):
        command = ["upscale", "-i", f"{folder}/lr", "-o", f"{folder}/sr", *model, "--shard", shard]
        main([*command, "--report", f"{folder}/{shard[0]}.csv"])
    assert [sorted(rows(folder / f"{shard}.csv")) for shard in "12"] == [["a.png", "c.png"], ["b.png", "d.png"]]
    assert "there already" not in capsys.readouterr().out


def test_urls_are_read_and_written_and_references_fetched_once(folder, upscaler, model, monkeypatch):
    fsspec = pytest.importorskip("fsspec")
    memory = fsspec.filesystem("memory")
    for path in (*(folder / "lr").iterdir(), folder / "ref.png"):
        memory.put_file(str(path), f"/photos/{path.relative_to(folder)}")
    fetched = []
    fetch = storage.fetch
    monkeypatch.setattr(storage, "fetch", lambda url, target: (fetched.append(url), fetch(url, target)))
    worker = Worker(upscaler)
    names = ("a", "d", "b")
    jobs = [
        Job(f"memory://photos/lr/{name}.png", ["memory://photos/ref.png"], f"memory://results/{name}.png") for name in names
    ]
    outcomes = dict(zip(names, map(worker, jobs), strict=True))
    assert [outcome.status for outcome in outcomes.values()] == ["made", "failed", "made"]
    assert outcomes["d"].error.startswith("memory://photos/lr/d.png is not a PNG")
    assert fetched.count("memory://photos/ref.png") == 1
    assert sorted(memory.ls("/results", detail=False)) == ["/results/a.png", "/results/b.png"]
    assert worker(jobs[0]).status == "kept"

    # The same by the command line, of folders and of a table.
    assert main(["upscale", "-i", "memory://photos/lr", "-r", "memory://photos/ref.png", "-o", "memory://again", *model]) == 1
    local = ["upscale", "-i", f"{folder}/lr", "-r", f"{folder}/ref.png", "-o", f"{folder}/sr", *model]
    assert main(local) == 1
    for name in "ab":
        expected = (folder / f"sr/{name}.png").read_bytes()
        assert memory.cat_file(f"/again/{name}.png") == memory.cat_file(f"/results/{name}.png") == expected
    with memory.open("/jobs.csv", "w") as file:
        file.write(f"lr,references,output\nmemory://photos/lr/a.png,{folder}/ref.png,{folder}/new/a.png\n")
    assert main(["upscale", "--jobs", "memory://jobs.csv", *model, "--report", "memory://report.csv"]) == 0
    assert (folder / "new/a.png").read_bytes() == (folder / "sr/a.png").read_bytes()
    assert b"memory://photos/lr/a.png" in memory.cat_file("/report.csv")


def test_a_place_that_cannot_be_written_is_known_before_work_starts(tmp_path, capsys):
    pytest.importorskip("fsspec")
    (tmp_path / "jobs.csv").write_text("lr,references,output\na.png,,file:///proc/none/a.png\n")
    assert main(["upscale", "--jobs", f"{tmp_path}/jobs.csv", "--model", "none such"]) == 2
    error = capsys.readouterr().err
    assert "file:///proc/none/a.png cannot be written" in error
    assert error.count("\n") == 1


def test_a_parquet_report_has_a_row_for_each_photo(folder, model):
    parquet = pytest.importorskip("pyarrow.parquet")
    main(["upscale", "-i", f"{folder}/lr", "-o", f"{folder}/sr", *model, "--report", f"{folder}/report.parquet"])
    found = parquet.read_table(folder / "report.parquet").to_pylist()
    assert [row["status"] for row in found] == ["made", "made", "made", "failed"]
    assert found[0]["explained"] is None
    assert found[3]["error"]
