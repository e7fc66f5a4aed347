"""Checks of the Android demo in Python: golden vectors, versions, resources. `make android` checks the Kotlin."""

import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

DEMO = Path(__file__).parents[1] / "android_demo"
sys.path.append(str(DEMO / "ci"))

import golden_vectors  # noqa: E402


def test_committed_golden_vectors_are_what_python_computes(tmp_path):
    golden_vectors.write(tmp_path)
    for written in sorted(tmp_path.iterdir()):
        assert written.read_text() == (golden_vectors.FOLDER / written.name).read_text(), written.name


def test_build_files_name_only_what_the_version_catalog_has():
    tomllib = pytest.importorskip("tomllib")
    catalog = tomllib.loads((DEMO / "gradle/libs.versions.toml").read_text())
    names = {f"libs.{name.replace('-', '.')}" for name in catalog["libraries"]}
    names |= {f"libs.plugins.{name.replace('-', '.')}" for name in catalog["plugins"]}
    used = set()
    for path in DEMO.glob("**/*.gradle.kts"):
        used |= set(re.findall(r"\blibs\.[a-z.]+", path.read_text()))
    assert used == names
    for entry in [*catalog["libraries"].values(), *catalog["plugins"].values()]:
        assert entry["version"]["ref"] in catalog["versions"]


def test_runtime_is_that_of_the_tests():
    litert = re.search(r'^litert = "(.+)"$', (DEMO / "gradle/libs.versions.toml").read_text(), re.MULTILINE)[1]
    assert f"ai-edge-litert=={litert}\n" in (DEMO.parent / "requirements.txt").read_text()


def test_the_app_asks_for_no_permission_and_needs_no_androidx():
    manifest = (DEMO / "app/src/main/AndroidManifest.xml").read_text()
    assert "uses-permission" not in manifest
    sources = "".join(path.read_text() for path in DEMO.glob("app/src/main/kotlin/**/*.kt"))
    assert "import androidx" not in sources
    importing = [path.name for path in DEMO.glob("**/src/main/kotlin/**/*.kt") if "ai.edge.litert" in path.read_text()]
    assert importing == ["LiteRtModel.kt"]


def test_every_string_is_used_and_every_used_one_exists():
    res = DEMO / "app/src/main/res"
    strings = {item.get("name") for item in ElementTree.parse(res / "values/strings.xml").getroot()}
    texts = [*DEMO.glob("app/src/main/kotlin/**/*.kt"), *res.glob("layout/*.xml"), DEMO / "app/src/main/AndroidManifest.xml"]
    used = set(re.findall(r"(?:R\.string\.|@string/)(\w+)", "".join(path.read_text() for path in texts)))
    assert used == strings


def test_core_is_plain_kotlin():
    for path in DEMO.glob("core/src/main/kotlin/**/*.kt"):
        assert not re.search(r"^import (android|com\.google)", path.read_text(), re.MULTILINE), path.name


def test_no_model_is_committed():
    listed = subprocess.run(["git", "ls-files", "."], cwd=DEMO, capture_output=True, text=True, check=True).stdout.split()
    assert "ci/check.sh" in listed
    assert not [name for name in listed if name.endswith((".tflite", ".keras", ".npz"))]
