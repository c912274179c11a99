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
WRAPPER_KEYS: Final = ("Records", "databaseActivityEventList")

_ARRAY_START: Final = re.compile(
    rb'\s*(?:\{[^\[\]]*?"(?:' + "|".join(WRAPPER_KEYS).encode() + rb')"\s*:\s*)?\[\s*'
)
#: Between the last entry of a document and the first of another that follows it.
_NEXT_DOCUMENT: Final = (
    rb'\s*\]\s*(?:,[^\[\]{}]*)?\}\s*\{[^\[\]{}]*?"(?:'
    + "|".join(WRAPPER_KEYS).encode()
    + rb')"\s*:\s*\[\s*'
)
_COMMA: Final = re.compile(r"\s*,\s*")
_ENTRY_BOUNDARY: Final = re.compile(r"\}\s*,\s*(?=\{)")
#: What may follow the last entry: the end of the array, and of the object around it.
_ARRAY_END: Final = re.compile(rb"\s*\]\s*(?:,[^\[\]]*)?\}?\s*")
_MAX_DEPTH: Final = 64
_DECODER: Final = json.JSONDecoder()
_MAX_ENTRY_BYTES: Final = 80 * compression.MIB
_NEWLINES_TO_SPACES: Final = bytes.maketrans(b"\r\n", b"  ")


@dataclass(frozen=True, slots=True)
class EntrySplitter:
    """``boundary`` finds where one entry ends and the next begins.

    It is None where entries cannot be told from what lies in them.
    """

    boundary: re.Pattern[bytes] | None

    def split(self, text: bytes) -> list[bytes]:
        """The entries of one whole document, each by itself; broken ones as they are."""
        start = _ARRAY_START.match(text)
        body = text[start.end() :] if start else text
        parts = [body] if self.boundary is None else self.boundary.sub(b"}\n{", body).split(b"\n")
        parts[-1] = strip_array_end(parts[-1])
        return [part for part in parts if part.strip()]


def is_document(head: bytes) -> bool:
    """Whether a log that begins like this is one document, and not one object a line.

    An array can have one entry a line, and a log of lines can begin with a broken one.
    """
    head = head.removeprefix(blocks.BOM)
    if not _ARRAY_START.match(head):
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


def first_entries(head: bytes, most: int = 200) -> list[dict[str, Any]]:
    """The first entries of the document that begins with ``head``, those that are whole."""
    start = _ARRAY_START.match(head.removeprefix(blocks.BOM))
    if start is None:
        return []
    text = head.removeprefix(blocks.BOM)[start.end() :].decode("utf-8", "replace")
    found: list[dict[str, Any]] = []
    at = 0
    while len(found) < most:
        try:
            entry, at = _DECODER.raw_decode(text, at)
        except (ValueError, RecursionError):
            further = _ENTRY_BOUNDARY.search(text, at + 1)
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


def entry_splitter(found: list[dict[str, Any]]) -> EntrySplitter:
    """How a document that begins with the entries ``found`` is cut."""
    firsts = {next(iter(entry)) for entry in found if entry}
    inner = {key for entry in found for value in entry.values() for key in _first_keys(value)}
    keys = sorted(firsts - inner)
    if not keys:
        return EntrySplitter(None)
    names = b"|".join(re.escape(json.dumps(key)).encode() for key in keys)
    return EntrySplitter(
        re.compile(rb"\}(?:\s*,\s*|" + _NEXT_DOCUMENT + rb")\{(?=\s*(?:" + names + rb")\s*:)")
    )


def _first_keys(value: object, depth: int = 0) -> Iterator[str]:
    """The first keys of objects in lists in ``value``: only those follow a comma.

    Nobody's entries are deeper than _DEEPEST; what is, would end Python.
    """
    if depth > _MAX_DEPTH:
        return
    if isinstance(value, dict):
        for inner in value.values():
            yield from _first_keys(inner, depth + 1)
    elif isinstance(value, list):
        for item in value:
            if isinstance(item, dict) and item:
                yield next(iter(item))
            yield from _first_keys(item, depth + 1)


@dataclass(slots=True)
class EntryLines:
    """The lines of a file on which the entries of a document begin, both counted from 1."""

    line: int = 1
    first_entry: int = 1
    start_lines: array[int] = field(default_factory=lambda: array("q"))

    def __post_init__(self) -> None:
        self.start_lines.append(self.line)

    def advance(self, newlines: int, entries: int = 1) -> None:
        """After so many newlines so many more entries begin."""
        self.line += newlines
        self.start_lines.extend([self.line] * entries)

    def entry_line(self, entry: int) -> int:
        """The line of an entry; that of the nearest one known, for one that is not."""
        return self.start_lines[min(max(entry - self.first_entry, 0), len(self.start_lines) - 1)]

    def discard_before(self, entry: int) -> None:
        """No entry before this one is asked for any more."""
        gone = min(entry - self.first_entry, len(self.start_lines) - 1)
        del self.start_lines[:gone]
        self.first_entry += gone


def flatten_entries(
    chunks: Iterator[tuple[bytes, int]], how: EntrySplitter, told: EntryLines | None = None
) -> Iterator[tuple[bytes, int]]:
    """The document in ``chunks`` with one entry a line, where each begins being ``told``.

    Raises opening.Truncated as they do.
    """
    told = told or EntryLines()
    held, raw, begun = b"", 0, False
    broken: compression.TruncatedError | None = None
    try:
        for data, raw in chunks:  # noqa: B007 - the last count is used after the loop
            held += data.removeprefix(blocks.BOM) if not begun and not held else data
            if not begun:
                start = _ARRAY_START.match(held)
                if start is None:
                    continue
                told.start_lines[0] = told.line = 1 + held.count(b"\n", 0, start.end())
                held, begun = held[start.end() :], True
            done, held = _split_entries(held, how, told)
            if (
                len(held) > _MAX_ENTRY_BYTES
            ):  # no entry: let it go, to be rejected as too long a line
                told.line += held.count(b"\n")
                done, held = done + held.translate(_NEWLINES_TO_SPACES), b""
            if done:
                yield done, raw
    except compression.TruncatedError as error:
        broken = error
    if broken is not None:
        raise broken
    yield strip_array_end(held.translate(_NEWLINES_TO_SPACES)) + b"\n", raw


def _split_entries(held: bytes, how: EntrySplitter, told: EntryLines) -> tuple[bytes, bytes]:
    """(whole entries, one a line; the rest, as it is)."""
    if how.boundary is None:
        return b"", held
    if b"\n" not in held:
        flat = how.boundary.sub(b"}\n{", held.translate(_NEWLINES_TO_SPACES))
        end = flat.rfind(b"\n") + 1
        told.advance(0, blocks.count_byte(memoryview(flat)[:end], b"\n"))
        return flat[:end], flat[end:]
    made: list[bytes] = []
    flat, at = held.translate(_NEWLINES_TO_SPACES), 0
    for found in how.boundary.finditer(flat):
        begins = found.end() - 1
        told.advance(held.count(b"\n", at, begins))
        made += [flat[at : found.start() + 1], b"\n"]
        at = begins
    return b"".join(made), held[at:]


def split_line(line: bytes) -> list[bytes]:
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
        over = comma is None and (
            not text[end:].strip() or _ARRAY_END.fullmatch(text[end:].encode())
        )
        if comma is None and not over:
            break
        found.append(json.dumps(entry).encode())
        at = comma.end() if comma is not None else len(text)
    rest = text[at:].encode()
    return [*found, rest] if rest.strip() else found


def strip_array_end(last: bytes) -> bytes:
    """The last entry without what closes the array, where it is whole."""
    try:
        text = last.decode()
        _, at = _DECODER.raw_decode(text, len(text) - len(text.lstrip()))
    except (ValueError, RecursionError):
        return last if not _ARRAY_END.fullmatch(last) else b""
    size = len(text[:at].encode())
    return last[:size] if _ARRAY_END.fullmatch(last[size:]) else last
