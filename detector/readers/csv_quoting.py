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

OPEN: Final = "a quote is opened and not closed"
ALIKE: Final = "stands within a quoted cell and is like a record: a quote may not be closed"
_TIME: Final = re.compile(r"\s*(?:\d{4}-\d\d-\d\d|\d{1,2}[./]\d{1,2}[./]\d{4}|\d{9,})")


@dataclass(frozen=True, slots=True)
class Layout:
    """What a record is like: how many cells it has, where its time and its account stand, and
    which of its cells hold no lines (``plain``).
    """

    delimiter: str
    width: int
    time: int
    account: int
    plain: Sequence[int]


def mended(block: Block, layout: Layout, *, sound: bool) -> Block:
    """``block`` without what a quote swallowed, with its rejects; itself if all is well.

    ``sound`` says that all of its records have as many cells as they should.
    """
    places = _Places.of(block.data, layout)
    if not places.inner.size:
        return block
    rejects: list[Reject] = []
    if not (sound and places.strict(block.data)):
        at = places.broken(block.data, layout)
        if at is not None:
            lines = block.data.split(b"\n")
            for index in _unclosed(lines, at, layout):
                rejects.append(Reject(block.first_line + index, OPEN))
                lines[index] = b""
            block = replace(block, data=b"\n".join(lines), rejects=rejects)
            places = _Places.of(block.data, layout)
    alike = [
        line for line in places.full(layout) if _is_alike(places.line(block.data, line), layout)
    ]
    return _parted(block, places, alike, layout) if alike else block


def _parted(block: Block, places: _Places, alike: Sequence[int], layout: Layout) -> Block:
    """``block`` without the records whose cells hold ``alike`` lines where no text is."""
    lines = block.data.split(b"\n")
    rejects = list(block.rejects) if block.rejects else []
    inside = set(alike)
    for low, high in places.spans():
        found = [line for line in range(low + 1, high + 1) if line in inside]
        if not found:
            continue
        cells = _cells(b"\n".join(lines[low : high + 1]), layout)
        lost = any("\n" in cells[place] for place in layout.plain if place < len(cells))
        told = range(low, high + 1) if lost else found
        rejects += [Reject(block.first_line + line, ALIKE) for line in told if lines[line].strip()]
        if lost:
            lines[low : high + 1] = [b""] * (high + 1 - low)
    return replace(block, data=b"\n".join(lines), rejects=rejects)


@dataclass(frozen=True, slots=True)
class _Places:
    """Where quotes, delimiters and the ends of lines stand; ``inner`` are the lines, from 0, whose
    end stands within quotes.
    """

    quotes: npt.NDArray[np.int64]
    delimiters: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int64]
    inner: npt.NDArray[np.int64]

    @classmethod
    def of(cls, data: bytes, layout: Layout) -> Self:
        array = np.frombuffer(data, np.uint8)
        quotes = np.flatnonzero(array == ord('"'))
        ends = np.flatnonzero(array == ord("\n"))
        inner = np.flatnonzero(np.searchsorted(quotes, ends) % 2)
        delimiters = np.flatnonzero(array == ord(layout.delimiter)) if inner.size else inner
        return cls(quotes, delimiters, ends, inner)

    def strict(self, data: bytes) -> bool:
        """Whether each quote opens a cell, closes one, or is doubled within one."""
        around = np.frombuffer(b"\n" + data + b"\n", np.uint8)
        marks = np.frombuffer(b'\n\r",;\t|', np.uint8)
        opened, closed = self.quotes[::2], self.quotes[1::2]
        return bool(
            np.isin(around[opened], marks).all() and np.isin(around[closed + 2], marks).all()
        )

    def spans(self) -> list[tuple[int, int]]:
        """The first and the last line of each record of several lines."""
        apart = np.flatnonzero(np.diff(self.inner) > 1)
        lows = np.concatenate((self.inner[:1], self.inner[apart + 1]))
        highs = np.concatenate((self.inner[apart], self.inner[-1:])) + 1
        return list(zip(lows.tolist(), highs.tolist(), strict=True))

    def line(self, data: bytes, line: int) -> bytes:
        """A line without its end."""
        start = int(self.ends[line - 1]) + 1 if line else 0
        return data[start : int(self.ends[line]) if line < len(self.ends) else len(data)]

    def broken(self, data: bytes, layout: Layout) -> int | None:
        """The line at which the first record begins that is no CSV; None if all are."""
        for low, high in self.spans():
            start = int(self.ends[low - 1]) + 1 if low else 0
            end = int(self.ends[high]) if high < len(self.ends) else len(data)
            if len(_cells(data[start:end], layout)) != layout.width:
                return low
        return None

    def full(self, layout: Layout) -> list[int]:
        """The lines that begin within quotes and have as many delimiters as a record."""
        lines = self.inner + 1
        lines = lines[lines < len(self.ends)]
        low = np.searchsorted(self.delimiters, self.ends[lines - 1])
        high = np.searchsorted(self.delimiters, self.ends[lines])
        found: list[int] = lines[high - low >= layout.width - 1].tolist()
        return found


def _unclosed(lines: Sequence[bytes], start: int, layout: Layout) -> Iterator[int]:
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
        if end is not None and len(_cells(whole, layout)) == layout.width:
            at = end + 1
        else:
            yield at
            at += 1


def _is_alike(line: bytes, layout: Layout) -> bool:
    """Whether a line would be a record, if it stood alone."""
    if line.count(layout.delimiter.encode()) < layout.width - 1:
        return False
    cells = _cells(line, layout)
    return (
        len(cells) == layout.width
        and _TIME.match(cells[layout.time]) is not None
        and bool(cells[layout.account].strip())
    )


def _cells(record: bytes, layout: Layout) -> list[str]:
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
