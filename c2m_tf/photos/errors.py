"""Exceptions about photos. Messages say what was given, what is expected and how to fix it."""


class ImageError(ValueError):
    """A photo that cannot be read or written."""


class UnknownFormatError(ImageError):
    """Bytes that are no photo of a format that is read."""


class TooLargeError(ImageError):
    """A photo of more pixels than allowed, or that needs more memory."""
