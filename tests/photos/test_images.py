"""Reading and writing photos: round trips, kinds of pixels, damaged files."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from c2m_tf.photos import images


@pytest.fixture
def photo(rng):
    return rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif"])
def test_lossless_formats_round_trip(tmp_path, photo, suffix):
    path = tmp_path / f"photo{suffix}"
    images.write(path, photo)
    np.testing.assert_array_equal(images.as_uint8(images.read(path).rgb), photo)


@pytest.mark.parametrize("file_format", ["PNG", "WEBP", "TIFF"])
def test_the_first_of_several_frames_is_read(tmp_path, photo, file_format):
    others = [Image.fromarray(255 - photo), Image.fromarray(photo // 2)]
    Image.fromarray(photo).save(tmp_path / "frames", file_format, save_all=True, append_images=others, lossless=True)
    np.testing.assert_array_equal(images.as_uint8(images.read(tmp_path / "frames").rgb), photo)


@pytest.mark.parametrize("suffix", [".jpg", ".webp"])
def test_lossy_formats_round_trip_nearly(tmp_path, suffix):
    smooth = np.linspace(0, 255, 64 * 64 * 3).reshape(64, 64, 3).astype(np.uint8)
    path = tmp_path / f"photo{suffix}"
    images.write(path, smooth)
    assert np.abs(images.as_uint8(images.read(path).rgb).astype(int) - smooth).mean() < 3


def test_exif_orientation_is_applied(tmp_path, photo):
    exif = Image.Exif()
    exif[0x0112] = 6  # rotate by 90 degrees clockwise
    Image.fromarray(photo).save(tmp_path / "turned.png", exif=exif)
    np.testing.assert_array_equal(images.as_uint8(images.read(tmp_path / "turned.png").rgb), np.rot90(photo, -1))


def test_gray_becomes_three_equal_channels_and_is_written_as_gray(tmp_path, photo):
    gray = photo[..., 0]
    Image.fromarray(gray).save(tmp_path / "gray.png")
    read = images.read(tmp_path / "gray.png")
    assert read.gray
    np.testing.assert_array_equal(images.as_uint8(read.rgb), np.repeat(gray[..., None], 3, axis=2))
    images.write(tmp_path / "again.png", read.rgb, gray=read.gray)
    with Image.open(tmp_path / "again.png") as again:
        assert again.mode == "L"
        np.testing.assert_array_equal(np.asarray(again), gray)


def test_sixteen_bit_gray_keeps_its_precision(tmp_path):
    values = np.array([[0, 1, 257, 65535]] * 4, np.uint16)
    Image.fromarray(values).save(tmp_path / "deep.png")
    read = images.read(tmp_path / "deep.png")
    np.testing.assert_allclose(read.rgb[..., 0], values / 65535.0, atol=1e-7)


@pytest.mark.parametrize("kind", [np.int32, np.float32])
def test_thirty_two_bits_a_pixel_are_refused(tmp_path, kind):
    Image.fromarray(np.ones((4, 4), kind)).save(tmp_path / "deeper.tif")
    with pytest.raises(images.ImageError, match=r"deeper.tif has 32 bits per pixel"):
        images.read(tmp_path / "deeper.tif")


def test_sixteen_bit_colour_gives_the_upper_eight_bits(tmp_path, photo):
    deep = photo.astype(">u2") * 257
    height, width = photo.shape[:2]
    rows = b"".join(b"\0" + deep[y].tobytes() for y in range(height))
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    (tmp_path / "deep.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*chunk) for chunk in chunks))
    np.testing.assert_array_equal(images.as_uint8(images.read(tmp_path / "deep.png").rgb), photo)


def test_palette_gives_its_colours_and_its_transparency(tmp_path):
    palette = Image.fromarray(np.array([[0, 1], [1, 0]], np.uint8), mode=None)
    palette.putpalette([255, 0, 0, 0, 0, 255])
    palette.save(tmp_path / "palette.png", transparency=1)
    read = images.read(tmp_path / "palette.png")
    np.testing.assert_array_equal(read.rgb[0], [[1, 0, 0], [0, 0, 1]])
    np.testing.assert_array_equal(read.alpha, [[1, 0], [0, 1]])


def test_alpha_is_kept_beside_the_colours(tmp_path, photo):
    images.write(tmp_path / "clear.png", photo, alpha=photo[..., 1])
    read = images.read(tmp_path / "clear.png")
    np.testing.assert_array_equal(images.as_uint8(read.rgb), photo)
    np.testing.assert_array_equal(images.as_uint8(read.alpha), photo[..., 1])


def test_cmyk_becomes_rgb(tmp_path):
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(tmp_path / "ink.tif")
    np.testing.assert_array_equal(images.read(tmp_path / "ink.tif").rgb[0, 0], [1, 0, 0])


def test_colour_profile_is_copied(tmp_path, photo):
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    images.write(tmp_path / "managed.png", photo, icc_profile=profile)
    assert images.read(tmp_path / "managed.png").icc_profile == profile


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (b"I am a letter, not a photo.", "is not a PNG, JPEG, WebP, BMP or TIFF photo"),
        (b"GIF89a" + bytes(50), "is not a PNG, JPEG, WebP, BMP or TIFF photo"),
    ],
)
def test_what_is_no_photo_is_refused(tmp_path, content, reason):
    path = tmp_path / "photo.png"
    path.write_bytes(content)
    with pytest.raises(images.ImageError, match=reason):
        images.read(path)


def test_missing_files_and_folders_are_refused(tmp_path):
    with pytest.raises(images.ImageError, match="does not exist"):
        images.read(tmp_path / "nothing.png")
    with pytest.raises(images.ImageError, match="is a folder"):
        images.read(tmp_path)


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "WEBP", "BMP", "TIFF"])
def test_truncated_files_are_refused(tmp_path, photo, file_format):
    buffer = io.BytesIO()
    Image.fromarray(photo).save(buffer, file_format)
    path = tmp_path / "cut"
    for share in (0.3, 0.6, 0.9):
        path.write_bytes(buffer.getvalue()[: int(len(buffer.getvalue()) * share)])
        with pytest.raises(images.ImageError):
            images.read(path)


def test_too_many_pixels_are_refused_from_the_header(tmp_path):
    for side in (9000, 30000):
        header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
        (tmp_path / "bomb.png").write_bytes(b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", b""))
        with pytest.raises(images.ImageError, match=r"limit (of|is) 67,108,864"):
            images.read(tmp_path / "bomb.png")


def test_a_failed_write_leaves_the_old_file_and_no_rest(tmp_path, photo):
    path = tmp_path / "photo.png"
    images.write(path, photo)
    before = path.read_bytes()

    def fail(file):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    with pytest.raises(images.ImageError, match=r"cannot write .*photo.png: No space left on device"):
        images.write_atomically(path, fail)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_formats_that_cannot_be_written_are_refused(tmp_path, photo):
    with pytest.raises(images.ImageError, match=r"cannot write .gif; choose one of .png"):
        images.write(tmp_path / "photo.gif", photo)
    with pytest.raises(images.ImageError, match=r".jpg cannot hold transparency"):
        images.write(tmp_path / "photo.jpg", photo, alpha=photo[..., 0])


def test_an_input_is_never_an_output(tmp_path, photo):
    images.write(tmp_path / "photo.png", photo)
    (tmp_path / "link.png").symlink_to(tmp_path / "photo.png")
    for output in (tmp_path / "photo.png", tmp_path / "link.png"):
        with pytest.raises(images.ImageError, match="inputs are never overwritten"):
            images.check_output(output, [tmp_path / "photo.png"])


def test_floats_are_clipped_and_rounded():
    values = np.array([[-0.5, 0.0, 0.5 / 255 + 1e-4, 1.0, 7.0, np.nan]])
    np.testing.assert_array_equal(images.as_uint8(values), [[0, 0, 1, 255, 255, 0]])


def _chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
