"""What lies where a result is to be written: nothing, a complete result, one that was cut, or something else."""

from pathlib import PurePosixPath

from c2m_tf.jobs import storage
from c2m_tf.photos import formats, images
from c2m_tf.photos.headers import decoding, read_header
from c2m_tf.photos.result_size import FULL_SIZE, ResultSize

_FEW_BYTES = 16
_MAX_PIXELS = images.SCALE**2 * images.MAX_PIXELS  # of the largest photo's result


def is_result(path: str, lr: str, size: ResultSize = FULL_SIZE) -> bool:
    """Whether a photo has the size of another one's result, by their headers; whether it is complete is not looked at."""
    try:
        return sorted(_size(path)) == sorted(_size_of_result(lr, size))
    except images.ImageError:
        return False


def is_complete(path: str, lr: str, size: ResultSize = FULL_SIZE) -> bool:
    """Whether the result of an LR photo is there and need not be made: of that size, and all of it can be decoded.

    Files appear complete or not at all, but copies, downloads and full drives cut them later. What was cut is made again; so
    are results of more pixels than Pillow opens.

    Raises:
        images.ImageError: something else is there, which nobody asked to replace.
    """
    if not storage.exists(path):
        return False
    try:
        expected = _size_of_result(lr, size)
    except images.ImageError:
        return False  # and the job says why
    if not is_begun(path, expected, PurePosixPath(lr).name, "give another folder, or --overwrite to replace it"):
        return False
    try:
        with storage.opened(path) as file, decoding(file, path, _MAX_PIXELS) as image:
            image.load()
    except images.ImageError:
        return False
    return True


def is_begun(path: str, expected: tuple[int, int], of: str, cure: str) -> bool:
    """Whether a photo of the (height, width) of a result is there, complete or not; false where nothing, or less of it, is.

    Args:
        path: of the result.
        expected: its size.
        of: what it is a result of, in messages.
        cure: what messages advise.

    Raises:
        images.ImageError: something else is there.
    """
    if not storage.exists(path):
        return False
    try:
        found = _size(path)
    except images.ImageError as error:
        too_large = isinstance(error, images.TooLargeError) and expected[0] * expected[1] > images.MAX_PIXELS
        if too_large or _may_have_been_cut(path):
            return False
        raise images.ImageError(f"{path} is there and no photo; {cure}") from error
    if sorted(found) != sorted(expected):  # orientation turns some photos by 90 degrees
        raise images.ImageError(
            f"{path} is there and has {_in_words(found)} pixels, a result of {of} has {_in_words(expected)}; {cure}"
        )
    return True


def _size_of_result(lr, size):
    with storage.opened(lr) as file, images.Image.open(file, lr) as image:
        return size.of(image.upright_shape)


def _size(path):
    with storage.opened(path) as file:
        return read_header(file, path, _MAX_PIXELS)[:2]


def _may_have_been_cut(path):
    """Whether a file that is no whole photo begins as one of its suffix does, or holds next to nothing."""
    with storage.opened(path) as file:
        start = file.read(formats.HEADER_BYTES)
    expected = formats.SUFFIXES[PurePosixPath(path).suffix.lower()]
    return len(start) < _FEW_BYTES or not start.strip(b"\0") or formats.format_of(start) == expected


def _in_words(sides):
    return f"{sides[1]}x{sides[0]}"
