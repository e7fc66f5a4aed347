"""Random damage to tables and recipes: each is read or refused in one sentence. Photos: photos/test_damaged.py, weights:
weights/test_damaged.py, requests: server/test_damaged_requests.py.

`FUZZED_FILES` sets how many damaged files of each kind the long run reads, 20,000 if it is not set.
"""

import os
from pathlib import Path

import pytest
from c2m_tf.training.config import ConfigError, read_config
from damaged_files import check_damaged

from c2m_tf.jobs.tables import read_table

FILES = 150
LONG_RUN = int(os.environ.get("FUZZED_FILES", "20000"))
RECIPES = sorted((Path(__file__).parents[1] / "training" / "recipes" / "smoke").glob("*.yaml"))
TABLE = """lr,references,output
a.png,b.png|c.png,out/a.png
"d, e.jpg",,out/d.webp
https://example.org/f.png,file:///g.png|~/h.png,memory://results/f.tif
"""
# What is spliced in: separators, quotes, line ends, the end of C's strings, bytes that are no UTF-8, odd numbers, YAML's marks.
PIECES = [b"\x00", b"\xff", b"\xed\xb2\x80", b"9" * 400, b"!!python/object:os.system ", b"2001-01-01", b"<<: "]
PIECES += rb""" " , | :// ~ .. : - { [ &a *a null .nan 1e999 -1 # ' ? % @ """.split()
PIECES += [b"\n", b"\r", b"\t", b" "]


def parquet():
    pyarrow, file = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    sink = pyarrow.BufferOutputStream()
    columns = {"lr": ["a.png", "b.png"], "references": [["c.png", "d.png"], []], "output": ["out/a.png", "out/b.png"]}
    file.write_table(pyarrow.table(columns), sink)
    return sink.getvalue().to_pybytes()


@pytest.fixture(params=[FILES, pytest.param(LONG_RUN, marks=pytest.mark.slow)], ids=["short", "long"])
def number(request):
    return request.param


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_damaged_tables_are_read_or_refused(tmp_path, suffix, number):
    original = TABLE.encode() if suffix == "csv" else parquet()
    path = tmp_path / f"jobs.{suffix}"
    path.write_bytes(original)
    check_damaged(path, lambda path: read_table(str(path)), ValueError, number, pieces=PIECES)


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_damaged_recipes_are_read_or_refused(tmp_path, recipe, number):
    path = tmp_path / "recipe.yaml"
    path.write_bytes(recipe.read_bytes())
    check_damaged(path, lambda path: read_config(recipe.stem, path), ConfigError, number // 5, pieces=PIECES)


ODD_VALUES = [
    "2001-13-99",
    "&a [*a]",
    "[" * 3000 + "]" * 3000,
    "9" * 5000,
    "!!float x",
    "!!timestamp x",
    "!!bool x",
    "!!int ''",
]


@pytest.mark.parametrize("value", ODD_VALUES, ids=lambda value: value[:12])
def test_yaml_that_python_has_no_value_for_is_refused(tmp_path, value):
    path = tmp_path / "recipe.yaml"
    path.write_text(f"iterations: {value}\n")
    with pytest.raises(ConfigError, match=r"^config .*recipe.yaml is not YAML: [^\n]+$"):
        read_config("teacher", path)
    path.write_text("batch_size: 1\n")
    with pytest.raises(ConfigError, match=r"^--set iterations=.*: the value is not YAML$"):
        read_config("teacher", path, [f"iterations={value}"])
