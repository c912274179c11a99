"""Cuts a text log into entries of several lines each, with memory that does not grow with it.

No entry is copied: Arrow takes the block's bytes as they are, with the places where entries begin.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from detector.readers import blocks, compression, encodings, plain_text
from detector.readers.blocks import Reject
from detector.readers.compression import MIB
from detector.readers.log_input import LogInput

Offsets: TypeAlias = npt.NDArray[np.int64]

_BLOCK_BYTES: Final = 8 * MIB
#: Of an entry of more bytes or lines than this, the rest is left out: its head says all but the end
#: of its text. Each line that is looked at takes some 40 bytes.
_MAX_ENTRY_BYTES: Final = 32 * MIB
_MAX_ENTRY_LINES: Final = 1 << 20
_EMPTY_LINES: Final = re.compile(rb"\n\s*\n")


@dataclass(frozen=True, slots=True)
class EntryBatch:
    """Consecutive entries: ``texts`` (String) and the ``lines`` they begin on, from 1.

    ``before`` is what stands before the first entry of a file, empty elsewhere; ``data`` are the
    bytes of all entries, as they are in the file.
    """

    texts: pl.Series
    lines: Offsets
    raw_bytes: int
    preamble: str = ""
    rejects: list[Reject] = field(default_factory=list)
    data: bytes = b""


class _NulRun(NamedTuple):
    """The NULs at the beginning of a line: its number, from 0, and where they start and end."""

    line: int
    start: int
    end: int


#: Where entries begin in some bytes, given those bytes and where its lines begin.
StartFinder: TypeAlias = Callable[[npt.NDArray[np.uint8], Offsets], Offsets]


def read_entries(
    log: LogInput, starts: StartFinder, block: int | None = None
) -> Iterator[EntryBatch]:
    """The entries of ``log``, those in about ``block`` bytes at a time.

    Bytes that are no UTF-8 become the replacement character: a literal may hold any. Raises
    InputError where the file is unreadable or UTF-16.
    """
    held, line, raw, first = b"", 1, 0, True
    broken: str | None = None
    chunks = _limit_lines(plain_text.chunks(log, block or _BLOCK_BYTES))
    while True:
        try:
            data, raw = next(chunks, (b"", raw))
        except compression.TruncatedError as error:
            data, broken = b"", error.reason
        if first and data:
            data = blocks.strip_bom(data, log.name)
        last = not data
        held += data
        found, used = _cut_entries(held, line, starts, raw, first=first, last=last)
        if broken is not None:
            end = line + blocks.count_byte(held, b"\n")
            found.rejects.append(Reject(end, f"file ends early: {broken}"))
        if len(found.texts) or found.preamble or found.rejects or last:
            yield found
            first = False
        if last:
            return
        line += blocks.count_byte(memoryview(held)[:used], b"\n")
        held = held[used:]
        if len(held) > _MAX_ENTRY_BYTES or blocks.count_byte(held, b"\n") > _MAX_ENTRY_LINES:
            held, line = _shorten(held, line)


def _limit_lines(chunks: blocks.Chunks) -> blocks.Chunks:
    """The same in smaller pieces, where one has more than _MOST_LINES lines."""
    for data, raw in chunks:
        parts = 1 + blocks.count_byte(data, b"\n") // _MAX_ENTRY_LINES
        size = max(1, -(-len(data) // parts))
        for start in range(0, len(data), size):
            yield data[start : start + size], raw


def last_entry_start(data: bytes, starts: StartFinder) -> int:
    """Where the last entry of ``data`` begins, up to which all are whole:
    ``FollowReader.entry_splitter``.
    """
    array = np.frombuffer(data, np.uint8)
    lines, _ = _skip_nuls(array, np.flatnonzero(array == ord("\n")))
    places = starts(array, lines)
    return int(places[-1]) if len(places) else 0


def _skip_nuls(data: npt.NDArray[np.uint8], ends: Offsets) -> tuple[Offsets, list[_NulRun]]:
    """Where lines begin, behind the NULs that a crash left there, and which lines those are.

    ``ends`` are the places of newlines.
    """
    lines = np.concatenate(([0], ends + 1))
    torn = np.flatnonzero(data[lines[lines < len(data)]] == 0)
    if not len(torn):
        return lines, []
    text = np.append(np.flatnonzero(data != 0), len(data))
    behind = text[np.searchsorted(text, lines[torn])]
    told = zip(torn.tolist(), lines[torn].tolist(), behind.tolist(), strict=True)
    lines[torn] = behind
    return lines, [_NulRun(number, start, end) for number, start, end in told]


def _cut_entries(
    held: bytes, line: int, starts: StartFinder, raw: int, *, first: bool, last: bool
) -> tuple[EntryBatch, int]:
    """(the whole entries of ``held``, how many of its bytes they and what is before them take)."""
    data = np.frombuffer(held, np.uint8)
    line_ends = np.flatnonzero(data == ord("\n"))
    line_starts, torn = _skip_nuls(data, line_ends)
    places = starts(data, line_starts)
    if not len(places):
        before = _decode(held) if last and first else ""
        return EntryBatch(_text_series(held[:0], places), places, raw, before), 0
    end = len(held) if last else int(places[-1])
    bounds = np.append(places, end) if last else places
    before = _decode(held[: places[0]]) if first else ""
    texts = _text_series(held[:end], bounds) if end > places[0] else _text_series(b"", places[:0])
    numbers = line + np.searchsorted(line_ends, bounds[:-1])
    bad = [
        Reject(line + each.line, blocks.nul_reason(each.end - each.start))
        for each in torn
        if each.start < end
    ]
    return EntryBatch(texts, numbers, raw, before, bad, held[places[0] : end]), end


def _text_series(data: bytes, bounds: Offsets) -> pl.Series:
    """The pieces of ``data`` between each two of ``bounds``."""
    if len(bounds) < 2:
        return pl.Series([], dtype=pl.String)
    if not blocks.is_utf8(data):
        pieces = [_decode(data[start:end]) for start, end in pairwise(bounds.tolist())]
        return pl.Series(pieces, dtype=pl.String)
    offsets, bytes_ = pa.py_buffer(np.ascontiguousarray(bounds, np.int64)), pa.py_buffer(data)
    array = pa.LargeStringArray.from_buffers(len(bounds) - 1, offsets, bytes_)
    series = pl.from_arrow(array)
    assert isinstance(series, pl.Series)
    return series


def _decode(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return (encodings.transcode_windows_1252(data) or data).decode("utf-8", "replace")


def _shorten(held: bytes, line: int) -> tuple[bytes, int]:
    """An entry that is too long, without its empty lines or, where that is too little, its middle:
    empty lines alone hide no table. Its line numbers stay about right.
    """
    kept = _EMPTY_LINES.sub(b"\n", held)
    if len(kept) > _MAX_ENTRY_BYTES or blocks.count_byte(kept, b"\n") > _MAX_ENTRY_LINES:
        kept = kept[: MIB // 2] + b"\n" + kept[-MIB // 2 :]
    return kept, line + held.count(b"\n") - kept.count(b"\n")
