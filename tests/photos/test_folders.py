"""Photos of a folder, files that are left out, and formats that depend on the installation."""

import io
import os

import numpy as np
import pytest
from PIL import Image

from c2m_tf.photos import formats, images

SMOOTH = np.asarray(Image.fromarray(np.arange(27, dtype=np.uint8).reshape(3, 3, 3) * 9).resize((48, 32)))


@pytest.mark.parametrize("suffix", [*images.PHOTO_SUFFIXES, *(suffix.upper() for suffix in images.PHOTO_SUFFIXES)])
def test_photos_are_found_by_suffix_and_their_companions_are_not(tmp_path, suffix):
    for name in (f"b{suffix}", f"a{suffix}", f"._a{suffix}", f".hidden{suffix}", "notes.txt", "clip.MOV", "Makefile"):
        (tmp_path / name).write_bytes(b"")
    for name in ("folder", f"folder{suffix}"):
        (tmp_path / name).mkdir()
    os.mkfifo(tmp_path / f"pipe{suffix}")
    assert [path.name for path in images.list_photos(tmp_path)] == [f"a{suffix}", f"b{suffix}"]
    assert [path.name for path in images.list_others(tmp_path)] == ["Makefile", "clip.MOV", "notes.txt"]


def test_links_are_photos_where_they_lead_to_one_or_nowhere(tmp_path):
    (tmp_path / "a.png").touch()
    for name, target in (("link.png", "a.png"), ("lost.png", "nowhere"), ("self.png", "self.png"), ("up.png", "..")):
        (tmp_path / name).symlink_to(target)
    assert [path.name for path in images.list_photos(tmp_path)] == ["a.png", "link.png", "lost.png", "self.png"]


@pytest.mark.parametrize("path", ["nowhere", "x" * 300, "file"])
def test_folders_that_cannot_be_read_are_named(tmp_path, path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(images.ImageError, match=f"folder .*{path} cannot be read: "):
        images.list_photos(tmp_path / path)


def test_two_photos_of_one_name_are_refused(tmp_path):
    photos = [tmp_path / "1.jpg", tmp_path / "1.png", tmp_path / "2.png"]
    with pytest.raises(images.ImageError, match=r"1.jpg and 1.png have one name; keep one of them"):
        images.by_stem(photos)
    assert list(images.by_stem(photos[1:])) == ["1", "2"]


# HEIC does not say its orientation by EXIF; its decoder applies it.
@pytest.mark.parametrize(
    ("file_format", "suffix", "orientation"), [("AVIF", ".avif", 1), ("AVIF", ".avif", 6), ("HEIF", ".heic", 1)]
)
def test_photos_of_phones_are_read_where_that_is_installed(tmp_path, monkeypatch, file_format, suffix, orientation):
    if file_format not in formats.READ:
        pytest.skip(f"{file_format} is not installed")
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = io.BytesIO()
    Image.fromarray(SMOOTH).save(file, file_format, quality=95, exif=exif)
    (tmp_path / f"photo{suffix}").write_bytes(file.getvalue())
    expected = SMOOTH if orientation == 1 else np.rot90(SMOOTH, -1)
    found = images.as_uint8(images.read(tmp_path / f"photo{suffix}").rgb)
    assert found.shape == expected.shape
    assert np.abs(found.astype(int) - expected).mean() < 4
    monkeypatch.setattr(formats, "READ", images.FORMATS)
    with pytest.raises(images.UnknownFormatError, match="pip install 'c2m-tf" if file_format == "HEIF" else "AVIF"):
        images.read(tmp_path / f"photo{suffix}")


@pytest.mark.parametrize("path", ["x" * 300, "nul\0byte"])
def test_names_that_the_system_refuses_are_errors_in_words(tmp_path, path):
    for use in (images.read, images.check_exists, images.check_writable, images.make_folder):
        with pytest.raises((images.ImageError, ValueError)) as refused:
            use(tmp_path / path)
        assert str(refused.value)
