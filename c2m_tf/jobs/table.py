"""Tables of jobs: one row for each photo, from a CSV or Parquet file, or from folders. All is checked before work starts.

    lr            path or URL of the LR photo
    references    paths or URLs of its references: in Parquet a list of strings, in CSV one cell with "|" between; empty if none
    output        path or URL of the result; the suffix chooses the format

Local paths are relative to the working folder; further columns are ignored.
"""

import csv
import io
from collections.abc import Sequence
from pathlib import PurePosixPath

from c2m_tf.jobs import storage
from c2m_tf.jobs.parquet import import_pyarrow
from c2m_tf.photos import images
from c2m_tf.startup import one_line
from c2m_tf.upscaling.batch import Job

COLUMNS = ("lr", "references", "output")
SEPARATOR = "|"


def read_table(path: str) -> list[Job]:
    """The jobs of a .csv or .parquet file.

    Args:
        path: local path or URL.

    Returns:
        list of Job, in the order of the rows; checked by `check_jobs`.

    Raises:
        ValueError: the file cannot be read, is neither CSV nor Parquet, lacks a column, or holds no rows; or see `check_jobs`.
        ImportError: a Parquet file, and pyarrow is not installed.
    """
    suffix = PurePosixPath(path).suffix.lower()
    if suffix not in (".csv", ".parquet"):
        raise ValueError(f"--jobs {path}: expected is a .csv or .parquet file with the columns {', '.join(COLUMNS)}")
    with storage.opened(path) as file:
        content = io.BytesIO(file.read())
    jobs = _parquet_jobs(path, content) if suffix == ".parquet" else _csv_jobs(path, content)
    if not jobs:
        raise ValueError(f"--jobs {path} holds no rows")
    check_jobs(jobs, path)
    return jobs


def url_folder_jobs(source: str, references: Sequence[str], output: str) -> tuple[list[Job], list[tuple[str, str]]]:
    """The jobs of folders of which at least one is a URL; pairing and results are named as by `batch.find_jobs`.

    Returns:
        jobs: list of Job.
        problems: list of (LR photo, reason) of photos that cannot be upscaled.

    Raises:
        ValueError: the source holds no photos, or something is missing or cannot be read.
    """
    many = storage.is_folder(source)
    photos = storage.list_photos(source) if many else [source]
    if not photos:
        raise images.ImageError(f"{source} holds no photos ({' '.join(images.PHOTO_SUFFIXES)})")
    folders = {reference: _by_stem(storage.list_photos(reference)) for reference in references if storage.is_folder(reference)}
    jobs: list[Job] = []
    problems: list[tuple[str, str]] = []
    taken: dict[str, str] = {}
    for photo in photos:
        stem = PurePosixPath(photo).stem
        result = f"{output.rstrip('/')}/{stem}.png" if many else output
        missing = [folder for folder, named in folders.items() if stem not in named]
        if missing:
            problems.append((photo, f"{photo} has no reference named {stem} in {missing[0]}"))
        elif result in taken:
            problems.append((photo, f"{photo} and {taken[result]} would both become {result}; rename one"))
        else:
            taken[result] = photo
            refs = [path for given in references for path in (folders[given][stem] if given in folders else [given])]
            jobs.append(Job(photo, refs, result))
    check_jobs(jobs, source)
    return jobs, problems


def check_jobs(jobs: Sequence[Job], origin: str) -> None:
    """Checks all that rows say, without opening a photo.

    Args:
        jobs: list of Job.
        origin: what errors call the table.

    Raises:
        ValueError: an empty cell, an output of unknown format, two jobs with one output, or an output that is an input.
    """
    inputs = {storage.identity(path): path for job in jobs for path in (job.lr, *job.refs)}
    outputs: dict[str, int] = {}
    for row, job in enumerate(jobs, 1):
        if not job.lr or not job.output:
            raise ValueError(f"{origin}, row {row}: {'output' if job.lr else 'lr'} is empty; give a path or URL")
        images.check_suffix(job.output)
        place = storage.identity(job.output)
        if place in outputs:
            raise ValueError(f"{origin}: rows {outputs[place]} and {row} have one output, {job.output}; give each its own")
        if place in inputs:
            raise ValueError(f"{origin}, row {row}: output {job.output} is an input; inputs are never overwritten")
        outputs[place] = row


def _by_stem(photos):
    found: dict[str, list[str]] = {}
    for photo in photos:
        found.setdefault(PurePosixPath(photo).stem, []).append(photo)
    return found


def _check_columns(path, found):
    missing = [column for column in COLUMNS if column not in found]
    if missing:
        raise ValueError(
            f"--jobs {path} lacks the column {' and '.join(missing)}; it has {', '.join(map(str, found)) or 'none'}, "
            f"expected are {', '.join(COLUMNS)}"
        )


def _csv_jobs(path, content):
    try:
        rows = csv.DictReader(io.TextIOWrapper(content, encoding="utf-8-sig", newline=""), strict=True)
        _check_columns(path, rows.fieldnames or [])
        return [
            Job(
                (row["lr"] or "").strip(),
                [part.strip() for part in (row["references"] or "").split(SEPARATOR) if part.strip()],
                (row["output"] or "").strip(),
            )
            for row in rows
        ]
    except (csv.Error, UnicodeDecodeError) as error:
        raise ValueError(f"--jobs {path} is not CSV in UTF-8: {one_line(error)}") from error


def _parquet_jobs(path, content):
    pyarrow, parquet = import_pyarrow()
    try:
        file = parquet.ParquetFile(content)
        _check_columns(path, file.schema_arrow.names)
        columns = [file.read(columns=[name]).column(name).to_pylist() for name in COLUMNS]
    except pyarrow.ArrowException as error:
        raise ValueError(f"--jobs {path} is not a Parquet file: {one_line(error)}") from error
    for row, values in enumerate(zip(*columns, strict=True), 1):
        for name, value in zip(COLUMNS, values, strict=True):
            allowed = (str, list, type(None)) if name == "references" else (str, type(None))
            if not isinstance(value, allowed):
                raise ValueError(f"--jobs {path}, row {row}: {name} is {value!r}; expected is text")
    return [Job(lr or "", _listed(references), output or "") for lr, references, output in zip(*columns, strict=True)]


def _listed(references):
    if references is None:
        return []
    parts = references.split(SEPARATOR) if isinstance(references, str) else references
    return [part.strip() for part in parts if part and part.strip()]
