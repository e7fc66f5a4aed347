"""Colour profiles: references are converted to the LR photo's colour space, and results keep its profile."""

import io

import numpy as np
import pytest
from colour_profiles import GAMMA_RGB, GRAY, P3, P3_COLOURS, SRGB, SRGB_COLOURS, converted_by_hand
from PIL import Image

from c2m_tf.photos import images, pixels


@pytest.fixture
def photo(rng):
    # Away from the borders of the colour space, which another may not reach.
    return rng.integers(80, 180, (6, 8, 3)).astype(np.uint8)


@pytest.mark.parametrize(
    ("own", "other", "colours"),
    [(P3, GAMMA_RGB, (P3_COLOURS, SRGB_COLOURS)), (GAMMA_RGB, P3, (SRGB_COLOURS, P3_COLOURS))],
)
def test_a_reference_is_brought_to_the_space_of_the_lr_photo(photo, own, other, colours):
    reference = images.Image(images.as_float(photo), icc_profile=own)
    lr = images.Image(images.as_float(photo), icc_profile=other)
    found = reference.in_colours_of(lr) * 255
    assert np.abs(found - converted_by_hand(photo, *colours)).max() <= 1.5
    assert np.abs(found - photo).max() > 10


@pytest.mark.parametrize("other", [None, SRGB])
def test_a_photo_without_profile_is_srgb(photo, other):
    as_p3 = images.Image(images.as_float(photo), icc_profile=P3).in_colours_of(images.Image(photo, icc_profile=other))
    assert np.abs(as_p3 * 255 - photo).max() > 10
    same = images.Image(images.as_float(photo)).in_colours_of(images.Image(photo, icc_profile=other))
    assert np.abs(same * 255 - photo).max() <= 1


@pytest.mark.parametrize("place", range(0, 128, 4))
@pytest.mark.parametrize("value", [0, 0xFF])
def test_a_profile_of_which_a_byte_is_damaged_is_used_or_counts_as_none(photo, place, value):
    """The colour space stands at 16; what of it is no ASCII cannot even be named."""
    damaged = P3[:place] + bytes([value]) + P3[place + 1 :]
    lr = images.Image(images.as_float(photo), icc_profile=damaged)
    found = images.Image(images.as_float(photo), icc_profile=P3).in_colours_of(lr)
    assert found.shape == photo.shape
    found = lr.in_colours_of(images.Image(images.as_float(photo)))
    if place == 16:
        np.testing.assert_array_equal(images.as_uint8(found), photo)
    file = io.BytesIO()
    images.encode(file, "BMP", photo, icc_profile=damaged)
    assert pixels.is_gray_profile(damaged) is False


@pytest.mark.parametrize("damaged", [b"", b"no profile", P3[:140], P3[:200]])
def test_a_damaged_profile_counts_as_none(photo, damaged):
    for own, other in ((damaged, None), (None, damaged), (damaged, damaged[::-1])):
        reference = images.Image(images.as_float(photo), icc_profile=own)
        found = reference.in_colours_of(images.Image(photo, icc_profile=other))
        np.testing.assert_array_equal(images.as_uint8(found), photo)


def test_gray_photos_go_through_gray_profiles(photo):
    gray = np.repeat(photo[..., :1], 3, axis=-1)
    found = pixels.converted(gray, GRAY, GAMMA_RGB, gray=True)
    assert np.abs(found.astype(int) - gray).max() <= 1  # the same gamma
    assert np.abs(pixels.converted(gray, GRAY, None, gray=True).astype(int) - gray).max() > 1


@pytest.mark.parametrize("suffix", images.SUFFIXES)
@pytest.mark.parametrize("gray", [False, True])
def test_results_look_the_same_in_every_format(tmp_path, photo, suffix, gray):
    """Shown in sRGB, what is written to any format is what the photo shows: by its profile, or converted."""
    smooth = np.asarray(Image.fromarray(photo).resize((48, 48), Image.Resampling.BICUBIC))
    if gray:
        smooth = np.repeat(smooth[..., :1], 3, axis=-1)
    own = GRAY if gray else P3
    images.write(tmp_path / f"photo{suffix}", smooth, gray=gray, icc_profile=own)
    read = images.read(tmp_path / f"photo{suffix}")
    shown = images.as_uint8(pixels.converted(read.rgb, read.icc_profile, None, read.gray)).astype(int)
    expected = images.as_uint8(pixels.converted(smooth, own, None, gray)).astype(int)
    lossy = suffix not in (".png", ".bmp", ".tif", ".tiff")
    assert np.abs(shown - expected).mean() <= (3 if lossy else 0.5)
    assert (read.icc_profile is None) == (suffix == ".bmp" or (gray and suffix == ".webp"))


def test_cmyk_without_cmyk_profile_uses_pillow_s_formula():
    file = io.BytesIO()
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(file, "TIFF", icc_profile=SRGB)
    file.seek(0)
    photo = images.read(file)
    np.testing.assert_array_equal(photo.rgb[0, 0], [1, 0, 0])
    assert photo.icc_profile is None
