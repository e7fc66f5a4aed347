"""The TFLite file: builtin ops only, the signatures that phones rely on, the same numbers as the Keras model."""

import json
import random
import threading
import time
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from c2m_tf.export.phone_network import PhoneNetwork
from c2m_tf.export.tflite import LR_THUMB, REF_THUMB, export_tflite, weights_sha256
from exporting import export, run
from skimage import data
from tensorflow.lite.python import schema_py_generated as schema
from tensorflow.lite.tools import flatbuffer_utils
from tiny_models import tiny_model

from c2m_tf import C2Matching, Upscaler
from c2m_tf.cli import main as c2m_tf
from c2m_tf.jobs.folders import Job
from c2m_tf.jobs.work import WorkerSettings
from c2m_tf.network.matching import match
from c2m_tf.network.upsampling import bicubic_upsample
from c2m_tf.photos import images
from c2m_tf.presets import load_preset
from c2m_tf.upscaling.tflite_upscaler import TFLiteUpscaler, extended, mirrored

interpreter = pytest.importorskip("ai_edge_litert.interpreter")

TILE, WINDOW = 20, 80


@pytest.fixture(scope="module")
def exported(tiny, tmp_path_factory):
    """Path of the golden light model as float32 TFLite, with small tiles so that tests are quick."""
    path = tmp_path_factory.mktemp("tflite") / "c2m_light_float32.tflite"
    export_tflite(PhoneNetwork(tiny), path, "float32", TILE, WINDOW)
    return path


def test_upscale_equals_the_keras_model(exported, tiny, rng):
    lr, ref = rng.random((1, TILE, TILE, 3), np.float32), rng.random((1, WINDOW, WINDOW, 3), np.float32)
    sr = run(exported, "upscale", lr_tile=lr, ref_window=ref)["sr"]
    expected = np.clip(tiny.predict_on_batch({"lr": lr, "ref": ref}), 0, 1)
    assert sr.shape == (1, 4 * TILE, 4 * TILE, 3)
    np.testing.assert_allclose(sr, expected, atol=1e-4)


def test_upscale_alone_equals_the_trunk(exported, tiny, rng):
    lr = rng.random((1, TILE, TILE, 3), np.float32)
    sr = run(exported, "upscale_alone", lr_tile=lr)["sr"]
    np.testing.assert_allclose(sr, np.clip(tiny.predict_on_batch({"lr": lr}), 0, 1), atol=1e-4)


def test_a_trunk_of_the_models_own_is_mixed_in_as_by_the_keras_model(tmp_path):
    own, path = tiny_model(own_trunk=True, width=32), tmp_path / "own.tflite"
    own.extractor_ref.set_weights(own.extractor_lr.get_weights())  # so that matches are good, and the reference counts
    export_tflite(PhoneNetwork(own), path, "float16", TILE, WINDOW)
    # All signatures share the weights; the rest are tables of the graph.
    model = flatbuffer_utils.read_model(str(path))
    held = sum(len(buffer.data) for buffer in model.buffers if buffer.data is not None)
    assert held < 1.15 * 2 * own.count_params()
    ref = data.astronaut()[:WINDOW, 200 : 200 + WINDOW]
    lr = images.as_float(images.downsample(ref))[None]
    inputs = {"lr": lr, "ref": images.as_float(ref)[None]}
    sr, alone = (np.clip(own(photos), 0, 1) for photos in (inputs, {"lr": lr}))
    assert np.abs(sr - alone).mean() > 0.01
    # Weights in half precision also turn a close match here and there.
    assert np.abs(run(path, "upscale", lr_tile=lr, ref_window=inputs["ref"])["sr"] - sr).mean() < 1e-3
    np.testing.assert_allclose(run(path, "upscale_alone", lr_tile=lr)["sr"], alone, atol=2e-3)


def test_locate_equals_matching_of_averages(exported, tiny, rng):
    lr = rng.random((1, LR_THUMB, LR_THUMB, 3), np.float32)
    ref = rng.random((1, REF_THUMB, REF_THUMB, 3), np.float32)
    found = run(exported, "locate", lr_thumb=lr, ref_thumb=ref)
    features = (tiny.extractor_lr(bicubic_upsample(lr)), tiny.extractor_ref(ref))
    matches, score = match(*(keras.ops.average_pool(feature, 2) for feature in features))
    assert found["matches"].dtype == np.int32
    assert found["matches"].shape == (1, LR_THUMB - 2, LR_THUMB - 2, 2)
    # Every second patch lies in the middle of one of 2x2 averages.
    assert (found["matches"][:, 1:-2:2, 1:-2:2] == 2 * np.asarray(matches) + 1).all(axis=-1).mean() > 0.999
    np.testing.assert_allclose(found["score"][:, 1:-2:2, 1:-2:2], score, atol=1e-4)


def test_ops_are_builtin_and_the_required_runtime_is_reported(exported):
    model = schema.Model.GetRootAsModel(exported.read_bytes(), 0)
    codes = [model.OperatorCodes(index) for index in range(model.OperatorCodesLength())]
    assert all(code.CustomCode() is None for code in codes)
    metadata = {model.Metadata(index).Name(): model.Metadata(index) for index in range(model.MetadataLength())}
    version = bytes(model.Buffers(metadata[b"min_runtime_version"].Buffer()).DataAsNumpy()).rstrip(b"\0").decode()
    assert tuple(int(part) for part in version.split(".")) <= (2, 21, 0)


def test_a_photo_of_one_tile_equals_the_keras_model(exported, tiny, rng):
    lr, ref = rng.random((TILE, TILE, 3), np.float32), rng.random((WINDOW, WINDOW, 3), np.float32)
    np.testing.assert_allclose(Upscaler.from_preset(exported)(lr, ref).image.rgb, Upscaler(tiny)(lr, ref).image.rgb, atol=1e-4)


def test_tiles_equal_the_windows_of_the_keras_model(exported, tiny, monkeypatch):
    ref = data.astronaut()[:REF_THUMB, :REF_THUMB]
    lr = images.downsample(ref)[30:57, 20:51]
    upscaler, windows = Upscaler.from_preset(exported), Upscaler(tiny, search="window", tile=TILE, window=WINDOW)
    monkeypatch.setattr(windows._only, "_locate", upscaler._only._locate)  # the model's own matches are finer
    found, expected = upscaler(lr, ref).image.rgb, windows(lr, ref).image.rgb
    # The file's tiles are clipped to [0, 1] before they are blended, the model's after: pixels near 0 and 1 differ.
    inside = (expected > 0.1) & (expected < 0.9)
    assert inside.mean() > 0.4
    assert np.mean(np.abs(found - expected)[inside] > 5e-3) < 1e-3


def test_an_ensemble_is_the_mean_of_what_the_file_gives(exported, rng):
    lr, ref = rng.random((TILE, TILE, 3), np.float32), rng.random((WINDOW, WINDOW, 3), np.float32)
    one = Upscaler.from_preset(exported)
    turned = one(lr[::-1, ::-1], ref[::-1, ::-1]).image.rgb[::-1, ::-1]
    mean = Upscaler.from_preset(exported, ensemble=2)(lr, ref).image.rgb
    np.testing.assert_allclose(mean, (one(lr, ref).image.rgb + turned) / 2, atol=1e-6)


def test_photos_smaller_than_the_file_expects_are_extended(exported, tiny, rng):
    upscaler = Upscaler.from_preset(exported)
    lr, ref = rng.random((5, 9, 3), np.float32), rng.random((30, 50, 3), np.float32)
    tile = np.pad(lr, ((0, TILE - 5), (0, TILE - 9), (0, 0)), mode="symmetric")[None]
    window = np.pad(ref, ((0, WINDOW - 30), (0, WINDOW - 50), (0, 0)), mode="edge")[None]
    for photos, inputs in (((lr,), {"lr": tile}), ((lr, ref), {"lr": tile, "ref": window})):
        expected = np.clip(tiny.predict_on_batch(inputs), 0, 1)[0, :20, :36]
        np.testing.assert_allclose(upscaler(*photos).image.rgb, expected, atol=1e-4)


def loss_by_extension(network, height, width, with_reference):
    """Mean PSNR that photos lose where they are extended to tiles of 32 pixels, and references to windows of 128."""
    lost = []
    for y, x in ((0, 0), (150, 240)):
        hr, seen = (
            np.ascontiguousarray(data.coffee()[y + step : y + step + 4 * height, x + step : x + step + 4 * width])
            for step in (0, 3)
        )
        lr, ref = images.as_float(images.downsample(hr)), images.as_float(seen)
        decibels = []
        for tile, window in ((lr[None], ref[None]), (mirrored(lr, 32), extended(ref, 128))):
            sr = network({"lr": tile, "ref": window} if with_reference else {"lr": tile})
            sr = np.clip(sr, 0, 1)[0, : 4 * height, : 4 * width]
            decibels.append(-10 * np.log10(np.mean((sr - images.as_float(hr)) ** 2)))
        lost.append(decibels[0] - decibels[1])
    return np.mean(lost)


def test_little_is_lost_by_that():
    network = C2Matching.from_preset("light").trunk
    assert all(loss_by_extension(network, height, width, False) < 0.15 for height, width in ((24, 24), (12, 20)))


@pytest.mark.slow
@pytest.mark.parametrize(("preset", "most"), [("light", 0.3), ("mobile", 0.6)])
def test_what_is_lost_by_that_with_a_reference(preset, most):
    assert loss_by_extension(load_preset(preset), 24, 24, True) < most


def test_matches_never_lie_in_what_a_reference_was_extended_by(exported):
    photo = np.zeros((40, 40, 3), np.float32)  # flat: every patch fits as well as every other
    flow, score = Upscaler.from_preset(exported).find_matches(photo, [np.zeros((44, 60, 3), np.float32)])
    cells = flow + np.stack(np.mgrid[: flow.shape[0], : flow.shape[1]], axis=-1) + 1.5
    assert flow.shape == (*score.shape, 2)
    assert cells[..., 0].max() <= 44 / 4
    assert cells[..., 1].max() <= 60 / 4


def threads_while(work):
    """The largest number of this process's threads while a function runs."""
    counts = []
    ended = threading.Event()

    def watch():
        while not ended.is_set():
            counts.append(len(list(Path("/proc/self/task").iterdir())))
            time.sleep(0.001)

    watcher = threading.Thread(target=watch)
    watcher.start()
    work()
    ended.set()
    watcher.join()
    return max(counts)


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="threads are counted in Linux's /proc")
def test_a_worker_takes_no_more_cores_than_it_is_given(exported, tmp_path, rng, monkeypatch):
    for name in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
        monkeypatch.setenv(name, "2")  # set back to what it was when the test ends
    images.write(tmp_path / "lr.png", rng.random((24, 20, 3)))
    images.write(tmp_path / "ref.png", rng.random((90, 80, 3)))
    job = Job(f"{tmp_path}/lr.png", [f"{tmp_path}/ref.png"], f"{tmp_path}/sr.png")
    counts = {}
    for cores in (1, 5):
        worker = WorkerSettings(str(exported), overwrite=True).open_worker(1, cores)
        counts[cores] = threads_while(lambda worker=worker: worker(job))
    assert (tmp_path / "sr.png").exists()
    assert counts[5] - counts[1] == 4


def test_the_command_line_takes_the_file(exported, tmp_path, rng, capsys):
    (tmp_path / "pairs").mkdir()
    images.write(tmp_path / "lr.png", rng.random((24, 20, 3)))
    images.write(tmp_path / "ref.png", rng.random((90, 80, 3)))
    arguments = ["upscale", "-i", f"{tmp_path}/lr.png", "-r", f"{tmp_path}/ref.png", "-o", f"{tmp_path}/sr.png"]
    assert c2m_tf([*arguments, "--model", str(exported), "--matches", f"{tmp_path}/map.png"]) == 0
    assert images.read(tmp_path / "sr.png").rgb.shape == (96, 80, 3)
    assert (tmp_path / "map.png").exists()
    assert c2m_tf([*arguments, "--model", str(exported), "--tile", "40"]) == 2
    assert "was exported with its own tile; leave --tile out" in capsys.readouterr().err
    for name in ("000_0.png", "000_1.png"):
        images.write(tmp_path / "pairs" / name, rng.random((80, 72, 3)))
    assert c2m_tf(["evaluate", "--pairs", f"{tmp_path}/pairs", "--model", str(exported)]) == 0
    assert "c2m_light_float32" in capsys.readouterr().out


@pytest.mark.parametrize(("content", "words"), [(None, "does not exist"), (b"no model", "is not a TFLite file")])
def test_invalid_model_files_are_reported_in_one_line(tmp_path, rng, capsys, content, words):
    images.write(tmp_path / "lr.png", rng.random((24, 20, 3)))
    if content is not None:
        (tmp_path / "x.tflite").write_bytes(content)
    arguments = ["upscale", "-i", f"{tmp_path}/lr.png", "-r", f"{tmp_path}/lr.png", "-o", f"{tmp_path}/sr.png"]
    assert c2m_tf([*arguments, "--model", f"{tmp_path}/x.tflite"]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
    assert not (tmp_path / "sr.png").exists()


def test_damaged_files_are_refused_when_opened_or_when_used(exported, tmp_path, rng):
    path, whole, draw = tmp_path / "x.tflite", exported.read_bytes(), random.Random(0)
    lr, refused = rng.random((TILE, TILE, 3)), 0
    for _ in range(20):
        damaged = bytearray(whole)
        for _ in range(8):
            damaged[draw.randrange(2000)] = draw.randrange(256)  # tables of the graph; weights are numbers of any value
        path.write_bytes(damaged)
        try:
            upscaler = Upscaler.from_preset(path)
            upscaler(lr, lr)
            upscaler(lr)
        except ValueError as refusal:
            refused += 1
            assert str(path) in str(refusal)
            assert "\n" not in str(refusal)
    assert refused > 5


def repeated(lr_tile):
    return {"sr": tf.repeat(tf.repeat(lr_tile, 4, 1), 4, 2)}


def located(lr_thumb, ref_thumb):
    del ref_thumb
    return {"matches": tf.zeros([1, 94, 94, 2], tf.int32), "score": lr_thumb[:, :94, :94, 0]}


OTHERS = {
    "as expected": {},
    "name of matches": {"locate": lambda lr_thumb, ref_thumb: {"mbtches": located(lr_thumb, ref_thumb)["matches"]}},
    "size of score": {"locate": lambda lr_thumb, ref_thumb: located(lr_thumb, ref_thumb) | {"score": lr_thumb[:, :90, :94, 0]}},
    "name of sr": {"upscale_alone": lambda lr_tile: {"ss": repeated(lr_tile)["sr"]}},
    "size of sr": {"upscale_alone": lambda lr_tile: {"sr": tf.repeat(lr_tile, 4, 1)}},
}


@pytest.mark.parametrize("fault", OTHERS)
def test_files_with_other_outputs_are_refused(tmp_path, fault):
    def photos(**sides):
        return [tf.TensorSpec([1, side, side, 3], tf.float32, name) for name, side in sides.items()]

    upscale = {"locate": located, "upscale": lambda lr_tile, ref_window: repeated(lr_tile), "upscale_alone": repeated}
    specs = {
        "locate": photos(lr_thumb=96, ref_thumb=384),
        "upscale": photos(lr_tile=24, ref_window=96),
        "upscale_alone": photos(lr_tile=24),
    }
    module = tf.Module()
    for name, function in (upscale | OTHERS[fault]).items():
        setattr(module, name, tf.function(function, input_signature=specs[name]))
    tf.saved_model.save(module, f"{tmp_path}/m", signatures={name: getattr(module, name) for name in specs})
    converter = tf.lite.TFLiteConverter.from_saved_model(f"{tmp_path}/m", signature_keys=list(specs))
    path = tmp_path / "m.tflite"
    path.write_bytes(converter.convert())
    if OTHERS[fault]:
        (name,) = OTHERS[fault]
        with pytest.raises(ValueError, match=rf"m.tflite has no signature {name}\(.* of fitting sizes"):
            TFLiteUpscaler(path)
    else:
        assert TFLiteUpscaler(path).tile == 24


def test_sidecar_describes_the_model_for_an_app(exported, tiny):
    sidecar = json.loads(exported.with_suffix(".json").read_text())
    assert sidecar == {
        "file": exported.name,
        "variant": "custom",
        "precision": "float32",
        "scale": 4,
        "tile": TILE,
        "window": WINDOW,
        "lr_thumb": LR_THUMB,
        "ref_thumb": REF_THUMB,
        "weights_sha256": weights_sha256(PhoneNetwork(tiny)),
        "psnr_y": None,
    }


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-o", "{}/model.bin"], "name it model.tflite"),
        (["-o", "{}/nowhere/model.tflite"], "does not exist"),
        (["-o", "{}/model.tflite", "--precision", "int4"], "unknown precision 'int4'; choose one of float32, float16, int8"),
        (["-o", "{}/model.tflite", "--precision", "int8", "--model", "light-gan"], "no int8 weights of light-gan"),
        (["-o", "{}/model.tflite", "--pairs", "{}/nowhere"], "nowhere"),
        (["-o", "{}/model.tflite", "--tile", "50"], "tile 50 is not a positive multiple of 4"),
        (["-o", "{}/model.tflite", "--tile", "64", "--window", "200"], "window 200 is smaller than what a tile of 64"),
        (["-o", "{}/model.tflite", "--model", "huge"], "unknown preset 'huge'"),
    ],
)
def test_invalid_arguments_are_reported_in_one_line_and_write_nothing(tmp_path, capsys, arguments, words):
    assert export(["tflite", *(argument.format(tmp_path) for argument in arguments)]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())
