"""Files of 16 bits a sample hold what second decoders find there: libpng (within TensorFlow), tifffile."""

import numpy as np
import pytest
import tifffile
from colour_profiles import P3
from PIL import Image

from c2m_tf.photos import images

RGB = np.random.default_rng(0).random((70, 33, 3)).astype(np.float32)
ALPHA = np.random.default_rng(1).random((70, 33)).astype(np.float32)
GRAY = np.repeat(RGB[..., :1], 3, axis=2)
PHOTOS = {
    "RGB": (RGB, None, False),
    "RGB and alpha": (RGB, ALPHA, False),
    "gray": (GRAY, None, True),
    "gray and alpha": (GRAY, ALPHA, True),
    "8 bits": (np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, 2), None, False),
}


@pytest.fixture(params=PHOTOS)
def photo(request):
    return images.Image(*PHOTOS[request.param], icc_profile=P3 if "gray" not in request.param else None)


def expected(photo, channels):
    colours = images.as_float(photo.rgb)[..., : 1 if channels < 3 else 3]
    alpha = [] if photo.alpha is None else [photo.alpha[..., None]]
    return np.concatenate([colours, *alpha], axis=2) * 65535


def test_png(photo, tmp_path):
    tf = pytest.importorskip("tensorflow")
    photo.save(tmp_path / "a.png", bits=16)
    found = tf.io.decode_png((tmp_path / "a.png").read_bytes(), dtype=tf.uint16).numpy()
    assert found.shape[2] == (1 if photo.gray else 3) + (photo.alpha is not None)
    np.testing.assert_allclose(found, expected(photo, found.shape[2]), atol=0.51)
    assert images.read(tmp_path / "a.png").icc_profile == photo.icc_profile


def test_tiff(photo, tmp_path):
    photo.save(tmp_path / "a.tif", bits=16)
    found = tifffile.imread(tmp_path / "a.tif")
    found = found.reshape(*photo.rgb.shape[:2], -1)
    assert found.dtype == np.uint16
    np.testing.assert_allclose(found, expected(photo, found.shape[2]), atol=0.51)
    with Image.open(tmp_path / "a.tif") as written:  # which says what other programs make of it
        assert written.mode == ("I;16" if found.shape[2] == 1 else "RGBA" if found.shape[2] == 4 else "RGB")
        assert written.info.get("icc_profile") == photo.icc_profile


@pytest.mark.parametrize("suffix", [".jpg", ".webp", ".bmp"])
def test_formats_of_8_bits_are_refused_before_work(suffix, tmp_path):
    with pytest.raises(images.ImageError, match=f"{suffix} is written with 8 bits; choose .png or .tif for 16"):
        images.Image(RGB).save(tmp_path / f"a{suffix}", bits=16)
    assert list(tmp_path.iterdir()) == []
