"""No value of a log ends a run: what raises is cut down to its entry, which becomes a reject.

Sources are written for what logs hold. A thief writes what they do not hold: a year 0, a number of
two points, JSON of a million brackets. Where reading raises, the part at fault is halved until the
entry stands alone; that costs nothing where nothing raises.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final, TypeVar

import polars as pl

from detector.core.errors import DetectorError, InputError
from detector.core.schema import REJECTS
from detector.core.settings import Settings
from detector.normalize import rejects
from detector.normalize.reader_state import ReaderState
from detector.normalize.source import Batch, FollowReader, Source, empty_batch
from detector.readers import blocks, compression
from detector.readers.compression import MIB
from detector.readers.log_input import HeldBytes, LogInput

#: What parsing can raise; a panic of polars is no Exception.
CONTAINED_ERRORS: Final = (Exception, pl.exceptions.PanicException)
#: What says something else than that a value is bad: it is not contained.
PROPAGATED_ERRORS: Final = (DetectorError, OSError, MemoryError)
#: Bytes of a log that are read with care at once.
_PIECE_BYTES: Final = 8 * MIB
#: An entry longer than this is no entry: what is there is read as if the file ended.
_MAX_ENTRY_BYTES: Final = 64 * MIB
#: Parts that are read to find the entries at fault in one piece of a log. One made of nothing else
#: would take hours: of what is left then, every entry is a reject.
_MAX_TRIES: Final = 2_000
#: Bytes in which entries are counted at once.
_COUNT_BYTES: Final = 1 << 16
_TOO_MANY_REASON: Final = "stands among too many entries that cannot be read"

Result = TypeVar("Result")


class SourceFailure(Exception):  # noqa: N818 - the name is what happened
    """Reading a file raised what no source may raise. Its cause is that."""


def failure_reason(error: BaseException) -> str:
    """Why an entry is a reject: one reason for each kind of error, quoting nothing."""
    return f"holds a value that cannot be read ({type(error).__name__})"


def read_batches(
    source: Source, log: LogInput, settings: Settings, tail: ReaderState
) -> Iterator[Batch]:
    """``source.read``. Raises Broken where that raises what it may not, and InputError."""
    try:
        yield from source.read(log, settings, tail)
    except PROPAGATED_ERRORS:
        raise
    except CONTAINED_ERRORS as error:
        raise SourceFailure(failure_reason(error)) from error


def read_contained(
    source: Source,
    log: LogInput,
    settings: Settings,
    tail: ReaderState,
    take: Callable[[Iterator[Batch]], Result],
) -> Result:
    """What ``take`` makes of the batches of a file: where reading raises, of the same file anew,
    read with care. ``take`` begins from nothing each time. Raises InputError.
    """
    try:
        return take(read_batches(source, log, settings, tail))
    except SourceFailure as broken:
        return take(read_piecewise(source, log, settings, tail, broken))


def read_piecewise(
    source: Source, log: LogInput, settings: Settings, tail: ReaderState, broken: SourceFailure
) -> Iterator[Batch]:
    """The file piece by piece, as it is read while it grows, entries that raise as rejects.

    Raises InputError where its format cannot be read in pieces.
    """
    if not source.can_follow(compression.head(log)):
        what = f"cannot be read: it {broken}"
        raise InputError(
            what, where=log.name, hint="export it with an entry a line, and report this"
        )
    assert source.follow_reader is not None
    return _PiecewiseReader(source.follow_reader, settings, log).batches(tail)


def close_contained(growing: FollowReader, settings: Settings, tail: ReaderState) -> Batch:
    """``Growing.close``; where that raises, what was held back is a reject."""
    if growing.close is None:
        return empty_batch(tail)
    try:
        return growing.close(settings, tail)
    except PROPAGATED_ERRORS:
        raise
    except CONTAINED_ERRORS as error:
        lost = pl.DataFrame([("", 0, failure_reason(error))], schema=dict(REJECTS), orient="row")
        return replace(empty_batch(), rejects=lost)


def read_piece(
    piece: HeldBytes, growing: FollowReader, settings: Settings, tail: ReaderState
) -> list[Batch]:
    """The batches of whole entries; those that raise are rejects, whose lines count from 1.

    Raises InputError where nothing in it can be read.
    """
    try:
        return list(growing.read(piece, settings, tail))
    except PROPAGATED_ERRORS:
        raise
    except CONTAINED_ERRORS as error:
        return _Bisection(growing, settings, piece.name).bisect(piece.data, tail, 0, error)


def map_rows(
    height: int, take: Callable[[int, int], Result], lost: Callable[[int, str], None]
) -> list[Result]:
    """What ``take(first, count)`` makes of rows: of all at once, or where that raises of halves.

    ``lost`` is told of each row that raises by itself, and why; of rows among too many of those,
    too.
    """
    found: list[Result] = []
    waiting = [(0, height)]
    tries = 0
    while waiting:
        first, count = waiting.pop()
        tries += 1
        try:
            found.append(take(first, count))
        except PROPAGATED_ERRORS:
            raise
        except CONTAINED_ERRORS as error:
            half = count // 2
            if half and tries < _MAX_TRIES:
                waiting += [(first + half, count - half), (first, half)]
            else:
                why = failure_reason(error) if count == 1 else _TOO_MANY_REASON
                for row in range(first, first + count):
                    lost(row, why)
    return found


@dataclass(slots=True)
class _Bisection:
    """Finds the entries at fault in one piece of a log."""

    growing: FollowReader
    settings: Settings
    name: str
    tries: int = 0

    def bisect(
        self, data: bytes, tail: ReaderState, line: int, error: BaseException
    ) -> list[Batch]:
        """The batches of ``data``, which raised ``error`` and has ``line`` lines before it."""
        middle = self._middle_cut(data)
        if not middle:
            return [self._reject(line, failure_reason(error), tail)]
        if self.tries >= _MAX_TRIES:
            return [self._reject_all(data, line, tail)]
        first = self._read_part(data[:middle], tail, line)
        left = first[-1].tail if first else tail
        line += blocks.count_byte(data[:middle], b"\n")
        return first + self._read_part(data[middle:], left, line)

    def _read_part(self, data: bytes, tail: ReaderState, line: int) -> list[Batch]:
        self.tries += 1
        try:
            found = list(self.growing.read(HeldBytes(data, self.name), self.settings, tail))
        except (OSError, MemoryError):
            raise
        except InputError as error:
            # By itself, an entry at fault may lack what makes the log one of this format.
            if self._middle_cut(data):
                return self.bisect(data, tail, line, error)
            return [self._reject(line, error.what, tail)]
        except CONTAINED_ERRORS as error:
            return self.bisect(data, tail, line, error)
        return [shift_lines(batch, line) for batch in found]

    def _middle_cut(self, data: bytes) -> int:
        """Where entries can be parted, about in the middle; 0 where there is but one."""
        place = len(data) // 2
        while place < len(data) - 1:
            end = self.growing.cut(data[:place])
            if end:
                return end
            place += max(1, (len(data) - place) // 2)
        end = self.growing.cut(data[:-1])
        return end if end < len(data) else 0

    def _reject_all(self, data: bytes, line: int, tail: ReaderState) -> Batch:
        """Every entry a reject, told apart some at a time, from behind."""
        end, starts = len(data), []
        while end > 0:
            begin = max(0, end - _COUNT_BYTES)
            cut = self.growing.cut(data[begin : end - 1])
            if not cut and begin:
                cut = self.growing.cut(data[: end - 1]) - begin
            end = begin + cut if begin + cut < end else 0
            starts.append(end)
        bad: list[tuple[int | None, str]] = []
        before = 0
        for start in reversed(starts):
            line += blocks.count_byte(data[before:start], b"\n")
            before = start
            bad.append((line + 1, _TOO_MANY_REASON))
        return replace(empty_batch(tail), rejects=rejects.frame(self.name, bad))

    def _reject(self, before: int, why: str, tail: ReaderState) -> Batch:
        return _reject_batch(self.name, before + 1, why, tail)


def _reject_batch(name: str, line: int, why: str, tail: ReaderState) -> Batch:
    return replace(empty_batch(tail), rejects=rejects.frame(name, [(line, why)]))


def shift_lines(batch: Batch, line: int) -> Batch:
    """A batch of a part that has ``line`` lines of its piece before it."""
    if not line or batch.rejects.is_empty():
        return batch
    return replace(batch, rejects=batch.rejects.with_columns(pl.col("line") + line))


@dataclass(frozen=True, slots=True)
class _PiecewiseReader:
    growing: FollowReader
    settings: Settings
    log: LogInput

    def batches(self, tail: ReaderState) -> Iterator[Batch]:
        """All of the file's, with what is open at its end."""
        held, line, raw, broken, first = b"", 0, 0, "", True
        chunks = compression.chunks(self.log, _PIECE_BYTES)
        while True:
            try:
                data, raw = next(chunks, (b"", raw))
            except compression.TruncatedError as error:
                data, broken = b"", error.reason
            if first and data:
                data, first = blocks.strip_bom(data, self.log.name), False
            last = not data
            held += data
            end = self.growing.cut(held)
            if (last and not broken) or (not end and len(held) > _MAX_ENTRY_BYTES):
                end = len(held)
            if end:
                piece = HeldBytes(held[:end], self.log.name)
                for batch in read_piece(piece, self.growing, self.settings, tail):
                    tail = batch.tail
                    yield self._with_file(
                        replace(shift_lines(batch, line), bytes_read=raw, tail=ReaderState())
                    )
                line += blocks.count_byte(held[:end], b"\n")
                held = held[end:]
            if last:
                break
        closing = self._with_file(
            shift_lines(close_contained(self.growing, self.settings, tail), line)
        )
        kept = closing.tail.for_next_file()
        yield replace(closing, bytes_read=raw, tail=kept)
        if broken:
            cut = _reject_batch(self.log.name, line + 1, f"file ends early: {broken}", kept)
            yield self._with_file(replace(cut, bytes_read=raw))

    def _with_file(self, batch: Batch) -> Batch:
        if batch.rejects.is_empty():
            return batch
        return replace(batch, rejects=batch.rejects.with_columns(file=pl.lit(self.log.name)))
