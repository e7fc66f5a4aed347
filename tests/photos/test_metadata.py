"""EXIF goes on from a photo to its result, without what describes the old file."""

import io

import numpy as np
import pytest
from PIL import Image
from PIL.ExifTags import GPS, IFD, Base

from c2m_tf.photos import formats, images
from c2m_tf.photos.metadata import MAX_BYTES


def given():
    exif = Image.Exif()
    exif[Base.Make], exif[Base.DateTime], exif[Base.Orientation] = "C2M", "2026:11:30 08:00:00", 6
    exif[IFD.Exif] = {Base.FNumber: 2.8, Base.ExifImageWidth: 30, Base.MakerNote: b"private"}
    exif[IFD.GPSInfo] = {GPS.GPSLatitudeRef: "N", GPS.GPSLatitude: (50.0, 3.0, 0.5)}
    return exif


def photo(exif, file_format="JPEG"):
    file = io.BytesIO()
    Image.fromarray(np.zeros((20, 30, 3), np.uint8)).save(file, file_format, exif=exif)
    return images.read(file.getvalue())


@pytest.mark.parametrize("suffix", [suffix for suffix, name in formats.SUFFIXES.items() if formats.WRITTEN[name].exif])
def test_what_says_something_of_the_picture_is_kept_in_every_format(tmp_path, suffix):
    photo(given()).save(tmp_path / f"sr{suffix}")
    with Image.open(tmp_path / f"sr{suffix}") as written:
        exif = written.getexif()
        details, place = exif.get_ifd(IFD.Exif), exif.get_ifd(IFD.GPSInfo)
        assert written.size == (20, 30)
    assert (exif[Base.Make], exif[Base.DateTime]) == ("C2M", "2026:11:30 08:00:00")
    assert exif.get(Base.Orientation, 1) == 1
    assert float(details[Base.FNumber]) == pytest.approx(2.8)
    assert not {Base.ExifImageWidth, Base.MakerNote} & set(details)
    assert place[GPS.GPSLatitudeRef] == "N"
    assert [float(value) for value in place[GPS.GPSLatitude]] == [50.0, 3.0, 0.5]
    assert images.read(tmp_path / f"sr{suffix}").exif == photo(given()).exif


def test_a_photo_that_says_nothing_gives_a_file_without_metadata(tmp_path):
    images.Image(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / "a.png")
    assert b"eXIf" not in (tmp_path / "a.png").read_bytes()
    only_turned = Image.Exif()
    only_turned[Base.Orientation] = 6
    assert photo(only_turned).exif == b""


@pytest.mark.parametrize(
    "exif", [b"Exif\0\0II*\0\xff\xff\0\0", b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x87\x69\0\x04\0\0\0\x01\0\0\xff\xff"]
)
def test_damaged_metadata_costs_nothing_but_itself(exif):
    assert photo(exif).rgb.shape == (20, 30, 3)


def test_metadata_that_a_jpeg_file_could_not_hold_is_left_out():
    exif = given()
    exif[Base.ImageDescription] = "x" * MAX_BYTES
    assert photo(exif, "PNG").exif == b""
