"""Reads the next piece of a log through its source, the very code that reads whole files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

import polars as pl

from detector.core.errors import InputError
from detector.core.formatting import path_text
from detector.core.schema import READ_ACTIONS, REJECTS
from detector.core.settings import Settings
from detector.normalize import containment, rejects
from detector.normalize.reader_state import ReaderState
from detector.normalize.source import Batch, FollowReader, Source, empty_batch
from detector.readers.compression import MIB
from detector.readers.log_input import HeldBytes
from detector.watch import content_matching, torn_writes
from detector.watch import log_position as logs
from detector.watch.log_content import LogContent
from detector.watch.log_position import STREAMS, Log

#: An entry longer than this is no entry: what is there is read as if the file ended.
MAX_ENTRY_BYTES: Final = 64 * MIB


class FileChanged(Exception):  # noqa: N818 - the name is what happened
    """The file was cut short or overwritten while it was read: what was read is nobody's."""


@dataclass(frozen=True, slots=True)
class ChunkResult:
    """``log`` as it is after the piece. ``more``: whether there was more than was asked for."""

    log: Log
    batches: list[Batch]
    has_more: bool


def read_chunk(
    log: Log,
    content: LogContent,
    source: Source,
    settings: Settings,
    most: int,
    told: ReaderState,
    *,
    ended: bool,
) -> ChunkResult | None:
    """The whole entries among the next ``most`` bytes; None where there is none yet.

    ``told`` is what other files left open, for the first piece. Where the log has ``ended``, the
    rest of it is an entry too. Raises InputError where it cannot be read, and Changed.
    """
    growing = source.follow_reader
    assert growing is not None
    data = content.read(log.position, most + 1)
    if log.form not in STREAMS and torn_writes.is_torn(data, log.position):
        return _skip_torn(log, content, data, told, ended=ended)
    data, end, more = _read_entries(log, content, growing, data, most, ended=ended)
    if ended and not more and not content.end_reason:
        end = len(data)
    if not end and not (ended and not more):
        return None
    tail = log.tail if log.position else log.tail.after(told)
    batches = list(_read_batches(data[:end], growing, settings, tail, log)) if end else []
    tail = batches[-1].tail if batches else tail
    line = log.line + data.count(b"\n", 0, end)
    if ended and not more:
        batches.append(_last_batch(growing, settings, tail, log, line, content.end_reason))
        tail = batches[-1].tail
    position = log.position + end
    after = replace(
        _add_counts(log, batches),
        position=position,
        line=line,
        tail=tail,
        stage="ended" if ended and not more else "open",
        **(_position_fields(log, content, data[:end]) if end else {}),
    )
    if end and log.form not in STREAMS and not _is_unchanged(log, content, data[:end]):
        raise FileChanged
    return ChunkResult(after, batches, more)


def _read_entries(
    log: Log, content: LogContent, growing: FollowReader, data: bytes, most: int, *, ended: bool
) -> tuple[bytes, int, bool]:
    """The next bytes, how many of them are whole entries, and whether there are more.

    NULs at their end are none of them: what is written there may be still to come.
    """
    while not (end := growing.cut(data[:most])) and most < len(data) and most < MAX_ENTRY_BYTES:
        most *= 2
        data = content.read(log.position, most + 1)
    more = len(data) > most
    data = data[:most]
    longest = len(data) >= MAX_ENTRY_BYTES
    if data.endswith(b"\0") and log.form not in STREAMS and (more or not ended):
        data = data.rstrip(b"\0")
        end = growing.cut(data)
        more = ended or torn_writes.count_nuls(content, log.position + len(data))[1]
        longest = longest and more
    return data, end or (len(data) if longest else 0), more


def _position_fields(log: Log, content: LogContent, data: bytes) -> dict[str, Any]:
    """By which the log is known again once ``data``, or so many NULs, were taken in."""
    found = content.position_fields(log.position + len(data))
    return found if log.form in STREAMS else {**found, **content_matching.digests_after(log, data)}


def _skip_torn(
    log: Log, content: LogContent, data: bytes, told: ReaderState, *, ended: bool
) -> ChunkResult | None:
    """The log behind bytes that hold no entry, each a reject; None where they are to wait."""
    found = torn_writes.skip_torn(content, data, log.position, ended=ended)
    if found is None:
        return None
    bad = rejects.frame(log.path, found.rejects)
    tail = log.tail if log.position else log.tail.after(told)
    batch = replace(empty_batch(tail), rejects=_with_location(bad, log))
    position = log.position + found.size
    after = replace(
        _add_counts(log, [batch]),
        position=position,
        line=log.line + found.lines,
        tail=tail,
        **content.position_fields(position),
        **content_matching.digests_after(log, data[: found.size] if found.lines else b""),
    )
    return ChunkResult(after, [batch], bool(content.read(position, 1)))


def _is_unchanged(log: Log, content: LogContent, data: bytes) -> bool:
    """Whether the content, after ``data`` and its marks were read, is what it was before."""
    last = data[-logs.ANCHOR_BYTES :]
    again = content.read(log.position + len(data) - len(last), len(last))
    return again == last and logs.has_log_prefix(log, content.read)


def next_file_batch(log: Log, batches: Iterator[Batch]) -> tuple[Log, Batch] | None:
    """The next batch of a log that is read as a whole; None at its end. Raises InputError."""
    batch = next(batches, None)
    if batch is None:
        return None
    named = replace(batch, rejects=batch.rejects.with_columns(file=pl.lit(path_text(log.path))))
    return replace(_add_counts(log, [named]), position=log.position + 1, tail=batch.tail), named


def _read_batches(
    data: bytes, growing: FollowReader, settings: Settings, tail: ReaderState, log: Log
) -> Iterator[Batch]:
    """The batches of a piece, with the log's name and lines in its rejects."""
    piece = HeldBytes(data, log.path)
    try:
        for batch in containment.read_piece(piece, growing, settings, tail):
            yield replace(batch, rejects=_with_location(batch.rejects, log))
    except InputError as error:
        raise InputError(error.what, where=log.path, hint=error.hint) from None


def chunk_tail(data: bytes, growing: FollowReader, settings: Settings) -> ReaderState:
    """What the beginning of a log tells the pieces after it. Raises InputError."""
    tail = ReaderState()
    for batch in containment.read_piece(HeldBytes(data), growing, settings, ReaderState()):
        tail = batch.tail
    return tail


def _with_location(rejects: pl.DataFrame, log: Log) -> pl.DataFrame:
    if rejects.is_empty():
        return rejects
    return rejects.with_columns(file=pl.lit(path_text(log.path)), line=pl.col("line") + log.line)


def _last_batch(
    growing: FollowReader, settings: Settings, tail: ReaderState, log: Log, line: int, broken: str
) -> Batch:
    last = containment.close_contained(growing, settings, tail)
    last = replace(last, rejects=_with_location(last.rejects, replace(log, line=line)))
    if not broken:
        return last
    why = (path_text(log.path), line + 1, f"file ends early: {broken}")
    cut = pl.DataFrame([why], schema=dict(REJECTS), orient="row")
    return replace(last, rejects=pl.concat([last.rejects, cut]))


def _add_counts(log: Log, batches: list[Batch]) -> Log:
    """``log`` with what the batches hold added up."""
    first, last = log.first, log.last
    unknown, reads, untold = log.unknown, log.reads, log.untold
    for batch in batches:
        events = batch.events
        if events.is_empty():
            continue
        low, high = batch.span
        first = low if first is None else min(first, low)
        last = high if last is None else max(last, high)
        action = pl.col("action").cast(pl.String)
        failed = pl.col("success").eq(other=False).fill_null(value=False)
        read, unsized, other = events.select(
            reads=action.is_in(READ_ACTIONS).sum(),
            unsized=(pl.col("rows").is_null() & action.is_in(READ_ACTIONS) & ~failed).sum(),
            other=(action == "other").sum(),
        ).row(0)
        unknown, reads, untold = unknown + unsized, reads + read, untold + other
    return replace(
        log,
        events=log.events + sum(batch.events.height for batch in batches),
        rejects=log.rejects + sum(batch.rejects.height for batch in batches),
        skipped=log.skipped + sum(batch.skipped for batch in batches),
        unknown=unknown,
        reads=reads,
        untold=untold,
        first=first,
        last=last,
    )
