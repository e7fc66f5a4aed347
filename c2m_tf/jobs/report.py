"""The report of many jobs: a Parquet or CSV file with one row for each, in the order in which they ended.

    name        the LR photo
    output      the result
    status      made, kept (a complete result was there) or failed
    seconds     that the job took, files included
    tiles       restored
    explained   share of the photo's patches that a reference shows, in [0, 1]; empty if unknown
    error       one line; empty if the job did not fail
    model       the preset that was chosen for the photo, and why; empty if none was chosen

Rows are written as they come, so memory does not grow with their number. The file appears at its place at the end, and also if
the run breaks off: then it holds the rows until there.
"""

import csv
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from c2m_tf.jobs import storage
from c2m_tf.jobs.parquet import import_pyarrow
from c2m_tf.jobs.work import Outcome
from c2m_tf.upscaling.batch import Job

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
def writing_report(path: str | None) -> Iterator[Callable[[Job, Outcome], None]]:
    """A function of (job, outcome) that adds a row.

    Args:
        path: local path or URL of a .parquet or .csv file, checked by `check_report`; None for no report.

    Raises:
        ImageError: the report cannot be written.
    """
    if path is None:
        yield lambda job, outcome: None
        return
    suffix = PurePosixPath(path).suffix.lower()
    with tempfile.TemporaryDirectory(prefix="c2m-tf.") as folder:
        local = Path(folder) / f"report{suffix}"
        writer = _ParquetWriter(local) if suffix == ".parquet" else _CsvWriter(local)
        try:
            yield lambda job, outcome: writer.add((job.lr, job.output, *outcome))
        finally:
            writer.close()
            storage.store(local, path)


class _CsvWriter:
    def __init__(self, path: Path) -> None:
        self._file = path.open("w", encoding="utf-8", newline="")
        self._writer = csv.writer(self._file)
        self._writer.writerow(COLUMNS)

    def add(self, row: tuple[Any, ...]) -> None:
        self._writer.writerow(row)

    def close(self) -> None:
        self._file.close()


class _ParquetWriter:
    def __init__(self, path: Path) -> None:
        arrow, parquet = import_pyarrow()
        kinds = {"seconds": arrow.float64(), "tiles": arrow.int64(), "explained": arrow.float64()}
        self._schema = arrow.schema([(name, kinds.get(name, arrow.string())) for name in COLUMNS])
        self._table = arrow.Table
        self._writer = parquet.ParquetWriter(path, self._schema)
        self._rows: list[tuple[Any, ...]] = []

    def add(self, row: tuple[Any, ...]) -> None:
        self._rows.append(row)
        if len(self._rows) == _ROWS_AT_ONCE:
            self._write()

    def close(self) -> None:
        self._write()
        self._writer.close()

    def _write(self) -> None:
        rows = [dict(zip(COLUMNS, row, strict=True)) for row in self._rows]
        self._writer.write_table(self._table.from_pylist(rows, self._schema))
        self._rows.clear()
