"""The notebook runs, and shows what it says."""

import json
from pathlib import Path

NOTEBOOK = Path(__file__).parents[1] / "examples/quickstart.ipynb"


def test_the_notebook_runs_and_a_reference_helps(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names = {}
    for cell in json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "code":
            exec("".join(cell["source"]), names)
    bicubic, alone, with_it = names["figures"].values()
    assert with_it > alone > bicubic
    assert "mobile: " in capsys.readouterr().out
    assert (tmp_path / "sr.png").exists()
