"""The report of many jobs: a Parquet or CSV file with one row for each, in the order in which they ended.

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
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from c2m_tf.jobs import storage
from c2m_tf.jobs.folders import Job
from c2m_tf.jobs.parquet import import_pyarrow
from c2m_tf.jobs.work import Outcome
from c2m_tf.photos.files import replacing
from c2m_tf.photos.paths import is_url
from c2m_tf.startup import warn

COLUMNS = ("name", "output", *Outcome._fields)
_ROWS_AT_ONCE = 1000


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

    def _fail(self, error):
        self.failed = True
        warn(f"--report {self._path} lacks rows: {error}")


class _CsvWriter:
    def __init__(self, path: Path) -> None:
        self._file = path.open("wb", buffering=0)
        self.add(COLUMNS)

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
        self._schema = arrow.schema([(name, kinds.get(name, arrow.string())) for name in COLUMNS])
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
        rows = [dict(zip(COLUMNS, row, strict=True)) for row in self._rows]
        self._rows.clear()
        self._writer.write_table(self._table.from_pylist(rows, self._schema))


@contextmanager
def _appearing_at(path):
    """A local file, which is at the path or URL when the block ends without error."""
    if not is_url(path):
        with replacing(path) as temporary:
            yield temporary
        return
    with tempfile.TemporaryDirectory(prefix="c2m-tf.") as folder:
        local = Path(folder) / f"report{PurePosixPath(path).suffix.lower()}"
        yield local
        storage.store(local, path)


def _storable(value):
    """Names of files may hold bytes that are no text; they are written as \\udc80 to \\udcff."""
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value
