"""What the pages name exists."""

import ast
import functools
import re
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("docs/*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md"])
EVERY_PAGE = [*PAGES, ROOT / "CHANGELOG.md", ROOT / "LICENSE-WEIGHTS.md", *sorted(ROOT.glob("*_demo/README.md"))]
NAMED = re.compile(r"\btests/[\w/]+\.py(?:::\w+)?")


LONGEST = 120  # characters of a line of prose
MOST_WORDS = 14000  # of README and docs


def prose(page):
    """Lines of a page outside tables and code."""
    fenced, code, blank = False, False, True
    for line in page.read_text(encoding="utf-8").splitlines():
        fenced ^= line.lstrip().startswith("```")
        code = line.startswith("    ") and (blank or code)
        blank = not line.strip()
        if not fenced and not code and not line.lstrip().startswith("|"):
            yield line


@pytest.mark.parametrize("page", EVERY_PAGE, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_line_of_prose_is_long(page):
    assert [line for line in prose(page) if len(line) > LONGEST and " " in line.strip()] == []


def test_the_design_page_is_a_map():
    assert len((ROOT / "docs/design.md").read_text(encoding="utf-8").split()) <= 1800


def anchors(page):
    """Names by which the headings of a page are linked to."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", EVERY_PAGE, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_a_page_links_to_is_there(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if not re.match(r"https?://|api/", target):
            path, _, anchor = target.partition("#")
            linked = page.parent / path if path else page
            assert linked.exists(), target
            assert not anchor or anchor in anchors(linked), target


def test_the_pages_stay_short():
    pages = [*ROOT.glob("docs/*.md"), ROOT / "README.md"]
    assert sum(len(page.read_text(encoding="utf-8").split()) for page in pages) <= MOST_WORDS


def test_the_model_card_has_the_sizes_of_the_files():
    card = (ROOT / "docs/model-card.md").read_text(encoding="utf-8")
    for path in ROOT.glob("c2m_tf/weights/*.npz"):
        (row,) = re.findall(rf"^\| `{path.stem}` \|(.*\bMB) \|$", card, re.MULTILINE)
        with np.load(path) as arrays:
            assert f"{sum(arrays[name].size for name in arrays.files):,}" in row
        assert row.endswith(f"{path.stat().st_size / 1e6:.2g} MB")


@functools.cache
def functions(path):
    """Names of the test functions of a file."""
    return {node.name for node in ast.parse(path.read_text(encoding="utf-8")).body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_every_test_that_a_page_names_exists(page):
    for named in NAMED.findall(page.read_text(encoding="utf-8")):
        path, _, function = named.partition("::")
        assert (ROOT / path).is_file(), named
        assert not function or function in functions(ROOT / path), named


@pytest.mark.parametrize("workflow", sorted(ROOT.glob(".github/workflows/*.yml")), ids=lambda path: path.name)
def test_actions_of_workflows_are_pinned_by_commit(workflow):
    """A tag may be moved to another commit."""
    actions = re.findall(r"uses: (.*)", workflow.read_text(encoding="utf-8"))
    assert actions
    for action in actions:
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v[\d.]+", action), action


def test_every_section_of_the_limits_names_a_test():
    sections = (ROOT / "docs/limits.md").read_text(encoding="utf-8").split("\n## ")[1:]
    assert len(sections) >= 4
    for section in sections:
        assert any("::" in named for named in NAMED.findall(section)), section.splitlines()[0]
