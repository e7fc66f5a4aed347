"""The jobs of a photo, or of a folder whose photos are paired with references of the same name; at paths or URLs.

What lies where a result is to be written is known: nothing, a complete result, one that was cut, or something else.
"""

import os
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from c2m_tf.jobs import storage
from c2m_tf.photos import formats, images
from c2m_tf.photos.files import is_url, pairing_name, place
from c2m_tf.photos.headers import decoding, read_header
from c2m_tf.photos.result_size import FULL_SIZE, Region, ResultSize, Wanted
from c2m_tf.photos.writing import Results

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


def _size_of_result(lr: str, size: ResultSize) -> tuple[int, int]:
    with storage.opened(lr) as file, images.Image.open(file, lr) as image:
        return size.of(image.upright_shape)


def _size(path: str) -> tuple[int, int]:
    with storage.opened(path) as file:
        return read_header(file, path, _MAX_PIXELS)[:2]


def _may_have_been_cut(path: str) -> bool:
    """Whether a file that is no whole photo begins as one of its suffix does, or holds next to nothing."""
    with storage.opened(path) as file:
        start = file.read(formats.HEADER_BYTES)
    expected = formats.SUFFIXES[PurePosixPath(path).suffix.lower()]
    return len(start) < _FEW_BYTES or not start.strip(b"\0") or formats.format_of(start) == expected


def _in_words(sides: tuple[int, int]) -> str:
    return f"{sides[1]}x{sides[0]}"


class Job(NamedTuple):
    """One photo to upscale: its file, its references' files (none is possible) and the result's."""

    lr: str
    refs: list[str]
    output: str


class FoundJobs(NamedTuple):
    """What folders hold for an upscaler.

    Attributes:
        jobs: list of Job, in order of the photos' names.
        problems: list of (LR photo, reason) of photos that cannot be upscaled.
        others: names of files in the folder of photos that are none.
        folders: names of folders in it, which are not entered.
        alone: names of photos without a reference of their name, which are upscaled without one.
    """

    jobs: list[Job]
    problems: list[tuple[str, str]]
    others: list[str]
    folders: list[str]
    alone: list[str]


def find_jobs(
    source: str,
    references: Sequence[str],
    output: str,
    read: Sequence[str] = (),
    suffix: str = "",
    encoding: formats.Encoding = formats.DEFAULT_ENCODING,
    size: ResultSize = FULL_SIZE,
    region: Region | None = None,
    opened: images.Image | None = None,
) -> FoundJobs:
    """The jobs of a command line, checked as far as possible without decoding photos.

    A photo and its reference may spell accents differently. Where `output` is the folder of the photos, what earlier runs made
    there is known by its name and size, and is no photo to upscale.

    Args:
        source: LR photo, or folder of them.
        references: reference photos used for every LR photo; or folders, from which the photos of the LR photo's name (without
            suffix) are taken; or a mixture. A single photo gets all photos of a folder where none has its name.
        output: file for one photo (its folder must exist); or a folder, made if missing, for results named <name><suffix>. Of
            one photo a folder is meant if it is there, or ends with a slash.
        read: other files, or folders of them, that no result may replace.
        suffix: of results in a folder; ".png" is added if it names no format.
        encoding: how results are stored.
        size: of results.
        region: of one photo, the part that is wanted.
        opened: the one photo, if it is open; what its header says of the result is checked then.

    Returns:
        FoundJobs.

    Raises:
        ValueError: a suffix of an unknown format, with a folder in it, or for an output that is a file.
        images.ImageError: the input is missing or cannot be read; the output of a single photo cannot be written or would
            overwrite an input, where all files of a folder of references count as inputs; or the folder of results is one of
            references.
    """
    many = storage.is_folder(source)
    _check_result_suffix(suffix)
    given = [_Given(reference) for reference in references]
    if not many:
        refs = [path for reference in given for path in reference.of(source) or reference.others(source)]
        inputs = images.Inputs([source, *refs, *references, *read])
        sides = None if opened is None else Wanted(opened.upright_shape, size, region).shape
        if output.endswith(("/", os.sep)) or Path(output).is_dir():
            output = storage.joined(output if is_url(output) else str(images.make_folder(output)), result_name(source, suffix))
            _check_output(output, inputs, encoding)
            if sides is not None:
                is_begun(output, sides, PurePosixPath(source).name, "name the result by -o to replace it")
        elif suffix:
            raise ValueError(f"a suffix names results in a folder, and {output} is a file; give a folder, or {output}/")
        _check_output(output, inputs, encoding)
        if sides is not None:
            images.check_fits(output, sides, bits=encoding.bits)
        return FoundJobs([Job(source, refs, output)], [], [], [], [])

    target = place(output)
    if any(reference.named is not None and place(reference.path) == target for reference in given):
        raise images.ImageError(f"{output} is a folder of references, for which results would be taken; give another folder")
    found = storage.list_folder(source)
    photos = _without_results(found.photos, suffix, size) if place(source) == target else found.photos
    if not photos:
        raise images.ImageError(f"{source} holds no photos ({' '.join(images.PHOTO_SUFFIXES)})")
    if not is_url(output):
        if Path(output).is_file():
            raise images.ImageError(f"{output} is a file; a folder of photos needs a folder for its results")
        images.make_folder(output)
    folders = [name for name in found.folders if place(storage.joined(source, name)) != target]
    everything = FoundJobs([], [], found.others, folders, [])
    named = [path for reference in given for path in reference.photos()]
    inputs = images.Inputs([*photos, *references, *named, *read])
    results = Results()
    for photo in photos:
        result = storage.joined(output, result_name(photo, suffix))
        try:
            job = Job(photo, [path for reference in given for path in reference.of(photo)], result)
            _check_output(result, inputs, encoding)
            same = results.add(result, photo)
            if same is not None:
                raise images.ImageError(f"{photo} and {PurePosixPath(same).name} would both become {result}; rename one")
        except images.ImageError as error:
            everything.problems.append((photo, str(error)))
            continue
        if given and not job.refs:
            everything.alone.append(PurePosixPath(photo).name)
        everything.jobs.append(job)
    return everything


class _Given:
    """A reference, or a folder of them, which is listed once."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.named: dict[str, list[str]] | None = None
        if storage.is_folder(path):
            self.named = {}
            for photo in storage.list_folder(path).photos:
                self.named.setdefault(pairing_name(photo), []).append(photo)

    def photos(self) -> list[str]:
        """All that were found."""
        return [self.path] if self.named is None else [photo for photos in self.named.values() for photo in photos]

    def of(self, photo: str) -> list[str]:
        """The references of a photo: of a folder those of its name."""
        return [self.path] if self.named is None else self.named.get(pairing_name(photo), [])

    def others(self, photo: str) -> list[str]:
        """All photos of a folder but the photo itself; raises ImageError if there is none."""
        found = [path for path in self.photos() if place(path) != place(photo)]
        if not found:
            raise images.ImageError(f"{self.path} holds no photos to refer to ({' '.join(images.PHOTO_SUFFIXES)})")
        return found


def result_name(photo: str, suffix: str) -> str:
    """The name of a photo's result in a folder: the photo's own, with a suffix in place of its own, a PNG file by default."""
    return f"{PurePosixPath(photo).stem}{suffix}{'' if '.' in suffix else '.png'}"


def _check_result_suffix(suffix: str) -> None:
    if "/" in suffix or os.sep in suffix:
        raise ValueError(f"suffix {suffix} names a folder; give one as -o")
    if "." in suffix:
        images.check_suffix(f"a{suffix}")


def _check_output(output: str, inputs: images.Inputs, encoding: formats.Encoding) -> None:
    images.check_suffix(output, encoding=encoding)
    if is_url(output):
        images.check_not_input(output, inputs)
    else:
        images.check_output(output, inputs)


def _without_results(photos: Sequence[str], suffix: str, size: ResultSize) -> list[str]:
    """The photos of a folder that are no results of others beside them."""
    beside: dict[str, list[str]] = {}
    for photo in photos:
        beside.setdefault(result_name(photo, suffix), []).append(photo)
    return [
        photo
        for photo in photos
        if not any(other != photo and is_result(photo, other, size) for other in beside.get(PurePosixPath(photo).name, ()))
    ]
