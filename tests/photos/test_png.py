"""Every kind of PNG pixels is read as libpng (within TensorFlow) reads it; docs/limits.md lists them."""

import io
import struct
import zlib

import numpy as np
import pytest
import tensorflow as tf

from c2m_tf.photos import images

HEIGHT, WIDTH = 7, 11
GRAY, RGB, PALETTE, GRAY_ALPHA, RGB_ALPHA = 0, 2, 3, 4, 6
CHANNELS = {GRAY: 1, RGB: 3, PALETTE: 1, GRAY_ALPHA: 2, RGB_ALPHA: 4}
DEPTHS = {GRAY: (1, 2, 4, 8, 16), RGB: (8, 16), PALETTE: (1, 2, 4, 8), GRAY_ALPHA: (8, 16), RGB_ALPHA: (8, 16)}
PNG_KINDS = [
    (colour, depth, key)
    for colour, depths in DEPTHS.items()
    for depth in depths
    for key in ((False, True) if colour in (GRAY, RGB, PALETTE) else (False,))
]


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(samples, depth, colour, *chunks):
    """A PNG file of samples [H,W,C] of that depth and colour type."""
    height, width = samples.shape[:2]
    if depth < 8:
        bits = np.unpackbits(samples.astype(np.uint8)[..., None], axis=-1)[..., 8 - depth :].reshape(height, -1)
        rows = np.packbits(bits, axis=1)
    else:
        rows = samples.reshape(height, -1).astype(f">u{depth // 8}").view(np.uint8)
    data = zlib.compress(np.pad(rows, ((0, 0), (1, 0))).tobytes())
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    parts = [chunk(b"IHDR", header), *chunks, chunk(b"IDAT", data), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def read(data):
    return images.decode(io.BytesIO(data), "photo")


@pytest.mark.parametrize(("colour", "depth", "key"), PNG_KINDS)
@pytest.mark.parametrize("orientation", [1, 6])
def test_png_is_read_as_libpng_reads_it(rng, colour, depth, key, orientation):
    samples = rng.integers(0, 2**depth, (HEIGHT, WIDTH, CHANNELS[colour]), dtype=np.uint16)
    exif = chunk(b"eXIf", b"MM\0*\0\0\0\x08\0\x01" + struct.pack(">HHIHH", 0x0112, 3, 1, orientation, 0) + bytes(4))
    chunks = [exif]
    if colour == PALETTE:
        chunks.append(chunk(b"PLTE", rng.integers(0, 256, 3 * 2**depth, np.uint8).tobytes()))
    if key and colour == PALETTE:
        chunks.append(chunk(b"tRNS", rng.integers(0, 256, max(1, 2**depth - 1), np.uint8).tobytes()))
    elif key:
        transparent = samples[2, 3]
        samples[0, 0] = transparent ^ 1  # differs in the lowest bit alone
        chunks.append(chunk(b"tRNS", transparent.astype(">u2").tobytes()))
    data = png(samples, depth, colour, *chunks)
    deep = depth == 16
    expected = tf.io.decode_png(data, channels=4, dtype=tf.uint16 if deep else tf.uint8).numpy()
    if orientation == 6:
        expected = np.rot90(expected, -1)
    expected = expected / (65535 if deep else 255)
    # Gray is read at full precision, colours of 16 bits at their upper eight.
    tolerance = 1 / 255 if deep and colour != GRAY else 1e-6
    photo = read(data)
    np.testing.assert_allclose(photo.rgb, expected[..., :3], atol=tolerance)
    assert photo.gray == (colour in (GRAY, GRAY_ALPHA))
    if key or colour in (GRAY_ALPHA, RGB_ALPHA):
        np.testing.assert_allclose(photo.alpha, expected[..., 3], atol=tolerance if not key else 0)
    else:
        assert photo.alpha is None


def test_text_chunks_do_not_set_pillow_s_metadata(rng):
    samples = rng.integers(0, 256, (HEIGHT, WIDTH, 3))
    names = (b"transparency", b"icc_profile", b"exif", b"gamma")
    photo = read(png(samples, 8, RGB, *(chunk(b"tEXt", name + b"\0zero") for name in names)))
    np.testing.assert_array_equal(images.as_uint8(photo.rgb), samples)
    assert photo.alpha is None
    assert photo.icc_profile is None


@pytest.mark.parametrize("size", [10, 2**20 + 1, 3 * 2**20])
@pytest.mark.parametrize("kind", ["tEXt", "zTXt", "iTXt", "iTXt plain", "iCCP", "many"])
def test_png_metadata_of_any_size_does_no_harm(rng, kind, size):
    samples = rng.integers(0, 256, (HEIGHT, WIDTH, 3))
    packed = zlib.compress(bytes(size))
    chunks = {
        "tEXt": [chunk(b"tEXt", b"parameters\0" + b"a" * size)],
        "zTXt": [chunk(b"zTXt", b"workflow\0\0" + packed)],
        "iTXt": [chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0en\0\0" + packed)],
        "iTXt plain": [chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0en\0\0" + b"a" * size)],
        "iCCP": [chunk(b"iCCP", b"printer\0\0" + packed)],
        "many": [chunk(b"zTXt", b"part\0\0" + zlib.compress(bytes(2**20 - 1)))] * 70,
    }[kind]
    photo = read(png(samples, 8, RGB, *chunks))
    np.testing.assert_array_equal(images.as_uint8(photo.rgb), samples)
    assert photo.icc_profile == (bytes(size) if kind == "iCCP" else None)


def test_oversized_colour_profiles_are_refused(rng):
    data = png(np.zeros((4, 4, 3)), 8, RGB, chunk(b"iCCP", b"bomb\0\0" + zlib.compress(bytes(17 * 2**20))))
    with pytest.raises(images.ImageError, match="photo has a colour profile of more than 16,777,216 bytes"):
        read(data)
