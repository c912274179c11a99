r"""Where literals, names in quotes and comments of PostgreSQL's SQL end, told as its lexer would.

Exact where ``sql_shape`` is not: comments nest, dollar quotes have tags, a string goes on behind a
line's end, and a carriage return ends a comment. What never ends reaches to the end of the text.
https://www.postgresql.org/docs/current/sql-syntax-lexical.html
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

#: What opens something, and names, in which dollars open nothing.
_OPENING: Final = re.compile(
    r"[eE]'|[A-Za-z_\x80-\U0010ffff][\w$\x80-\U0010ffff]*+|--|/\*|['\"]"
    r"|\$(?:[A-Za-z_\x80-\U0010ffff][\w\x80-\U0010ffff]*+)?\$"
)
_PLAIN_STRING: Final = re.compile(r"[^']*+'")
_ESCAPED_STRING: Final = re.compile(r"(?s)(?:[^'\\]|\\.)*+'")
#: A string that goes on behind a line's end keeps its rules.
_STRING_CONTINUATION: Final = re.compile(r"(?:\s|--[^\n\r]*+)*+'")
_LINE_REST: Final = re.compile(r"[^\n\r]*+")
_COMMENT_MARK: Final = re.compile(r"/\*|\*/")


def first_unquoted(text: str, places: Iterable[int]) -> int | None:
    """The first of ``places`` (ascending, each at the beginning of a line) that nothing holds.

    A session chooses whether backslashes escape: where that decides, None.
    """
    places = list(places)
    found = _first_unquoted(text, places, escapes=False)
    return (
        found if "\\" not in text or found == _first_unquoted(text, places, escapes=True) else None
    )


def _first_unquoted(text: str, places: list[int], *, escapes: bool) -> int | None:
    at = 0
    for place in places:
        while at <= place:
            opening = _OPENING.search(text, at, place)
            if opening is None:
                return place
            at = _token_end(text, opening[0], opening.end(), escapes=escapes)
    return None


def _token_end(text: str, opening: str, start: int, *, escapes: bool) -> int:
    """Where what ``opening`` opened before ``start`` ends."""
    if opening == "--":
        found = _LINE_REST.match(text, start)
    elif opening == "/*":
        return _comment_end(text, start)
    elif opening in {"'", "e'", "E'"}:
        return _string_end(text, start, escapes=escapes or opening != "'")
    elif opening[0] == "$" or opening == '"':
        end = text.find(opening, start)
        return len(text) + 1 if end < 0 else end + len(opening)
    else:
        return start
    return found.end() if found else start


def _comment_end(text: str, start: int) -> int:
    depth = 1
    for mark in _COMMENT_MARK.finditer(text, start):
        depth += 1 if mark[0] == "/*" else -1
        if depth == 0:
            return mark.end()
    return len(text) + 1


def _string_end(text: str, start: int, *, escapes: bool) -> int:
    pattern = _ESCAPED_STRING if escapes else _PLAIN_STRING
    at = start
    while (found := pattern.match(text, at)) is not None:
        more = _STRING_CONTINUATION.match(text, found.end()) if escapes else None
        if more is None:
            return found.end()
        at = more.end()
    return len(text) + 1
