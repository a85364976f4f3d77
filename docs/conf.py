"""Sphinx configuration. `make docs` builds the site without network and treats warnings as errors."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "_ext"), str(HERE.parent)]

from stepc import __version__  # noqa: E402

project = "stepc"
copyright = "the stepc contributors"
version = release = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "step_lexers",
    "stepc_reference",
]
myst_heading_anchors = 4
exclude_patterns = ["_build", "_ext"]
nitpicky = True
smartquotes = False  # `--option` stays what it is
default_role = "code"  # docstrings write `name`, as Markdown does
autodoc_member_order = "bysource"
autodoc_typehints = "description"
nitpick_ignore_regex = [("py:.*", r".*")]  # types of other packages have no pages here

html_theme = "furo"
html_title = f"stepc {version}"
html_static_path = ["_static"]
html_copy_source = False
html_show_sourcelink = False


def mark_code(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Write `a:b` as ``a:b`` in docstrings of attributes: napoleon splits them at the first plain colon."""
    if what == "attribute":
        lines[:] = [re.sub(r"(?<!`)`([^`]+)`(?!`)", r"``\1``", line) for line in lines]


def setup(app: Any) -> None:
    app.connect("autodoc-process-docstring", mark_code, priority=400)
