"""Colour profiles made by hand, and what conversions between them come to."""

import struct

import numpy as np
from PIL import ImageCms

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
# Columns: the XYZ of red, green and blue, adapted to D50.
P3_COLOURS = np.array([[0.51512, 0.29198, 0.15710], [0.24120, 0.69225, 0.06657], [-0.00105, 0.04189, 0.78407]])
SRGB_COLOURS = np.array([[0.43607, 0.38515, 0.14307], [0.22249, 0.71687, 0.06061], [0.01392, 0.09708, 0.71410]])
WHITE = (0.9642, 1.0, 0.8249)
GAMMA = 2.2


def profile(space, colours=None):
    """An ICC profile of version 2: gray or RGB of a plain gamma."""

    def xyz(values):
        return b"XYZ " + bytes(4) + b"".join(struct.pack(">i", round(value * 65536)) for value in values)

    curve = b"curv" + bytes(4) + struct.pack(">IH", 1, round(GAMMA * 256)) + bytes(2)
    text = b"text" + bytes(4) + b"test\0\0\0\0"
    named = b"desc" + bytes(4) + struct.pack(">I", 5) + b"test\0" + bytes(79)
    tags = {b"desc": named, b"cprt": text, b"wtpt": xyz(WHITE)}
    if space == "GRAY":
        tags[b"kTRC"] = curve
    else:
        for name, column in zip((b"r", b"g", b"b"), np.transpose(colours), strict=True):
            tags |= {name + b"XYZ": xyz(column), name + b"TRC": curve}
    table, body = struct.pack(">I", len(tags)), b""
    start = 128 + 4 + 12 * len(tags)
    for name, content in tags.items():
        content += bytes(-len(content) % 4)
        table += name + struct.pack(">II", start + len(body), len(content))
        body += content
    header = struct.pack(">I", start + len(body)) + bytes(4) + struct.pack(">I", 0x02400000) + b"mntr"
    header += space.encode().ljust(4) + b"XYZ " + bytes(12) + b"acsp" + bytes(28)
    header += b"".join(struct.pack(">i", round(value * 65536)) for value in WHITE)
    return header.ljust(128, b"\0") + table + body


P3, GAMMA_RGB, GRAY = profile("RGB", P3_COLOURS), profile("RGB", SRGB_COLOURS), profile("GRAY")


def converted_by_hand(rgb, source, target):
    """Numbers 0..255 of one space of `GAMMA` in another, both given by their colours."""
    linear = (rgb / 255.0) ** GAMMA @ (np.linalg.inv(target) @ source).T
    return np.clip(linear, 0, 1) ** (1 / GAMMA) * 255
