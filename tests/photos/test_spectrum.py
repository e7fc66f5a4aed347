"""The shape of spectra, and what it says of photos that were downsampled in known ways."""

import numpy as np
import pytest
from skimage import data

from c2m_tf.photos import images
from c2m_tf.photos.degradations import Blur, degradation_named
from c2m_tf.photos.quality import averaged, blurred, luma_of, shape_of

PHOTOS = {"astronaut": data.astronaut, "chelsea": data.chelsea, "coffee": data.coffee, "rocket": data.rocket}


@pytest.fixture(scope="module", params=PHOTOS)
def hr(request):
    return images.crop_to_multiple(PHOTOS[request.param](), images.SCALE)


def shape(photo):
    return shape_of(luma_of(images.as_float(photo)))


def degraded(hr, name):
    return shape(degradation_named(name)(hr, np.random.RandomState(0)))


@pytest.mark.parametrize("name", ["bicubic", "lanczos"])
def test_sharp_photos_score_below_0(hr, name):
    assert blurred(degraded(hr, name)) < 0
    assert averaged(degraded(hr, name)) < 0


def test_blurred_photos_and_means_of_areas_score_above_0(hr):
    assert blurred(degraded(hr, "blur")) > 0 > averaged(degraded(hr, "blur"))
    assert averaged(degraded(hr, "area")) > 0 > blurred(degraded(hr, "area"))


def test_the_score_rises_with_blur_up_to_where_rounding_hides_it(hr):
    lr = images.downsample(hr)
    scores = [blurred(shape(photo)) for photo in (lr, Blur(0.4, 0.4)(lr), Blur(0.5, 0.5)(lr), Blur(0.6, 0.6)(lr))]
    assert scores == sorted(scores)
    assert scores[-1] > scores[0] + 1


def test_contrast_and_brightness_do_not_matter(hr):
    luma = luma_of(images.as_float(images.downsample(hr)))
    np.testing.assert_allclose(shape_of(0.5 * luma + 20), shape_of(luma), atol=0.05)


def test_turned_and_mirrored_photos_have_the_same_shape(rng):
    luma = rng.normal(128, 20, (96, 128)).astype(np.float32)
    for same in (luma[::-1], luma[:, ::-1], luma.T):
        np.testing.assert_allclose(shape_of(same), shape_of(luma), atol=1e-4)


def test_a_wave_along_an_axis_stands_at_its_frequency():
    luma = np.tile(128 + 50 * np.sin(2 * np.pi * 9.5 / 32 * np.arange(128)), (128, 1))
    for wave in (luma, luma.T):
        found = shape_of(wave.astype(np.float32))
        assert found[:8].argmax() == 4  # 9 and 10 cycles per 32 pixels
        assert found[4] > found[8:].max() + 2


def test_white_noise_is_flat(rng):
    assert np.abs(shape_of(rng.normal(128, 20, (512, 512)).astype(np.float32))).max() < 0.1


@pytest.mark.parametrize("size", [(63, 200), (200, 63), (3, 3)])
def test_small_photos_have_none(rng, size):
    assert shape_of(rng.normal(128, 20, size).astype(np.float32)) is None


def test_one_colour_has_none():
    assert shape_of(np.full((64, 64), 77.7, np.float32)) is None
