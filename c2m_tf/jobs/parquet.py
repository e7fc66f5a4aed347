"""pyarrow, which reads and writes Parquet files; it comes with the extra ray."""

from typing import Any

from c2m_tf.startup import one_line


def import_pyarrow() -> tuple[Any, Any]:
    """The modules pyarrow and pyarrow.parquet; raises ImportError, with how to install them, if they are missing."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise ImportError(f"{one_line(error)}; Parquet files need: pip install 'c2m-tf[ray]'; or give a .csv") from error
    return pyarrow, parquet
