"""Degradations: named ones match their definitions, drawn ones depend on the seed alone."""

import io

import numpy as np
import pytest
from PIL import Image
from skimage import data

from c2m_tf.photos import images
from c2m_tf.photos.degradations import (
    DEGRADATIONS,
    Blur,
    Degradation,
    Jpeg,
    Light,
    ReferenceDegradation,
    degradation_named,
    draw_degradation,
    draw_reference_degradation,
)

GRAY = np.full((64, 96, 3), 128, np.uint8)


@pytest.fixture(scope="module")
def photo():
    return data.astronaut()[:160, :200]


def degraded(photo, name, seed=0):
    return degradation_named(name)(photo, np.random.RandomState(seed))


def test_bicubic_is_the_papers_degradation(photo):
    np.testing.assert_array_equal(degraded(photo, "bicubic"), images.downsample(photo))


def test_area_is_the_mean_of_each_4x4_block(photo):
    means = photo.astype(float).reshape(40, 4, 50, 4, 3).mean(axis=(1, 3))
    assert np.abs(degraded(photo, "area") - means).max() <= 1.0


@pytest.mark.parametrize("name", [*DEGRADATIONS, "jpeg75", "noise5"])
def test_named_degradations_are_deterministic(photo, name):
    lr = degraded(photo, name)
    assert lr.shape == (40, 50, 3)
    assert lr.dtype == np.uint8
    np.testing.assert_array_equal(lr, degraded(photo, name))
    difference = np.abs(lr.astype(float) - images.downsample(photo)).mean()
    assert (difference == 0) == (name == "bicubic")
    assert difference < 12
    assert "Pillow" in str(degradation_named(name))


def test_jpeg_is_that_of_a_saved_file(photo):
    file = io.BytesIO()
    Image.fromarray(images.downsample(photo)).save(file, "JPEG", quality=75, subsampling="4:2:0")
    np.testing.assert_array_equal(degraded(photo, "jpeg75"), np.asarray(Image.open(file)))


def test_chroma_at_half_resolution_blurs_colour_and_keeps_luma():
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = (0, 0, 200)
    errors = {chroma: np.abs(Jpeg(95, chroma)(stripes).astype(float) - stripes).mean() for chroma in ("4:4:4", "4:2:0")}
    assert errors["4:2:0"] > 3 * errors["4:4:4"]


def test_gaussian_noise_has_the_stated_deviation():
    noise = degraded(np.full((800, 800, 3), 128, np.uint8), "noise5").astype(float) - 128
    assert noise.std() == pytest.approx(5.0, rel=0.02)
    assert abs(noise.mean()) < 0.05


def test_poisson_noise_has_the_deviation_of_its_photons():
    gray = np.full((800, 800, 3), 100, np.uint8)
    noisy = Degradation(photons=500.0)(gray, np.random.RandomState(0)).astype(float)
    expected = np.sqrt(100 * 500 / 255) * 255 / 500
    assert noisy.mean() == pytest.approx(100, abs=0.1)
    assert noisy.std() == pytest.approx(expected, rel=0.02)


def test_a_blur_spreads_a_point_by_its_standard_deviations():
    point = np.zeros((41, 41, 3), np.uint8)
    point[20, 20] = 255
    isotropic, turned = Blur(1.5, 1.5)(point)[..., 0], Blur(3.0, 1.0, np.pi / 2)(point)[..., 0]
    assert isotropic[20, 20] == pytest.approx(255 / (2 * np.pi * 1.5**2), abs=1)
    np.testing.assert_array_equal(isotropic, isotropic.T)
    # Turned by a right angle, the longer deviation lies along y.
    np.testing.assert_array_equal(turned, Blur(1.0, 3.0)(point)[..., 0])
    assert turned[23, 20] > turned[20, 23]
    np.testing.assert_array_equal(Blur(3.0, 1.0, 0.7)(GRAY), GRAY)


def test_sharpening_steepens_edges():
    edge = np.zeros((64, 64, 3), np.uint8) + np.uint8(80)
    edge[:, 32:] = 170
    sharp = Degradation(sharpening=1.0)(edge, np.random.RandomState(0))
    assert sharp.max() > 175
    assert sharp.min() < 75


def test_light_changes_exposure_white_balance_and_gamma():
    np.testing.assert_array_equal(Light()(GRAY), GRAY)
    assert Light(exposure=-1.0)(GRAY)[0, 0, 0] == round(128 * 0.5 ** (1 / 2.2))
    assert Light(gamma=2.0)(GRAY)[0, 0, 0] == round(255 * (128 / 255) ** 2)
    red, green, blue = Light(white_balance=(1.2, 1.0, 0.8))(GRAY)[0, 0]
    assert red > green == 128 > blue
    assert Light(exposure=5.0)(GRAY).min() == 255


def test_drawn_degradations_depend_on_the_seed_and_half_are_clean():
    drawn = [draw_degradation(np.random.RandomState(seed)) for seed in range(400)]
    assert drawn == [draw_degradation(np.random.RandomState(seed)) for seed in range(400)]
    clean = sum(degradation == Degradation() for degradation in drawn)
    assert 160 < clean < 240
    assert {degradation.resampling for degradation in drawn} == {"bicubic", "bilinear", "area", "lanczos"}
    references = [draw_reference_degradation(np.random.RandomState(seed)) for seed in range(400)]
    assert 160 < sum(reference == ReferenceDegradation() for reference in references) < 250
    always = [draw_degradation(np.random.RandomState(seed), clean_share=0.0) for seed in range(50)]
    assert len(set(always)) == 50
    assert all(draw_degradation(np.random.RandomState(seed), clean_share=1.0) == Degradation() for seed in range(20))


def test_drawn_degradations_can_be_used(photo):
    for seed in range(30):
        random = np.random.RandomState(seed)
        lr = draw_degradation(random, clean_share=0.0)(photo, random)
        reference = draw_reference_degradation(random, clean_share=0.0)(photo)
        assert lr.shape == (40, 50, 3)
        assert reference.shape == photo.shape
        assert lr.dtype == reference.dtype == np.uint8
        assert np.abs(lr.astype(float) - images.downsample(photo)).mean() < 25


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: degradation_named("fog"), "unknown degradation 'fog'; choose one of bicubic, .*jpegQ"),
        (lambda: degradation_named("jpeg0"), "JPEG quality 0 is out of range; give a whole number from 1 to 100"),
        (lambda: degradation_named("jpeg101"), "JPEG quality 101 is out of range"),
        (lambda: Jpeg(80, "4:1:1"), "unknown chroma sampling '4:1:1'; choose one of 4:4:4, 4:2:0"),
        (lambda: Degradation(resampling="nearest"), "unknown resampling 'nearest'; choose one of bicubic"),
        (lambda: Degradation(intermediate=0.1), "intermediate size of 0.1"),
        (lambda: Degradation(noise=-1.0), "noise is -1.0; give 0 or more"),
        (lambda: Degradation(photons=0.0), "photons"),
        (lambda: Blur(0.0, 1.0), "both must be greater than 0"),
    ],
)
def test_what_cannot_be_is_refused_with_what_can(make, sentence):
    with pytest.raises(ValueError, match=sentence):
        make()
