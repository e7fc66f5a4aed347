"""Headers: sizes without decoding, pipes and open files, several threads."""

import io
import os
import threading
import tracemalloc
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from c2m_tf.photos import headers, images
from c2m_tf.photos.formats import FORMATS
from c2m_tf.photos.headers import Header, read_header


def encoded(file_format, size=(30, 20)):
    file = io.BytesIO()
    Image.effect_noise(size, 64).convert("RGB").save(file, file_format)
    return file.getvalue()


@pytest.mark.parametrize("file_format", FORMATS)
def test_a_header_says_size_and_format_of_files_and_open_files(file_format, tmp_path):
    (tmp_path / "photo").write_bytes(encoded(file_format))
    assert read_header(tmp_path / "photo") == Header(20, 30, file_format)
    file = io.BytesIO(encoded(file_format))
    assert read_header(file, "lr") == Header(20, 30, file_format)
    assert file.tell() == 0
    assert images.read(file).rgb.shape == (20, 30, 3)


@pytest.mark.parametrize("file_format", FORMATS)
def test_reading_a_header_takes_no_memory_for_pixels(file_format, tmp_path):
    file = io.BytesIO()
    Image.new("RGB", (3000, 3000), (9, 9, 9)).save(file, file_format)
    file.seek(0)
    tracemalloc.start()
    read_header(file, "photo")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # WebP is read whole to find its size; the other formats are not.
    assert peak < 2**20 + (len(file.getvalue()) if file_format == "WEBP" else 0)


@pytest.mark.parametrize(
    ("content", "error", "words"),
    [
        (b"text", images.UnknownFormatError, "lr is not a PNG"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", images.ImageError, "lr is damaged or truncated"),
        (encoded("PNG", (41, 40)), images.TooLargeError, "lr has 41x40 pixels, more than the limit of 1,600"),
    ],
)
def test_headers_that_cannot_be_used_are_refused(content, error, words):
    with pytest.raises(error, match=words):
        read_header(io.BytesIO(content), "lr", max_pixels=1600)


@pytest.mark.parametrize("file_format", FORMATS)
def test_a_pipe_gives_a_photo_whose_header_is_known_first(file_format, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    content = encoded(file_format)
    writer = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=(content,))
    writer.start()
    photo = images.Image.open(tmp_path / "pipe")
    writer.join()
    assert photo.stored_shape == (20, 30, 3)
    np.testing.assert_array_equal(photo.rgb, images.read(io.BytesIO(content)).rgb)


def test_a_pipe_that_gives_no_photo_is_named(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for content, words in ((b"", r"pipe is empty \(0 bytes\)"), (b"text", "pipe is not a PNG")):
        writer = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=(content,))
        writer.start()
        with pytest.raises(images.ImageError, match=words):
            images.read(tmp_path / "pipe")
        writer.join()


def test_a_pipe_that_gives_too_much_is_named(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "pipe")
    content = encoded("PNG")
    monkeypatch.setattr(headers, "MAX_PIPE_BYTES", len(content) - 1)
    writer = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=(content,))
    writer.start()
    with pytest.raises(images.ImageError, match=r"pipe gives more than [\d,]+ bytes; give the photo as a file"):
        images.read(tmp_path / "pipe")
    writer.join()


def jpeg_with_damaged_exif():
    file = io.BytesIO()
    Image.new("RGB", (16, 16)).save(file, "JPEG", exif=b"Exif\0\0II*\0\xff\xff\0\0")
    return file.getvalue()


def test_reading_in_threads_keeps_warning_filters():
    content, before = jpeg_with_damaged_exif(), list(warnings.filters)
    with ThreadPoolExecutor(8) as pool:
        assert len(list(pool.map(lambda _: images.read(io.BytesIO(content)), range(200)))) == 200
    assert warnings.filters == before
