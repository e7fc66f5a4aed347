"""JPEG files of many segments and scans, which cost far more than their pixels."""

import io
import struct

import numpy as np
import pytest
from PIL import Image

from c2m_tf.photos import headers, images
from c2m_tf.photos.headers import read_header


def encoded(**options):
    file = io.BytesIO()
    Image.linear_gradient("L").resize((40, 24)).save(file, "JPEG", **options)
    return file.getvalue()


def parts(content):
    """Segments of a JPEG file between its first and its last marker, each scan with its data."""
    found, place = [], 2
    while content[place + 1] != 0xD9:
        end = place + 2 + struct.unpack(">H", content[place + 2 : place + 4])[0]
        if content[place + 1] == 0xDA:
            while not (content[end] == 0xFF and content[end + 1] != 0):
                end += 1
        found.append(content[place:end])
        place = end
    return found


def with_scans(number):
    """A progressive file of so many scans in all; the second is repeated."""
    segments = parts(encoded(progressive=True))
    scans = [place for place, segment in enumerate(segments) if segment[1] == 0xDA]
    repeated = [segments[scans[1]]] * (number - len(scans))
    return b"\xff\xd8" + b"".join([*segments[: scans[1]], *repeated, *segments[scans[1] :]]) + b"\xff\xd9"


def with_segments(number, segment=b"\xff\xe5\0\2"):
    content = encoded()
    own = sum(part[1] != 0xDA for part in parts(content))
    return content[:2] + segment * (number - own) + content[2:]


def read(content):
    return images.Image.open(io.BytesIO(content), "lr").load().rgb


def test_as_many_scans_as_are_allowed_are_decoded_and_one_more_is_refused():
    np.testing.assert_array_equal(read(with_scans(headers.MAX_SCANS)), read(encoded(progressive=True)))
    with pytest.raises(images.ImageError, match="lr has more than 1,000 segments or 100 scans"):
        read(with_scans(headers.MAX_SCANS + 1))


@pytest.mark.parametrize("segment", [b"\xff\xe5\0\2", b"\xff\xfe\0\2", b"\xff\xff\xff\xe1\0\4ab", b"\xff\xdb\0\2"])
def test_segments_are_counted_before_pillow_keeps_them(segment):
    assert read_header(io.BytesIO(with_segments(headers.MAX_SEGMENTS, b"\xff\xe5\0\2")))
    with pytest.raises(images.ImageError, match="lr has more than 1,000 segments"):
        read_header(io.BytesIO(with_segments(headers.MAX_SEGMENTS + 1, segment)), "lr")


def test_markers_in_metadata_are_no_scans():
    """Thumbnails are whole JPEG files within a segment."""
    thumbnails = (b"\xff\xda\0\2" * 8000)[:30_000]
    content = encoded()
    with_thumbnails = content[:2] + b"\xff\xe1" + struct.pack(">H", len(thumbnails) + 2) + thumbnails + content[2:]
    np.testing.assert_array_equal(read(with_thumbnails), read(content))


@pytest.mark.parametrize("rest", [b"", b"\0" * 100, b"\xff", b"\xff\xd9"[:1] + b"\0" * 70_000])
def test_a_photo_without_its_end_is_refused(rest):
    with pytest.raises(images.ImageError, match="lr is damaged or truncated: it lacks its end"):
        read(encoded()[:-2] + rest)


def test_restarts_fill_bytes_and_what_follows_the_end_do_no_harm():
    content = encoded(restart_marker_blocks=1)
    expected = read(content)
    np.testing.assert_array_equal(read(content[:-2] + b"\xff\xff\xff\xd9" + encoded() + b"rest"), expected)
