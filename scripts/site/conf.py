"""How Sphinx builds the site: README and docs/ as they are, with search, and nothing from afar.

The source folder is the project's, so that links between README and docs/ hold on the site as they
do in the repository. What is read is listed in ``include_patterns``; all other files are left out.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Final

from sphinx.application import Sphinx

ROOT: Final = Path(__file__).parents[2]
#: Pages by what a reader wants. A name with a * stands for all pages of a folder.
NAVIGATION: Final = {
    "Start": ("docs/index",),
    "How to": (
        "docs/watch",
        "docs/verdicts",
        "docs/drill",
        "docs/models",
        "docs/identity",
        "docs/pseudonyms",
    ),
    "Sources": ("docs/sources", "docs/sources/*"),
    "Alerts and sinks": ("docs/alerts", "docs/formats", "docs/sinks", "docs/siem/*"),
    "Reference": ("docs/cli", "docs/settings", "docs/features", "docs/reference/*"),
    "Method": ("docs/method", "docs/magnitude"),
    "Decisions": ("docs/decisions/index", "docs/decisions/*"),
    "Development": (
        "docs/development",
        "docs/architecture",
        "CONTRIBUTING",
        "SECURITY",
        "CHANGELOG",
    ),
}
_PROJECT: Final = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

project = _PROJECT["name"]
release = _PROJECT["version"]
html_title = f"{project} {release}"
extensions = ["myst_parser"]
root_doc = "README"
include_patterns = ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "docs/**.md"]
exclude_patterns = [
    ".*",
    "benchmarks",
    "build",
    "data",
    "detector",
    "models",
    "scripts",
    "simulation",
    "site",
    "tests",
]
# Anchors are those that forges give to headings, so that a link holds there and here.
myst_heading_anchors = 6
html_theme = "furo"
html_theme_options = {"navigation_with_keys": True}
html_copy_source = False
html_show_copyright = False
html_show_sphinx = False
highlight_language = "text"
# SQL of one vendor is not that of the highlighter; it is shown without colours.
suppress_warnings = ["misc.highlighting_failure"]

_FIRST: Final = """<!doctype html>
<meta charset="utf-8">
<meta http-equiv="refresh" content="0; url=README.html">
<title>detector</title>
<a href="README.html">Documentation</a>
"""


def _navigation() -> str:
    """The tables of contents that the first page ends with, unseen: Furo shows them at the side."""
    return "".join(map(_contents, NAVIGATION, NAVIGATION.values()))


def _contents(title: str, pages: tuple[str, ...]) -> str:
    options = f":caption: {title}\n:hidden:\n:glob:\n"
    return "\n".join(["\n```{toctree}", options, *pages, "```\n"])


def _add_navigation(app: Sphinx, name: str, content: list[str]) -> None:
    if name == app.config.root_doc:
        content[0] += _navigation()


def _write_first_page(app: Sphinx, failure: Exception | None) -> None:
    if failure is None and app.builder.name == "html":
        (Path(app.outdir) / "index.html").write_text(_FIRST, encoding="utf-8")


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("source-read", _add_navigation)
    app.connect("build-finished", _write_first_page)
