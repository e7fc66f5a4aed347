"""Mobile networks as TFLite files: the same numbers, and int8 where it costs nothing."""

import keras
import numpy as np
import pytest
from c2m_tf.export.phone_network import PhoneMobile, phone_form
from c2m_tf.export.quantization import (
    QuantizationConfig,
    calibrate,
    load_quantized,
    quantize,
    quantized_preset,
    save_quantized,
)
from c2m_tf.export.tflite import LR_THUMB, REF_THUMB, export_tflite
from c2m_tf.training import sources
from exporting import run
from skimage import data
from tiny_models import tiny_mobile
from training_data import make

from c2m_tf import Upscaler
from c2m_tf.photos import images
from c2m_tf.presets import load_preset

pytest.importorskip("ai_edge_litert.interpreter")

TILE, WINDOW = 20, 80


@pytest.fixture(scope="module")
def network():
    return tiny_mobile(reference_scales=(1.0,))


@pytest.fixture(scope="module")
def photos():
    """An LR photo of one tile, and the reference that it was made from, shifted."""
    whole = data.astronaut()[:200, 150:350]
    return images.as_float(images.downsample(whole[8 : 8 + 4 * TILE, 12 : 12 + 4 * TILE])), images.as_float(
        whole[:WINDOW, :WINDOW]
    )


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return make(tmp_path_factory.mktemp("photos")) / "data/cufed"


@pytest.fixture(scope="module")
def exported(network, tmp_path_factory):
    path = tmp_path_factory.mktemp("tflite") / "mobile.tflite"
    export_tflite(phone_form(network), path, "float32", TILE, WINDOW)
    return path


def test_it_gives_what_the_keras_model_gives(exported, network, photos):
    lr, ref = (photo[None] for photo in photos)
    sr = run(exported, "upscale", lr_tile=lr, ref_window=ref)["sr"]
    expected = np.clip(network({"lr": lr, "ref": ref}), 0, 1)
    assert np.abs(expected - np.clip(network({"lr": lr}), 0, 1)).mean() > 0.01
    # Here and there another of two places that match as well.
    assert np.mean(np.abs(sr - expected) > 1e-4) < 0.01
    alone = run(exported, "upscale_alone", lr_tile=lr)["sr"]
    np.testing.assert_allclose(alone, np.clip(network({"lr": lr}), 0, 1), atol=1e-4)


def test_upscaler_takes_the_file(exported, network, photos):
    lr, ref = (photo[None] for photo in photos)
    found, expected = Upscaler.from_preset(exported)(*photos), np.clip(np.asarray(network({"lr": lr, "ref": ref}))[0], 0.0, 1.0)
    assert np.mean(np.abs(found.image.rgb - expected) > 1e-4) < 0.01


def test_locate_finds_a_part(exported):
    photo = images.as_float(data.astronaut()[:REF_THUMB, :REF_THUMB])
    small = images.as_float(images.downsample(data.astronaut()[:REF_THUMB, :REF_THUMB]))
    assert small.shape[0] == LR_THUMB
    found = run(exported, "locate", lr_thumb=small[None], ref_thumb=photo[None])["matches"][0]
    expected = np.moveaxis(np.mgrid[: LR_THUMB - 2, : LR_THUMB - 2], 0, -1)
    assert (np.abs(found - expected).max(axis=-1) <= 2).mean() > 0.5


@pytest.fixture(scope="module")
def quantized(network, source, tmp_path_factory):
    rounded = phone_form(network, quantized=True)
    calibrate(rounded, [sources.source_of(source)], 3)
    path = tmp_path_factory.mktemp("weights") / "quantized.npz"
    save_quantized(rounded, path)
    return rounded, load_quantized(path)


def test_a_saved_network_is_the_same(quantized, photos):
    assert isinstance(quantized[1], PhoneMobile)
    for one, other in zip(*(network.weights for network in quantized), strict=True):
        np.testing.assert_allclose(one, other, atol=2e-3)
    assert any(layer.high.numpy() > 0 for layer in quantized[1].ranges())


def test_int8_rounds_the_fusion_alone(quantized, network, photos, tmp_path):
    path = tmp_path / "int8.tflite"
    export_tflite(quantized[1], path, "int8", TILE, WINDOW)
    lr, ref = (photo[None] for photo in photos)
    # Half precision of the weights; rounded pixels of the branch would differ by a fiftieth.
    np.testing.assert_allclose(run(path, "upscale_alone", lr_tile=lr)["sr"], np.clip(network({"lr": lr}), 0, 1), atol=3e-3)
    expected = np.clip(network({"lr": lr, "ref": ref}), 0, 1)
    assert np.abs(run(path, "upscale", lr_tile=lr, ref_window=ref)["sr"] - expected).mean() < 4e-3


def test_quantization_trains_the_fusion_alone(network, source, tmp_path):
    network.save(tmp_path / "tiny.keras")
    config = QuantizationConfig(str(tmp_path / "tiny.keras"), (str(source),), iterations=1, calibration_patches=1, batch_size=2)
    trained = quantize(config, tmp_path / "run")
    for part in ("branch", "descriptors"):
        for one, other in zip(trained.parts[part].weights, network.parts[part].weights, strict=True):
            np.testing.assert_allclose(one, other, atol=2e-3)


def test_the_preset_has_int8_weights():
    quantized, network = load_quantized(quantized_preset("mobile")), load_preset("mobile")
    for name in ("enter", "body_3_1", "out"):
        rounded, kernel = (keras.ops.convert_to_numpy(part.fusion.get_layer(name).kernel) for part in (quantized, network))
        step = np.abs(kernel).reshape(-1, kernel.shape[-1]).max(axis=0) / 127
        assert (np.abs(rounded - kernel) <= step / 2 + 1e-6).all()
