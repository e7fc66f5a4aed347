"""PNG and TIFF files of 16 bits a sample, which Pillow writes of gray alone.

All but the samples is as Pillow writes it: profile and metadata. Sources: Portable Network Graphics (PNG) Specification, third
edition (W3C, 2025), sections 9 and 11; TIFF revision 6.0 (Adobe, 1992).
"""

import io
import struct
import zlib
from typing import Any, BinaryIO

import numpy as np
from PIL import Image

from c2m_tf.photos.png import chunks
from c2m_tf.photos.tiff import BITS, WIDTH

_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
_ROWS = 64  # that are filtered and packed at once
_DIFFERENCE_TO_THE_LEFT = 1  # a filter of PNG


def write_deep(file: BinaryIO, file_format: str, samples: np.ndarray, options: dict[str, Any]) -> None:
    """Writes a photo.

    Args:
        file: binary, open for reading and writing, at its start.
        file_format: "PNG" or "TIFF".
        samples: uint16 [H,W,channels] of gray, gray and alpha, RGB, or RGB and alpha.
        options: of Pillow's `save`.
    """
    {"PNG": _write_png, "TIFF": _write_tiff}[file_format](file, samples, options)


def _write_png(file, samples, options):
    height, width, channels = samples.shape
    pattern = io.BytesIO()
    Image.new(_MODES[channels], (1, 1)).save(pattern, "PNG", **options)
    file.write(pattern.getvalue()[:8])
    for kind, content in chunks(pattern):
        if kind == b"IHDR":
            content = struct.pack(">IIB", width, height, 16) + content[9:]
        if kind != b"IDAT":
            _write_chunk(file, kind, content)
            continue
        packer = zlib.compressobj()
        for start in range(0, height, _ROWS):
            # The upper byte comes first.
            rows = samples[start : start + _ROWS].astype(">u2").reshape(-1, width * channels).view(np.uint8)
            filtered = np.empty((len(rows), rows.shape[1] + 1), np.uint8)
            filtered[:, 0] = _DIFFERENCE_TO_THE_LEFT
            filtered[:, 1:] = rows
            filtered[:, 1 + 2 * channels :] -= rows[:, : -2 * channels]
            _write_chunk(file, b"IDAT", packer.compress(filtered.tobytes()))
        _write_chunk(file, b"IDAT", packer.flush())


def _write_chunk(file, kind, content):
    if content or kind != b"IDAT":
        file.write(struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content)))


def _write_tiff(file, samples, options):
    """A photo of twice the width and 8 bits has the same rows of bytes; width and bits are then corrected."""
    height, width, channels = samples.shape
    order = np.dtype("<u2")  # Pillow writes these modes with the lower byte first
    rows = np.ascontiguousarray(samples, order).view(np.uint8).reshape(height, 2 * width, channels)
    Image.fromarray(rows[..., 0] if channels == 1 else rows, _MODES[channels]).save(file, "TIFF", **options)
    end = file.tell()
    file.seek(4)
    (directory,) = struct.unpack("<I", file.read(4))
    file.seek(directory)
    (count,) = struct.unpack("<H", file.read(2))
    for _ in range(count):
        tag, _, number, value = struct.unpack("<HHII", file.read(12))
        following = file.tell()
        if tag == WIDTH:
            file.seek(following - 4)
            file.write(struct.pack("<I", width))
        elif tag == BITS:
            file.seek(value if number > 2 else following - 4)
            file.write(struct.pack(f"<{number}H", *[16] * number))
        file.seek(following)
    file.seek(end)
