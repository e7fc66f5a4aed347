"""Tables of jobs: what they say, and what is wrong with them, known before work starts."""

import numpy as np
import pytest

from c2m_tf.cli import main
from c2m_tf.jobs import tables
from c2m_tf.jobs.folders import Job, find_jobs
from c2m_tf.photos import images
from c2m_tf.photos.files import place

CSV = "lr,references,output,note\na.png,r.png | s.png,out/a.png,x\nb.png,,out/b.jpg,\n"
JOBS = [Job("a.png", ["r.png", "s.png"], "out/a.png"), Job("b.png", [], "out/b.jpg")]


def test_csv_and_parquet_say_the_same(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    arrow = pytest.importorskip("pyarrow")
    (tmp_path / "jobs.csv").write_text("\ufeff" + CSV, encoding="utf-8")
    columns = {"lr": ["a.png", "b.png"], "references": [["r.png", "s.png"], None], "output": ["out/a.png", "out/b.jpg"]}
    parquet.write_table(arrow.table(columns), tmp_path / "lists.parquet")
    parquet.write_table(arrow.table(columns | {"references": ["r.png|s.png", ""]}), tmp_path / "text.parquet")
    for name in ("jobs.csv", "lists.parquet", "text.parquet"):
        assert tables.read_table(f"{tmp_path}/{name}") == JOBS


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("lr,output\na.png,b.png\n", "lacks the column references; it has lr, output, expected are lr, references, output"),
        ("", "lacks the column lr and references and output; it has none"),
        ("lr,references,output\n", "holds no rows"),
        ("lr,references,output\na.png,,x.png\nb.png,,./x.png\n", "rows 1 and 2 have one output, ./x.png"),
        ("lr,references,output\na.png,,x.png\nb.png,x.png,y.png\n", "row 1: output x.png is an input"),
        ("lr,references,output\n,,x.png\n", "row 1: lr is empty"),
        ("lr,references,output\na.png,,\n", "row 1: output is empty"),
        ("lr,references,output\na.png,,x.gif\n", "cannot write .gif; choose one of"),
        ("lr,references,output\n\xff", "is not CSV in UTF-8"),
        ("lr,references,output\na.png,,x.png\n\na.png,r.png,s.png,y.png\n", "line 4: 4 cells, expected are 3 as in the header"),
        ("lr,references,output\na.png,y.png\n", "line 2: 2 cells, expected are 3 as in the header"),
        ("lr,references,output,output\na.png,,x.png,y.png\n", "has the column output 2 times"),
    ],
)
def test_tables_that_cannot_be_used_are_refused_before_work_starts(tmp_path, capsys, content, words):
    (tmp_path / "jobs.csv").write_bytes(content.encode("latin-1"))
    assert main(["upscale", "--jobs", f"{tmp_path}/jobs.csv", "--model", "none such"]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["jobs.csv"]


# Spellings of one file, relative to a folder or below it; the first is a path.
SPELLINGS = (
    "{}/a.png",
    "file://{}/a.png",
    "FILE://localhost{}/a.png",
    "file:{}/%61.png",
    "local://{}/./a.png",
    "/{}/link/a.png",
    "simplecache::file://{}/link/a.png",
)


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("existing", [True, False])
def test_a_file_is_known_however_it_is_spelled(tmp_path, spelling, existing):
    pytest.importorskip("fsspec")
    (tmp_path / "link").symlink_to(tmp_path)
    if existing:
        (tmp_path / "a.png").touch()
    path, other = SPELLINGS[0].format(tmp_path), spelling.format(tmp_path)
    for first, second in ((path, other), (other, path)):
        with pytest.raises(ValueError, match=r"row 2: output .* is an input"):
            tables.check_jobs([Job(first, [], "x.png"), Job("b.png", [], second)], "jobs.csv")
        with pytest.raises(ValueError, match=r"row 1: output .* is an input"):
            tables.check_jobs([Job("b.png", ["c.png", first], second)], "jobs.csv")
        with pytest.raises(ValueError, match="rows 1 and 2 have one output"):
            tables.check_jobs([Job("b.png", [], first), Job("c.png", [], second)], "jobs.csv")
        with pytest.raises(ValueError, match="is an input"):
            tables.check_jobs([Job("b.png", [], first)], "jobs.csv", read=[second])


@pytest.mark.parametrize("names", [("A.png", "a.PNG"), ("new/a.png", "New/a.png"), ("caf\u00e9/a.png", "cafe\u0301/a.png")])
def test_names_that_the_file_system_takes_for_one_are_one_output(tmp_path, names):
    probe = [tmp_path / "probe" / name for name in names]
    probe[0].parent.mkdir(parents=True)
    probe[0].touch()
    one = probe[1].exists()
    jobs = [Job(f"{number}.png", [], f"{tmp_path}/{name}") for number, name in enumerate(names)]
    if one:
        with pytest.raises(ValueError, match="rows 1 and 2 have one output"):
            tables.check_jobs(jobs, "jobs.csv")
    else:
        tables.check_jobs(jobs, "jobs.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["probe"]


def test_urls_of_one_file_elsewhere_are_known_too():
    pytest.importorskip("fsspec")
    with pytest.raises(ValueError, match="is an input"):
        tables.check_jobs([Job("memory://in/a.png", [], "memory:///in/a.png")], "jobs.csv")
    tables.check_jobs([Job("memory://in/a.png", [], "in/a.png")], "jobs.csv")


def test_a_folder_named_as_the_home_folder_is_no_other(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", f"{tmp_path}/home")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "~").mkdir()
    images.write(tmp_path / "~/a.jpg", np.zeros((6, 8, 3), np.uint8))
    found = find_jobs("./~", [], f"{tmp_path}/sr")
    assert place(found.jobs[0].lr) == place(f"{tmp_path}/~/a.jpg")
    with pytest.raises(ValueError, match="is an input"):
        tables.check_jobs([found.jobs[0]._replace(output=f"{tmp_path}/~/a.jpg")], "jobs.csv")


def test_a_null_character_in_a_path_is_named(tmp_path, capsys):
    for option in ("-i", "-o", "-r", "--comparison", "--model"):
        given = {"-i": f"{tmp_path}/a.png", "-o": f"{tmp_path}/b.png", option: "file:///c%00d.png"}
        images.write(tmp_path / "a.png", np.zeros((6, 8, 3), np.uint8))
        assert main(["upscale", *(word for pair in given.items() for word in pair)]) == 2
        assert "/c\\x00d.png" in capsys.readouterr().err


def test_the_report_may_not_replace_the_table(tmp_path, capsys):
    (tmp_path / "jobs.csv").write_text("lr,references,output\na.png,,~/no such folder/b.png\n")
    before = (tmp_path / "jobs.csv").read_bytes()
    for spelling in ("{}/jobs.csv", "file://{}/jobs.csv"):
        report = spelling.format(tmp_path)
        assert main(["upscale", "--jobs", f"{tmp_path}/jobs.csv", "--report", report, "--model", "none such"]) == 2
        assert "is an input" in capsys.readouterr().err
        assert (tmp_path / "jobs.csv").read_bytes() == before


def test_the_home_folder_is_expanded_in_tables(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", f"{tmp_path}")
    (tmp_path / "jobs.csv").write_text("lr,references,output\n~/a.png,~/r.png|./~.png,~/out/a.png\n")
    expected = [Job(f"{tmp_path}/a.png", [f"{tmp_path}/r.png", "./~.png"], f"{tmp_path}/out/a.png")]
    assert tables.read_table("~/jobs.csv".replace("~", f"{tmp_path}")) == expected


def test_a_parquet_table_of_numbers_is_refused(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    arrow = pytest.importorskip("pyarrow")
    parquet.write_table(arrow.table({"lr": [1], "references": [""], "output": ["a.png"]}), tmp_path / "jobs.parquet")
    with pytest.raises(ValueError, match="row 1: lr is 1; expected is text"):
        tables.read_table(f"{tmp_path}/jobs.parquet")
    (tmp_path / "text.parquet").write_text("text")
    with pytest.raises(ValueError, match="is not a Parquet file"):
        tables.read_table(f"{tmp_path}/text.parquet")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--jobs", "{}/none.csv"], "none.csv does not exist"),
        (["--jobs", "{}/jobs.txt"], "expected is a .csv or .parquet file with the columns lr, references, output"),
        (["--jobs", "{}/jobs.csv", "-o", "out"], "leave -r and -o out"),
        (["-i", "{}", "-o", "{}/out", "--shard", "0/2"], "--shard 0/2: expected is I/N with I from 1 to N"),
        (["-i", "{}", "-o", "{}/out", "--shard", "3/2"], "--shard 3/2: expected is I/N"),
        (["-i", "{}", "-o", "{}/out", "--workers", "2"], "--address and --workers are for --engine ray"),
        (["-i", "{}", "-o", "{}/out", "--engine", "ray", "--workers", "0"], "--workers 0 is no positive number"),
        (["-i", "{}", "-o", "{}/out", "--report", "r.txt"], "expected is a name that ends in .parquet or .csv"),
        (["-i", "{}", "-o", "{}/out", "--report", "{}/a.png/r.csv"], "cannot make folder"),
        (["-i", "{}", "-o", "nosuch://bucket/out"], "nosuch://bucket/out"),
        (["-i", "{}/a.png", "-o", "{}/b.png", "--overwrite"], "--overwrite is for many photos"),
    ],
)
def test_options_that_make_no_sense_are_refused(tmp_path, capsys, options, words):
    pytest.importorskip("fsspec")
    images.write(tmp_path / "a.png", np.zeros((3, 3, 3)))
    assert main(["upscale", *(option.format(tmp_path) for option in options)]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
