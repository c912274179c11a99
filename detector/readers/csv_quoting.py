"""Quotes in CSV that are opened and never closed: they swallow lines until the next quote.

A quoted cell may hold lines, and SQL holds anything. What gives a swallowed line away: the quote
that ends the cell stands in the middle of another, or the record has the wrong number of cells, or
a cell that no text is in holds whole records. A record that is broken costs its first line only;
reading goes on at the next. What cannot be told apart is rejected, line by line, so that rejects
add up to what was lost.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from detector.readers.blocks import Block, Reject

UNCLOSED_QUOTE_REASON: Final = "a quote is opened and not closed"
SWALLOWED_RECORD_REASON: Final = (
    "stands within a quoted cell and is like a record: a quote may not be closed"
)
_TIME_PATTERN: Final = re.compile(r"\s*(?:\d{4}-\d\d-\d\d|\d{1,2}[./]\d{1,2}[./]\d{4}|\d{9,})")


@dataclass(frozen=True, slots=True)
class RecordLayout:
    """What a record is like: how many cells it has, where its time and its account stand, and
    which of its cells hold no lines (``single_line_cells``).
    """

    delimiter: str
    width: int
    time: int
    account: int
    single_line_cells: Sequence[int]


def repair(block: Block, layout: RecordLayout, *, sound: bool) -> Block:
    """``block`` without what a quote swallowed, with its rejects; itself if all is well.

    ``sound`` says that all of its records have as many cells as they should.
    """
    places = _QuoteIndex.from_bytes(block.data, layout)
    if not places.quoted_lines.size:
        return block
    rejects: list[Reject] = []
    if not (sound and places.is_strict(block.data)):
        at = places.first_broken_line(block.data, layout)
        if at is not None:
            lines = block.data.split(b"\n")
            for index in _unclosed_lines(lines, at, layout):
                rejects.append(Reject(block.first_line + index, UNCLOSED_QUOTE_REASON))
                lines[index] = b""
            block = replace(block, data=b"\n".join(lines), rejects=rejects)
            places = _QuoteIndex.from_bytes(block.data, layout)
    alike = [
        line
        for line in places.full_width_lines(layout)
        if _is_record_like(places.line_bytes(block.data, line), layout)
    ]
    return _drop_swallowed(block, places, alike, layout) if alike else block


def _drop_swallowed(
    block: Block, places: _QuoteIndex, alike: Sequence[int], layout: RecordLayout
) -> Block:
    """``block`` without the records whose cells hold ``alike`` lines where no text is."""
    lines = block.data.split(b"\n")
    rejects = list(block.rejects) if block.rejects else []
    inside = set(alike)
    for low, high in places.multiline_spans():
        found = [line for line in range(low + 1, high + 1) if line in inside]
        if not found:
            continue
        cells = _split_cells(b"\n".join(lines[low : high + 1]), layout)
        lost = any("\n" in cells[place] for place in layout.single_line_cells if place < len(cells))
        told = range(low, high + 1) if lost else found
        rejects += [
            Reject(block.first_line + line, SWALLOWED_RECORD_REASON)
            for line in told
            if lines[line].strip()
        ]
        if lost:
            lines[low : high + 1] = [b""] * (high + 1 - low)
    return replace(block, data=b"\n".join(lines), rejects=rejects)


@dataclass(frozen=True, slots=True)
class _QuoteIndex:
    """Where quotes, delimiters and the ends of lines stand; ``inner`` are the lines, from 0, whose
    end stands within quotes.
    """

    quotes: npt.NDArray[np.int64]
    delimiters: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int64]
    quoted_lines: npt.NDArray[np.int64]

    @classmethod
    def from_bytes(cls, data: bytes, layout: RecordLayout) -> Self:
        array = np.frombuffer(data, np.uint8)
        quotes = np.flatnonzero(array == ord('"'))
        ends = np.flatnonzero(array == ord("\n"))
        inner = np.flatnonzero(np.searchsorted(quotes, ends) % 2)
        delimiters = np.flatnonzero(array == ord(layout.delimiter)) if inner.size else inner
        return cls(quotes, delimiters, ends, inner)

    def is_strict(self, data: bytes) -> bool:
        """Whether each quote opens a cell, closes one, or is doubled within one."""
        around = np.frombuffer(b"\n" + data + b"\n", np.uint8)
        marks = np.frombuffer(b'\n\r",;\t|', np.uint8)
        opened, closed = self.quotes[::2], self.quotes[1::2]
        return bool(
            np.isin(around[opened], marks).all() and np.isin(around[closed + 2], marks).all()
        )

    def multiline_spans(self) -> list[tuple[int, int]]:
        """The first and the last line of each record of several lines."""
        apart = np.flatnonzero(np.diff(self.quoted_lines) > 1)
        lows = np.concatenate((self.quoted_lines[:1], self.quoted_lines[apart + 1]))
        highs = np.concatenate((self.quoted_lines[apart], self.quoted_lines[-1:])) + 1
        return list(zip(lows.tolist(), highs.tolist(), strict=True))

    def line_bytes(self, data: bytes, line: int) -> bytes:
        """A line without its end."""
        start = int(self.ends[line - 1]) + 1 if line else 0
        return data[start : int(self.ends[line]) if line < len(self.ends) else len(data)]

    def first_broken_line(self, data: bytes, layout: RecordLayout) -> int | None:
        """The line at which the first record begins that is no CSV; None if all are."""
        for low, high in self.multiline_spans():
            start = int(self.ends[low - 1]) + 1 if low else 0
            end = int(self.ends[high]) if high < len(self.ends) else len(data)
            if len(_split_cells(data[start:end], layout)) != layout.width:
                return low
        return None

    def full_width_lines(self, layout: RecordLayout) -> list[int]:
        """The lines that begin within quotes and have as many delimiters as a record."""
        lines = self.quoted_lines + 1
        lines = lines[lines < len(self.ends)]
        low = np.searchsorted(self.delimiters, self.ends[lines - 1])
        high = np.searchsorted(self.delimiters, self.ends[lines])
        found: list[int] = lines[high - low >= layout.width - 1].tolist()
        return found


def _unclosed_lines(lines: Sequence[bytes], start: int, layout: RecordLayout) -> Iterator[int]:
    """The lines from ``start`` on that open a quote which is not closed within their record.

    Each line is looked at twice at most, since what a record needs to be closed begins the next.
    """
    at = start
    while at < len(lines):
        if lines[at].count(b'"') % 2 == 0:
            at += 1
            continue
        end = next((i for i in range(at + 1, len(lines)) if lines[i].count(b'"') % 2), None)
        whole = b"" if end is None else b"\n".join(lines[at : end + 1])
        if end is not None and len(_split_cells(whole, layout)) == layout.width:
            at = end + 1
        else:
            yield at
            at += 1


def _is_record_like(line: bytes, layout: RecordLayout) -> bool:
    """Whether a line would be a record, if it stood alone."""
    if line.count(layout.delimiter.encode()) < layout.width - 1:
        return False
    cells = _split_cells(line, layout)
    return (
        len(cells) == layout.width
        and _TIME_PATTERN.match(cells[layout.time]) is not None
        and bool(cells[layout.account].strip())
    )


def _split_cells(record: bytes, layout: RecordLayout) -> list[str]:
    """The cells of one record; none where it is no CSV, or several records."""
    text = record.decode("utf-8", "replace").rstrip("\r")
    before = csv.field_size_limit(1 << 30)
    try:
        rows = list(csv.reader([text], delimiter=layout.delimiter, strict=True))
    except csv.Error:
        return []
    finally:
        csv.field_size_limit(before)
    return rows[0] if len(rows) == 1 else []
