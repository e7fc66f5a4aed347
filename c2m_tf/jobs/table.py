"""Tables of jobs: one row for each photo, from a CSV or Parquet file. All is checked before work starts.

    lr            path or URL of the LR photo
    references    paths or URLs of its references: in Parquet a list of strings, in CSV one cell with "|" between; empty if none
    output        path or URL of the result; the suffix chooses the format

Local paths are relative to the working folder, ~ is the home folder. Further columns are ignored; rows that do not fit the
header are refused.
"""

import csv
import io
from collections.abc import Hashable, Sequence
from pathlib import PurePosixPath

from c2m_tf.jobs import storage
from c2m_tf.jobs.folders import Job
from c2m_tf.jobs.parquet import import_pyarrow
from c2m_tf.photos import formats, images
from c2m_tf.photos.errors import ImageError
from c2m_tf.photos.paths import identities, local_path, place
from c2m_tf.startup import one_line

COLUMNS = ("lr", "references", "output")
SEPARATOR = "|"


def read_table(path: str, read: Sequence[str] = (), encoding: formats.Encoding = formats.DEFAULT_ENCODING) -> list[Job]:
    """The jobs of a .csv or .parquet file.

    Args:
        path: local path or URL.
        read: other files, or folders of them, that no result may replace.
        encoding: how results are stored.

    Returns:
        list of Job, in the order of the rows; checked by `check_jobs`.

    Raises:
        ValueError: the file cannot be read, is neither CSV nor Parquet, lacks a column or has it twice, has rows that do not
            fit its header, or none; or see `check_jobs`.
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
    check_jobs(jobs, path, [path, *read], encoding)
    return jobs


def check_jobs(
    jobs: Sequence[Job], origin: str, read: Sequence[str] = (), encoding: formats.Encoding = formats.DEFAULT_ENCODING
) -> None:
    """Checks all that rows say, without opening a photo.

    Args:
        jobs: list of Job.
        origin: what errors call the table.
        read: files, or folders of them, that no result may replace, besides photos and references.
        encoding: how results are stored.

    Raises:
        ValueError: an empty cell, an output of unknown format or of one that does not hold that encoding, two jobs with one
            output, or an output that is an input.
    """
    for row, job in enumerate(jobs, 1):
        for path in (job.lr, *job.refs, job.output):
            if "\0" in path:
                raise ValueError(f"{origin}, row {row}: {one_line(path)} holds a null character, which no path does")
    inputs = {identity for job in jobs for path in (job.lr, *job.refs) for identity in identities(path)}
    inputs.update(identity for path in read for identity in identities(path))
    in_folders = images.Inputs(read)
    outputs: dict[Hashable, int] = {}
    for row, job in enumerate(jobs, 1):
        if not job.lr or not job.output:
            raise ValueError(f"{origin}, row {row}: {'output' if job.lr else 'lr'} is empty; give a path or URL")
        try:
            images.check_suffix(job.output, encoding=encoding)
        except ImageError as error:
            raise ValueError(f"{origin}, row {row}: {error}") from error
        target = place(job.output)
        if target in outputs:
            raise ValueError(f"{origin}: rows {outputs[target]} and {row} have one output, {job.output}; give each its own")
        if job.output in in_folders or not inputs.isdisjoint(identities(job.output)):
            raise ValueError(f"{origin}, row {row}: output {job.output} is an input; inputs are never overwritten")
        outputs[target] = row


def _check_columns(path, found):
    missing = [column for column in COLUMNS if column not in found]
    if missing:
        raise ValueError(
            f"--jobs {path} lacks the column {' and '.join(missing)}; it has {', '.join(map(str, found)) or 'none'}, "
            f"expected are {', '.join(COLUMNS)}"
        )
    twice = [column for column in COLUMNS if found.count(column) > 1]
    if twice:
        raise ValueError(f"--jobs {path} has the column {twice[0]} {found.count(twice[0])} times; leave one")


def _csv_jobs(path, content):
    try:
        rows = csv.reader(io.TextIOWrapper(content, encoding="utf-8-sig", newline=""), strict=True)
        header = next(rows, [])
        _check_columns(path, header)
        places = [header.index(column) for column in COLUMNS]
        jobs = []
        for row in rows:
            if not row:  # an empty line
                continue
            if len(row) != len(header):
                raise ValueError(
                    f"--jobs {path}, line {rows.line_num}: {len(row)} cells, expected are {len(header)} as in the header; "
                    f"several references are one cell with {SEPARATOR} between, names with a comma stand in quotes"
                )
            jobs.append(_job(*(row[place] for place in places)))
    except (csv.Error, UnicodeDecodeError) as error:
        raise ValueError(f"--jobs {path} is not CSV in UTF-8: {one_line(error)}") from error
    return jobs


def _parquet_jobs(path, content):
    parquet = import_pyarrow()[1]

    def read(step):
        try:
            return step()
        except Exception as error:  # pyarrow raises OSError, ValueError and its own on bytes of any kind
            raise ValueError(f"--jobs {path} is not a Parquet file: {one_line(error)}") from error

    file = read(lambda: parquet.ParquetFile(content))
    _check_columns(path, read(lambda: file.schema_arrow.names))
    columns = read(lambda: [file.read(columns=[name]).column(name).to_pylist() for name in COLUMNS])
    for row, values in enumerate(zip(*columns, strict=True), 1):
        for name, value in zip(COLUMNS, values, strict=True):
            allowed = (str, list, type(None)) if name == "references" else (str, type(None))
            if not isinstance(value, allowed):
                raise ValueError(f"--jobs {path}, row {row}: {name} is {value!r}; expected is text")
    return [_job(*values) for values in zip(*columns, strict=True)]


def _job(lr, references, output):
    """A row; references are a list, or text with `SEPARATOR` between."""
    parts = references.split(SEPARATOR) if isinstance(references, str) else references or []
    given = (part.strip() for part in parts if part)
    return Job(local_path((lr or "").strip()), [local_path(part) for part in given if part], local_path((output or "").strip()))
