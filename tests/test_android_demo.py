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
import layout_html  # noqa: E402


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
    texts = [*DEMO.glob("app/src/main/kotlin/**/*.kt"), *res.glob("layout*/*.xml"), DEMO / "app/src/main/AndroidManifest.xml"]
    used = set(re.findall(r"(?:R\.string\.|@string/)(\w+)", "".join(path.read_text() for path in texts)))
    assert used == strings


def test_every_drawable_colour_length_and_layout_is_used():
    res = DEMO / "app/src/main/res"
    text = "".join(path.read_text() for path in [*DEMO.glob("app/src/main/**/*.kt"), *DEMO.glob("app/src/main/**/*.xml")])
    for kind, tag in (("drawable", None), ("layout", None), ("color", "color"), ("dimen", "dimen")):
        named = {path.stem for path in res.glob(f"{kind}*/*.xml")}
        for path in res.glob("values*/*.xml"):
            named |= {item.get("name") for item in ElementTree.parse(path).getroot() if item.tag == tag}
        assert named == set(re.findall(rf"(?<!android:)\b(?:R\.{kind}\.|{kind}/)(\w+)", text)), kind


def luminance(colour):
    red, green, blue = (int(colour[at : at + 2], 16) / 255 for at in (3, 5, 7))
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in (red, green, blue)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("folder", ["values", "values-night"])
def test_words_stand_out_as_wcag_demands(folder):
    colours = {
        item.get("name"): item.text for item in ElementTree.parse(DEMO / f"app/src/main/res/{folder}/colors.xml").getroot()
    }
    pairs = {"primary": ["on_primary"], "secondary_container": ["on_secondary_container"]}
    pairs |= {back: ["on_surface", "on_surface_variant", "error"] for back in ("surface", "surface_container")}
    for back, fronts in pairs.items():
        for front in fronts:
            dark, light = sorted((luminance(colours[back]), luminance(colours[front])))
            assert (light + 0.05) / (dark + 0.05) >= 4.5, (front, back)


def test_what_can_be_touched_has_48_dp_and_a_name():
    res = DEMO / "app/src/main/res"
    lengths = {item.get("name"): int(item.text[:-2]) for item in ElementTree.parse(res / "values/dimens.xml").getroot()}
    assert min(lengths[name] for name in ("touch", "button_height", "card_height")) >= 48
    views = [view for path in res.glob("layout/*.xml") for view in ElementTree.parse(path).iter()]
    given = [
        {key.rsplit("}", 1)[1]: value for key, value in view.attrib.items() if "}" in key} | {"tag": view.tag} for view in views
    ]
    touched = [view for view in given if view["tag"] in ("Button", "ImageButton", "Switch") or view.get("clickable") == "true"]
    assert {view["id"] for view in touched} == {
        f"@+id/{name}" for name in ("lr_card", "reference_card", "remove_reference", "gpu", "start", "cancel", "save")
    }
    for view in touched:
        assert view.get("contentDescription", view.get("text", "")).startswith("@string/"), view
        assert view["tag"] in ("Button", "FrameLayout") or view["layout_height"] == "@dimen/touch", view


def test_layouts_can_be_drawn():
    drawn = layout_html.Html(True, {"save": {"visibility": "visible"}}, {"stage": "<b>here</b>"}).layout("activity_main")
    assert all(word in drawn for word in ("C2-Matching", "Upscale 4", "Save", "<b>here</b>", "<svg"))
    assert "Cancel" not in drawn
    assert "@" not in drawn
    assert ElementTree.fromstring(drawn).tag == "div"


def test_core_is_plain_kotlin():
    for path in DEMO.glob("core/src/main/kotlin/**/*.kt"):
        assert not re.search(r"^import (android|com\.google)", path.read_text(), re.MULTILINE), path.name


def test_no_model_is_committed():
    listed = subprocess.run(["git", "ls-files", "."], cwd=DEMO, capture_output=True, text=True, check=True).stdout.split()
    assert "ci/check.sh" in listed
    assert not [name for name in listed if name.endswith((".tflite", ".keras", ".npz"))]
