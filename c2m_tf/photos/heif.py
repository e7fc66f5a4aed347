"""HEIC files whose pixels are put together of others: how many pixels are decoded for those that are shown.

A grid names the item of each of its cells, and may name one large item any number of times; each time it is decoded anew.
Source: ISO/IEC 14496-12 (boxes) and ISO/IEC 23008-12 (items), the latter's sections 6.5.3 and 6.6.2.3.
"""

import os
import struct
from collections.abc import Iterator
from typing import BinaryIO

from c2m_tf.photos.errors import ImageError

_MORE_THAN_PIXELS, _SLACK = 4, 2**22  # cells of a grid are whole, and there may be transparency
_DEPTH = 4  # of items that are made of others


def check_items(file: BinaryIO, name: str | os.PathLike, pixels: int) -> None:
    """Checks what is decoded for a photo; the position is undefined afterwards.

    Args:
        file: that Pillow has accepted, at any position.
        name: of the photo in error messages.
        pixels: number of those that are shown.

    Raises:
        ImageError: far more pixels are decoded than are shown.
        struct.error, IndexError, KeyError: the file is damaged.
    """
    file.seek(0)
    meta = next((content for kind, content in _boxes(file.read()) if kind == b"meta"), None)
    if meta is None:  # a sequence without items
        return
    parts = dict(_boxes(meta[4:]))
    areas, made_of, transparency_of = _areas(parts[b"iprp"]), {}, []
    for kind, item, others in _references(parts.get(b"iref", b"\0" * 4)):
        if kind == b"dimg":
            made_of[item] = others
        elif kind == b"auxl":
            transparency_of.append((item, others))
    (primary,) = struct.unpack_from(">I" if parts[b"pitm"][0] else ">H", parts[b"pitm"], 4)
    shown = [primary, *(item for item, others in transparency_of if primary in others)]
    costs: dict[int, int] = {}

    def cost(item, depth):
        if item not in costs:
            if depth > _DEPTH:
                raise ImageError(f"{name} is made of items that are made of others, again and again; save it anew")
            parts_of = made_of.get(item)
            costs[item] = sum(cost(other, depth + 1) for other in parts_of) if parts_of else areas.get(item, 0)
        return costs[item]

    if sum(cost(item, 0) for item in shown) > _MORE_THAN_PIXELS * pixels + _SLACK:
        raise ImageError(f"{name} decodes far more pixels than it shows ({pixels:,}); save it anew")


def _boxes(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """(kind, content) of boxes one after the other."""
    place = 0
    while place + 8 <= len(content):
        size, kind = struct.unpack_from(">I4s", content, place)
        head = 8
        if size == 1:
            (size,) = struct.unpack_from(">Q", content, place + 8)
            head = 16
        end = len(content) if size == 0 else place + size
        if size and size < head:
            return
        yield kind, content[place + head : end]
        place = end


def _references(iref):
    """(kind, item, items that it refers to) of a reference box."""
    number = ">I" if iref[0] else ">H"
    size = struct.calcsize(number)
    for kind, content in _boxes(iref[4:]):
        (item,) = struct.unpack_from(number, content)
        (count,) = struct.unpack_from(">H", content, size)
        yield kind, item, struct.unpack_from(f">{count}{number[1]}", content, size + 2)


def _areas(iprp):
    """{item: pixels} by the size that is a property of it."""
    parts = dict(_boxes(iprp))
    sizes = [struct.unpack_from(">II", content, 4) if kind == b"ispe" else None for kind, content in _boxes(parts[b"ipco"])]
    content, areas, place = parts[b"ipma"], {}, 8
    item_of, index_of = ">I" if content[0] else ">H", ">H" if content[3] & 1 else ">B"
    for _ in range(struct.unpack_from(">I", content, 4)[0]):
        (item,) = struct.unpack_from(item_of, content, place)
        place += struct.calcsize(item_of) + 1
        for _ in range(content[place - 1]):
            (index,) = struct.unpack_from(index_of, content, place)
            place += struct.calcsize(index_of)
            index &= 0x7FFF if index_of == ">H" else 0x7F  # the highest bit says whether it must be understood
            if 0 < index <= len(sizes) and sizes[index - 1] is not None:
                areas[item] = sizes[index - 1][0] * sizes[index - 1][1]
    return areas
