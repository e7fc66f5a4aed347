"""The TFLite file: builtin ops only, the signatures that phones rely on, the same numbers as the Keras model."""

import json

import numpy as np
import pytest
from tensorflow.lite.python import schema_py_generated as schema

from c2m_tf.matching import match
from c2m_tf.upsampling import bicubic_upsample
from export.__main__ import main
from export.tflite import LR_THUMB, REF_THUMB, export_tflite, weights_sha256

interpreter = pytest.importorskip("ai_edge_litert.interpreter")

TILE, WINDOW = 20, 80


@pytest.fixture(scope="module")
def exported(light, tmp_path_factory):
    """Path of the golden light model as float32 TFLite, with small tiles so that tests are quick."""
    path = tmp_path_factory.mktemp("tflite") / "c2m_light_float32.tflite"
    export_tflite(light, path, "float32", TILE, WINDOW)
    return path


def run(path, signature, **inputs):
    runner = interpreter.Interpreter(str(path), num_threads=2).get_signature_runner(signature)
    return runner(**inputs)


def test_upscale_equals_the_keras_model(exported, light, rng):
    lr, ref = rng.random((1, TILE, TILE, 3), np.float32), rng.random((1, WINDOW, WINDOW, 3), np.float32)
    sr = run(exported, "upscale", lr_tile=lr, ref_window=ref)["sr"]
    wanted = np.clip(light.predict_on_batch({"lr": lr, "ref": ref}), 0, 1)
    assert sr.shape == (1, 4 * TILE, 4 * TILE, 3)
    np.testing.assert_allclose(sr, wanted, atol=1e-4)


def test_locate_equals_matching(exported, light, rng):
    lr = rng.random((1, LR_THUMB, LR_THUMB, 3), np.float32)
    ref = rng.random((1, REF_THUMB, REF_THUMB, 3), np.float32)
    found = run(exported, "locate", lr_thumb=lr, ref_thumb=ref)
    matches, score = match(light.extractor_lr(bicubic_upsample(lr)), light.extractor_ref(ref))
    assert found["matches"].dtype == np.int32
    assert found["matches"].shape == (1, LR_THUMB - 2, LR_THUMB - 2, 2)
    assert (found["matches"] == np.asarray(matches)).all(axis=-1).mean() > 0.999
    np.testing.assert_allclose(found["score"], score, atol=1e-4)


def test_ops_are_builtin_and_the_runtime_that_it_needs_is_told(exported):
    model = schema.Model.GetRootAsModel(exported.read_bytes(), 0)
    codes = [model.OperatorCodes(index) for index in range(model.OperatorCodesLength())]
    assert all(code.CustomCode() is None for code in codes)
    metadata = {model.Metadata(index).Name(): model.Metadata(index) for index in range(model.MetadataLength())}
    version = bytes(model.Buffers(metadata[b"min_runtime_version"].Buffer()).DataAsNumpy()).rstrip(b"\0").decode()
    assert tuple(int(part) for part in version.split(".")) <= (2, 21, 0)


def test_sidecar_tells_what_an_app_has_to_know(exported, light):
    told = json.loads(exported.with_suffix(".json").read_text())
    assert told == {
        "file": exported.name,
        "variant": "light",
        "precision": "float32",
        "scale": 4,
        "tile": TILE,
        "window": WINDOW,
        "lr_thumb": LR_THUMB,
        "ref_thumb": REF_THUMB,
        "weights_sha256": weights_sha256(light),
        "psnr_y": None,
    }


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-o", "{}/model.bin"], "name it model.tflite"),
        (["-o", "{}/nowhere/model.tflite"], "does not exist"),
        (["-o", "{}/model.tflite", "--precision", "int4"], "unknown precision 'int4'; choose one of float32, float16"),
        (["-o", "{}/model.tflite", "--tile", "50"], "tile 50 is no positive multiple of 4"),
        (["-o", "{}/model.tflite", "--tile", "64", "--window", "200"], "window 200 is smaller than what a tile of 64"),
        (["-o", "{}/model.tflite", "--model", "huge"], "unknown preset 'huge'"),
    ],
)
def test_faults_are_told_in_one_line_and_leave_nothing(tmp_path, capsys, arguments, words):
    assert main(["tflite", *(argument.format(tmp_path) for argument in arguments)]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())
