"""The SavedModel runs without this package and Keras, gives the same results, and refuses invalid input with a message."""

import io
import json
import shutil
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from c2m_tf.export.saved_model import export_saved_model
from exporting import export
from PIL import Image
from tiny_models import tiny_mobile

from c2m_tf import Upscaler
from c2m_tf.cli import main as c2m_tf

ROOT = Path(__file__).parents[2]

# Runs in a process of its own: loads the model where neither Keras nor this package can be imported.
SCRIPT = """
import json, sys
for name in ("keras", "c2m_tf", "export"):
    sys.modules[name] = None
import numpy as np, tensorflow as tf
folder, work = sys.argv[1:]
model = tf.saved_model.load(folder)
arrays = np.load(work + "/arrays.npz")
answer = {}
sr = model.signatures["upscale"](lr=tf.constant(arrays["lr"]), ref=tf.constant(arrays["ref"]))["sr"]
answer["difference"] = float(np.abs(sr.numpy() - arrays["sr"]).max())
alone = model.signatures["upscale_alone"](lr=tf.constant(arrays["lr"]))["sr"]
answer["difference_alone"] = float(np.abs(alone.numpy() - arrays["alone"]).max())
read = lambda name: tf.io.read_file(work + "/" + name)
serve = model.signatures["serving_default"]
tf.io.write_file(work + "/out.png", serve(lr_image=read("lr.png"), ref_image=read("ref.png"))["sr_image"])
tf.io.write_file(work + "/alone.png", model.signatures["serving_alone"](lr_image=read("lr.png"))["sr_image"])
tf.io.write_file(work + "/out_jpeg.png", serve(lr_image=read("lr.jpg"), ref_image=read("ref.png"))["sr_image"])
faults = {}
for name in json.load(open(work + "/faults.json")):
    try:
        serve(lr_image=read(name), ref_image=read("ref.png"))
        faults[name] = "no error"
    except tf.errors.InvalidArgumentError as error:
        faults[name] = error.message
answer["faults"] = faults
wrong = {}
lr, ref = arrays["lr"], arrays["ref"]
large = np.zeros((1, 300, 300, 3), "f")
for name, values in {"small": lr[:, :2], "outside": lr * 300, "nan": lr * np.nan, "large": large}.items():
    try:
        model.signatures["upscale"](lr=tf.constant(values), ref=tf.constant(ref))
        wrong[name] = "no error"
    except tf.errors.InvalidArgumentError as error:
        wrong[name] = error.message
for name, values in {"rank 3": lr[0], "one channel": lr[..., :1]}.items():
    try:
        model.signatures["upscale"](lr=tf.constant(values), ref=tf.constant(ref))
        wrong[name] = "no error"
    except (tf.errors.InvalidArgumentError, ValueError, TypeError) as error:
        wrong[name] = "refused"
answer["wrong"] = wrong
print("ANSWER", json.dumps(answer))
"""


def png_header(width, height):
    """A PNG file whose header claims that size and whose pixels are missing."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\x00" * 100)) + chunk(b"IEND", b"")


def encoded(photo, file_format="PNG"):
    file = io.BytesIO()
    Image.fromarray(photo).save(file, file_format)
    return file.getvalue()


@pytest.fixture(scope="module")
def answer(tiny, tmp_path_factory):
    """What a process without Keras and this package says of the exported golden light model."""
    work = tmp_path_factory.mktemp("saved_model")
    random = np.random.RandomState(0)
    lr, ref = random.randint(0, 256, (10, 12, 3), dtype=np.uint8), random.randint(0, 256, (45, 38, 3), dtype=np.uint8)
    floats = {"lr": np.float32(lr[None]) / 255, "ref": np.float32(ref[None]) / 255}
    sr = np.clip(tiny.predict_on_batch(floats), 0, 1)
    alone = np.clip(tiny.predict_on_batch({"lr": floats["lr"]}), 0, 1)
    np.savez(work / "arrays.npz", sr=sr, alone=alone, **floats)
    whole = encoded(lr)
    files = {
        "lr.png": whole,
        "lr.jpg": encoded(lr, "JPEG"),
        "ref.png": encoded(ref),
        "words": b"this is no photo",
        "nothing": b"",
        "gray.png": encoded(lr[..., 0]),
        "gray.jpg": encoded(lr[..., 0], "JPEG"),
        "huge.png": png_header(20000, 20000),
        "enormous.png": png_header(2**31 - 1, 2**31 - 1),
        "cut_in_header.png": whole[:20],
        "cut.png": whole[: len(whole) // 2],
        "cut.jpg": encoded(lr, "JPEG")[:200],
        "small.png": encoded(lr[:2]),
        "tiff": encoded(lr, "TIFF"),
    }
    for name, content in files.items():
        (work / name).write_bytes(content)
    (work / "faults.json").write_text(json.dumps([name for name in files if name not in ("lr.png", "lr.jpg", "ref.png")]))
    folder = export_saved_model(tiny, work / "model")
    assert folder == work / "model/1"
    command = [sys.executable, "-c", SCRIPT, str(folder), str(work)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=work)
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.split("ANSWER", 1)[1])
    found["folder"], found["photos"] = work / "model", (lr, ref)
    found["sr"], found["alone"] = np.rint(sr[0] * 255), np.rint(alone[0] * 255)
    found["alone_png"] = np.asarray(Image.open(work / "alone.png")).astype(float)
    found["png"] = np.asarray(Image.open(work / "out.png")).astype(float)
    found["from_jpeg"] = np.asarray(Image.open(work / "out_jpeg.png"))
    return found


def test_saved_model_equals_the_keras_model(answer):
    assert answer["difference"] < 1e-5
    assert answer["difference_alone"] < 1e-5
    assert np.abs(answer["png"] - answer["sr"]).max() <= 1
    assert np.abs(answer["alone_png"] - answer["alone"]).max() <= 1
    assert answer["from_jpeg"].shape == answer["png"].shape == (40, 48, 3)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("words", "neither a PNG nor a JPEG"),
        ("nothing", "neither a PNG nor a JPEG"),
        ("tiff", "neither a PNG nor a JPEG"),
        ("gray.png", "lr_image has one channel"),
        ("gray.jpg", "lr_image has one channel"),
        ("huge.png", "lr_image is too large"),
        ("enormous.png", "lr_image is too large"),
        ("cut_in_header.png", "cut off within its header"),
        ("cut.png", ""),
        ("cut.jpg", ""),
        ("small.png", "lr_image is too small"),
    ],
)
def test_wrong_files_are_invalid_arguments(answer, name, words):
    assert answer["faults"][name] != "no error"
    assert words in answer["faults"][name]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("small", "lr is too small"),
        ("large", "lr is too large"),
        ("outside", "outside [0, 1]"),
        ("nan", "outside [0, 1]"),
        ("rank 3", "refused"),
        ("one channel", "refused"),
    ],
)
def test_wrong_arrays_are_refused(answer, name, words):
    assert words in answer["wrong"][name]


def test_the_command_line_takes_the_folder(answer, tmp_path, capsys):
    for name, photo in zip(("lr.png", "ref.png"), answer["photos"], strict=True):
        (tmp_path / name).write_bytes(encoded(photo))
    arguments = ["upscale", "-i", f"{tmp_path}/lr.png", "-r", f"{tmp_path}/ref.png", "-o", f"{tmp_path}/sr.png"]
    arguments += ["--model", str(answer["folder"])]
    assert c2m_tf(arguments) == 0
    assert np.abs(np.asarray(Image.open(tmp_path / "sr.png")) - answer["sr"]).max() <= 1
    assert c2m_tf([*arguments, "--search", "window"]) == 2
    assert "was exported with its own search; leave --search out" in capsys.readouterr().err
    assert c2m_tf([*arguments, "--matches", f"{tmp_path}/map.png"]) == 2
    assert "a SavedModel does not report its matches" in capsys.readouterr().err


def test_saved_model_reports_invalid_input(answer, tmp_path):
    upscaler = Upscaler.from_preset(answer["folder"] / "1")
    lr, ref = answer["photos"]
    with pytest.raises(ValueError, match="2 references are given, this model takes 1"):
        upscaler(lr, [ref, ref])
    with pytest.raises(ValueError, match="lr is too large, the limit is 65536 pixels"):
        upscaler(np.zeros((300, 300, 3), np.uint8), ref)
    with pytest.raises(ValueError, match="holds no SavedModel; make one by c2m-tf export saved-model"):
        Upscaler.from_preset(tmp_path)
    (tmp_path / "saved_model.pb").write_bytes(b"no model")
    with pytest.raises(ValueError, match="cannot be loaded as a SavedModel"):
        Upscaler.from_preset(tmp_path)


def test_versions_count_up_and_faults_leave_nothing(tmp_path, capsys):
    (tmp_path / "models/7").mkdir(parents=True)
    assert export(["saved-model", "--model", "nowhere.keras", "-o", str(tmp_path / "models")]) == 2
    assert "nowhere.keras does not exist" in capsys.readouterr().err
    assert export(["saved-model", "-o", str(tmp_path / "models"), "--max-lr-pixels", "0"]) == 2
    (tmp_path / "file").write_text("")
    assert export(["saved-model", "-o", str(tmp_path / "file")]) == 2
    assert "cannot make folder" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "models").iterdir()] == ["7"]


@pytest.mark.parametrize("name", ["saved_model.pb", "variables/variables.index", "variables/variables.data-00000-of-00001"])
def test_a_file_that_is_cut_is_refused_in_one_sentence(answer, tmp_path, name):
    folder = tmp_path / "model"
    shutil.copytree(answer["folder"], folder)
    cut = folder / "1" / name
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    with pytest.raises(ValueError, match=r"model/1 cannot be loaded as a SavedModel: ") as refusal:
        Upscaler.from_preset(folder)
    assert "\n" not in str(refusal.value)


def test_a_damaged_fingerprint_is_no_traceback(answer, tmp_path, capfd):
    folder = tmp_path / "model"
    shutil.copytree(answer["folder"], folder)
    (folder / "1/fingerprint.pb").write_bytes(b"\xff" * 9)
    Upscaler.from_preset(folder)
    assert capfd.readouterr().err == ""


def test_a_mobile_network_gives_the_same(tmp_path, rng, monkeypatch):
    monkeypatch.setattr("c2m_tf.network.levels.LEVELS", 1)  # each adds to the graph; test_levels has several
    network = tiny_mobile(reference_scales=(1.0,), refined_scales=())
    export_saved_model(network, tmp_path / "mobile")
    lr, ref = rng.random((14, 17, 3), np.float32), rng.random((48, 60, 3), np.float32)
    exported = Upscaler.from_preset(tmp_path / "mobile")  # nothing in it is harmful
    # Where two places match as well, another graph may take the other.
    expected = np.clip(np.asarray(network({"lr": lr[None], "ref": ref[None]}))[0], 0.0, 1.0)
    assert np.mean(np.abs(exported(lr, ref).image.rgb - expected) > 1e-4) < 0.01
    np.testing.assert_allclose(exported(lr).image.rgb, Upscaler(network)(lr).image.rgb, atol=1e-5)
