"""The course of JPEG files: their segments and scans are counted, and their end is found, before Pillow decodes them.

Each scan is decoded over all pixels, and a file may have any number of them, of 33 bytes each ("Two issues with the JPEG
standard", LJT-01-003, libjpeg-turbo). Source: ITU-T T.81, annex B.
"""

import os
import re
from typing import BinaryIO

from c2m_tf.photos.errors import ImageError

MAX_SEGMENTS = 1000
MAX_SCANS = 100  # libjpeg's own progressive files have ten

_START_OF_IMAGE, _END_OF_IMAGE, _START_OF_SCAN = 0xD8, 0xD9, 0xDA
_ALONE = (0x01, *range(0xD0, 0xD9))  # markers without a length
_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")  # within a scan 0xFF00 is a byte, and 0xFFD0 to 0xFFD7 restart it
_PIECE = 2**16


def check_segments(file: BinaryIO, name: str | os.PathLike) -> None:
    """Raises ImageError if more than `MAX_SEGMENTS` come before the first scan; the position is undefined afterwards."""
    _walk(file, name, to_first_scan=True)


def check_scans(file: BinaryIO, name: str | os.PathLike) -> None:
    """Checks a file to its end; the position is undefined afterwards.

    Raises:
        ImageError: more than `MAX_SCANS` scans or `MAX_SEGMENTS` segments.
        ValueError: no end-of-image marker.
    """
    _walk(file, name, to_first_scan=False)


def _walk(file, name, to_first_scan):
    file.seek(0)
    segments = scans = 0
    while (marker := _next_marker(file)) != _END_OF_IMAGE:
        if marker is None:
            raise ValueError("it lacks its end")
        if marker in _ALONE:
            continue
        scans += marker == _START_OF_SCAN
        segments += marker != _START_OF_SCAN
        if segments > MAX_SEGMENTS or scans > MAX_SCANS:
            raise ImageError(f"{name} has more than {MAX_SEGMENTS:,} segments or {MAX_SCANS} scans; save it anew")
        if to_first_scan and scans:
            return
        length = int.from_bytes(file.read(2), "big")
        file.seek(max(length - 2, 0), 1)


def _next_marker(file):
    """The second byte of the next marker, behind which the file is positioned; None if there is none."""
    kept = b""
    while piece := file.read(_PIECE):
        content = kept + piece
        found = _MARKER.search(content)
        if found:
            file.seek(found.end() - len(content), 1)
            return content[found.end() - 1]
        kept = content[-1:]
    return None
