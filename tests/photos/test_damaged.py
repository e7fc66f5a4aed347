"""Damaged photos: any bytes give a photo or an `ImageError`, and what of the damage each format notices.

`DAMAGED_FILES` sets how many damaged files of each kind `test_a_long_run_over_damaged_files` reads, 5,000 if it is not set.
"""

import io
import os

import numpy as np
import pytest
from damaged_files import mutated
from PIL import Image, ImageFile
from skimage import data

from c2m_tf.photos import images
from c2m_tf.photos.formats import HAS_AVIF, HAS_HEIF

FILES = 120  # of each kind
LONG_RUN = int(os.environ.get("DAMAGED_FILES", "5000"))
REST = 20  # bytes before and after what is damaged, where the headers of some formats stand
TIFF = ("raw", "packbits", "tiff_lzw", "tiff_adobe_deflate", "lzma", "zstd", "jpeg")
KINDS = {
    "PNG": {},
    "PNG, palette": {"mode": "P"},
    "PNG, with metadata": {"exif": True, "profile": True},
    "JPEG": {"exif": True, "profile": True},
    "JPEG, progressive": {"progressive": True},
    "WEBP": {"exif": True, "profile": True},
    "WEBP, lossless": {"lossless": True},
    "WEBP, animated": {"save_all": True},
    "BMP": {},
    "BMP, palette": {"mode": "P"},
    **{f"TIFF, {compression}": {"compression": compression} for compression in TIFF},
    **({"AVIF": {"exif": True, "profile": True}} if HAS_AVIF else {}),
    **({"HEIF": {"exif": True, "profile": True}} if HAS_HEIF else {}),
}
# Where the format holds no checksums, what damage within the pixels decodes to cannot be told from a photo.
CHECKSUMS = ("PNG", "PNG, palette", "PNG, with metadata", "TIFF, tiff_adobe_deflate", "TIFF, lzma")
# Of these a file whose rest is zeros, as interrupted copies leave it, decodes.
ZEROS_PASS = ("WEBP", "WEBP, lossless", "WEBP, animated", "BMP", "BMP, palette", "TIFF, raw", "TIFF, jpeg", "AVIF", "HEIF")


def encoded(kind):
    """A photo of that kind, as bytes."""
    options = dict(KINDS[kind])
    photo = Image.fromarray(data.astronaut()[:40, :56]).convert(options.pop("mode", "RGB"))
    if options.pop("exif", False):
        options["exif"] = Image.Exif()
        options["exif"][0x0112] = 6
    if options.pop("profile", False):
        from colour_profiles import P3

        options["icc_profile"] = P3
    if "save_all" in options:
        options["append_images"] = [photo.rotate(90)]
    file = io.BytesIO()
    photo.save(file, kind.split(",")[0], **options)
    return file.getvalue()


def read_damaged_files(kind, number, seed):
    """Reads so many; all give photos or ImageErrors, some of each or errors alone."""
    original, random = encoded(kind), np.random.RandomState(seed)
    refused = 0
    for _ in range(number):
        try:
            photo = images.Image.open(io.BytesIO(mutated(original, random)), "lr.png", max_pixels=1_000_000).load()
        except images.ImageError as error:
            refused += 1
            assert str(error).startswith("lr.png ")
            assert "\n" not in str(error)
        else:
            assert photo.rgb.dtype == np.float32
            assert photo.rgb.shape[2:] == (3,)
            assert np.isfinite(photo.rgb).all()
            assert photo.rgb.min() >= 0
            assert photo.rgb.max() <= 1
    assert refused > 0


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_files_are_read_or_refused(kind):
    read_damaged_files(kind, FILES, seed=0)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_long_run_over_damaged_files(kind):
    read_damaged_files(kind, LONG_RUN, seed=1)


def refused(content):
    try:
        images.Image.open(io.BytesIO(content), "photo").load()
    except images.ImageError:
        return True
    return False


@pytest.fixture(params=[False, True], ids=["strict", "lenient"])
def lenient(request, monkeypatch):
    """Pillow's setting by which it takes damaged files, which some packages make for the whole process."""
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", request.param)
    yield
    assert ImageFile.LOAD_TRUNCATED_IMAGES is request.param


@pytest.mark.usefixtures("lenient")
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_cut_is_refused(kind):
    content = encoded(kind)
    for end in np.linspace(REST, len(content) - REST, 12).astype(int):
        assert refused(content[:end]), end


@pytest.mark.usefixtures("lenient")
@pytest.mark.parametrize("kind", KINDS)
def test_zeros_in_the_place_of_the_rest_are_refused_where_that_can_be_told(kind):
    content = encoded(kind)
    passed = [
        end
        for end in np.linspace(REST, len(content) - REST, 12).astype(int)
        if not refused(content[:end] + bytes(len(content) - end))
    ]
    assert bool(passed) == (kind in ZEROS_PASS)


@pytest.mark.usefixtures("lenient")
@pytest.mark.parametrize("kind", CHECKSUMS)
def test_every_damage_is_refused_where_there_are_checksums(kind):
    content = encoded(kind)
    start = len(content) // 3 if kind.startswith("TIFF") else REST  # pixels alone have them in TIFF
    end = len(content) - (len(content) // 3 if kind.startswith("TIFF") else REST)
    for place in np.linspace(start, end, 40).astype(int):
        assert refused(content[:place] + bytes([content[place] ^ 0x10]) + content[place + 1 :]), place


def test_threads_put_back_what_another_package_has_set(monkeypatch):
    from concurrent.futures import ThreadPoolExecutor

    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    cut = encoded("BMP")[:-REST]
    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(refused, [cut] * 200))
    assert ImageFile.LOAD_TRUNCATED_IMAGES is True


def test_whatever_a_decoder_raises_is_one_sentence(monkeypatch):
    content = encoded("BMP")
    for raised in (RuntimeError("a\nb"), ZeroDivisionError(), StopIteration(), RecursionError("deep"), AssertionError()):

        def load(image, raised=raised):
            raise raised

        monkeypatch.setattr(ImageFile.ImageFile, "load", load)
        with pytest.raises(images.ImageError, match=r"^lr is damaged or truncated: \S+") as error:
            images.Image.open(io.BytesIO(content), "lr").load()
        assert "\n" not in str(error.value)
