"""Outputs that cannot be written are refused beforehand, and inputs are never overwritten."""

import contextlib
import os
import socket
import stat

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from PIL import Image

from c2m_tf.photos import formats, images

PIXELS = np.zeros((4, 4, 3), np.uint8)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(stem=st.text(min_size=1, max_size=260), suffix=st.sampled_from(list(images.SUFFIXES)))
def test_names_that_pass_the_check_can_be_written(tmp_path, stem, suffix):
    path = tmp_path / "folder" / f"{stem}{suffix}"
    assume("\0" not in f"{path.parent}")  # a folder that cannot be made
    path.parent.mkdir(exist_ok=True)
    before = sorted(path.parent.iterdir())
    try:
        images.check_output(path, [])
    except (images.ImageError, ValueError) as error:
        assert str(error)
        assert sorted(path.parent.iterdir()) == before
    else:
        assert sorted(path.parent.iterdir()) == before  # the check leaves nothing
        images.write(path, PIXELS)
        path.unlink()
        assert sorted(path.parent.iterdir()) == before


@pytest.mark.parametrize("length", [1, 200, 230, 240, 251])
@pytest.mark.parametrize("letter", ["x", "é", "写", "a."])
def test_names_as_long_as_the_file_system_takes(tmp_path, length, letter):
    stem = letter + (letter * length).encode()[: length - len(letter.encode())].decode(errors="ignore") * (length > 9)
    path = tmp_path / f"{stem}.png"
    images.check_output(path, [])
    images.write(path, PIXELS)
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


# Beside each limit, a photo that just fits and one that just does not; thin, so that both can be encoded.
@pytest.mark.parametrize(("suffix", "largest"), [(".jpg", 65_500), (".webp", 16_383)])
@pytest.mark.parametrize("upright", [False, True])
def test_limits_of_formats_are_those_of_their_encoders(tmp_path, suffix, largest, upright):
    for side, fits in ((largest, True), (largest + 1, False)):
        size = (side, 1) if upright else (1, side)
        path = tmp_path / f"{side}{suffix}"
        if fits:
            images.check_fits(path, size)
            images.write(path, np.zeros((*size, 3), np.uint8))
            assert path.exists()
        else:
            with pytest.raises(images.ImageError, match=rf"holds at most {largest:,} pixels per side"):
                images.check_fits(path, size)
            with pytest.raises((OSError, ValueError)), (tmp_path / "raw").open("wb") as file:
                Image.new("RGB", size[::-1]).save(file, images.SUFFIXES[suffix])


@pytest.mark.parametrize("suffix", [".tif", ".bmp"])
def test_formats_that_count_bytes_in_32_bits(suffix):
    images.check_fits(f"a{suffix}", (32768, 32768))
    with pytest.raises(images.ImageError, match="bytes of pixels"):
        images.check_fits(f"a{suffix}", (40000, 40000))
    if suffix == ".tif":
        with pytest.raises(images.ImageError, match="bytes of pixels"):
            images.check_fits(f"a{suffix}", (32768, 32768), with_alpha=True)
    images.check_fits("a.png", (40000, 40000), with_alpha=True)


HOW = ["same", "other spelling", "link", "hard link", "in a folder of inputs", "link into it", "what a link in it points to"]


@pytest.mark.parametrize("how", HOW)
def test_outputs_that_are_inputs_are_refused(tmp_path, how):
    (tmp_path / "refs").mkdir()
    photo = tmp_path / "refs/a.png"
    images.write(photo, PIXELS)
    output, inputs = tmp_path / "out.png", [photo]
    if how == "same":
        output = photo
    elif how == "other spelling":
        output = tmp_path / "refs/../refs/./a.png"
    elif how == "link":
        output.symlink_to(photo)
    elif how == "hard link":
        output.hardlink_to(photo)
    elif how == "in a folder of inputs":
        output, inputs = photo, [tmp_path / "refs"]
    elif how == "link into it":
        output.symlink_to(photo)
        inputs = [tmp_path / "refs"]
    else:
        images.write(output, PIXELS)
        (tmp_path / "refs/b.png").symlink_to(output)
        inputs = [tmp_path / "refs"]
    with pytest.raises(images.ImageError, match="inputs are never overwritten"):
        images.check_output(output, inputs)
    images.check_output(tmp_path / "refs/new.png", inputs)


def test_two_outputs_of_one_name_are_refused(tmp_path):
    images.check_distinct([tmp_path / "a.png", tmp_path / "b.png"])
    with pytest.raises(images.ImageError, match="the name of another result too"):
        images.check_distinct([tmp_path / "a.png", tmp_path / "b/../a.png"])


# What a file system may take for one name: other cases, an accent as a letter of its own or as a mark behind the letter.
@pytest.mark.parametrize("names", [("A.png", "a.PNG"), ("caf\u00e9.png", "cafe\u0301.png"), ("stra\u00dfe.png", "STRASSE.png")])
@pytest.mark.parametrize("existing", [(), (0,), (1,), (0, 1)])
def test_names_that_the_file_system_takes_for_one_are_one_result(tmp_path, names, existing):
    probe = [tmp_path / "probe" / name for name in names]
    probe[0].parent.mkdir()
    probe[0].touch()
    one = probe[1].exists()
    paths = [tmp_path / name for name in names]
    for index in existing:
        paths[index].touch()
    before = sorted(tmp_path.iterdir())
    if one:
        with pytest.raises(images.ImageError, match="the name of another result too"):
            images.check_distinct(paths)
    else:
        images.check_distinct(paths)
    assert sorted(tmp_path.iterdir()) == before


def test_a_result_written_to_a_link_goes_where_it_points(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link.png").symlink_to(tmp_path / "elsewhere/photo.png")
    images.check_output(tmp_path / "link.png", [])
    images.write(tmp_path / "link.png", PIXELS)
    assert (tmp_path / "link.png").is_symlink()
    assert images.read(tmp_path / "elsewhere/photo.png").rgb.shape == (4, 4, 3)


def test_what_formats_are_said_to_hold_they_hold(tmp_path):
    alpha = np.arange(16, dtype=np.uint8).reshape(4, 4) * 16
    for suffix, name in images.SUFFIXES.items():
        if formats.WRITTEN[name].alpha:
            images.write(tmp_path / f"a{suffix}", PIXELS, alpha=alpha)
            np.testing.assert_array_equal(images.as_uint8(images.read(tmp_path / f"a{suffix}").alpha), alpha)
        images.write(tmp_path / f"g{suffix}", PIXELS, gray=True)
        assert images.read(tmp_path / f"g{suffix}").gray == formats.WRITTEN[name].gray


@pytest.mark.parametrize("kind", ["pipe", "device", "socket", "link to itself", "links in a circle", "standard error"])
def test_what_is_no_file_is_refused_and_stays(tmp_path, kind):
    path = tmp_path / "out.png"
    with contextlib.ExitStack() as stack:
        if kind == "pipe":
            os.mkfifo(path)
        elif kind == "device":
            path.symlink_to(os.devnull)
        elif kind == "socket":
            stack.enter_context(socket.socket(socket.AF_UNIX)).bind(str(path))
        elif kind == "link to itself":
            path.symlink_to(path)
        elif kind == "links in a circle":
            path.symlink_to(tmp_path / "other.png")
            (tmp_path / "other.png").symlink_to(path)
        else:
            kept = os.dup(2)
            stack.callback(os.close, kept)
            stack.callback(os.dup2, kept, 2)
            os.dup2(stack.enter_context(path.open("wb")).fileno(), 2)
        before = path.lstat()
        with pytest.raises(
            images.ImageError, match=r"out.png: it is a (pipe, a device or a standard stream|link that leads back)"
        ):
            images.check_output(path, [])
        with pytest.raises(images.ImageError, match=r"out\.png"):
            images.check_output(path / "in it.png", [])
        assert path.lstat().st_ino == before.st_ino


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the superuser may write everywhere")
def test_a_file_that_is_read_only_is_refused(tmp_path):
    images.write(tmp_path / "a.png", PIXELS)
    (tmp_path / "a.png").chmod(0o444)
    with pytest.raises(images.ImageError, match="the file there is read-only"):
        images.check_output(tmp_path / "a.png", [])


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o755])
def test_a_file_that_is_replaced_keeps_its_permissions(tmp_path, mode):
    images.write(tmp_path / "a.png", PIXELS)
    (tmp_path / "a.png").chmod(mode)
    images.write(tmp_path / "a.png", PIXELS)
    assert stat.S_IMODE((tmp_path / "a.png").stat().st_mode) == mode
