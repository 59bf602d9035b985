"""Sphinx configuration. ``make docs`` builds with warnings as errors and needs no network."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

HERE = Path(__file__).parent
PYPROJECT = HERE.parent / "pyproject.toml"
sys.path.insert(0, str(HERE))

import attack_rows  # noqa: E402
import transitions  # noqa: E402

attack_rows.write(HERE / "attacks.md")
transitions.write(HERE / "_generated")

project = "wsproto_async"
author = "the wsproto_async authors"
copyright = author
version = release = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]["version"]

extensions = ["myst_parser", "sphinx.ext.autodoc"]
exclude_patterns = ["_build", "_generated/*.md", "interop_table.md"]

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
python_maximum_signature_line_length = 88

# Own names must resolve; Python's would need its inventory from the network.
nitpick_ignore_regex = [
    ("py:.*", r"(?!wsproto_async\.).*|.*\._[A-Z]")
]  # no names of ours, type variables

html_theme = "furo"
html_title = project
html_static_path: list[str] = []
html_copy_source = False
html_show_sourcelink = False
