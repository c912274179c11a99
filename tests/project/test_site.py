"""The site: every page is in its navigation once, and nothing of it is fetched from afar."""

from __future__ import annotations

import fnmatch
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONF = runpy.run_path(str(ROOT / "scripts/site/conf.py"))
OFFLINE = runpy.run_path(str(ROOT / "scripts/site/offline.py"))


def test_every_page_stands_in_one_part_of_the_navigation() -> None:
    """``scripts/docs`` fails otherwise, but only CI runs it."""
    parts = CONF["NAVIGATION"].values()
    pages = [path.relative_to(ROOT).with_suffix("").as_posix() for path in _pages()]
    found = {page: sum(any(_is(page, each) for each in part) for part in parts) for page in pages}
    assert {page: times for page, times in found.items() if times != 1} == {}
    wanted = [each for part in parts for each in part]
    assert [each for each in wanted if not any(_is(page, each) for page in pages)] == []


def _is(page: str, entry: str) -> bool:
    """As Sphinx matches: a * does not reach into folders."""
    return fnmatch.fnmatchcase(page, entry) and page.count("/") == entry.count("/")


def _pages() -> list[Path]:
    first = ROOT / f"{CONF['root_doc']}.md"
    named = [ROOT / name for name in CONF["include_patterns"] if "*" not in name]
    return [*(path for path in named if path != first), *(ROOT / "docs").rglob("*.md")]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.html", '<script src="https://cdn.example/a.js"></script>'),
        ("a.html", '<link rel="stylesheet" href="//fonts.example/css?family=Roboto">'),
        ("a.html", '<link rel="preconnect" href="https://fonts.example" crossorigin>'),
        ("a.html", '<img srcset="a.png 1x, https://img.example/b.png 2x">'),
        ("a.html", "<p style=\"background: url('https://img.example/b.png')\">"),
        ("a.html", '<style>@import "https://fonts.example/a.css";</style>'),
        ("a.html", '<script>fetch("https://count.example/hit")</script>'),
        ("a.css", "@font-face { src: url(https://fonts.example/a.woff2) }"),
        ("a.js", 'fetch("https://count.example/hit")'),
        ("a.js", 'x.open("POST", "https://count.example/hit")'),
        ("a.js", 's.src = "//cdn.example/a.js"'),
        ("a.svg", '<svg><image xlink:href="https://img.example/b.png"/></svg>'),
        ("a.svg", '<svg><style>@import "https://fonts.example/a.css";</style></svg>'),
    ],
)
def test_what_a_page_would_fetch_from_afar_is_named(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / "index.html").touch()
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert len(list(OFFLINE["remote_in"](tmp_path))) == 1
    assert OFFLINE["main"]([str(tmp_path)]) == 1


def test_links_and_files_beside_the_page_are_no_requests(tmp_path: Path) -> None:
    text = (
        '<link rel="canonical" href="https://docs.example/"><link rel="stylesheet" href="a.css">'
        '<a href="https://www.postgresql.org/docs/">there</a><script src="a.js"></script>'
        "<p>fetch(&quot;https://count.example/hit&quot;)"
    )
    (tmp_path / "index.html").write_text(text, encoding="utf-8")
    (tmp_path / "a.css").write_text("a { background: url(a.png) }", encoding="utf-8")
    (tmp_path / "a.js").write_text('fetch("search.html")', encoding="utf-8")
    assert OFFLINE["main"]([str(tmp_path)]) == 0


def test_a_site_that_was_not_built_is_no_clean_site(tmp_path: Path) -> None:
    assert OFFLINE["main"]([str(tmp_path)]) == 1
