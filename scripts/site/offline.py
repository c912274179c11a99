"""Names each thing of a built site that a browser would fetch from another machine; 1 if any.

Usage: .venv/bin/python scripts/site/offline.py SITE

A link that a reader may follow is no request. Scripts are searched for addresses beside the calls
that fetch, as what they run cannot be told from their text.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Final

#: Attributes whose address a browser fetches by itself; ``href`` does so of few tags.
FETCHED: Final = frozenset({"src", "srcset", "data", "poster", "background"})
#: Those of an SVG.
DRAWN: Final = frozenset({"image", "use", "feimage"})
#: Kinds of ``link`` that only say something.
SAID: Final = frozenset({"canonical", "author", "license", "next", "prev", "search", "index"})
REMOTE: Final = re.compile(r"^\s*(?:https?:|wss?:|ftp:)?//", re.IGNORECASE)
CSS: Final = re.compile(
    r"""(?:url\(\s*["']?|@import\s+["'])((?:https?:)?//[^"')\s]+)""", re.IGNORECASE
)
SCRIPT: Final = re.compile(
    r"""(?:fetch|import|importScripts|Worker|open|WebSocket|EventSource|src\s*=)\s*\(?\s*"""
    r"""(?:["']\w+["']\s*,\s*)?["'`]((?:https?:|wss?:)?//[^"'`\s]+)"""
)


class _Page(HTMLParser):
    """Collects the remote addresses of one page, those of its styles and scripts included."""

    def __init__(self) -> None:
        super().__init__()
        self.remote: list[str] = []
        self._inside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._inside = tag
        values = {name: value or "" for name, value in attrs}
        fetches = set(FETCHED)
        if tag == "link" and not SAID & set(values.get("rel", "").split()):
            fetches.add("href")
        if tag in DRAWN:
            fetches |= {"href", "xlink:href"}
        for name in fetches & set(values):
            each = values[name].split(",") if name == "srcset" else [values[name]]
            self.remote += [address.strip() for address in each if REMOTE.match(address)]
        self.remote += CSS.findall(values.get("style", ""))

    def handle_endtag(self, tag: str) -> None:
        del tag
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "style":
            self.remote += CSS.findall(data)
        elif self._inside == "script":
            self.remote += SCRIPT.findall(data)


def remote_of(path: Path) -> list[str]:
    """The remote addresses that the file at ``path`` would have a browser fetch."""
    text = path.read_text(encoding="utf-8", errors="replace")
    if path.suffix in {".html", ".svg"}:
        page = _Page()
        page.feed(text)
        page.close()
        return page.remote
    return {".css": CSS, ".js": SCRIPT}[path.suffix].findall(text)


def remote_in(site: Path) -> Iterator[str]:
    """One line for each remote address in ``site``."""
    for path in sorted(site.rglob("*")):
        if path.suffix in {".html", ".css", ".js", ".svg"}:
            yield from (f"{path.relative_to(site)} fetches {each}" for each in remote_of(path))


def main(arguments: list[str]) -> int:
    """Write what was found to stderr. Return the exit code."""
    (site,) = map(Path, arguments)
    if not (site / "index.html").is_file():
        print(f"{site} holds no site", file=sys.stderr)
        return 1
    found = list(remote_in(site))
    for line in found:
        print(line, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
