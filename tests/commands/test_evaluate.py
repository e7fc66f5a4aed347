"""c2m-tf evaluate: models and results of other systems in one table, files, invalid input."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from colour_profiles import P3

from c2m_tf.cli import main
from c2m_tf.commands import evaluate as command
from c2m_tf.evaluation import metrics
from c2m_tf.photos import images
from c2m_tf.photos.degradations import DEGRADATIONS


@pytest.fixture(scope="module")
def model(tiny, tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "golden.keras"
    tiny.save(path)
    return str(path)


@pytest.fixture
def pairs(tmp_path, rng):
    folder = tmp_path / "pairs"
    folder.mkdir()
    for group in ("000", "001"):
        images.write(folder / f"{group}_0.png", rng.random((54, 61, 3)))
        images.write(folder / f"{group}_1.jpg", rng.random((40, 52, 3)))
        images.write(folder / f"{group}_2.png", rng.random((20, 24, 3)))
    return folder


@pytest.fixture
def results(pairs, tmp_path):
    """Bicubic, as if another system had made it."""
    folder = tmp_path / "results"
    folder.mkdir()
    for group in ("000", "001"):
        hr = images.crop_to_multiple(images.as_uint8(images.read(pairs / f"{group}_0.png").rgb))
        images.write(folder / f"{group}.png", images.upsample(images.downsample(hr)))
    return folder


def evaluate(pairs, *arguments):
    return main(["evaluate", "--pairs", f"{pairs}", *(str(argument) for argument in arguments)])


def fails(code, capsys, sentence):
    output = capsys.readouterr()
    assert code == 2
    assert len(output.err.strip().splitlines()) == 1
    assert sentence in output.err
    assert not output.out
    return True


def test_every_protocol_evaluates_a_model(pairs, tmp_path, model, capsys):
    for protocol, references in (("plain", "1"), ("paper", "all"), ("ttsr", "none"), ("mmagic-rgb", "1")):
        report, folder = tmp_path / "out.json", tmp_path / protocol
        arguments = ["--protocol", protocol, "--references", references, "--json", report, "--save-images", folder]
        assert evaluate(pairs, "--model", model, *arguments) == 0
        written = json.loads(report.read_text())
        definition = str(metrics.PROTOCOLS[protocol])
        assert written["protocol"]["definition"] == definition
        assert f"Protocol {definition}" in capsys.readouterr().out
        assert list(written["systems"]) == ["bicubic", "golden"]
        assert {group["name"] for group in written["groups"]} == {"000", "001"}
        for figure in metrics.FIGURES:
            values = [group["figures"]["golden"][figure] for group in written["groups"]]
            assert written["systems"]["golden"]["mean"][figure] == pytest.approx(np.mean(values))
        assert all((group["fit"] is None) == (references == "none") for group in written["groups"])
        assert [path.name for path in sorted(folder.iterdir())] == ["000.png", "001.png"]
        assert images.read(folder / "000.png").rgb.shape == (52, 60, 3)


def test_results_of_another_system_need_no_model(pairs, results, tmp_path, capsys):
    assert evaluate(pairs, "--results", f"theirs={results}", "--json", tmp_path / "out.json") == 0
    systems = json.loads((tmp_path / "out.json").read_text())["systems"]
    assert systems["theirs"]["mean"] == systems["bicubic"]["mean"]
    assert systems["theirs"]["interval"]["gain"] == [0.0, 0.0]
    assert "theirs" in capsys.readouterr().out


def test_models_and_results_share_a_table_and_a_sheet(pairs, results, tmp_path, model):
    other = shutil.copy(model, tmp_path / "other.keras")
    arguments = ["--results", f"theirs={results}", "--model", model, "--model", other, "--measures", "flip"]
    outputs = ["--json", tmp_path / "out.json", "--sheet", tmp_path / "sheet.png", "--save-images", tmp_path / "sr"]
    assert evaluate(pairs, *arguments, *outputs) == 0
    report = json.loads((tmp_path / "out.json").read_text())
    assert list(report["systems"]) == ["bicubic", "golden", "other", "theirs"]
    assert 0 < report["systems"]["other"]["mean"]["flip"] < 1
    assert sorted(path.relative_to(tmp_path / "sr").as_posix() for path in (tmp_path / "sr").glob("*/*")) == [
        "golden/000.png",
        "golden/001.png",
        "other/000.png",
        "other/001.png",
    ]
    assert images.read(tmp_path / "sheet.png").rgb.std() > 0.05


def test_missing_results_are_named_and_the_exit_code_says_so(pairs, results, capsys):
    (results / "001.png").rename(results / "201.png")
    assert evaluate(pairs, "--results", f"theirs={results}") == 1
    output = capsys.readouterr()
    assert "results theirs lack 001; left out for all systems" in output.err
    assert "results theirs hold 201.png, which no group is named after" in output.err
    assert "Mean over 1 group;" in output.out


def test_a_degradation_makes_the_photos_worse_and_is_written_down(pairs, tmp_path):
    means = {}
    for name in ("bicubic", "noise20"):
        arguments = ["--degradation", name, "--results", f"theirs={tmp_path}/results", "--json", tmp_path / "out.json"]
        (tmp_path / "results").mkdir(exist_ok=True)
        images.write(tmp_path / "results/000.png", np.full((52, 60, 3), 90, np.uint8))
        assert evaluate(pairs, *arguments) == 1  # group 001 is missing
        report = json.loads((tmp_path / "out.json").read_text())
        means[name] = report["systems"]["bicubic"]["mean"]["psnr_y"]
    assert means["noise20"] < means["bicubic"] - 0.1
    assert report["protocol"]["degradation"] == "Pillow bicubic to a quarter, Gaussian noise of 20 grey levels"


def test_shuffled_references_are_those_of_other_groups(pairs, tmp_path, model):
    assert evaluate(pairs, "--references", "shuffled", "--model", model, "--json", tmp_path / "out.json") == 0
    groups = json.loads((tmp_path / "out.json").read_text())["groups"]
    assert {group["name"]: group["references"] for group in groups} == {"000": ["001_1.jpg"], "001": ["000_1.jpg"]}


def test_bad_input_is_one_line(pairs, results, tmp_path, model, capsys):
    assert fails(evaluate(tmp_path / "no", "--model", model), capsys, "is not a folder")
    assert fails(evaluate(tmp_path, "--model", model), capsys, "holds no pairs")
    theirs = ["--results", f"theirs={results}"]
    assert fails(evaluate(pairs, "--results", f"theirs={tmp_path}/none"), capsys, "is not a folder")
    assert fails(evaluate(pairs, "--results", f"theirs={pairs}"), capsys, "is the folder of the photos themselves")
    assert fails(evaluate(pairs, *theirs, *theirs), capsys, "two systems are called theirs")
    assert fails(evaluate(pairs, "--model", model, "--model", model), capsys, "is given twice")
    assert fails(evaluate(pairs, "--degradation", "jpeg0"), capsys, "JPEG quality 0 is out of range")
    assert fails(evaluate(pairs, "--degradation", "fog"), capsys, "unknown degradation 'fog'; choose one of bicubic")
    assert fails(evaluate(pairs, *theirs, "--references", "shuffled"), capsys, "needs a model that reports its matches")
    images.write(pairs / "007_0.png", np.zeros((40, 40, 3), np.uint8))
    assert fails(evaluate(pairs, "--model", model), capsys, "007 lacks")


def test_outputs_that_are_inputs_are_refused(pairs, results, model, capsys):
    theirs = ["--results", f"theirs={results}"]
    inputs = [*pairs.iterdir(), *results.iterdir(), Path(model)]
    before = {path: path.read_bytes() for path in inputs}
    # Whatever is used of them: each reference, though only the first is used, or none.
    for references in ("1", "none"):
        for photo in (*pairs.iterdir(), *results.iterdir(), Path(model)):
            arguments = [*theirs, "--model", model, "--references", references]
            assert fails(evaluate(pairs, *arguments, "--json", photo), capsys, "is an input")
            if photo.suffix != ".keras":
                assert fails(evaluate(pairs, *arguments, "--sheet", photo), capsys, "is an input")
    assert fails(evaluate(pairs, *theirs, "--model", "light", "--save-images", results), capsys, "is an input")
    assert {path: path.read_bytes() for path in inputs} == before


def test_outputs_that_are_one_file_are_refused_before_anything_is_computed(pairs, results, tmp_path, model, capsys):
    common = ["--results", f"theirs={results}", "--model", model]
    a, folder = tmp_path / "a.png", tmp_path / "folder"
    link = tmp_path / "link.png"
    link.symlink_to(a)
    for first, second in (
        (["--sheet", a], ["--json", a]),
        (["--sheet", link], ["--json", a]),
        (["--json", folder], ["--save-images", folder]),
        (["--sheet", f"{folder}/000.png"], ["--save-images", folder]),
        (["--json", f"{folder}/../folder/001.png"], ["--save-images", folder]),
    ):
        if "000.png" in str(first) or "001.png" in str(first):
            folder.mkdir(exist_ok=True)
        assert fails(evaluate(pairs, *common, *first, *second), capsys, "another result")
    assert not a.exists()


def test_pictures_keep_the_colour_space_of_the_photo(pairs, tmp_path, model):
    photo = images.read(pairs / "000_0.png")
    images.write(pairs / "000_0.png", photo.rgb, icc_profile=P3)
    assert evaluate(pairs, "--model", model, "--save-images", tmp_path / "sr") == 0
    assert images.read(tmp_path / "sr/000.png").icc_profile == P3
    assert images.read(tmp_path / "sr/001.png").icc_profile is None


def test_a_full_disk_costs_pictures_and_report_but_not_the_figures(pairs, tmp_path, model):
    """In a process of its own, whose files may have 500 bytes."""
    script = (
        "import resource, signal, sys\n"
        "from c2m_tf.cli import main\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (500, 500))\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    arguments = [
        "evaluate",
        "--pairs",
        pairs,
        "--model",
        model,
        "--json",
        tmp_path / "a.json",
        "--save-images",
        tmp_path / "sr",
    ]
    command = [sys.executable, "-c", script, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 2
    assert "Mean over 2 groups" in done.stdout
    assert [line.split(": ")[1].split("/")[-1] for line in done.stderr.splitlines() if "cannot write" in line] == [
        "000.png",
        "001.png",
        "a.json",
    ]
    assert "Traceback" not in done.stderr
    assert not list((tmp_path / "sr").iterdir())
    assert not (tmp_path / "a.json").exists()


def test_models_have_distinct_names():
    assert command.model_names(["light", "runs/a/best.keras"]) == ["light", "best"]
    assert command.model_names(["runs/a/best.keras", "runs/b/best.keras"]) == ["a/best", "b/best"]
    assert command.model_names(["models/c2m"]) == ["c2m"]
    with pytest.raises(ValueError, match="light is given twice"):
        command.model_names(["light", "light"])


def test_the_choices_of_the_command_are_those_that_exist():
    assert tuple(metrics.PROTOCOLS) == command.PROTOCOLS
    assert metrics.MEASURES == command.MEASURES


def test_the_page_on_evaluation_has_every_degradation_as_it_is():
    page = (Path(__file__).parents[2] / "docs/evaluation.md").read_text(encoding="utf-8")
    for name, degradation in DEGRADATIONS.items():
        assert f"| `{name}` | {degradation}" in page
    for protocol in metrics.PROTOCOLS:
        assert f"| `{protocol}` |" in page


def test_pictures_of_something_else_are_not_replaced(pairs, results, tmp_path, capsys, model):
    (tmp_path / "kept").mkdir()
    images.write(tmp_path / "kept/001.png", np.zeros((8, 9, 3)))
    before = (tmp_path / "kept/001.png").read_bytes()
    code = evaluate(pairs, "--model", model, "--save-images", tmp_path / "kept")
    assert fails(code, capsys, "001.png is there and has 9x8 pixels, a result of 001_0.png has 60x52; give another folder")
    assert (tmp_path / "kept/001.png").read_bytes() == before
    assert evaluate(pairs, "--model", model, "--save-images", results) == 0  # pictures of these photos are made again


def test_photos_that_are_left_out_are_named(pairs, model, capsys):
    images.write(pairs / "holiday.png", np.zeros((12, 12, 3)))
    for outputs in (["--sheet", pairs / "holiday.png"], ["--json", pairs / "holiday.png"]):
        assert fails(evaluate(pairs, "--model", model, *outputs), capsys, "holiday.png is an input")
    assert fails(evaluate(pairs, "--model", model, "--save-images", pairs), capsys, "would be taken for photos there")
    assert evaluate(pairs, "--model", model) == 0
    assert "1 photo is left out, of no group (holiday.png)" in capsys.readouterr().err
    assert evaluate(pairs, "--model", model, "--references", "none") == 0
    said = capsys.readouterr().err
    assert (
        "5 photos are left out, references of others by their names, or of no group (000_1.jpg, 000_2.png, 001_1.jpg, ...)"
        in said
    )
