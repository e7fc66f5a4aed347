"""EXIF orientation in a graph is that of Pillow, for every orientation, format and byte order, and damage is no error."""

import io
import struct
import zlib

import numpy as np
import pytest
import tensorflow as tf
from c2m_tf.export import photos
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

_NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (2, 3, 3), np.uint8))
PIXELS = np.asarray(_NOISE.resize((24, 16), Image.Resampling.BICUBIC))


def exif(value, order="MM", tags_before=0):
    """An EXIF block: other tags, and the orientation."""
    mark = ">" if order == "MM" else "<"
    others = b"".join(struct.pack(mark + "HHIHH", 0x0100 + tag, 3, 1, 7, 0) for tag in range(tags_before))
    entries = others + struct.pack(mark + "HHIHH", 0x0112, 3, 1, value, 0)
    header = order.encode() + struct.pack(mark + "HI", 42, 8)
    return header + struct.pack(mark + "H", tags_before + 1) + entries + struct.pack(mark + "I", 0)


def encoded(file_format, block, pixels=PIXELS):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, file_format, exif=b"Exif\0\0" + block, quality=95)
    return file.getvalue()


@tf.function(input_signature=[tf.TensorSpec([], tf.string)])
def decode(data):
    return photos.decode(data, "lr_image", 3, 10_000)


@pytest.mark.parametrize("order", ["II", "MM"])
@pytest.mark.parametrize("tags_before", [0, 3])
@pytest.mark.parametrize("file_format", ["PNG", "JPEG"])
@pytest.mark.parametrize("value", range(0, 10))
def test_photos_are_upright_as_pillow_turns_them(file_format, value, order, tags_before):
    data = encoded(file_format, exif(value, order, tags_before))
    with Image.open(io.BytesIO(data)) as image:
        expected = np.asarray(ImageOps.exif_transpose(image)).astype(int)
    found = decode(tf.constant(data)).numpy()
    assert found.shape == expected.shape
    # Decoders of JPEG round differently.
    assert np.abs(found - expected).mean() <= (0 if file_format == "PNG" else 2)


def test_png_with_exif_behind_its_pixels():
    data = encoded("PNG", exif(1))
    start = data.index(b"eXIf") - 4
    end = start + 12 + len(exif(1))
    body = b"eXIf" + exif(6)
    chunk = struct.pack(">I", len(exif(6))) + body + struct.pack(">I", zlib.crc32(body))
    tail = data.index(b"IEND") - 4
    moved = data[:start] + data[end:tail] + chunk + data[tail:]
    np.testing.assert_array_equal(decode(tf.constant(moved)), np.rot90(PIXELS, -1))


@tf.function(input_signature=[tf.TensorSpec([], tf.string), tf.TensorSpec([], tf.bool)])
def of_file(data, is_png):
    return photos.of_file(data, is_png)


@settings(max_examples=300, deadline=None)
@given(data=st.data(), file_format=st.sampled_from(["PNG", "JPEG"]))
def test_damaged_bytes_give_some_orientation(data, file_format):
    whole = bytearray(encoded(file_format, exif(6), PIXELS[:4, :4]))
    for _ in range(data.draw(st.integers(0, 4))):
        place = data.draw(st.integers(0, min(len(whole) - 1, 120)))
        whole[place] = data.draw(st.sampled_from([0, 1, 0x7F, 0x80, 0xFE, 0xFF]))
    cut = bytes(whole[: data.draw(st.integers(0, len(whole)))])
    assert 1 <= int(of_file(tf.constant(cut), tf.constant(file_format == "PNG"))) <= 8
