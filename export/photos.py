"""Encoded photos inside a TensorFlow graph: PNG and JPEG, headers checked before anything is decoded.

Invalid input raises InvalidArgumentError with a readable message; no photo larger than the limit is ever decoded.
"""

import tensorflow as tf

MAX_PIXELS = 8192 * 8192

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_JPEG_SIGNATURE = b"\xff\xd8\xff"
_PNG_HEADER_BYTES = 33  # signature, and the IHDR chunk whole
_PNG_COLOURS = {2: "RGB", 3: "palette", 6: "RGB with alpha"}

_ORIENTATION_TAG = 0x0112
_APP1, _START_OF_SCAN, _FILL = 0xE1, 0xDA, 0xFF
_TIFF_HEADER_BYTES, _ENTRY_BYTES = 8, 12


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
    return upright(tf.ensure_shape(photo, (None, None, 3)), of_file(encoded, is_png))


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


def of_file(encoded: tf.Tensor, is_png: tf.Tensor) -> tf.Tensor:
    """Orientation of a photo.

    Args:
        encoded: string scalar, a file.
        is_png: bool scalar, whether it is PNG and not JPEG.

    Returns:
        int32 scalar, 1 to 8; 1, upright, where the file says nothing.
    """
    exif = tf.cond(is_png, lambda: _exif_of_png(encoded), lambda: _exif_of_jpeg(encoded))
    found = _entry(exif)
    return tf.where((found >= 1) & (found <= 8), found, 1)


def upright(photo: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    """A photo [H,W,3] turned and mirrored as its orientation asks."""
    photo = tf.cond(orientation >= 5, lambda: tf.transpose(photo, (1, 0, 2)), lambda: photo)
    mirrored = _one_of(orientation, (2, 3, 6, 7))
    flipped = _one_of(orientation, (3, 4, 7, 8))
    photo = tf.cond(mirrored, lambda: photo[:, ::-1], lambda: photo)
    return tf.cond(flipped, lambda: photo[::-1], lambda: photo)


def _one_of(value, choices):
    return tf.reduce_any(value == tf.constant(choices))


def _exif_of_png(encoded):
    """The content of the chunk eXIf, empty if there is none."""

    def step(place, exif):
        length, kind = _number(encoded, place, 4), _part(encoded, place + 4, 4)
        exif = tf.where(kind == b"eXIf", _part(encoded, place + 8, length), exif)
        return place + length + 12, exif

    return _walk(encoded, 8, step)


def _exif_of_jpeg(encoded):
    """What follows "Exif" and two zero bytes in the first such segment before the pixels, empty if there is none."""
    end = tf.strings.length(encoded)

    def step(place, exif):
        marker, kind = _number(encoded, place, 1), _number(encoded, place + 1, 1)
        length = _number(encoded, place + 2, 2)
        is_exif = (kind == _APP1) & (_part(encoded, place + 4, 6) == b"Exif\0\0")
        exif = tf.where(is_exif, _part(encoded, place + 10, length - 8), exif)
        following = tf.where(kind == _FILL, place + 1, place + 2 + tf.maximum(length, 2))
        return tf.where((marker != _FILL) | (kind == _START_OF_SCAN), end, following), exif

    return _walk(encoded, 2, step)


def _walk(encoded, start, step):
    """Takes steps from `start` until one has found something or has passed the end."""
    end = tf.strings.length(encoded)
    place, exif = tf.while_loop(
        lambda place, exif: (place >= 0) & (place + 4 <= end) & (tf.strings.length(exif) == 0),
        step,
        (tf.constant(start), tf.constant(b"")),
        maximum_iterations=10_000,
    )
    del place
    return exif


def _entry(exif):
    """Value of the orientation tag in the first directory of an EXIF block; 0 if it is not there."""
    little = _part(exif, 0, 2) == b"II"
    directory = _number(exif, 4, 4, little)
    count = _number(exif, directory, 2, little)

    def step(entry, found):
        place = directory + 2 + entry * _ENTRY_BYTES
        is_orientation = _number(exif, place, 2, little) == _ORIENTATION_TAG
        return entry + 1, tf.where(is_orientation, _number(exif, place + _TIFF_HEADER_BYTES, 2, little), found)

    known, start = directory >= _TIFF_HEADER_BYTES, (tf.constant(0), tf.constant(0))
    _, found = tf.while_loop(lambda entry, found: known & (entry < count) & (found == 0), step, start, maximum_iterations=1000)
    return found


def _part(text, start, length):
    """Bytes of a string from `start` on, as many as there are up to `length`; none before its start or behind its end."""
    size = tf.strings.length(text)
    start = tf.convert_to_tensor(start)
    inside = (start >= 0) & (start <= size) & (length >= 0)
    start = tf.where(inside, start, 0)
    return tf.strings.substr(text, start, tf.where(inside, tf.minimum(length, size - start), 0))


def _number(text, start, count, little=False):
    """The unsigned number in `count` bytes from `start` on, int32; -1 if they are not all there or it is too large."""
    part = _part(text, start, count)
    whole = tf.strings.length(part) == count
    digits = tf.cast(tf.io.decode_raw(tf.where(whole, part, b"\0" * count), tf.uint8), tf.int64)
    digits = tf.where(little, digits[::-1], digits)
    value = tf.reduce_sum(digits * tf.constant([256**power for power in reversed(range(count))], tf.int64))
    return tf.cast(tf.where(whole & (value < 2**31 - 2**16), value, -1), tf.int32)
