"""PSNR and SSIM are those of the papers."""

import keras
import numpy as np
import pytest
from golden_models import golden

from c2m_tf.evaluation import metrics
from c2m_tf.photos import images


def test_golden_figures_are_reproduced():
    arrays = golden("padded_protocol")
    hr, sr = images.crop_to_multiple(arrays["hr_u8"]), arrays["sr_u8"]
    assert metrics.psnr(hr, sr) == pytest.approx(float(arrays["metric_psnr"]), abs=1e-6)
    assert metrics.psnr(metrics.luma(hr), metrics.luma(sr)) == pytest.approx(float(arrays["metric_psnr_y"]), abs=1e-6)
    assert metrics.ssim(metrics.luma(hr), metrics.luma(sr)) == pytest.approx(float(arrays["metric_ssim_y"]), abs=1e-6)


def test_known_differences_have_known_figures():
    photo = np.full((30, 30), 100.0)
    assert metrics.psnr(photo, photo + 1) == pytest.approx(20 * np.log10(255))
    assert metrics.psnr(photo, photo) == float("inf")
    assert metrics.ssim(photo, photo) == 1.0


def test_the_border_is_not_counted(rng):
    photo = rng.integers(0, 256, (40, 40)).astype(float)
    framed = photo.copy()
    framed[:4] = framed[-4:] = framed[:, :4] = framed[:, -4:] = 0
    assert metrics.psnr(photo, framed) == float("inf")
    assert metrics.psnr(photo, framed, border=0) < 20
    assert metrics.ssim(photo, framed) == 1.0


def test_eight_bit_arithmetic_does_not_wrap():
    black, white = np.zeros((20, 20), np.uint8), np.full((20, 20), 255, np.uint8)
    assert metrics.psnr(black, white) == 0.0


def test_photos_that_cannot_be_compared_are_refused():
    with pytest.raises(ValueError, match="shapes"):
        metrics.psnr(np.zeros((20, 20)), np.zeros((20, 21)))
    with pytest.raises(ValueError, match="too small"):
        metrics.ssim(np.zeros((18, 18)), np.zeros((18, 18)))


def test_keras_metrics_equal_the_functions(rng):
    hr = rng.random((3, 40, 44, 3), np.float32)
    sr = np.clip(hr + 0.1 * rng.standard_normal(hr.shape).astype(np.float32), 0, 1)
    pairs = [(metrics.luma(images.as_uint8(a)), metrics.luma(images.as_uint8(b))) for a, b in zip(hr, sr, strict=True)]
    for metric, function in ((metrics.PSNR(), metrics.psnr), (metrics.SSIM(), metrics.ssim)):
        assert float(metric.result()) == 0
        metric.update_state(hr[:1], sr[:1])
        metric.update_state(hr[1:], sr[1:])
        expected = np.mean([function(*pair) for pair in pairs])
        assert float(metric.result()) == pytest.approx(expected, abs=1e-4)
        copy = keras.metrics.deserialize(keras.metrics.serialize(metric))
        assert copy.get_config() == metric.get_config()
