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
from typing import Final

import numpy as np

from detector.reading.records import Block, Reject

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


def mended(block: Block, layout: Layout) -> Block:
    """``block`` without what a quote swallowed, with its rejects; itself if all is well."""
    spans = list(_spans(block.data))
    if not spans:
        return block
    lines = block.data.split(b"\n")
    rejects: list[Reject] = []
    first = block.first_line
    at = _broken(spans, lines, layout)
    if at is not None:
        for index in _unclosed(lines, at, layout):
            rejects.append(Reject(first + index, OPEN))
            lines[index] = b""
        spans = list(_spans(b"\n".join(lines)))
    for low, high in spans:
        alike = [index for index in range(low + 1, high + 1) if _is_alike(lines[index], layout)]
        if not alike:
            continue
        cells = _cells(b"\n".join(lines[low : high + 1]), layout)
        lost = any("\n" in cells[place] for place in layout.plain if place < len(cells))
        told = range(low, high + 1) if lost else alike
        rejects += [Reject(first + index, ALIKE) for index in told if lines[index].strip()]
        if lost:
            lines[low : high + 1] = [b""] * (high + 1 - low)
    return replace(block, data=b"\n".join(lines), rejects=rejects) if rejects else block


def _spans(data: bytes) -> Iterator[tuple[int, int]]:
    """The first and the last line, from 0, of each record of several lines."""
    array = np.frombuffer(data, np.uint8)
    quotes = np.flatnonzero(array == ord('"'))
    ends = np.flatnonzero(array == ord("\n"))
    inner = (np.searchsorted(quotes, ends) % 2).astype(bool)
    if not inner.any():
        return
    edges = np.flatnonzero(np.diff(np.concatenate(([False], inner, [False])).astype(np.int8)))
    yield from map(tuple, edges.reshape(-1, 2).tolist())


def _broken(spans: Sequence[tuple[int, int]], lines: Sequence[bytes], layout: Layout) -> int | None:
    """The line at which the first record begins that is no CSV; None if all are."""
    for low, high in spans:
        if len(_cells(b"\n".join(lines[low : high + 1]), layout)) != layout.width:
            return low
    return None


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
