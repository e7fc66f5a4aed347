"""Settings of the documentation site (Sphinx). `make docs` builds it into site/; warnings are errors.

The API reference is read from the source, without importing the package: no Keras and no TensorFlow are needed.
"""

import re
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

ROOT = Path(__file__).parent.parent

project = "c2m-tf"
author = copyright = "c2m-tf contributors"  # noqa: A001
version = release = re.search(r'__version__ = "(.+)"', (ROOT / "c2m_tf/__init__.py").read_text())[1]

extensions = ["autoapi.extension", "myst_parser", "sphinx.ext.napoleon"]
exclude_patterns = ["requirements.txt"]
html_theme = "furo"
html_title = "c2m-tf"
html_copy_source = False

# Headings down to this level can be linked to.
myst_heading_anchors = 3

# `make docs` puts training and export where the wheel installs them.
autoapi_dirs = ["../build/api/c2m_tf"]
autoapi_root = "api"
autoapi_options = ["members", "undoc-members", "show-inheritance"]
autoapi_member_order = "bysource"
autoapi_python_class_content = "class"
autoapi_add_toctree_entry = False
autoapi_keep_files = False
# Constants that are assigned together are not found where they are imported from.
suppress_warnings = ["autoapi.python_import_resolution"]

# Docstrings put names in single backticks.
default_role = "code"
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False
napoleon_custom_sections = [("Call arguments", "params_style")]


def literal_blocks(app: Sphinx, kind: str, name: str, item: Any, options: Any, lines: list[str]) -> None:
    """Marks code as reStructuredText asks for, with "::": indented blocks outside sections, and what follows "Example:"."""
    marked = []
    in_example = False
    for number, line in enumerate(lines):
        in_example = line == "Example:" or (in_example and (not line or line.startswith(" ")))
        marked.append("    " + line if in_example and line.startswith(" ") else line)
        following = lines[number + 1] if number + 1 < len(lines) else ""
        before = lines[number - 1] if number else ""
        if line == "Example:":
            marked += ["    ::", ""]
        elif not line.strip() and following.startswith("    ") and before and not before.startswith(" "):
            marked += ["::", ""]
    lines[:] = marked


def skip_undocumented(app: Sphinx, kind: str, name: str, item: Any, skip: bool, options: Any) -> bool:
    """Leaves out methods without a docstring, which override Keras's, and attributes that only a constructor assigns."""
    undocumented = kind in ("method", "attribute") and not item.docstring and not getattr(item, "annotation", None)
    return skip or undocumented


def setup(app: Sphinx) -> None:
    """Called by Sphinx. The priority is before napoleon's."""
    app.connect("autodoc-process-docstring", literal_blocks, priority=400)
    app.connect("autoapi-skip-member", skip_undocumented)
