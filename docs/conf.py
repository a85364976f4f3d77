"""Sphinx configuration. `make docs` builds the site without network and treats warnings as errors."""

from __future__ import annotations

import sys
from pathlib import Path

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
