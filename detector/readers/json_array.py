"""JSON documents: one array of entries, bare or under a key, as one entry a line.

Exports and cloud services write such files. They are cut where one entry ends and the next
begins, told by the first keys that entries have: inside a text a quote is escaped, so the cut
cannot fall into one. Nothing is parsed on the way, and memory does not grow with the file.
"""

from __future__ import annotations

import json
import re
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from detector.readers import blocks, compression

#: Keys under which services put their entries: AWS CloudTrail's log files, and the records of
#: AWS Database Activity Streams.
WRAPPERS: Final = ("Records", "databaseActivityEventList")

_START: Final = re.compile(
    rb'\s*(?:\{[^\[\]]*?"(?:' + "|".join(WRAPPERS).encode() + rb')"\s*:\s*)?\[\s*'
)
#: Between the last entry of a document and the first of another that follows it.
_ANOTHER: Final = (
    rb'\s*\]\s*(?:,[^\[\]{}]*)?\}\s*\{[^\[\]{}]*?"(?:'
    + "|".join(WRAPPERS).encode()
    + rb')"\s*:\s*\[\s*'
)
_COMMA: Final = re.compile(r"\s*,\s*")
_NEXT: Final = re.compile(r"\}\s*,\s*(?=\{)")
#: What may follow the last entry: the end of the array, and of the object around it.
_END: Final = re.compile(rb"\s*\]\s*(?:,[^\[\]]*)?\}?\s*")
_DEEPEST: Final = 64
_DECODER: Final = json.JSONDecoder()
_LONGEST: Final = 80 * compression.MIB
_BREAKS: Final = bytes.maketrans(b"\r\n", b"  ")


@dataclass(frozen=True, slots=True)
class Cut:
    """``between`` finds where one entry ends and the next begins.

    It is None where entries cannot be told from what lies in them.
    """

    between: re.Pattern[bytes] | None

    def pieces(self, text: bytes) -> list[bytes]:
        """The entries of one whole document, each by itself; broken ones as they are."""
        start = _START.match(text)
        body = text[start.end() :] if start else text
        parts = [body] if self.between is None else self.between.sub(b"}\n{", body).split(b"\n")
        parts[-1] = without_end(parts[-1])
        return [part for part in parts if part.strip()]


def is_document(head: bytes) -> bool:
    """Whether a log that begins like this is one document, and not one object a line.

    An array can have one entry a line, and a log of lines can begin with a broken one.
    """
    head = head.removeprefix(blocks.BOM)
    if not _START.match(head):
        return False
    lines = [line for line in head.split(b"\n") if line.strip()]
    whole = sum(1 for line in lines if _is_object(line))
    return whole * 2 < len(lines)


def _is_object(line: bytes) -> bool:
    line = line.strip()
    if not (line.startswith(b"{") and line.endswith(b"}")):
        return False
    try:
        return bool(json.loads(line))
    except (ValueError, RecursionError):
        return False


def entries(head: bytes, most: int = 200) -> list[dict[str, Any]]:
    """The first entries of the document that begins with ``head``, those that are whole."""
    start = _START.match(head.removeprefix(blocks.BOM))
    if start is None:
        return []
    text = head.removeprefix(blocks.BOM)[start.end() :].decode("utf-8", "replace")
    found: list[dict[str, Any]] = []
    at = 0
    while len(found) < most:
        try:
            entry, at = _DECODER.raw_decode(text, at)
        except (ValueError, RecursionError):
            further = _NEXT.search(text, at + 1)
            if further is None:
                break
            at = further.end()
            continue
        if isinstance(entry, dict):
            found.append(entry)
        further = _COMMA.match(text, at)
        if further is None:
            break
        at = further.end()
    return found


def cut(found: list[dict[str, Any]]) -> Cut:
    """How a document that begins with the entries ``found`` is cut."""
    firsts = {next(iter(entry)) for entry in found if entry}
    inner = {key for entry in found for value in entry.values() for key in _firsts(value)}
    keys = sorted(firsts - inner)
    if not keys:
        return Cut(None)
    names = b"|".join(re.escape(json.dumps(key)).encode() for key in keys)
    return Cut(re.compile(rb"\}(?:\s*,\s*|" + _ANOTHER + rb")\{(?=\s*(?:" + names + rb")\s*:)"))


def _firsts(value: object, depth: int = 0) -> Iterator[str]:
    """The first keys of objects in lists in ``value``: only those follow a comma.

    Nobody's entries are deeper than _DEEPEST; what is, would end Python.
    """
    if depth > _DEEPEST:
        return
    if isinstance(value, dict):
        for inner in value.values():
            yield from _firsts(inner, depth + 1)
    elif isinstance(value, list):
        for item in value:
            if isinstance(item, dict) and item:
                yield next(iter(item))
            yield from _firsts(item, depth + 1)


@dataclass(slots=True)
class Lines:
    """The lines of a file on which the entries of a document begin, both counted from 1."""

    line: int = 1
    first: int = 1
    known: array[int] = field(default_factory=lambda: array("q"))

    def __post_init__(self) -> None:
        self.known.append(self.line)

    def passed(self, newlines: int, entries: int = 1) -> None:
        """After so many newlines so many more entries begin."""
        self.line += newlines
        self.known.extend([self.line] * entries)

    def of(self, entry: int) -> int:
        """The line of an entry; that of the nearest one known, for one that is not."""
        return self.known[min(max(entry - self.first, 0), len(self.known) - 1)]

    def forget(self, entry: int) -> None:
        """No entry before this one is asked for any more."""
        gone = min(entry - self.first, len(self.known) - 1)
        del self.known[:gone]
        self.first += gone


def lines(
    chunks: Iterator[tuple[bytes, int]], how: Cut, told: Lines | None = None
) -> Iterator[tuple[bytes, int]]:
    """The document in ``chunks`` with one entry a line, where each begins being ``told``.

    Raises opening.Truncated as they do.
    """
    told = told or Lines()
    held, raw, begun = b"", 0, False
    broken: compression.Truncated | None = None
    try:
        for data, raw in chunks:  # noqa: B007 - the last count is used after the loop
            held += data.removeprefix(blocks.BOM) if not begun and not held else data
            if not begun:
                start = _START.match(held)
                if start is None:
                    continue
                told.known[0] = told.line = 1 + held.count(b"\n", 0, start.end())
                held, begun = held[start.end() :], True
            done, held = _split(held, how, told)
            if len(held) > _LONGEST:  # no entry: let it go, to be rejected as too long a line
                told.line += held.count(b"\n")
                done, held = done + held.translate(_BREAKS), b""
            if done:
                yield done, raw
    except compression.Truncated as error:
        broken = error
    if broken is not None:
        raise broken
    yield without_end(held.translate(_BREAKS)) + b"\n", raw


def _split(held: bytes, how: Cut, told: Lines) -> tuple[bytes, bytes]:
    """(whole entries, one a line; the rest, as it is)."""
    if how.between is None:
        return b"", held
    if b"\n" not in held:
        flat = how.between.sub(b"}\n{", held.translate(_BREAKS))
        end = flat.rfind(b"\n") + 1
        told.passed(0, blocks.count(memoryview(flat)[:end], b"\n"))
        return flat[:end], flat[end:]
    made: list[bytes] = []
    flat, at = held.translate(_BREAKS), 0
    for found in how.between.finditer(flat):
        begins = found.end() - 1
        told.passed(held.count(b"\n", at, begins))
        made += [flat[at : found.start() + 1], b"\n"]
        at = begins
    return b"".join(made), held[at:]


def parted(line: bytes) -> list[bytes]:
    """The whole entries that a line begins with, with commas between, and the rest, if any.

    Where an entry's first key is damaged, it is not cut from the one before it.
    """
    found: list[bytes] = []
    text = line.decode("utf-8", "replace")
    at = len(text) - len(text.lstrip())
    while at < len(text):
        try:
            entry, end = _DECODER.raw_decode(text, at)
        except (ValueError, RecursionError):
            break
        comma = _COMMA.match(text, end)
        over = comma is None and (not text[end:].strip() or _END.fullmatch(text[end:].encode()))
        if comma is None and not over:
            break
        found.append(json.dumps(entry).encode())
        at = comma.end() if comma is not None else len(text)
    rest = text[at:].encode()
    return [*found, rest] if rest.strip() else found


def without_end(last: bytes) -> bytes:
    """The last entry without what closes the array, where it is whole."""
    try:
        text = last.decode()
        _, at = _DECODER.raw_decode(text, len(text) - len(text.lstrip()))
    except (ValueError, RecursionError):
        return last if not _END.fullmatch(last) else b""
    size = len(text[:at].encode())
    return last[:size] if _END.fullmatch(last[size:]) else last
