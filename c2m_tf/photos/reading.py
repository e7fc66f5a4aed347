"""Reads photos from files.

Formats are recognised by content, sizes are checked before a pixel is decoded (`headers`). EXIF orientation is applied; of
several frames the first is taken. `pixel_kinds` converts the pixels.
"""

import os
from typing import BinaryIO

from PIL import ImageOps

from c2m_tf.photos import heif, jpeg, png, tiff
from c2m_tf.photos.headers import MAX_PIXELS, decoding, name_of, opened
from c2m_tf.photos.photo import Photo
from c2m_tf.photos.pixel_kinds import photo_of


def read(source: str | os.PathLike | BinaryIO, max_pixels: int = MAX_PIXELS) -> Photo:
    """Reads a photo.

    Args:
        source: path of a file, or an open binary file at its start.
        max_pixels: refuse larger photos, before decoding.

    Returns:
        Photo.

    Raises:
        ImageError: no such file, a directory, not one of the formats, damaged, truncated, or too large.
    """
    with opened(source) as file:
        return decode(file, name_of(source), max_pixels)


def decode(file: BinaryIO, name: str | os.PathLike, max_pixels: int = MAX_PIXELS) -> Photo:
    """Reads a photo from an open file.

    Args:
        file: binary, seekable, at its start.
        name: of the photo in error messages.
        max_pixels: refuse larger photos, before decoding.

    Returns:
        Photo.

    Raises:
        UnknownFormatError: not one of the formats.
        TooLargeError: more pixels than allowed.
        ImageError: damaged, truncated, or of pixels of unknown meaning. The two above are ImageErrors too.
    """
    with decoding(file, name, max_pixels) as image:
        kind = image.format  # MPO is JPEG with further pictures
        tags = tiff.photo_tags(file, name) if kind == "TIFF" else None
        if kind == "PNG":
            png.check_pixels(file)
        elif tags is not None:
            tiff.check_strips(file, tags, name)
        elif kind in ("JPEG", "MPO"):
            jpeg.check_scans(file, name)
        elif kind == "HEIF":
            heif.check_items(file, name, image.width * image.height)
        image.load()
        ImageOps.exif_transpose(image, in_place=True)
        if kind == "PNG":
            return photo_of(image, header=png.read_header(file), file=file)
        return photo_of(image, tags=tags)
