"""Many photos in this process: resumed, sharded, reported, from and to URLs."""

import csv
import errno
import os

import numpy as np
import pytest
from killed_writer import write_and_be_killed

from c2m_tf import Upscaler
from c2m_tf.cli import main
from c2m_tf.jobs import storage, tables
from c2m_tf.jobs.folders import Job, is_complete
from c2m_tf.jobs.work import Worker
from c2m_tf.photos import images
from c2m_tf.upscaling import opening


@pytest.fixture(scope="module")
def upscaler(tiny):
    return Upscaler(tiny)


@pytest.fixture
def model(upscaler, monkeypatch):
    """Arguments for a model that has been opened already; tests/test_cli.py opens one from a file."""
    monkeypatch.setattr(opening, "open_model", lambda source, **sizes: upscaler._only)
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


@pytest.mark.parametrize("suffix", images.SUFFIXES)
def test_a_result_is_kept_if_all_of_it_is_there(tmp_path, rng, suffix):
    lr, result = f"{tmp_path}/lr.png", tmp_path / f"sr{suffix}"
    images.write(lr, rng.random((24, 32, 3)))
    assert not is_complete(f"{result}", lr)
    for size in ((96, 128), (128, 96)):  # orientation turns some photos
        images.write(result, rng.random((*size, 3)))
        assert is_complete(f"{result}", lr)
    content = result.read_bytes()
    for length in (0, 1, 20, len(content) // 2, len(content) * 9 // 10):
        result.write_bytes(content[:length])
        assert not is_complete(f"{result}", lr)
        result.write_bytes(bytes(length))
        assert not is_complete(f"{result}", lr)


def test_what_is_no_result_is_replaced_only_if_asked(folder, model, capsys, rng):
    (folder / "sr").mkdir()
    images.write(folder / "sr/a.png", rng.random((20, 30, 3)))
    (folder / "sr/b.png").write_text("a text of somebody")
    before = {name: (folder / f"sr/{name}.png").read_bytes() for name in "ab"}
    command = ["upscale", "-i", f"{folder}/lr", "-o", f"{folder}/sr", *model]
    assert main(command) == 1
    printed = capsys.readouterr()
    assert printed.out == "1 upscaled, 3 failed\n"
    assert f"{folder}/sr/a.png is there and has 30x20 pixels, a result of a.png has 32x24; give another folder" in printed.err
    assert f"{folder}/sr/b.png is there and no photo" in printed.err
    assert before == {name: (folder / f"sr/{name}.png").read_bytes() for name in "ab"}
    assert main([*command, "--overwrite"]) == 1
    assert capsys.readouterr().out == "3 upscaled, 1 failed\n"


def test_results_among_the_photos_are_known_by_name_and_size(folder, model, capsys, rng):
    for name in "ef":
        images.write(folder / f"lr/{name}.jpg", rng.random((6, 8, 3)))
    images.write(folder / "lr/f.png", rng.random((7, 8, 3)))  # another photo
    command = ["upscale", "-i", f"{folder}/lr", "-o", f"{folder}/lr/", *model]
    before = {path: path.read_bytes() for path in (folder / "lr").iterdir()}
    for summary in ("1 upscaled, 6 failed", "0 upscaled, 6 failed, 1 there already"):
        assert main(command) == 1
        assert capsys.readouterr().out.startswith(summary)
        assert {path: path.read_bytes() for path in before} == before
    assert main([*command, "--overwrite"]) == 2
    assert "--overwrite could replace photos where results lie among them" in capsys.readouterr().err
    assert main(["upscale", "-i", f"{folder}/lr", "-r", f"{folder}", "-o", f"file://{folder}", *model]) == 2
    assert "is a folder of references" in capsys.readouterr().err


def test_originals_stay_however_the_folder_is_spelled(folder, model, capsys):
    before = {path: path.read_bytes() for path in (folder / "lr").iterdir()}
    for source, output in ((f"file://{folder}/lr", f"{folder}/lr"), (f"{folder}/lr", f"file://localhost{folder}/./lr")):
        assert main(["upscale", "-i", source, "-o", output, *model]) == 1
        assert capsys.readouterr().out.startswith("0 upscaled, 4 failed")
        assert {path: path.read_bytes() for path in (folder / "lr").iterdir()} == before


@pytest.mark.parametrize(("photo", "reference"), [("caf\u00e9", "cafe\u0301"), ("cafe\u0301", "caf\u00e9")])
def test_accents_of_both_spellings_are_paired_and_folders_are_named(tmp_path, model, capsys, rng, photo, reference):
    for name in ("lr/out", "lr/holiday", "ref"):
        (tmp_path / name).mkdir(parents=True)
    images.write(tmp_path / f"lr/{photo}.png", rng.random((6, 8, 3)))
    images.write(tmp_path / f"ref/{reference}.png", rng.random((20, 28, 3)))
    assert main(["upscale", "-i", f"{tmp_path}/lr", "-r", f"{tmp_path}/ref", "-o", f"{tmp_path}/lr/out", *model]) == 0
    assert "1 upscaled, 0 failed; 1 folder not entered (holiday); references explain" in capsys.readouterr().out
    assert (tmp_path / f"lr/out/{photo}.png").exists()


def test_a_photo_beside_urls_is_one_of_many(folder, model, capsys):
    pytest.importorskip("fsspec")
    for output in ("memory://single/a.png", f"file://{folder}/single.png"):
        assert main(["upscale", "-i", f"{folder}/lr/a.png", "-o", output, *model]) == 0
        capsys.readouterr()
    assert (folder / "single.png").exists()


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_names_that_are_no_text_have_a_row(folder, model, suffix):
    parquet = pytest.importorskip("pyarrow.parquet")
    (folder / "lr/a.png").rename(os.fsdecode(os.fsencode(folder) + b"/lr/caf\xe9.png"))
    target = folder / f"report.{suffix}"
    assert main(["upscale", "-i", f"{folder}/lr", "-o", f"{folder}/sr", *model, "--report", f"{target}"]) == 1
    assert (folder / "sr" / os.fsdecode(b"caf\xe9.png")).exists()
    found = (
        rows(target)
        if suffix == "csv"
        else {row["name"].rsplit("/", 1)[-1]: row for row in parquet.read_table(target).to_pylist()}
    )
    assert sorted(found) == ["b.png", "c.png", "caf\\udce9.png", "d.png"]
    assert found["caf\\udce9.png"]["status"] == "made"


def test_a_report_that_cannot_be_written_ends_no_run(folder, model, capsys, monkeypatch):
    writes = []

    def add(self, row):
        writes.append(row)
        if len(writes) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        return whole(self, row)

    whole = tables._CsvWriter.add
    monkeypatch.setattr(tables._CsvWriter, "add", add)
    (folder / "lr/d.png").unlink()
    assert main(["upscale", "-i", f"{folder}/lr", "-o", f"{folder}/sr", *model, "--report", f"{folder}/report.csv"]) == 1
    printed = capsys.readouterr()
    assert printed.out == "3 upscaled, 0 failed\n"
    assert "--report" in printed.err and "lacks rows: [Errno 28] No space left on device" in printed.err
    assert (folder / "report.csv").read_text().splitlines() == [",".join(tables.REPORT_COLUMNS)]


def test_shards_make_everything_once_also_where_photos_arrive(folder, model, capsys, rng):
    found = []
    for shard in ("1/2", "2/2"):
        command = ["upscale", "-i", f"{folder}/lr", "-o", f"{folder}/sr", *model, "--shard", shard]
        main([*command, "--report", f"{folder}/{shard[0]}.csv"])
        found.append(set(rows(folder / f"{shard[0]}.csv")))
        images.write(folder / "lr/0.png", rng.random((6, 8, 3)))
    assert found[0] | found[1] >= {"a.png", "b.png", "c.png", "d.png"}
    assert not found[0] & found[1]
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
    assert "cannot make folder /proc/none" in error
    assert error.count("\n") == 1


def test_a_parquet_report_has_a_row_for_each_photo(folder, model):
    parquet = pytest.importorskip("pyarrow.parquet")
    main(["upscale", "-i", f"{folder}/lr", "-o", f"{folder}/sr", *model, "--report", f"{folder}/report.parquet"])
    found = parquet.read_table(folder / "report.parquet").to_pylist()
    assert [row["status"] for row in found] == ["made", "made", "made", "failed"]
    assert found[0]["explained"] is None
    assert found[3]["error"]


def test_a_signal_whose_place_another_error_takes_ends_the_run(upscaler, folder, monkeypatch):
    def interrupted(*_):
        try:
            raise SystemExit(130)
        finally:
            os.close(os.dup(0) + 10_000)  # what clears up fails in its turn

    monkeypatch.setattr(upscaler, "prepare", interrupted)
    with pytest.raises(SystemExit):
        Worker(upscaler)(Job(f"{folder}/lr/a.png", [], f"{folder}/a.png"))
