"""What goes wrong with photos, as exceptions whose message says what came, what is expected and how to fix it."""


class ImageError(ValueError):
    """A photo that cannot be read or written."""


class UnknownFormatError(ImageError):
    """Bytes that are no photo of a format that is read."""


class TooLargeError(ImageError):
    """A photo of more pixels than allowed, or that needs more memory."""
