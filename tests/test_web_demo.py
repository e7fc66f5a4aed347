"""Checks of the web demo in Python. `make web-demo-check` and `make web-demo-test` check the TypeScript."""

import json
import re
import subprocess
from pathlib import Path

DEMO = Path(__file__).parents[1] / "web_demo"


def test_packages_are_pinned_to_exact_versions():
    package = json.loads((DEMO / "package.json").read_text())
    versions = {**package["dependencies"], **package["devDependencies"]}
    locked = json.loads((DEMO / "package-lock.json").read_text())["packages"]
    for name, version in versions.items():
        assert re.fullmatch(r"\d+\.\d+\.\d+", version), name
        assert locked[f"node_modules/{name}"]["version"] == version


def test_one_file_knows_the_runtime():
    importing = [path.name for path in DEMO.glob("src/**/*.ts") if '"@litertjs/core"' in path.read_text()]
    assert importing == ["litert.ts"]


def test_core_needs_no_browser():
    for path in DEMO.glob("src/core/*.ts"):
        assert not re.search(r"\b(document|window|navigator|self)\.", path.read_text()), path.name


def test_no_model_is_committed():
    listed = subprocess.run(["git", "ls-files", "."], cwd=DEMO, capture_output=True, text=True, check=True).stdout.split()
    assert "src/model/engine.ts" in listed
    assert not [name for name in listed if name.endswith((".tflite", ".keras", ".npz"))]
