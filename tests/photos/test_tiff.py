"""Every kind of TIFF pixels is read as tifffile reads it, or refused; docs/limits.md lists them."""

import io
import itertools
import struct
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image
from skimage.color import lab2rgb

from c2m_tf.photos import images
from c2m_tf.photos.headers import read_header

HEIGHT, WIDTH = 7, 11


def tiff(width, height, bits, photometric, pixels, samples=1, more=None):
    """A little-endian TIFF file of one strip and the tags given."""
    tags = {256: width, 257: height, 258: bits, 259: 1, 262: photometric, 273: 0, 277: samples, 278: height, 279: len(pixels)}
    tags |= more or {}
    tags[273] = 8 + 2 + 12 * len(tags) + 4
    entries = [struct.pack("<HHII", tag, 4 if tag in (273, 279) else 3, 1, value) for tag, value in sorted(tags.items())]
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + b"".join(entries) + struct.pack("<I", 0) + pixels


def read(data):
    return images.read(io.BytesIO(data))


# name -> (options of tifffile.imwrite, shape, dtype, what the samples mean: [H,W,3] colours, and alpha or None, in [0, 1])
TIFF_KINDS = {
    "gray": ({"photometric": "minisblack"}, (), (lambda v: v[..., None] * [1, 1, 1]), None),
    "gray, white is zero": ({"photometric": "miniswhite"}, (), (lambda v: (1 - v)[..., None] * [1, 1, 1]), None),
    "gray and what is not said": ({"extrasamples": ["unspecified"]}, (2,), (lambda v: v[..., :1] * [1, 1, 1]), None),
    "gray and alpha": ({"extrasamples": ["unassalpha"]}, (2,), (lambda v: v[..., :1] * [1, 1, 1]), lambda v: v[..., 1]),
    "RGB": ({"photometric": "rgb"}, (3,), (lambda v: v), None),
    "RGB and what is not said": (
        {"photometric": "rgb", "extrasamples": ["unspecified"]},
        (4,),
        (lambda v: v[..., :3]),
        None,
    ),
    "RGB and alpha": (
        {"photometric": "rgb", "extrasamples": ["unassalpha"]},
        (4,),
        (lambda v: v[..., :3]),
        lambda v: v[..., 3],
    ),
    "CMYK": ({"photometric": "separated"}, (4,), (lambda v: (1 - v[..., :3]) * (1 - v[..., 3:])), None),
}


@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("name", TIFF_KINDS)
def test_tiff_is_read_as_tifffile_reads_it_or_refused(rng, name, bits, compression, byteorder):
    options, more, colours, alpha = TIFF_KINDS[name]
    samples = rng.integers(0, 2**bits, (HEIGHT, WIDTH, *more), dtype=f"u{bits // 8}")
    file = io.BytesIO()
    tifffile.imwrite(file, samples, compression=compression, byteorder=byteorder, **{"photometric": "minisblack", **options})
    values = tifffile.imread(io.BytesIO(file.getvalue())) / (2**bits - 1)
    try:
        photo = read(file.getvalue())
    except images.ImageError as error:
        assert "of a kind that is not supported (gray" in str(error), error
        assert bits == 16
        assert name in ("gray, white is zero", "gray and what is not said", "gray and alpha")
        return
    exact = bits == 8 or "gray" in name
    tolerance = 2 / 255 if name == "CMYK" else 1e-6 if exact else 1 / 255
    np.testing.assert_allclose(photo.rgb, colours(values), atol=tolerance)
    if alpha is None:
        assert photo.alpha is None
    else:
        np.testing.assert_allclose(photo.alpha, alpha(values), atol=tolerance)
    assert photo.gray == name.startswith("gray")


@pytest.mark.parametrize("more", [1, 3])
def test_associated_alpha_is_divided_out(rng, more):
    alpha = rng.integers(1, 256, (HEIGHT, WIDTH, 1))
    colours = rng.integers(0, 256, (HEIGHT, WIDTH, more))
    samples = np.concatenate([np.rint(colours * alpha / 255), alpha], axis=-1).astype(np.uint8)
    file = io.BytesIO()
    photometric = "rgb" if more == 3 else "minisblack"
    tifffile.imwrite(file, samples, photometric=photometric, extrasamples=["assocalpha"])
    photo = read(file.getvalue())
    shown = np.abs(photo.rgb * 255 - colours) * alpha / 255  # what rounding leaves, seen through alpha
    assert shown.max() <= 1.5
    np.testing.assert_array_equal(images.as_uint8(photo.alpha), alpha[..., 0])


@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("tile", [None, (16, 16)])
def test_tiff_planes_and_tiles(rng, planar, tile):
    samples = rng.integers(0, 256, (40, 50, 3), np.uint8)
    stored = np.moveaxis(samples, -1, 0) if planar == "separate" else samples
    file = io.BytesIO()
    tifffile.imwrite(file, stored, photometric="rgb", planarconfig=planar, tile=tile, compression="zlib")
    np.testing.assert_array_equal(images.as_uint8(read(file.getvalue()).rgb), samples)


@pytest.mark.parametrize("scale", [1, 257])
def test_tiff_palettes_of_16_and_of_8_bits(rng, scale):
    colours = rng.integers(0, 256, (3, 256), np.uint16)
    colours[0, 0] = 255
    samples = rng.integers(0, 256, (HEIGHT, WIDTH), np.uint8)
    file = io.BytesIO()
    tifffile.imwrite(file, samples, photometric="palette", colormap=colours * np.uint16(scale))
    np.testing.assert_array_equal(images.as_uint8(read(file.getvalue()).rgb), colours.T[samples])


@pytest.mark.parametrize(("photometric", "bits"), [*itertools.product((0, 1), (1, 2, 4, 8, 12, 16))])
def test_gray_tiff_of_every_depth(rng, photometric, bits):
    samples = rng.integers(0, 2**bits, (HEIGHT, 12), dtype=np.uint16)
    if bits == 16:
        stored = samples.astype("<u2").tobytes()
    else:
        places = np.arange(bits)[::-1]
        stored = np.packbits((samples[..., None] >> places & 1).reshape(HEIGHT, -1).astype(np.uint8), axis=1).tobytes()
    data = tiff(12, HEIGHT, bits, photometric, stored)
    values = samples / (2**bits - 1)
    try:
        photo = read(data)
    except images.ImageError as error:
        assert (photometric, bits) == (0, 12)
        assert "of a kind that is not supported (gray (white is zero), 12 bits, unsigned)" in str(error)
        return
    np.testing.assert_allclose(photo.rgb[..., 0], values if photometric else 1 - values, atol=1e-6)
    assert photo.gray


def test_lab_tiff_is_the_colour_that_scikit_image_computes():
    lab = np.array([[[50, 20, 30], [80, -10, 5]]], float)
    stored = np.stack([lab[..., 0] * 255 / 100, lab[..., 1], lab[..., 2]], axis=-1).round().astype(np.int16).astype(np.uint8)
    data = tiff(2, 1, 8, 8, stored.tobytes(), samples=3)
    np.testing.assert_allclose(read(data).rgb, lab2rgb(lab, illuminant="D65"), atol=0.03)


@pytest.mark.parametrize(
    ("dtype", "words"),
    [
        (np.int8, "range is unknown (gray, 8 bits, signed)"),
        (np.int16, "range is unknown (gray, 16 bits, signed)"),
        (np.uint32, "32 bits per pixel, whose range is unknown"),
        (np.int32, "32 bits per pixel, whose range is unknown"),
        (np.float16, "range is unknown (gray, 16 bits, floating-point)"),
        (np.float32, "32 bits per pixel, whose range is unknown"),
        (np.float64, "64 bits per pixel, whose range is unknown"),
    ],
)
@pytest.mark.parametrize("channels", [(), (3,)])
def test_samples_whose_range_is_unknown_are_refused(dtype, words, channels):
    file = io.BytesIO()
    photometric = "rgb" if channels else "minisblack"
    tifffile.imwrite(file, np.ones((HEIGHT, WIDTH, *channels), dtype), photometric=photometric)
    if channels:
        bits = np.dtype(dtype).itemsize * 8
        words = words.replace("per pixel", "per sample").replace(f"gray, {bits}", f"RGB, {bits}+{bits}+{bits}")
    with pytest.raises(images.ImageError) as refused:
        read(file.getvalue())
    assert words in str(refused.value)
    assert "convert it to 8- or 16-bit gray or RGB" in str(refused.value)


@pytest.mark.parametrize(
    ("tags", "words"),
    [
        ({262: 4}, "mask, 8 bits"),
        ({262: 32844}, "LogL, 8 bits"),
        ({262: 9}, "ICCLab, 8 bits"),
        ({262: 32803}, "is a raw file of a camera"),
        ({262: 34892}, "is a raw file of a camera"),
        ({50706: 0x0401}, "is a raw file of a camera"),
        ({254: 1}, "says that its first picture is a small version"),
        ({255: 2}, "says that its first picture is a small version"),
        ({259: 34712}, "compression 34712, which is not supported"),
        ({262: 6, 277: 3}, "uncompressed YCbCr with subsampled colours"),
        ({262: 5, 277: 4, 332: 2}, "inks other than cyan, magenta, yellow and black"),
    ],
)
def test_unsupported_tiff_is_refused(tags, words):
    data = tiff(8, 8, 8, tags.pop(262, 1), bytes(8 * 8 * 4), **{"more": tags})
    with pytest.raises(images.ImageError) as refused:
        read(data)
    assert words in str(refused.value)


@pytest.mark.parametrize("inner", [False, True])
@pytest.mark.parametrize("size", [(240, 320), (24, 33)])
def test_first_pictures_that_are_previews_are_refused(rng, inner, size):
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        writer.write(np.zeros((24, 32, 3), np.uint8), photometric="rgb", subifds=1 if inner else 0)
        writer.write(np.zeros((*size, 3), np.uint8), photometric="rgb")
    with pytest.raises(images.ImageError, match=rf"a picture of 32x24 pixels before a larger one of {size[1]}x{size[0]}"):
        read(file.getvalue())


def test_the_first_of_several_pictures_is_read(rng):
    pages = rng.integers(0, 256, (3, 24, 32, 3), np.uint8)
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        writer.write(pages[0], photometric="rgb", subifds=1)
        writer.write(pages[1, ::2, ::2], photometric="rgb", subfiletype=1)
        writer.write(pages[2], photometric="rgb")
    np.testing.assert_array_equal(images.as_uint8(read(file.getvalue()).rgb), pages[0])


@pytest.mark.parametrize(
    "content",
    [
        b"II*\0",
        b"MM\0*\0\0",
        b"II+\0\x08\0\0\0",
        b"II*\0\0\0\0\0",
        b"II*\0\xff\xff\0\0",
        tiff(8, 8, 8, 1, bytes(64))[:12],
        tiff(8, 8, 8, 1, bytes(64))[:60],
    ],
)
def test_a_file_that_ends_in_its_header_is_refused(content):
    with pytest.raises(images.ImageError, match="photo is damaged or truncated"):
        read(content)


def chained(directories, tags):
    """A photo of 16x16 zeros, and a chain of further directories whose tags all share one block of 8,192 bytes."""
    photo = bytearray(tiff(16, 16, 8, 1, bytes(256)))
    start = len(photo) + 8192
    photo[8 + 2 + 12 * 9 : 8 + 2 + 12 * 9 + 4] = struct.pack("<I", start)
    photo += bytes(8192)
    for number in range(directories):
        photo += struct.pack("<H", tags)
        photo += b"".join(struct.pack("<HHII", 0x9000 + tag, 5, 1024, start - 8192) for tag in range(tags))
        photo += struct.pack("<I", len(photo) + 4 if number + 1 < directories else 0)
    return bytes(photo)


def test_tags_that_are_not_used_are_not_read_and_their_number_is_bounded():
    assert not read(chained(900, 70)).rgb.any()
    with pytest.raises(images.ImageError, match="lr has more than 65,536 tags"):
        read_header(io.BytesIO(chained(900, 80)), "lr")


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({278: 4, 273: (8,) * 17}, "17 strips or tiles where 4 hold its pixels"),
        ({278: 8, 284: 2, 277: 3, 273: (8,) * 7}, "7 strips or tiles where 6 hold its pixels"),
        ({322: 8192, 323: 16, 324: (8,)}, None),
        ({322: 8192, 323: 8192, 324: (8,)}, "tiles of 8192x8192 pixels, far larger than 16x16"),
        ({322: 16, 323: 16, 324: (8, 8)}, "2 strips or tiles where 1 hold its pixels"),
    ],
)
def test_strips_and_tiles_are_those_that_the_pixels_need(more, words):
    """Each is decoded, and a tile is allocated whole."""
    tags = {256: 16, 257: 16, 258: 8, 259: 1, 262: 1, 277: 1, 278: 16, 273: (8,), 279: (256,)} | more
    if 324 in tags:
        del tags[273], tags[278], tags[279]
    content, place = b"", 8 + 2 + 12 * len(tags) + 4
    entries = []
    for tag, value in sorted(tags.items()):
        values = value if isinstance(value, tuple) else (value,)
        packed = struct.pack(f"<{len(values)}I", *values)
        entries.append(struct.pack("<HHI", tag, 4, len(values)))
        entries.append(packed if len(values) == 1 else struct.pack("<I", place + len(content)))
        content += b"" if len(values) == 1 else packed
    data = b"II*\0" + struct.pack("<IH", 8, len(tags)) + b"".join(entries) + bytes(4) + content + bytes(8192 * 16)
    if words is None:
        read(data)
        return
    with pytest.raises(images.ImageError, match=words):
        read_header(io.BytesIO(data), "lr")


@pytest.mark.parametrize(
    ("compression", "tile"), [("tiff_adobe_deflate", None), ("tiff_deflate", None), ("lzma", None), ("zlib", (16, 32))]
)
def test_the_checksums_of_compressed_strips_are_compared(rng, compression, tile):
    samples = rng.integers(0, 256, (40, 50, 3), np.uint8)
    file = io.BytesIO()
    if tile is None:
        Image.fromarray(samples).save(file, "TIFF", compression=compression)
    else:
        tifffile.imwrite(file, samples, photometric="rgb", compression=compression, tile=tile)
    np.testing.assert_array_equal(images.as_uint8(read(file.getvalue()).rgb), samples)
    with tifffile.TiffFile(io.BytesIO(file.getvalue())) as parsed:
        page = parsed.pages[0]
        places = [offset + size for offset, size in zip(page.dataoffsets, page.databytecounts, strict=True)]
    for end in places:
        for before in (1, 12):
            damaged = bytearray(file.getvalue())
            damaged[end - before] ^= 1
            with pytest.raises(images.ImageError, match="photo is damaged or truncated"):
                read(bytes(damaged))


def test_strips_that_unpack_to_far_more_than_their_pixels_are_refused():
    packed = zlib.compress(bytes(2**25))
    with pytest.raises(images.ImageError, match="photo unpacks to far more than its pixels"):
        read(tiff(16, 16, 8, 1, packed, more={259: 8}))
