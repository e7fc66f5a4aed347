"""Encoded photos inside a TensorFlow graph: PNG and JPEG, headers checked before anything is decoded.

Invalid input raises InvalidArgumentError with a readable message; no photo larger than the limit is ever decoded.
"""

import tensorflow as tf

from . import orientation

MAX_PIXELS = 8192 * 8192

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_JPEG_SIGNATURE = b"\xff\xd8\xff"
_PNG_HEADER_BYTES = 33  # signature, and the IHDR chunk whole
_PNG_COLOURS = {2: "RGB", 3: "palette", 6: "RGB with alpha"}


def decode(encoded: tf.Tensor, what: str, minimum: int, max_pixels: int) -> tf.Tensor:
    """A photo from its file's bytes.

    Args:
        encoded: string scalar, a PNG or JPEG file.
        what: name of the input, for errors.
        minimum: smallest height and width in pixels.
        max_pixels: refuse larger photos by their header.

    Returns:
        uint8 [H,W,3], upright by its EXIF orientation.

    Raises (when the graph runs):
        InvalidArgumentError: neither PNG nor JPEG, damaged, not RGB, too small or too large.
    """
    is_png = tf.strings.substr(encoded, 0, len(_PNG_SIGNATURE)) == _PNG_SIGNATURE
    is_jpeg = tf.strings.substr(encoded, 0, len(_JPEG_SIGNATURE)) == _JPEG_SIGNATURE
    known = tf.debugging.Assert(is_png | is_jpeg, [f"{what} is neither a PNG nor a JPEG file"])
    with tf.control_dependencies([known]):
        header = tf.cond(is_png, lambda: _png_header(encoded, what), lambda: _jpeg_header(encoded))
    height, width, channels = header[0], header[1], header[2]
    pixels = tf.cast(height, tf.int64) * tf.cast(width, tf.int64)
    checks = [
        tf.debugging.Assert(channels >= 3, [f"{what} has one channel; an RGB photo is expected"]),
        tf.debugging.Assert(
            (height >= minimum) & (width >= minimum),
            [f"{what} is too small, at least {minimum}x{minimum} pixels are needed:", header],
        ),
        tf.debugging.Assert(pixels <= max_pixels, [f"{what} is too large, the limit is {max_pixels} pixels:", header]),
    ]
    with tf.control_dependencies(checks):
        encoded = tf.identity(encoded)
    photo = tf.cond(is_png, lambda: tf.io.decode_png(encoded, channels=3), lambda: tf.io.decode_jpeg(encoded, channels=3))
    return orientation.upright(tf.ensure_shape(photo, (None, None, 3)), orientation.of_file(encoded, is_png))


def encode(photo: tf.Tensor) -> tf.Tensor:
    """PNG file, string scalar, of a float photo [H,W,3], clipped to [0, 1] and rounded."""
    return tf.io.encode_png(tf.cast(tf.round(tf.clip_by_value(photo, 0.0, 1.0) * 255.0), tf.uint8))


def _png_header(encoded, what):
    """int32 [height, width, channels] of a PNG file."""
    whole = tf.strings.length(encoded) >= _PNG_HEADER_BYTES
    with tf.control_dependencies([tf.debugging.Assert(whole, [f"{what} is cut off within its header"])]):
        fields = tf.io.decode_raw(tf.strings.substr(encoded, 16, 10), tf.uint8)
    fields = tf.cast(fields, tf.int64)
    sides = [
        fields[start] * 2**24 + fields[start + 1] * 2**16 + fields[start + 2] * 2**8 + fields[start + 3] for start in (4, 0)
    ]
    coloured = tf.reduce_any(fields[9] == tf.constant(list(_PNG_COLOURS), tf.int64))
    channels = tf.where(coloured, tf.constant(3, tf.int64), tf.constant(1, tf.int64))
    return tf.cast(tf.minimum(tf.stack([*sides, channels]), 2**31 - 1), tf.int32)


def _jpeg_header(encoded):
    """int32 [height, width, channels] of a JPEG file; TensorFlow's own message names a fault."""
    return tf.image.extract_jpeg_shape(encoded)
