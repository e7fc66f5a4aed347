"""The command line: results, exit codes, one line per fault."""

import os
import struct
import subprocess
import sys
import zlib

import keras
import numpy as np
import pytest
from PIL import Image

from c2m_tf.cli import main
from c2m_tf.photos import headers, images


@pytest.fixture(scope="module")
def model(tiny, tmp_path_factory):
    """A .keras file of the light network with golden weights."""
    path = tmp_path_factory.mktemp("model") / "light.keras"
    tiny.save(path)
    return str(path)


@pytest.fixture
def pair(tmp_path, rng):
    """An LR photo and a reference, written to files."""
    images.write(tmp_path / "lr.png", rng.random((6, 8, 3)))
    images.write(tmp_path / "ref.png", rng.random((20, 28, 3)))
    return tmp_path


def upscale(pair, model, *more, lr="lr.png", ref="ref.png", out="sr.png"):
    return main(["upscale", "-i", f"{pair}/{lr}", "-r", f"{pair}/{ref}", "-o", f"{pair}/{out}", "--model", model, *more])


def fails(code, capsys, reason):
    """Whether a command ended in exit code 2 with one line that says the reason."""
    message = capsys.readouterr().err
    assert code == 2
    assert reason in message
    assert message.count("\n") == 1
    return True


def test_upscale_writes_the_result_and_the_sheet(pair, model):
    assert upscale(pair, model, "--comparison", f"{pair}/sheet.png") == 0
    assert images.read(pair / "sr.png").rgb.shape == (24, 32, 3)
    assert images.read(pair / "sheet.png").rgb.shape[0] > 360


def test_the_file_of_a_photo_is_opened_once(pair, model, monkeypatch):
    opened, whole = [], headers._open
    monkeypatch.setattr(headers, "_open", lambda path: opened.append(path.name) or whole(path))
    assert upscale(pair, model, "--comparison", f"{pair}/sheet.png", "--scale", "2") == 0
    assert opened == ["lr.png", "ref.png"]


def test_several_references_are_taken(pair, model):
    images.write(pair / "second.png", np.random.default_rng(1).random((16, 40, 3)))
    arguments = ["upscale", "-i", f"{pair}/lr.png", "-r", f"{pair}/ref.png", f"{pair}/second.png", "-o", f"{pair}/sr.png"]
    assert main([*arguments, "--model", model]) == 0


def test_alpha_is_upscaled_by_bicubic_and_gray_stays_gray(pair, model, rng):
    alpha = rng.integers(0, 256, (6, 8), np.uint8)
    images.write(pair / "clear.png", rng.random((6, 8, 3)), alpha=alpha)
    assert upscale(pair, model, lr="clear.png") == 0
    np.testing.assert_array_equal(images.as_uint8(images.read(pair / "sr.png").alpha), images.upsample(alpha))
    images.write(pair / "gray.png", rng.random((6, 8, 3)), gray=True)
    assert upscale(pair, model, lr="gray.png") == 0
    with Image.open(pair / "sr.png") as result:
        assert result.mode == "L"


def test_folders_are_paired_by_name_and_bad_files_are_skipped(tmp_path, model, rng, capsys):
    for folder in ("lr", "ref"):
        (tmp_path / folder).mkdir()
    for name in ("a", "b", "c"):
        images.write(tmp_path / "lr" / f"{name}.png", rng.random((6, 8, 3)))
        if name != "b":
            images.write(tmp_path / "ref" / f"{name}.jpg", rng.random((20, 28, 3)))
    (tmp_path / "lr" / "broken.png").write_bytes(b"broken")
    images.write(tmp_path / "ref" / "broken.png", rng.random((20, 28, 3)))
    arguments = ["-i", f"{tmp_path}/lr", "-r", f"{tmp_path}/ref", "-o", f"{tmp_path}/new/sr", "--model", model]
    assert main(["upscale", *arguments]) == 1
    output = capsys.readouterr()
    assert sorted(path.name for path in (tmp_path / "new" / "sr").iterdir()) == ["a.png", "b.png", "c.png"]
    assert "3 upscaled, 1 failed; 1 without a reference of that name (b.png); references explain" in output.out
    assert "b.png: " not in output.err
    assert "broken.png: " in output.err


def test_missing_files_are_named(pair, model, capsys):
    assert fails(upscale(pair, model, lr="none.png"), capsys, "none.png does not exist")
    assert fails(upscale(pair, model, ref="none.png"), capsys, "none.png does not exist")
    assert fails(upscale(pair, f"{pair}/none.keras"), capsys, "none.keras does not exist")


def test_folders_in_place_of_files_are_named(pair, model, capsys):
    (pair / "folder.png").mkdir()
    assert upscale(pair, model, out="folder.png") == 0
    assert (pair / "folder.png/lr.png").is_file()
    (pair / "folder.png/lr.png").unlink()
    capsys.readouterr()
    assert fails(upscale(pair, model, lr="folder.png", out="new"), capsys, "holds no photos")
    assert fails(upscale(pair, model, ref="folder.png"), capsys, "holds no photos to refer to")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"text", "is not a PNG"),
        (b"", "is empty"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "damaged or truncated"),
    ],
)
def test_files_that_are_no_photos_are_named(pair, model, capsys, content, reason):
    (pair / "bad.png").write_bytes(content)
    assert fails(upscale(pair, model, lr="bad.png"), capsys, reason)
    assert fails(upscale(pair, model, ref="bad.png"), capsys, reason)
    assert not (pair / "sr.png").exists()


def test_a_truncated_photo_is_named(pair, model, capsys, rng):
    images.write(pair / "whole.png", rng.random((60, 60, 3)))
    (pair / "cut.png").write_bytes((pair / "whole.png").read_bytes()[:3000])
    assert fails(upscale(pair, model, lr="cut.png"), capsys, "cut.png is damaged or truncated")


def test_a_header_that_asks_for_gigabytes_is_refused(pair, model, capsys):
    header = struct.pack(">IIBBBBB", 30000, 30000, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + b"IHDR" + header + struct.pack(">I", zlib.crc32(b"IHDR" + header))
    (pair / "bomb.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunk + bytes(4) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT")))
    assert fails(upscale(pair, model, lr="bomb.png"), capsys, "too large: the limit is 67,108,864 pixels")


def test_photos_that_are_too_small_are_named(pair, model, capsys, rng):
    images.write(pair / "dot.png", rng.random((1, 1, 3)))
    images.write(pair / "strip.png", rng.random((11, 40, 3)))
    assert fails(upscale(pair, model, lr="dot.png"), capsys, "LR photo has 1x1 pixels; at least 3x3 are needed")
    assert fails(upscale(pair, model, ref="strip.png"), capsys, "reference has 40x11 pixels; at least 12x12 are needed")


def test_photos_over_the_memory_limit_are_refused(pair, model, capsys):
    assert fails(upscale(pair, model, "--max-memory", "0.5"), capsys, "GiB, allowed are 0.5 GiB")
    assert upscale(pair, model, "--max-memory", "4") == 0


def test_models_that_are_none_are_named(pair, capsys):
    assert fails(upscale(pair, "heavy"), capsys, "unknown preset 'heavy'; choose one of light")
    other = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    other.save(pair / "other.keras")
    assert fails(upscale(pair, f"{pair}/other.keras"), capsys, "holds a Sequential model; a C2Matching or Mobile")
    (pair / "text.keras").write_text("text")
    assert fails(upscale(pair, f"{pair}/text.keras"), capsys, "cannot be loaded as a Keras model")


def test_unwritable_outputs_are_refused_before_work(pair, model, capsys):
    assert fails(upscale(pair, model, out="none/sr.png"), capsys, "none does not exist")
    assert fails(upscale(pair, model, out="sr.gif"), capsys, "cannot write .gif; choose one of .png")
    assert fails(upscale(pair, model, out="lr.png"), capsys, "inputs are never overwritten")
    assert fails(upscale(pair, model, out="ref.png"), capsys, "inputs are never overwritten")
    assert fails(upscale(pair, model, "--comparison", f"{pair}/lr.png"), capsys, "inputs are never overwritten")
    assert fails(upscale(pair, model, lr=".", ref=".", out="ref.png"), capsys, "ref.png is a file")
    assert fails(upscale(pair, model, "--comparison", f"{pair}/sr.png"), capsys, "is the name of another result too")
    assert fails(upscale(pair, model, "--comparison", f"{pair}/sheet.txt"), capsys, "cannot write .txt")
    images.write(pair / "000_0.png", np.zeros((40, 40, 3)))
    images.write(pair / "000_1.png", np.zeros((40, 40, 3)))
    assert fails(main(["demo", "-o", f"{pair}/ref.png/demo", "--model", model]), capsys, "cannot make folder")
    assert fails(main(["demo", "-o", f"{pair}/ref.png", "--model", model]), capsys, "cannot make folder")
    report = ["evaluate", "--pairs", f"{pair}", "--model", model, "--json", f"{pair}/none/report.json"]
    assert fails(main(report), capsys, "none does not exist")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the superuser may write everywhere")
def test_a_folder_without_write_permission_is_named(pair, model, capsys):
    (pair / "locked").mkdir(mode=0o500)
    assert fails(upscale(pair, model, out="locked/sr.png"), capsys, "locked is not writable")


def test_a_folder_that_refuses_the_file_is_named(pair, model, capsys):
    assert fails(upscale(pair, model, out="proc/sr.png"), capsys, "does not exist")
    code = main(["upscale", "-i", f"{pair}/lr.png", "-r", f"{pair}/ref.png", "-o", "/proc/sr.png", "--model", model])
    assert fails(code, capsys, "cannot write /proc/sr.png")


def test_program_ends_with_the_code_and_without_traceback(pair, model):
    images.write(pair / "dot.png", np.zeros((1, 1, 3)))
    for lr, reason in (
        ("no.png", "no.png does not exist"),
        ("dot.png", "the LR photo has 1x1 pixels; at least 3x3 are needed"),
    ):
        command = [sys.executable, "-m", "c2m_tf.cli", "upscale", "-i", lr, "-r", "ref.png", "-o", "sr.png", "--model", model]
        done = subprocess.run(command, capture_output=True, text=True, cwd=pair, timeout=120)
        assert done.returncode == 2
        assert done.stderr == f"c2m-tf: {reason}\n"


def test_wrong_arguments_end_with_two():
    with pytest.raises(SystemExit) as stopped:
        main(["upscale", "-i", "lr.png"])
    assert stopped.value.code == 2
