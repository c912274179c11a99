"""Every link between pages leads to a file that is there, and every anchor to a heading in it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).parents[2]
PAGES = [
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / ".github").rglob("*.md")),
]


@cache
def tokens(path: Path) -> list[Token]:
    found = MarkdownIt("commonmark").enable("table").parse(path.read_text(encoding="utf-8"))
    return [each for token in found for each in (token, *(token.children or []))]


def targets(path: Path) -> Iterator[str]:
    for token in tokens(path):
        target = token.attrGet({"link_open": "href", "image": "src"}.get(token.type, ""))
        if target:
            yield str(target)


@cache
def anchors(path: Path) -> frozenset[str]:
    """As forges and the site make them of headings; a heading that repeats gets a number."""
    found: list[str] = []
    named: set[str] = set()
    every = tokens(path)
    for at, token in enumerate(every):
        if token.type == "heading_open":
            parts = every[at + 1].children or []
            found.append(slug("".join(part.content for part in parts)))
        elif token.type in {"html_block", "html_inline"}:
            named |= set(re.findall(r"""\bid=["']([^"']+)""", token.content))
    repeats = (f"{name}-{found[:at].count(name)}" for at, name in enumerate(found))
    return frozenset({*found, *named, *repeats})


def slug(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def broken(path: Path, root: Path) -> Iterator[str]:
    """What is wrong with each link of a page to another one, or within itself."""
    for target in targets(path):
        parts = urlsplit(target)
        if parts.scheme or parts.netloc:
            continue
        there = (path.parent / unquote(parts.path)).resolve() if parts.path else path.resolve()
        if not there.is_relative_to(root.resolve()):
            yield f"{target} leads out of the project"
        elif not there.exists():
            yield f"{target}: no such file"
        elif parts.fragment and (
            there.suffix != ".md" or unquote(parts.fragment) not in anchors(there)
        ):
            yield f"{target}: no such heading"


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_of_a_page_leads_somewhere(path: Path) -> None:
    assert list(broken(path, ROOT)) == []


def test_links_were_looked_at() -> None:
    every = [target for path in PAGES for target in targets(path)]
    assert len(every) > 300
    assert sum("#" in target for target in every) > 30


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[a](b.md)", ["b.md: no such file"]),
        ("[a](#there)", ["#there: no such heading"]),
        ("[a](c.md#here)", ["c.md#here: no such heading"]),
        ("| x |\n|---|\n| [a](b.md) |", ["b.md: no such file"]),
        ("![a](b.svg)", ["b.svg: no such file"]),
        ("[a][r]\n\n[r]: b.md", ["b.md: no such file"]),
        ("[a](../../out.md)", ["../../out.md leads out of the project"]),
        ("[a](c.md#two-words) [b](c.md#one-1) [c](c.md#snake_case-a-b) [d](c.md#named)", []),
        ("`[a](b.md)`\n\n    [a](b.md)\n\n```\n[a](b.md)\n```\n", []),
        ("[a](https://b.example/c#d) <mailto:eve@example.org>", []),
    ],
)
def test_a_broken_link_is_named(tmp_path: Path, text: str, said: list[str]) -> None:
    (tmp_path / "docs").mkdir()
    page = tmp_path / "docs" / "a.md"
    page.write_text(text, encoding="utf-8")
    (tmp_path / "docs" / "c.md").write_text(
        '# Two words\n\n## One\n\n## One\n\n### `snake_case` (a, b)\n\n<a id="named"></a>\n',
        encoding="utf-8",
    )
    assert list(broken(page, tmp_path)) == said
