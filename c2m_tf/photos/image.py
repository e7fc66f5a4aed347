"""A photo: pixels, transparency, colour profile and metadata, out of a file, bytes, an array or Pillow, and into a file.

    with Image.open("photo.jpg") as image:      # reads the header only
        height, width, _ = image.stored_shape
        image.rgb                               # decodes

Formats are recognised by content, sizes are checked before a pixel is decoded (`headers`). EXIF orientation is applied; of
several frames the first is taken. `pixel_kinds` converts the pixels.
"""

import io
import os
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import PurePath
from types import TracebackType
from typing import Any, BinaryIO, Literal, TypeAlias

import numpy as np
import PIL.Image
from PIL import ImageOps

from c2m_tf.photos import formats, headers, png, tiff
from c2m_tf.photos.formats import Encoding, ImageError
from c2m_tf.photos.headers import MAX_PIXELS, decoding, name_of, opened
from c2m_tf.photos.metadata import NO_METADATA, Metadata, kept_metadata, transposes
from c2m_tf.photos.pixels import Pixels, as_float, converted, fill_hidden, has_alpha, pixels_of_memory, pixels_of_picture
from c2m_tf.photos.writing import as_pillow, write


class Image:
    """A photo, as the networks take it.

    Attributes:
        filename: name of the file that it came from, None of others; for what is said of it, and no path.

    Args:
        rgb: [H,W,3], uint8 or float in [0, 1].
        alpha: [H,W] of such a type, or None.
        gray: whether the three channels are equal and files are to hold one.
        icc_profile: of rgb, or of its gray; None for sRGB.
        metadata: what files hold besides, see `metadata.Metadata`.

    Raises:
        ValueError: arrays of other shapes, types or ranges.
    """

    def __init__(
        self,
        rgb: np.ndarray,
        alpha: np.ndarray | None = None,
        gray: bool = False,
        icc_profile: bytes | None = None,
        metadata: Metadata = NO_METADATA,
    ) -> None:
        self._become(_checked("photo", Pixels(np.asarray(rgb), alpha, gray, icc_profile, metadata)))

    @classmethod
    def open(cls, source: "ImageLike", name: str | None = None, max_pixels: int = MAX_PIXELS) -> "Image":
        """A photo whose header is read; it is decoded when its pixels are first asked for, and its file is closed then.

        Args:
            source: path of a file, its bytes, or an open binary file; an array [H,W,3] of uint8 or float in [0, 1]; a
                `PIL.Image`; or an Image, which is returned.
            name: in error messages; by default the path.
            max_pixels: refuse larger files, before decoding.

        Raises:
            ImageError: no such file, a directory, not one of the formats, damaged, or too large.
            ValueError: no photo, see `Image`. ImageErrors are ValueErrors too.
        """
        if isinstance(source, Image):
            return source
        if isinstance(source, PIL.Image.Image):
            return cls._of(pixels_of_memory(source, name or "photo"), getattr(source, "quantization", None))
        if isinstance(source, (bytes, bytearray, memoryview)):
            return cls._of_file(io.BytesIO(source), name or "photo", max_pixels)
        if not isinstance(source, np.ndarray) and (isinstance(source, (str, os.PathLike)) or hasattr(source, "read")):
            return cls._of_file(source, name or name_of(source), max_pixels)
        return cls._of(_checked(name or "photo", Pixels(np.asarray(source))))

    @classmethod
    def _of(cls, pixels: Pixels, jpeg_tables: dict[int, list[int]] | None = None) -> "Image":
        image = cls.__new__(cls)
        image._become(pixels, jpeg_tables)
        return image

    @classmethod
    def _of_file(cls, source: str | os.PathLike | BinaryIO, name: str, max_pixels: int) -> "Image":
        image = cls.__new__(cls)
        given = getattr(source, "name", source)
        image.filename = PurePath(given).name if isinstance(given, (str, os.PathLike)) else None
        with ExitStack() as stack:
            file = stack.enter_context(opened(source))
            picture = stack.enter_context(decoding(file, name, max_pixels))
            image._alpha_expected = has_alpha(picture)
            image._stored_shape = (picture.height, picture.width, 3)
            image._transposes = transposes(picture)
            image._jpeg_tables = getattr(picture, "quantization", None) or None
            image._pixels, image._failure = None, None
            image._decode = lambda: _decoded(picture, file, name)
            image._open = stack.pop_all()
        return image

    def _become(self, pixels: Pixels, jpeg_tables: dict[int, list[int]] | None = None) -> None:
        self.filename: str | None = None
        self._pixels: Pixels | None = pixels
        self._failure: ImageError | None = None
        self._alpha_expected = pixels.alpha is not None
        self._stored_shape: tuple[int, int, int] = (*pixels.rgb.shape[:2], 3)
        self._transposes = False
        self._jpeg_tables = jpeg_tables or None
        self._decode: Callable[[], Pixels] | None = None
        self._open = ExitStack()

    def load(self) -> "Image":
        """Decodes the pixels, unless that is done, and closes the file; raises `ImageError` if the file is damaged."""
        if self._failure is not None:
            raise self._failure
        if self._decode is not None:
            decode, self._decode = self._decode, None  # which holds Pillow's picture
            try:
                with self._open:
                    self._pixels = decode()
            except ImageError as error:
                self._failure = error
                raise
        return self

    def close(self) -> None:
        """Closes the file; what is decoded stays."""
        self._open.close()

    def __enter__(self) -> "Image":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.close()

    @property
    def stored_shape(self) -> tuple[int, int, int]:
        """(H, W, 3) as the header says, before EXIF orientation is applied; nothing is decoded."""
        return self._stored_shape

    @property
    def upright_shape(self) -> tuple[int, int, int]:
        """(H, W, 3) of the pixels, as far as the header tells the orientation; nothing is decoded."""
        if self._pixels is not None:
            return (*self._pixels.rgb.shape[:2], 3)
        height, width, _ = self._stored_shape
        return (width, height, 3) if self._transposes else (height, width, 3)

    @property
    def holds_alpha(self) -> bool:
        """Whether there is transparency, as the header says; nothing is decoded."""
        return self._alpha_expected

    @property
    def jpeg_tables(self) -> dict[int, list[int]] | None:
        """The quantization tables of a JPEG file, as Pillow gives them; None of other photos. Nothing is decoded."""
        return self._jpeg_tables

    @property
    def rgb(self) -> np.ndarray:
        """Colours [H,W,3], float32 in [0, 1], or uint8 if they were given so; upright. Decodes."""
        return self._loaded.rgb

    @property
    def alpha(self) -> np.ndarray | None:
        """Transparency [H,W], float32 in [0, 1] or uint8; None if there is none. Decodes."""
        return self._loaded.alpha

    @property
    def gray(self) -> bool:
        """Whether the photo is gray: three equal channels here, one in files. Decodes."""
        return self._loaded.gray

    @property
    def icc_profile(self) -> bytes | None:
        """The embedded colour profile, None for sRGB. Decodes."""
        return self._loaded.icc_profile

    @property
    def metadata(self) -> Metadata:
        """EXIF, XMP and IPTC that go on with the photo, see `metadata.kept_metadata`. Decodes."""
        return self._loaded.metadata

    @property
    def _loaded(self) -> Pixels:
        pixels = self.load()._pixels
        assert pixels is not None
        return pixels

    def visible(self) -> np.ndarray:
        """Colours as the networks should see them: those of fully transparent pixels are filled. Of the type of `rgb`."""
        return fill_hidden(self.rgb, self.alpha)

    def in_colours_of(self, lr: "Image") -> np.ndarray:
        """Colours of a reference as the networks should see it beside an LR photo.

        Returns:
            [H,W,3], float32 in [0, 1] or uint8: in the colour space of the LR photo, those of hidden pixels filled.
        """
        rgb = converted(self.rgb, self.icc_profile, lr.icc_profile, self.gray)
        return fill_hidden(rgb if rgb is self.rgb else as_float(rgb), self.alpha)

    def replaced(self, rgb: np.ndarray, alpha: np.ndarray | None, metadata: Metadata | None = None) -> "Image":
        """A photo of other pixels, [H,W,3] and [H,W], with the grayness, colour profile and (or other) metadata of this one."""
        kept = self.metadata if metadata is None else metadata
        return Image._of(self._loaded._replace(rgb=rgb, alpha=alpha, metadata=kept))

    def to_pil(self) -> PIL.Image.Image:
        """The photo for Pillow, 8 bits, of mode L, LA, RGB or RGBA, with its profile and metadata in `info`."""
        picture = as_pillow(self.rgb, self.alpha, self.gray)
        picture.info |= {"icc_profile": self.icc_profile} if self.icc_profile else {}
        picture.info |= {kind: self.metadata._asdict()[kind] for kind in ("exif", "xmp") if self.metadata._asdict()[kind]}
        return picture

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """Pixels as Pillow gives them, uint8: [H,W,3], of gray photos [H,W], with alpha [H,W,4] or [H,W,2]."""
        pixels = np.array(self.to_pil())
        return pixels if dtype is None else pixels.astype(dtype)

    def save(
        self,
        path: str | os.PathLike,
        *,
        quality: int | Literal["lossless"] | None = None,
        bits: int = 8,
        metadata: bool = True,
    ) -> None:
        """Writes the photo; see `writing.write` for formats and errors, and `formats.Encoding` for the arguments."""
        encoding = Encoding(quality, bits, metadata)
        write(path, self.rgb, self.alpha, self.gray, self.icc_profile, self.metadata, encoding)


# What is taken for a photo: a file as path, bytes or open; an array [H,W,3]; a picture of Pillow's; an Image.
ImageLike: TypeAlias = Image | PIL.Image.Image | np.ndarray | str | os.PathLike | bytes | BinaryIO


def read(source: ImageLike, max_pixels: int = MAX_PIXELS) -> Image:
    """Reads a photo, decoded; see `Image.open`."""
    with Image.open(source, max_pixels=max_pixels) as image:
        return image.load()


def _decoded(picture: PIL.Image.Image, file: BinaryIO, name: str) -> Pixels:
    """Pixels of a file whose header was read."""
    kind = picture.format  # MPO is JPEG with further pictures
    tags = tiff.photo_tags(file, name) if kind == "TIFF" else None
    if kind == "PNG":
        png.check_pixels(file)
    elif tags is not None:
        tiff.check_strips(file, tags, name)
    elif kind in ("JPEG", "MPO"):
        headers.check_scans(file, name)
    elif kind == "HEIF":
        formats.check_items(file, name, picture.width * picture.height)
    picture.load()
    ImageOps.exif_transpose(picture, in_place=True)
    if kind == "PNG":
        pixels = pixels_of_picture(picture, header=png.read_header(file), file=file)
    else:
        pixels = pixels_of_picture(picture, tags=tags)
    return pixels._replace(metadata=kept_metadata(picture))


def _checked(name: str, pixels: Pixels) -> Pixels:
    """Pixels as they are, or as float32; raises ValueError if they are no photo."""
    rgb, alpha = pixels.rgb, pixels.alpha
    if rgb.ndim != 3 or rgb.shape[2] != 3:
        raise ValueError(f"the {name} has shape {rgb.shape}; expected is [height, width, 3]")
    if alpha is not None and np.shape(alpha) != rgb.shape[:2]:
        raise ValueError(f"the alpha of the {name} has shape {np.shape(alpha)}; expected is {rgb.shape[:2]}")
    return pixels._replace(rgb=_values(name, rgb), alpha=None if alpha is None else _values(name, np.asarray(alpha)))


def _values(name: str, values: np.ndarray) -> np.ndarray:
    """uint8, or float32 in [0, 1]; raises ValueError if they are neither."""
    if values.dtype == np.uint8:
        return values
    if not np.issubdtype(values.dtype, np.floating):
        raise ValueError(f"the {name} is of type {values.dtype}; expected is uint8, or float in [0, 1]")
    if values.size and not (np.isfinite(values).all() and values.min() >= -1e-3 and values.max() <= 1.0 + 1e-3):
        raise ValueError(f"the {name} has values outside [0, 1]; scale it, or give uint8")
    return as_float(values)
