"""HEIC files that name one item again and again, each time to be decoded."""

import io
import struct

import numpy as np
import pytest
from PIL import Image

from c2m_tf.photos import images
from c2m_tf.photos.formats import HAS_HEIF

pytestmark = pytest.mark.skipif(not HAS_HEIF, reason="pillow-heif is not installed")
SIDE = 128


def box(kind, *content):
    joined = b"".join(content)
    return struct.pack(">I4s", 8 + len(joined), kind) + joined


def full_box(kind, *content, version=0):
    return box(kind, bytes([version, 0, 0, 0]), *content)


def boxes(content):
    found, place = {}, 0
    while place < len(content):
        size, kind = struct.unpack_from(">I4s", content, place)
        found[kind] = content[place + 8 : place + size]
        place += size
    return found


def made_of(kind, data, references, size):
    """A file whose photo of (width, height) is an item of that kind and data, made of coded items of SIDE x SIDE."""
    file = io.BytesIO()
    Image.linear_gradient("L").resize((SIDE, SIDE)).convert("RGB").save(file, "HEIF", quality=90)
    parts = boxes(file.getvalue())
    configuration = boxes(boxes(boxes(parts[b"meta"][4:])[b"iprp"])[b"ipco"])[b"hvcC"]
    coded = parts[b"mdat"]
    infos = [(1, b"hvc1"), (2, kind)]
    items = b"".join(full_box(b"infe", struct.pack(">HH", number, 0), name, b"\0", version=2) for number, name in infos)
    sizes = [full_box(b"ispe", struct.pack(">II", *shape)) for shape in ((SIDE, SIDE), size)]
    properties = full_box(b"ipma", struct.pack(">I", 2), b"\0\1\2\x81\2", b"\0\2\1\3")

    def meta(first, second):
        places = [struct.pack(">HHHII", 1, 0, 1, first, len(coded)), struct.pack(">HHHII", 2, 0, 1, second, len(data))]
        return full_box(
            b"meta",
            full_box(b"hdlr", bytes(4), b"pict", bytes(13)),
            full_box(b"pitm", struct.pack(">H", 2)),
            full_box(b"iinf", struct.pack(">H", 2), items),
            full_box(b"iloc", b"\x44\0", struct.pack(">H", 2), *places),
            box(b"iprp", box(b"ipco", box(b"hvcC", configuration), *sizes), properties),
            full_box(b"iref", box(b"dimg", struct.pack(f">HH{len(references)}H", 2, len(references), *references))),
        )

    start = box(b"ftyp", b"heic", bytes(4), b"mif1heicmiaf")
    first = len(start) + len(meta(0, 0)) + 8
    return start + meta(first, first + len(coded)) + box(b"mdat", coded, data)


def grid(rows, columns, width, height):
    return made_of(
        b"grid", struct.pack(">BBBBHH", 0, 0, rows - 1, columns - 1, width, height), [1] * rows * columns, (width, height)
    )


def read(content):
    return images.Image.open(io.BytesIO(content), "lr").rgb


def test_a_grid_whose_cells_are_shown_is_read():
    photo = read(grid(2, 3, 3 * SIDE, 2 * SIDE - 10))
    assert photo.shape == (2 * SIDE - 10, 3 * SIDE, 3)
    np.testing.assert_allclose(photo[:SIDE, :SIDE], photo[:SIDE, SIDE : 2 * SIDE])


def test_cells_that_are_not_shown_are_refused_before_they_are_decoded():
    with pytest.raises(images.ImageError, match="lr decodes far more pixels than it shows"):
        read(grid(30, 30, SIDE, SIDE))


def test_an_overlay_of_one_item_again_and_again_is_refused():
    number = 900
    data = struct.pack(">BB4HHH", 0, 0, 0, 0, 0, 65535, SIDE, SIDE) + bytes(4 * number)
    with pytest.raises(images.ImageError, match="lr decodes far more pixels than it shows"):
        read(made_of(b"iovl", data, [1] * number, (SIDE, SIDE)))


def test_items_that_are_made_of_themselves_are_refused():
    with pytest.raises(images.ImageError, match=r"^lr "):
        read(made_of(b"grid", struct.pack(">BBBBHH", 0, 0, 0, 0, SIDE, SIDE), [2], (SIDE, SIDE)))
