"""Reading and writing photos, and Pillow's bicubic: the commonly used names, gathered from their modules.

headers       opening photos: sizes before pixels, readable errors
image         Image: a photo, out of a file and into one; read
pixel_kinds   conversion of depths, palettes, transparency, ...
colour        colour profiles, and colours of fully transparent pixels
metadata      EXIF that results keep
writing       write, encode, write_atomically
outputs       checks that results can be written, before any work
folders       photos of a folder
formats       formats that are read and written, and their limits
resampling    conversion between 8 bits and floats; bicubic
"""

from c2m_tf.photos.files import by_stem, check_exists, list_folders, list_others, list_photos
from c2m_tf.photos.formats import (
    FORMATS,
    PHOTO_SUFFIXES,
    SUFFIXES,
    SUFFIXES_WITH_ALPHA,
    ImageError,
    TooLargeError,
    UnknownFormatError,
)
from c2m_tf.photos.headers import MAX_PIXELS
from c2m_tf.photos.image import Image, read
from c2m_tf.photos.pixels import SCALE, as_float, as_uint8, bicubic, crop_to_multiple, downsample, fill_hidden, upsample
from c2m_tf.photos.writing import (
    Inputs,
    check_distinct,
    check_fits,
    check_folder,
    check_not_input,
    check_output,
    check_suffix,
    check_writable,
    encode,
    make_folder,
    write,
    write_atomically,
)

__all__ = [
    "FORMATS",
    "MAX_PIXELS",
    "PHOTO_SUFFIXES",
    "SCALE",
    "SUFFIXES",
    "SUFFIXES_WITH_ALPHA",
    "Image",
    "ImageError",
    "Inputs",
    "TooLargeError",
    "UnknownFormatError",
    "as_float",
    "as_uint8",
    "bicubic",
    "by_stem",
    "check_distinct",
    "check_exists",
    "check_fits",
    "check_folder",
    "check_not_input",
    "check_output",
    "check_suffix",
    "check_writable",
    "crop_to_multiple",
    "downsample",
    "encode",
    "fill_hidden",
    "list_folders",
    "list_others",
    "list_photos",
    "make_folder",
    "read",
    "upsample",
    "write",
    "write_atomically",
]
