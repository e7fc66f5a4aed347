"""Estimates of a photo's quality, on photos degraded in known ways."""

import io

import numpy as np
import pytest
from PIL import Image
from skimage import data

from c2m_tf.photos import images
from c2m_tf.photos.degradations import Jpeg, degradation_named
from c2m_tf.photos.quality import averaged, blurred, luma_of, quality_of, shape_of

PHOTOS = {"astronaut": data.astronaut, "chelsea": data.chelsea, "coffee": data.coffee, "rocket": data.rocket}


def quality(photo):
    return quality_of(images.Image(images.as_float(photo)))


@pytest.fixture(scope="module", params=PHOTOS)
def hr(request):
    return images.crop_to_multiple(PHOTOS[request.param](), images.SCALE)


def degraded(hr, name):
    return degradation_named(name)(hr, np.random.RandomState(0))


def test_a_clean_photo_has_no_traces(hr):
    lr = quality(images.downsample(hr))
    assert lr.jpeg is None
    assert lr.noise < 1.2
    assert lr.blurred < 0
    assert lr.averaged < 0


@pytest.mark.parametrize("number", [30, 50, 75, 90, 95])
def test_pixels_tell_the_quality_of_the_jpeg_that_they_were(hr, number):
    lr = degraded(hr, f"jpeg{number}")
    for cut in (lr, lr[3:, 5:]):
        assert abs(quality(cut).jpeg - number) <= 1
    assert quality(np.asarray(Image.fromarray(lr).resize((96, 96)))).jpeg is None


def test_traces_are_found_in_gray_photos_too(hr):
    gray = np.repeat(degraded(hr, "jpeg75").mean(axis=-1, keepdims=True).astype(np.uint8), 3, axis=-1)
    assert quality(Jpeg(60)(gray)).jpeg == 60
    assert quality(gray).noise is None


@pytest.mark.parametrize("deviation", [2, 3, 5, 8, 15])
def test_noise_is_measured(hr, deviation):
    assert quality(degraded(hr, f"noise{deviation}")).noise == pytest.approx(deviation, rel=0.2)


def test_the_deviation_of_noise_alone_is_exact(rng):
    noise = np.clip(rng.normal(128, 6, (128, 160, 3)), 0, 255).astype(np.float32) / 255
    assert quality_of(images.Image(noise)).noise == pytest.approx(6, rel=0.05)


def test_the_spectrum_of_the_middle_is_scored(hr):
    lr = degraded(hr, "area")
    shape = shape_of(luma_of(images.as_float(lr)))
    assert (quality(lr).blurred, quality(lr).averaged) == (blurred(shape), averaged(shape))
    around = np.pad(lr, [(600, 600), (600, 600), (0, 0)], mode="reflect")
    middle = [slice((length - 512) // 2, (length - 512) // 2 + 512) for length in around.shape[:2]]
    assert quality(around)[2:] == quality(around[tuple(middle)])[2:]


@pytest.mark.parametrize("number", [1, 10, 49, 50, 75, 99, 100])
def test_files_tell_their_quality(tmp_path, rng, number):
    Image.fromarray(rng.integers(0, 256, (40, 40, 3), np.uint8)).save(tmp_path / "a.jpg", quality=number)
    assert quality_of(images.read(tmp_path / "a.jpg")).jpeg == number


def test_tables_of_others_count_as_the_most_similar(rng):
    file = io.BytesIO()
    Image.fromarray(rng.integers(0, 256, (40, 40, 3), np.uint8)).save(file, "JPEG", qtables=[[8] * 64, [16] * 64])
    file.seek(0)
    assert images.Image.open(file).jpeg_tables[0] == [8] * 64
    assert file.tell() == 0
    assert 85 <= quality_of(images.read(file)).jpeg <= 95


def test_other_formats_have_no_tables(tmp_path, rng):
    images.write(tmp_path / "a.png", rng.random((8, 8, 3)))
    assert images.Image.open(tmp_path / "a.png").jpeg_tables is None


@pytest.mark.parametrize("shape", [(3, 3), (8, 40), (24, 24), (31, 200), (40, 40), (700, 33), (64, 80)])
@pytest.mark.parametrize("content", ["one colour", "noise"])
def test_photos_of_any_size_and_content(rng, shape, content):
    photo = np.full((*shape, 3), 0.5, np.float32) if content == "one colour" else rng.random((*shape, 3), np.float32)
    found = quality_of(images.Image(photo))
    assert found.jpeg is None
    assert (found.noise is None) == (content == "one colour" or min(shape) < 32)
    assert (found.blurred is None) == (found.averaged is None) == (content == "one colour" or min(shape) < 64)
