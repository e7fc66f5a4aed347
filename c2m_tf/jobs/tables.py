"""Tables of many photos: the jobs of a CSV or Parquet file, and the report of what became of them.

A table of jobs has one row for each photo; all is checked before work starts.

    lr            path or URL of the LR photo
    references    paths or URLs of its references: in Parquet a list of strings, in CSV one cell with "|" between; empty if none
    output        path or URL of the result; the suffix chooses the format

Local paths are relative to the working folder, ~ is the home folder. Further columns are ignored; rows that do not fit the
header are refused.

A report has one row for each job, in the order in which they ended.

    name        the LR photo
    output      the result
    status      made, kept (a complete result was there) or failed
    seconds     that the job took, files included
    tiles       restored
    explained   share of the photo's patches that a reference shows, in [0, 1]; empty if unknown
    error       one line; empty if the job did not fail
    model       the preset that was chosen for the photo, and why; empty if none was chosen
    album       the references that were chosen out of an album, and why; empty without one

Rows are written as they come, so memory does not grow with their number. The file appears at its place at the end, and also if
the run breaks off: then it holds the rows until there. A report that cannot be written ends no run.
"""

import csv
import io
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from c2m_tf.jobs import storage
from c2m_tf.jobs.folders import Job
from c2m_tf.jobs.work import Outcome
from c2m_tf.photos import formats, images
from c2m_tf.photos.files import identities, is_url, local_path, replacing
from c2m_tf.photos.formats import ImageError
from c2m_tf.photos.writing import Results
from c2m_tf.startup import one_line, warn

COLUMNS = ("lr", "references", "output")
SEPARATOR = "|"

REPORT_COLUMNS = ("name", "output", *Outcome._fields)
_ROWS_AT_ONCE = 1000


def import_pyarrow() -> tuple[Any, Any]:
    """The modules pyarrow and pyarrow.parquet; raises ImportError, with how to install them, if they are missing."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise ImportError(f"{one_line(error)}; Parquet files need: pip install 'c2m-tf[ray]'; or give a .csv") from error
    return pyarrow, parquet


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
    results = Results()
    for row, job in enumerate(jobs, 1):
        if not job.lr or not job.output:
            raise ValueError(f"{origin}, row {row}: {'output' if job.lr else 'lr'} is empty; give a path or URL")
        try:
            images.check_suffix(job.output, encoding=encoding)
        except ImageError as error:
            raise ValueError(f"{origin}, row {row}: {error}") from error
        other = results.add(job.output, row)
        if other is not None:
            raise ValueError(f"{origin}: rows {other} and {row} have one output, {job.output}; give each its own")
        if job.output in in_folders or not inputs.isdisjoint(identities(job.output)):
            raise ValueError(f"{origin}, row {row}: output {job.output} is an input; inputs are never overwritten")


def _check_columns(path: str, found: Sequence[str]) -> None:
    missing = [column for column in COLUMNS if column not in found]
    if missing:
        raise ValueError(
            f"--jobs {path} lacks the column {' and '.join(missing)}; it has {', '.join(map(str, found)) or 'none'}, "
            f"expected are {', '.join(COLUMNS)}"
        )
    twice = [column for column in COLUMNS if found.count(column) > 1]
    if twice:
        raise ValueError(f"--jobs {path} has the column {twice[0]} {found.count(twice[0])} times; leave one")


def _csv_jobs(path: str, content: io.BytesIO) -> list[Job]:
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


def _parquet_jobs(path: str, content: io.BytesIO) -> list[Job]:
    parquet = import_pyarrow()[1]

    def read(step: Callable[[], Any]) -> Any:
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


def _job(lr: str | None, references: str | Sequence[str] | None, output: str | None) -> Job:
    """A row; references are a list, or text with `SEPARATOR` between."""
    parts = references.split(SEPARATOR) if isinstance(references, str) else references or []
    given = (part.strip() for part in parts if part)
    return Job(local_path((lr or "").strip()), [local_path(part) for part in given if part], local_path((output or "").strip()))


def check_report(path: str) -> None:
    """Raises ValueError or ImportError if no report can be written to a path or URL."""
    suffix = PurePosixPath(path).suffix.lower()
    if suffix not in (".csv", ".parquet"):
        raise ValueError(f"--report {path}: expected is a name that ends in .parquet or .csv")
    if suffix == ".parquet":
        import_pyarrow()
    storage.check_writable([path])


@contextmanager
def writing_report(path: str | None) -> Iterator["Report"]:
    """A report that is written while the block runs, and appears at its end, however that comes.

    Args:
        path: local path or URL of a .parquet or .csv file, checked by `check_report`; None for no report.

    Raises:
        ImageError: no file can be written there.
    """
    report = Report(path)
    try:
        yield report
    finally:
        report.close()


class Report:
    """Rows as they come. One that cannot be written is said once on standard error, and ends no run.

    Attributes:
        failed: whether rows are missing, or all of it.
    """

    def __init__(self, path: str | None) -> None:
        self.failed = False
        self._path = path
        self._file = ExitStack()
        self._writer: _CsvWriter | _ParquetWriter | None = None
        if path is not None:
            local = self._file.enter_context(_appearing_at(path))
            self._writer = _ParquetWriter(local) if local.suffix == ".parquet" else _CsvWriter(local)

    def add(self, job: Job, outcome: Outcome) -> None:
        """Adds a row."""
        if self._writer is not None and not self.failed:
            cells = [_storable(value) for value in (job.lr, job.output, *outcome)]
            try:
                self._writer.add(cells)
            except Exception as error:  # of the disk, or of pyarrow, whose kinds are many
                self._fail(error)

    def close(self) -> None:
        """Puts the report at its place."""
        if self._writer is None:
            return
        try:
            with self._file:
                self._writer.close()
        except Exception as error:
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        self.failed = True
        warn(f"--report {self._path} lacks rows: {error}")


class _CsvWriter:
    def __init__(self, path: Path) -> None:
        self._file = path.open("wb", buffering=0)
        self.add(REPORT_COLUMNS)

    def add(self, row: Sequence[Any]) -> None:
        text = io.StringIO(newline="")
        csv.writer(text).writerow(row)
        content, start = text.getvalue().encode(), self._file.tell()
        try:
            while content:
                content = content[self._file.write(content) :]
        except OSError:
            self._file.truncate(start)
            raise

    def close(self) -> None:
        self._file.close()


class _ParquetWriter:
    def __init__(self, path: Path) -> None:
        arrow, parquet = import_pyarrow()
        kinds = {"seconds": arrow.float64(), "tiles": arrow.int64(), "explained": arrow.float64()}
        self._schema = arrow.schema([(name, kinds.get(name, arrow.string())) for name in REPORT_COLUMNS])
        self._table = arrow.Table
        self._writer = parquet.ParquetWriter(path, self._schema)
        self._rows: list[Sequence[Any]] = []

    def add(self, row: Sequence[Any]) -> None:
        self._rows.append(row)
        if len(self._rows) == _ROWS_AT_ONCE:
            self._write()

    def close(self) -> None:
        self._write()
        self._writer.close()

    def _write(self) -> None:
        rows = [dict(zip(REPORT_COLUMNS, row, strict=True)) for row in self._rows]
        self._rows.clear()
        self._writer.write_table(self._table.from_pylist(rows, self._schema))


@contextmanager
def _appearing_at(path: str) -> Iterator[Path]:
    """A local file, which is at the path or URL when the block ends without error."""
    if not is_url(path):
        with replacing(path) as temporary:
            yield temporary
        return
    with tempfile.TemporaryDirectory(prefix="c2m-tf.") as folder:
        local = Path(folder) / f"report{PurePosixPath(path).suffix.lower()}"
        yield local
        storage.store(local, path)


def _storable(value: Any) -> Any:
    """Names of files may hold bytes that are no text; they are written as \\udc80 to \\udcff."""
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value
