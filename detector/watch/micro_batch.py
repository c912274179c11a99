"""Takes the next micro-batch from the logs on the shelf: at most so many bytes, oldest first."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import polars as pl

from detector.core.errors import InputError
from detector.core.schema import REJECTS
from detector.ledger.ingest import TAILS
from detector.ledger.manifest import Part
from detector.ledger.overlap import without
from detector.normalize import containment
from detector.normalize.source import KEPT, Batch, Tail, nothing
from detector.readers import compression
from detector.readers.compression import MIB
from detector.watch import chunk_reader
from detector.watch.content_hashing import SLICE, Hashing
from detector.watch.kafka_input import Partition
from detector.watch.log_content import Content, Packed, Plain
from detector.watch.log_position import STREAMS, Log
from detector.watch.log_tracker import Shelf
from detector.watch.open_days import Days, fold, together

#: Bytes of a micro-batch: what a transaction holds, and so what memory does.
MOST: Final = 16 * MIB
#: A log whose first entries lack columns may show them in so many bytes.
PATIENCE: Final = MIB
#: Seconds for which a compressed file that breaks off is waited for.
PAUSED: Final = 60.0
#: Seconds since a file's last change after which another one gives it another time.
TICK: Final = 1.0
_LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Piece:
    """Some of a log: the log as it is then, and what was in it; of a whole file, its ``sums``."""

    log: Log
    batches: list[Batch]
    sums: Days = field(default_factory=dict)
    rejects: tuple[pl.DataFrame, ...] = ()


#: What is said of a log that came through a pipe when its watcher was killed.
CUT_OFF: Final = "the watcher was killed: what it had taken from the pipe and not counted is lost"


#: What is said of a log whose file was gone when the watcher started, with no copy of it.
MISSING: Final = (
    "its file was gone when the watcher started, and none holds the rest of it: what was written "
    "to it since the last stop is lost, if anything was"
)


class _Gone:
    """The content of a file that is gone."""

    broken = ""

    def read(self, offset: int, length: int) -> bytes:  # noqa: ARG002 - the protocol's
        return b""

    def marks(self, position: int) -> dict[str, Any]:  # noqa: ARG002 - the protocol's
        return {}

    def behind(self, position: int) -> int:  # noqa: ARG002 - the protocol's
        return 0

    def close(self) -> None:
        return None


@dataclass(slots=True)
class _Whole:
    """A file read as a whole: all of it counts at once, when it has come to its end."""

    log: Log
    batches: Iterator[Batch]
    identifying: compression.Identifying
    stamp: tuple[int, int]
    sums: Days = field(default_factory=dict)
    rejects: list[pl.DataFrame] = field(default_factory=list)
    known: pl.DataFrame | None = None


@dataclass(slots=True)
class Intake:
    """``parts`` are the ledger's, for what logs before these left open.

    ``behind`` are logs that have more than was taken, None where one of them was not begun.
    ``doubled`` says which hours, accounts and actions of a whole file were counted before.
    """

    shelf: Shelf
    parts: list[Part]
    timezone: str
    doubled: Callable[[Log, Days], pl.DataFrame | None] = lambda *_: None
    most: int = MOST
    behind: list[Log] = field(default_factory=list)
    hashing: Hashing = field(default_factory=Hashing)
    _quiet: dict[int, float] = field(default_factory=dict)
    _whole: dict[int, _Whole] = field(default_factory=dict)
    _begun: set[int] = field(default_factory=set)
    _idle: dict[int, tuple[int, int, int, bool]] = field(default_factory=dict)
    _resumed: bool = False

    def take(self, now: float, *, finish: bool) -> list[Piece]:
        """The next pieces. With ``finish``, what is at its end has ended."""
        self._hash(finish=finish)
        found: list[Piece] = []
        left = self.most
        self.behind = []
        for log in self._order():
            # Of whole files one at a time, so that each is held against those before it.
            late = log.form == "whole" and any(piece.log.form == "whole" for piece in found)
            if late or left <= 0 or not self._may_begin(log, now, finish=finish):
                self.behind.append(log)
                continue
            try:
                piece, more = self._next(log, left, now, finish=finish)
            except InputError as error:
                if log.form == "pipe":
                    raise
                self._unfit(log, error, finish=finish)
                continue
            except chunk_reader.Changed:
                self.shelf.lose(log, now)
                self.behind.append(log)
                continue
            except containment.PASSED:
                raise
            except containment.UNEXPECTED as error:
                what = f"cannot be read: it {containment.reason(error)}"
                self._unfit(log, InputError(what, where=log.path), finish=True)
                continue
            if piece is not None:
                found.append(piece)
                self._begun.add(log.id)
                left -= max(1, piece.log.position - log.position)
                self._quiet[log.id] = now
            after = log if piece is None else piece.log
            if more or (finish and after.form in STREAMS and after.stage == "open"):
                self.behind.append(after)
        return found

    def _hash(self, *, finish: bool) -> None:
        """Goes on with the content of logs that have ended."""
        if not self._resumed:
            self._resumed = True
            for log in self.hashing.resume(self.shelf.logs):
                self.shelf.put(log)
        for log in self.hashing.step(self.shelf.logs, finish=finish):
            self.shelf.put(log)

    @property
    def low(self) -> datetime | None:
        """The time that all that is behind has reached; None where nothing is."""
        return min((log.last or _LONG_AGO for log in self.behind), default=None)

    def _order(self) -> list[Log]:
        """Begun logs by where they are, then the others as they were found."""
        logs = self.shelf.open_logs()
        begun = [log for log in logs if log.position or log.id in self._whole]
        fresh = [log for log in logs if not (log.position or log.id in self._whole)]
        return [*sorted(begun, key=lambda log: (log.last or _LONG_AGO, log.id)), *fresh]

    def _next(self, log: Log, most: int, now: float, *, finish: bool) -> tuple[Piece | None, bool]:
        if log.form == "whole":
            return self._batch(log, finish=finish), log.id in self._whole
        ended = self._has_ended(log, now, finish=finish)
        if not ended and self.shelf.parked.rests(log):
            return None, False
        content = self.shelf.content(log, now) or _Gone()
        seen = (log.position, *_stamp(content), ended)
        if self._idle.get(log.id) == seen:
            return None, False
        if ended and isinstance(content, Packed) and not content.broken:
            content.read(log.position, most + 1)  # it may break off, and go on later
            ended = self._has_ended(log, now, finish=finish)
        taken = chunk_reader.next_piece(
            log, content, self.shelf.source(log), self.shelf.looks.settings, most,
            self._told(log), ended=ended,
        )  # fmt: skip
        if taken is None:
            # Files are stamped by a clock that ticks: what was written just now may not show.
            if isinstance(content, Plain) and abs(self.shelf.wall - seen[2] / 1e9) > TICK:
                self._idle[log.id] = seen
            return None, False
        after = taken.log
        if isinstance(content, Partition) and content.gap is not None and after.stage == "ended":
            return _over_gap(after, taken.batches, content), True
        if after.stage == "ended" and log.form not in STREAMS:
            after = replace(after, unhashed=self.hashing.add(after, content))
        if after.stage == "ended" and log.id in self.shelf.missing:
            after = replace(after, reason=MISSING, lost=1)
        if after.stage == "ended" and log.form == "pipe" and log.id not in self.shelf.contents:
            after = replace(after, reason=CUT_OFF, lost=1)
        return Piece(after, taken.batches), taken.more

    def _batch(self, log: Log, *, finish: bool) -> Piece | None:
        """The next batch of a whole file, which counts for nothing until the last has come."""
        reading = self._whole.get(log.id)
        if reading is None:
            reading = self._whole[log.id] = self._begun_anew(log)
        try:
            step = chunk_reader.next_batch(reading.log, reading.batches)
        except containment.Broken as broken:
            reading = self._whole[log.id] = self._careful(log, broken)
            return None
        except InputError:
            del self._whole[log.id]
            raise
        if step is None:
            found = reading.identifying.step(compression.MAX if finish else SLICE)
            if found is None:
                return None
            if (
                reading.known is None
                and (keys := self.doubled(reading.log, reading.sums)) is not None
            ):
                self._whole[log.id] = self._begun_anew(log, keys)
                return None
            del self._whole[log.id]
            if Packed(Path(log.path)).stamp != reading.stamp:
                return None  # it was written over meanwhile: all of it is read anew
            size, nanoseconds = reading.stamp
            ended = replace(
                reading.log, stage="ended", content=found.sha256, size=size, stamp=nanoseconds
            )
            return Piece(ended, [], reading.sums, tuple(reading.rejects))
        reading.log, batch = self._once(reading, *step)
        reading.sums = together(reading.sums, fold([batch], self.timezone))
        if batch.rejects.height:
            reading.rejects.append(batch.rejects)
        return None

    def _begun_anew(self, log: Log, known: pl.DataFrame | None = None) -> _Whole:
        """The file from its beginning, of which some is ``known``."""
        path, told, source = Path(log.path), self._told(log), self.shelf.source(log)
        stamp = Packed(path).stamp
        batches = containment.batches(source, path, self.shelf.looks.settings, told)
        return _Whole(log, batches, compression.Identifying(path), stamp, known=known)

    def _once(self, reading: _Whole, log: Log, batch: Batch) -> tuple[Log, Batch]:
        """Without what is known."""
        if reading.known is None:
            return log, batch
        kept = without(batch, reading.known)
        less = batch.events.height - kept.events.height
        return replace(log, events=log.events - less, skipped=log.skipped + less), kept

    def _careful(self, log: Log, broken: containment.Broken) -> _Whole:
        """The file anew, read with care."""
        path, told = Path(log.path), self._told(log)
        settings, source = self.shelf.looks.settings, self.shelf.source(log)
        stamp = Packed(path).stamp
        try:
            batches = containment.careful(source, path, settings, told, broken)
        except InputError:
            del self._whole[log.id]
            raise
        known = self._whole[log.id].known
        return _Whole(log, batches, compression.Identifying(path), stamp, known=known)

    def _told(self, log: Log) -> Tail:
        """What earlier logs of the same format left open; the latest word wins."""
        ended = [
            (other.last, str(other.id), other.tail)
            for other in self.shelf.logs.values()
            if other.stage == "ended" and other.source == log.source and other.last is not None
        ]
        parts = [
            (part.last, part.id, part.tail)
            for part in self.parts
            if part.source == log.source and part.last is not None
        ]
        recent = sorted([*ended, *parts], key=lambda each: (each[0], each[1]))[-TAILS:]
        return {
            name: value for _, _, tail in recent for name, value in tail.items() if name not in KEPT
        }

    def _ties(self, log: Log) -> list[Log]:
        """Begun logs whose end says how ``log`` is to be read: its source tells from file to file,
        and they stand in the same folder. A pipe goes on where the one before it broke off.
        """
        if log.form in STREAMS:
            pipe = log.form == "pipe"
            open_logs = self.shelf.open_logs()
            return [each for each in open_logs if pipe and each.form == "pipe" and each.id < log.id]
        folder = Path(log.path).parent
        return [
            other
            for other in self.shelf.open_logs()
            if other.id != log.id
            and other.source == log.source
            and (other.position or other.id in self._begun)
            and Path(other.path).parent == folder
        ]

    def _may_begin(self, log: Log, now: float, *, finish: bool) -> bool:
        """A log begins when those it may continue have ended, or go on all the same."""
        if log.form == "topic" and log.id not in self.shelf.contents:
            return False  # it is not asked for this time
        if log.position or not self._is_tied(log):
            return True
        others = self._ties(log)
        if others and log.form == "pipe":
            return False
        waited = now - self._quiet.setdefault(-log.id, now) > 10 * self.shelf.looks.settle
        return not others or (waited and not finish)

    def _is_tied(self, log: Log) -> bool:
        growing = self.shelf.source(log).growing
        return growing is not None and growing.close is not None

    def _has_ended(self, log: Log, now: float, *, finish: bool) -> bool:
        """Whether nothing more is to come: the file is gone, or another goes on where it was."""
        if log.form in STREAMS:
            stream = self.shelf.streams.begun.get(log.id)
            return stream is None or stream.ended(finish=finish)
        quiet = now - self._quiet.setdefault(log.id, now) >= self.shelf.looks.settle
        if log.form == "packed":
            return finish or not self._is_paused(log, now)
        if finish:
            # What is still being written may be half an entry.
            content = self.shelf.contents.get(log.id)
            if not isinstance(content, Plain):
                return True
            age = self.shelf.wall - content.status.st_mtime
            return age >= self.shelf.looks.settle or age < 0
        if not quiet:
            return False
        if log.renamed or not self.shelf.is_live(log):
            return True
        content = self.shelf.contents.get(log.id)
        if content is not None and content.read(log.position, 1):
            return False  # half an entry: its end is still to come
        return any(
            self._is_tied(other) and not other.position and log in self._ties(other)
            for other in self.shelf.open_logs()
        )

    def _is_paused(self, log: Log, now: float) -> bool:
        """Whether a compressed file that breaks off may yet go on: who writes it may pause."""
        content = self.shelf.contents.get(log.id)
        if not isinstance(content, Packed) or not content.broken or not content.path.exists():
            return False
        quiet = now - self._quiet.setdefault(log.id, now)
        return quiet < max(PAUSED, 10 * self.shelf.looks.settle)

    def _unfit(self, log: Log, error: InputError, *, finish: bool) -> None:
        """A log that cannot be read is left out; one that has but begun may yet show columns."""
        content = self.shelf.contents.get(log.id)
        fresh = log.position == 0 and not finish and self.shelf.is_live(log)
        if fresh and content is not None and len(content.read(0, PATIENCE)) < PATIENCE:
            return
        self.shelf.put(replace(log, stage="left out", reason=error.reason))
        self.shelf.said.append(f"left out {log.path}: {error.reason}")


def _stamp(content: Content) -> tuple[int, int]:
    """By which it is seen that a file was written to."""
    if not isinstance(content, Plain):
        return 0, 0
    status = content.status
    return status.st_size, status.st_mtime_ns


def _over_gap(log: Log, batches: list[Batch], content: Partition) -> Piece:
    """What came before messages that cannot be had any more, and that they are lost."""
    gap = content.gap
    assert gap is not None
    why = (log.path, log.line + 1, gap.words)
    reject = pl.DataFrame([why], schema=dict(REJECTS), orient="row")
    told = replace(log, lost=log.lost + gap.lost, reason=gap.words, rejects=log.rejects + 1)
    batches = [*batches, replace(nothing(log.tail), rejects=reject)]
    if gap.offset is None:
        return Piece(replace(told, stage="left out"), batches)
    content.seek(gap.offset)
    return Piece(replace(told, stage="open", offset=gap.offset, within=0), batches)
