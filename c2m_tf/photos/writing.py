"""Writes photos to files, atomically; what cannot be written is known before any work is done.

PNG and TIFF files of 16 bits a sample are written here, Pillow writes such of gray alone; all but the samples is as Pillow
writes it: profile and metadata. Sources: Portable Network Graphics (PNG) Specification, third edition (W3C, 2025), sections 9
and 11; TIFF revision 6.0 (Adobe, 1992).
"""

import io
import os
import struct
import tempfile
import unicodedata
import zlib
from collections.abc import Callable, Hashable, Iterable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from c2m_tf.photos import formats, pixels
from c2m_tf.photos.files import identities, is_url, place, remove_left_over, replacing
from c2m_tf.photos.formats import DEFAULT_ENCODING, SUFFIXES, WRITTEN, Encoding, ImageError
from c2m_tf.photos.metadata import NO_METADATA, PNG_IPTC, Metadata, photoshop_resource
from c2m_tf.photos.pixels import as_float, as_uint8, as_uint16
from c2m_tf.photos.png import chunks
from c2m_tf.photos.tiff import BITS, WIDTH

_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
_ROWS = 64  # that are filtered and packed at once
_DIFFERENCE_TO_THE_LEFT = 1  # a filter of PNG

_QUALITY = 95  # of JPEG and WebP
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # as Pillow counts it
_XMP_TAG, _IPTC_TAG = 700, 33723  # of TIFF


class Inputs:
    """Files that no result may replace, however they are spelled or linked.

    Args:
        sources: files, or local folders whose files all count; what does not exist is passed over.
    """

    def __init__(self, sources: Iterable[str | os.PathLike]) -> None:
        self._known = {identity for source in sources for path in _members(source) for identity in identities(path)}

    def __contains__(self, path: str | os.PathLike) -> bool:
        """Whether a path leads to one of the files."""
        return not self._known.isdisjoint(identities(path))


def check_suffix(
    path: str | os.PathLike, with_alpha: bool = False, encoding: formats.Encoding = formats.DEFAULT_ENCODING
) -> None:
    """Raises ImageError if the suffix of `path` names no format that can be written, or none with alpha where needed."""
    suffix = Path(path).suffix.lower()
    if suffix not in formats.SUFFIXES:
        raise ImageError(
            f"{path}: cannot write {suffix or 'a file without suffix'}; choose one of {' '.join(formats.SUFFIXES)}"
        )
    if with_alpha and suffix not in formats.SUFFIXES_WITH_ALPHA:
        raise ImageError(f"{path}: {suffix} cannot hold transparency; choose one of {' '.join(formats.SUFFIXES_WITH_ALPHA)}")
    holds = formats.WRITTEN[formats.SUFFIXES[suffix]]
    if encoding.quality == "lossless" and not holds.lossless:
        raise ImageError(f"{path}: {suffix} is never lossless; choose .png or .webp")
    if isinstance(encoding.quality, int) and not holds.quality:
        raise ImageError(f"{path}: {suffix} is always lossless; a quality is for .jpg and .webp")
    if encoding.bits > holds.bits:
        raise ImageError(f"{path}: {suffix} is written with {holds.bits} bits; choose .png or .tif for {encoding.bits}")


def check_fits(path: str | os.PathLike, size: tuple[int, int], with_alpha: bool = False, bits: int = 8) -> None:
    """Raises ImageError if the format of `path`, whose suffix is known, cannot hold a photo of (height, width) pixels."""
    suffix = Path(path).suffix.lower()
    holds = formats.WRITTEN[formats.SUFFIXES[suffix]]
    height, width = size
    too_many = max(size) > holds.max_side
    if too_many or (holds.max_bytes is not None and height * width * (4 if with_alpha else 3) * bits // 8 > holds.max_bytes):
        limit = f"{holds.max_side:,} pixels per side" if too_many else f"{holds.max_bytes:,} bytes of pixels"
        raise ImageError(f"{path}: {suffix} holds at most {limit}, the result has {width}x{height} pixels; choose .png")


def check_output(path: str | os.PathLike, inputs: Inputs | Iterable[str | os.PathLike]) -> None:
    """Raises ImageError if a photo cannot be written to `path`, or if that would overwrite one of `inputs`; creates no file."""
    check_suffix(path)
    check_not_input(path, inputs)
    check_writable(path)


def check_not_input(path: str | os.PathLike, inputs: Inputs | Iterable[str | os.PathLike]) -> None:
    """Raises ImageError if writing to `path` would overwrite one of `inputs`: files, or folders whose files all count."""
    if path in (inputs if isinstance(inputs, Inputs) else Inputs(inputs)):
        raise ImageError(f"output {path} is an input; choose another name, inputs are never overwritten")


def check_distinct(paths: Iterable[str | os.PathLike]) -> None:
    """Raises ImageError if two outputs, which can be written, are one file."""
    results = Results()
    for path in paths:
        if results.add(path, path) is not None:
            raise ImageError(f"{path} is the name of another result too; give each its own")


class Results:
    """Files that will be written, by path or URL. Which two names are one file, the file system knows."""

    def __init__(self) -> None:
        self._alike: dict[Hashable, list[tuple[Any, Any]]] = {}

    def add(self, path: str | os.PathLike, owner: Any) -> Any:
        """Adds one; or adds nothing and returns the owner of one that is the same file.

        Raises:
            ImageError: the file system cannot be asked.
        """
        found = place(path)
        # Equal for all paths that a file system could take for one: it may not tell cases apart, or spellings of an accent.
        likeness = unicodedata.normalize("NFC", found).casefold() if isinstance(found, str) else found
        others = self._alike.setdefault(likeness, [])
        for other, its_owner in others:
            if not isinstance(found, str) or _are_one_file(Path(found), Path(other)):
                return its_owner
        others.append((found, owner))
        return None


def _are_one_file(first: Path, second: Path) -> bool:
    """Whether two real paths that are nearly equal are one file where they lie; either may exist or not, no file is left."""
    if first == second:
        return True
    if first.exists() or second.exists():
        return first.exists() and second.exists() and first.samefile(second)
    folder = first.parent
    while not folder.exists():
        folder = folder.parent
    parts = len(folder.parts)
    try:
        if not folder.samefile(Path(*second.parts[:parts])):
            return False
        with tempfile.TemporaryDirectory(prefix=".c2m-tf.", dir=folder) as probe:
            one, other = (Path(probe, *path.parts[parts:]) for path in (first, second))
            one.parent.mkdir(parents=True, exist_ok=True)
            one.touch()
            return other.exists()
    except FileNotFoundError:  # of the second one's folder, which is then another
        return False
    except OSError as error:
        raise ImageError(f"cannot write {first}: {error.strerror or error}") from error


def check_writable(path: str | os.PathLike) -> None:
    """Raises ImageError if no file can be written to `path`; an existing file is not changed, and no new one is left."""
    path = Path(path)
    try:
        if path.is_dir():
            raise ImageError(f"{path} is a folder; give the name of a file")
        target = Path(os.path.realpath(path))
        if target.is_symlink():
            raise ImageError(f"cannot write {path}: it is a link that leads back to itself")
        if not target.parent.is_dir():
            raise ImageError(f"cannot write {path}: folder {path.parent} does not exist")
        if not os.access(target.parent, os.W_OK):
            raise ImageError(f"cannot write {path}: folder {path.parent} is not writable")
        if not target.exists():
            # Only the file system knows which names it takes.
            os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
            target.unlink()
        elif not target.is_file() or _is_standard_stream(target):
            raise ImageError(f"cannot write {path}: it is a pipe, a device or a standard stream; give the name of a file")
        elif not os.access(target, os.W_OK):
            raise ImageError(f"cannot write {path}: the file there is read-only")
    except OSError as error:
        raise ImageError(f"cannot write {path}: {error.strerror or error}") from error


def make_folder(path: str | os.PathLike) -> Path:
    """The folder `path`, made if it is missing; raises ImageError if that fails or it is a file."""
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ImageError(f"cannot make folder {folder}: {error.strerror}") from error
    return folder


def check_folder(path: str | os.PathLike) -> None:
    """Raises ImageError if no file can be written in the folder `path`, or it is missing and cannot be made; makes none."""
    folder = Path(os.path.realpath(path))
    try:
        while not os.path.lexists(folder):
            folder = folder.parent
        if not folder.is_dir():
            raise ImageError(f"cannot make folder {path}: {folder} is not a folder")
        if not os.access(folder, os.W_OK | os.X_OK):
            raise ImageError(f"cannot write in folder {path}: {folder} is not writable")
    except OSError as error:
        raise ImageError(f"cannot make folder {path}: {error.strerror or error}") from error


def _members(source: str | os.PathLike) -> list[str | os.PathLike]:
    """The files of a local folder; else what was given, if it can be there."""
    try:
        if is_url(source):
            return [source]
        path = Path(source)
        return list(path.iterdir()) if path.is_dir() else [path] if path.exists() else []
    except OSError as error:
        raise ImageError(f"{source} cannot be read: {error.strerror or error}") from error


def _is_standard_stream(target: Path) -> bool:
    """Whether standard output or error goes to that file: it would be replaced beneath them."""
    for number in (1, 2):
        try:
            if os.path.samestat(os.fstat(number), target.stat()):
                return True
        except OSError:  # a closed one
            continue
    return False


def write_deep(file: BinaryIO, file_format: str, samples: np.ndarray, options: dict[str, Any]) -> None:
    """Writes a photo.

    Args:
        file: binary, open for reading and writing, at its start.
        file_format: "PNG" or "TIFF".
        samples: uint16 [H,W,channels] of gray, gray and alpha, RGB, or RGB and alpha.
        options: of Pillow's `save`.
    """
    {"PNG": _write_png, "TIFF": _write_tiff}[file_format](file, samples, options)


def _write_png(file: BinaryIO, samples: np.ndarray, options: dict[str, Any]) -> None:
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


def _write_chunk(file: BinaryIO, kind: bytes, content: bytes) -> None:
    if content or kind != b"IDAT":
        file.write(struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content)))


def _write_tiff(file: BinaryIO, samples: np.ndarray, options: dict[str, Any]) -> None:
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


def write(
    path: str | os.PathLike,
    rgb: np.ndarray,
    alpha: np.ndarray | None = None,
    gray: bool = False,
    icc_profile: bytes | None = None,
    metadata: Metadata = NO_METADATA,
    encoding: Encoding = DEFAULT_ENCODING,
) -> None:
    """Writes a photo; the file appears complete or not at all, and an existing one is replaced only by a complete one.

    Args:
        path: target; the suffix chooses the format (`formats.SUFFIXES`).
        rgb: uint8 [H,W,3], or float [H,W,3] in [0, 1], which is clipped and rounded.
        alpha: optional, [H,W] of the same dtype and range.
        gray: write one channel (the luma of rgb).
        icc_profile: optional colour profile of rgb. It is embedded; where the format cannot hold it, colours are converted
            to sRGB.
        metadata: written where the format holds it.
        encoding: Encoding.

    Raises:
        ImageError: suffix unknown, format unable to hold alpha, as many pixels or that encoding, folder missing or not
            writable, disk full.
        ValueError: no encoding.
    """
    path = Path(path)
    encoding.check()
    check_suffix(path, alpha is not None, encoding)
    check_fits(path, np.shape(rgb)[:2], alpha is not None, encoding.bits)
    file_format = SUFFIXES[path.suffix.lower()]
    write_atomically(path, lambda file: encode(file, file_format, rgb, alpha, gray, icc_profile, metadata, encoding))


def encode(
    file: BinaryIO,
    file_format: str,
    rgb: np.ndarray,
    alpha: np.ndarray | None = None,
    gray: bool = False,
    icc_profile: bytes | None = None,
    metadata: Metadata = NO_METADATA,
    encoding: Encoding = DEFAULT_ENCODING,
) -> None:
    """Writes a photo of one of `formats.FORMATS` to an open binary file; other arguments as of `write`, which are checked."""
    holds = WRITTEN[file_format]
    deep = encoding.bits == 16
    if deep and file_format == "TIFF" and alpha is not None:
        gray = False  # few programs, and not Pillow, read gray with alpha of 16 bits
    if icc_profile and (not holds.profile or (not (holds.gray and gray) and pixels.is_gray_profile(icc_profile))):
        rgb, icc_profile = as_uint8(pixels.converted(as_uint8(rgb), icc_profile, None, gray)), None
    options: dict[str, Any] = {"icc_profile": icc_profile} if icc_profile else {}
    if encoding.metadata:
        options |= _metadata_options(file_format, metadata)
    if encoding.quality == "lossless":
        options |= {"lossless": True, "exact": True} if file_format == "WEBP" else {}
    elif holds.quality:
        options["quality"] = encoding.quality or _QUALITY
    if deep:
        write_deep(file, file_format, _deep_samples(rgb, alpha, gray), options)
    else:
        as_pillow(rgb, alpha, gray).save(file, file_format, **options)


def _metadata_options(file_format: str, metadata: Metadata) -> dict[str, Any]:
    """Options of Pillow's `save` for what the format holds."""
    given = {kind: value for kind, value in metadata._asdict().items() if value and kind in WRITTEN[file_format].metadata}
    iptc, xmp = given.pop("iptc", b""), given.get("xmp", b"")
    if file_format == "JPEG" and iptc:
        content = b"Photoshop 3.0\0" + photoshop_resource(iptc)
        given["extra"] = b"\xff\xed" + struct.pack(">H", len(content) + 2) + content
    elif file_format == "PNG":
        given.pop("xmp", None)
        texts = given["pnginfo"] = PngInfo()
        if xmp:
            texts.add_itxt("XML:com.adobe.xmp", xmp.decode())
        if iptc:
            profile = photoshop_resource(iptc)
            texts.add_text(PNG_IPTC, f"\niptc\n{len(profile):8d}\n{profile.hex()}\n", zip=True)
    elif file_format == "TIFF":
        tags = given["exif"] = _opened_exif(given.get("exif", b""))
        tags.update({tag: value for tag, value in ((_XMP_TAG, given.pop("xmp", b"")), (_IPTC_TAG, iptc)) if value})
    return given


def _opened_exif(exif: bytes) -> Any:
    opened = Image.Exif()
    if exif:
        opened.load(exif)
    return opened


def _deep_samples(rgb: np.ndarray, alpha: np.ndarray | None, gray: bool) -> np.ndarray:
    """uint16 [H,W,channels]."""
    colours = as_uint16(as_float(rgb) @ _LUMA if gray else rgb)
    colours = colours[..., None] if gray else colours
    return colours if alpha is None else np.concatenate([colours, as_uint16(alpha)[..., None]], axis=2)


def as_pillow(rgb: np.ndarray, alpha: np.ndarray | None, gray: bool) -> Image.Image:
    """A picture of Pillow's, of mode L, LA, RGB or RGBA; arguments as of `write`."""
    picture = Image.fromarray(as_uint8(rgb))
    if gray:
        picture = picture.convert("L")
    if alpha is not None:
        picture.putalpha(Image.fromarray(as_uint8(alpha)))
    return picture


def write_single(path: str | os.PathLike, save: Callable[[BinaryIO], object]) -> None:
    """As `write_atomically`, after what killed processes left of the file is removed, for which its folder is listed."""
    remove_left_over([path])
    write_atomically(path, save)


def write_atomically(path: str | os.PathLike, save: Callable[[BinaryIO], object]) -> None:
    """Calls `save(file)` with a temporary binary file in the folder of `path`, then moves that to `path`.

    Raises:
        ImageError: the folder does not exist or cannot be written, the disk is full, or the target is a folder.
    """
    try:
        with replacing(path) as temporary, temporary.open("w+b") as file:
            save(file)
    except OSError as error:
        raise ImageError(f"cannot write {path}: {error.strerror or error}") from error
