"""Every kind of PNG pixels is read as libpng (within TensorFlow) reads it; docs/limits.md lists them."""

import io
import itertools
import struct
import zlib

import numpy as np
import pytest
import tensorflow as tf

from c2m_tf.photos import images
from c2m_tf.photos.headers import read_header
from c2m_tf.photos.png import MAX_CHUNKS

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
    return images.read(io.BytesIO(data))


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


def test_the_first_of_many_profiles_alone_is_unpacked(rng):
    """Each would cost 16 MiB."""
    samples = rng.integers(0, 256, (HEIGHT, WIDTH, 3))
    profile = chunk(b"iCCP", b"first\0\0" + zlib.compress(b"profile"))
    bombs = [chunk(b"iCCP", b"bomb\0\0" + zlib.compress(bytes(17 * 2**20)))] * 3
    photo = read(png(samples, 8, RGB, profile, *bombs))
    np.testing.assert_array_equal(images.as_uint8(photo.rgb), samples)
    assert photo.icc_profile == b"profile"


@pytest.mark.parametrize("more", [chunk(b"tEXt", b"a\0"), chunk(b"prVt", b""), chunk(b"IDAT", b"")])
def test_chunks_are_counted_before_pillow_keeps_them(more):
    data = png(np.zeros((4, 4, 3)), 8, RGB, *[more] * (MAX_CHUNKS + 1))
    with pytest.raises(images.ImageError, match="lr has more than 65,536 chunks"):
        read_header(io.BytesIO(data), "lr")


def chunks_of(data):
    """{kind: (start of the content, its length)} of the last chunk of each kind."""
    found, place = {}, 8
    while place < len(data):
        length = int.from_bytes(data[place : place + 4], "big")
        found[bytes(data[place + 4 : place + 8])] = place + 8, length
        place += length + 12
    return found


KINDS_WITH_CHECKSUM = (b"IHDR", b"PLTE", b"tRNS", b"eXIf", b"iCCP", b"gAMA", b"IDAT")


@pytest.mark.parametrize("kind", KINDS_WITH_CHECKSUM)
@pytest.mark.parametrize("what", ["content", "checksum"])
def test_a_checksum_that_does_not_fit_is_refused(rng, kind, what):
    before = [
        chunk(b"iCCP", b"profile\0\0" + zlib.compress(b"profile")),
        chunk(b"gAMA", bytes(4)),
        chunk(b"PLTE", rng.integers(0, 256, 768, np.uint8).tobytes()),
        chunk(b"tRNS", bytes(256)),
        chunk(b"eXIf", b"MM\0*\0\0\0\x08\0\0" + bytes(4)),
    ]
    data = bytearray(png(rng.integers(0, 256, (HEIGHT, WIDTH, 1)), 8, PALETTE, *before))
    read(bytes(data))
    start, length = chunks_of(data)[kind]
    data[start + length + (0 if what == "checksum" else -1)] ^= 1
    with pytest.raises(images.ImageError, match="photo is damaged or truncated"):
        read(bytes(data))


def test_text_is_not_read_and_its_checksum_does_not_matter(rng):
    samples = rng.integers(0, 256, (HEIGHT, WIDTH, 3))
    data = bytearray(png(samples, 8, RGB, chunk(b"tEXt", b"Author\0nobody")))
    start, _ = chunks_of(data)[b"tEXt"]
    data[start] ^= 1
    np.testing.assert_array_equal(images.as_uint8(read(bytes(data)).rgb), samples)


def with_pixels(packed, *after):
    header = struct.pack(">IIBBBBB", 4, 4, 8, RGB, 0, 0, 0)
    parts = [chunk(b"IHDR", header), *packed, *after]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


PACKED = zlib.compress(bytes(4 * 13))
PIXELS = {
    "the checksum of the pixels is another": chunk(b"IDAT", PACKED[:-1] + bytes([PACKED[-1] ^ 1])),
    "it is cut": chunk(b"IDAT", PACKED[:-2]),
    "the pixels are cut": chunk(b"IDAT", zlib.compress(bytes(3 * 13))),
    "the chunk is cut": chunk(b"IDAT", PACKED)[:-5],
    "the chunk's checksum is cut, and another chunk follows": chunk(b"IDAT", PACKED[:-2])[:-4] + chunk(b"IDAT", PACKED[-2:]),
    "there are none": b"",
}


@pytest.mark.parametrize("pixels", PIXELS.values(), ids=PIXELS.keys())
def test_pixels_that_are_not_whole_are_refused(pixels):
    with pytest.raises(images.ImageError, match="photo is damaged or truncated"):
        read(with_pixels([pixels], chunk(b"IEND", b"")))


SMALLER = chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 2, 8, RGB, 0, 0, 0))


@pytest.mark.parametrize(
    ("parts", "why"),
    [
        ([SMALLER, chunk(b"IDAT", PACKED)], "its header is not its first chunk alone"),
        ([chunk(b"IDAT", PACKED[:9]), SMALLER, chunk(b"IDAT", PACKED[9:])], "its header is not its first chunk alone"),
        ([chunk(b"ABCD", b"x"), chunk(b"IDAT", PACKED)], "its chunk ABCD is unknown"),
    ],
)
def test_second_headers_and_unknown_chunks_that_must_be_known_are_refused(parts, why):
    with pytest.raises(images.ImageError, match=why):
        read(with_pixels(parts, chunk(b"IEND", b"")))


ENDS = {
    "no end": b"",
    "half an end": chunk(b"IEND", b"")[:5],
    "zeros": bytes(100),
}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS.keys())
@pytest.mark.parametrize("pieces", [1, 3, len(PACKED)])
def test_whole_pixels_in_any_number_of_chunks_are_read_whatever_follows(end, pieces):
    cuts = np.linspace(0, len(PACKED), pieces + 1).astype(int)
    packed = [chunk(b"IDAT", PACKED[start:stop]) for start, stop in itertools.pairwise(cuts)]
    assert not read(with_pixels(packed, end)).rgb.any()


def test_more_than_the_pixels_is_not_unpacked():
    """A thousandth of what it unpacks to; without a bound that is a bomb."""
    bomb = zlib.compress(bytes(2**26))
    assert not read(with_pixels([chunk(b"IDAT", bomb[:40_000]), chunk(b"IDAT", bomb[40_000:])], chunk(b"IEND", b""))).rgb.any()


@pytest.mark.parametrize("size", [(1, 1), (5, 3), (8, 8), (9, 16), (33, 31)])
@pytest.mark.parametrize("mode", ["1", "L", "RGB", "P", "RGBA"])
def test_interlaced_photos_are_counted_pass_by_pass(size, mode):
    width, height = size
    columns = [len(range(left, width, right)) for left, right in ((0, 8), (4, 8), (0, 4), (2, 4), (0, 2), (1, 2), (0, 1))]
    rows = [len(range(top, height, down)) for top, down in ((0, 8), (0, 8), (4, 8), (0, 4), (2, 4), (0, 2), (1, 2))]
    bits = {"1": 1, "L": 8, "RGB": 24, "P": 4, "RGBA": 32}[mode]
    depth, colour = {"1": (1, GRAY), "L": (8, GRAY), "RGB": (8, RGB), "P": (4, PALETTE), "RGBA": (8, RGB_ALPHA)}[mode]
    amount = sum(row * (1 + (column * bits + 7) // 8) for row, column in zip(rows, columns, strict=True) if column)
    for missing in (0, 1):
        header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 1)
        parts = [(b"IHDR", header), *([(b"PLTE", bytes(48))] if mode == "P" else [])]
        parts += [(b"IDAT", zlib.compress(bytes(amount - missing))), (b"IEND", b"")]
        data = b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)
        if missing:
            with pytest.raises(images.ImageError, match="pixels are missing"):
                read(data)
        else:
            assert read(data).rgb.shape == (height, width, 3)
