"""Takes the next micro-batch from the logs on the shelf: at most so many bytes, oldest first."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import polars as pl

from detector.core.errors import InputError
from detector.core.schema import REJECTS
from detector.ledger.ingest import MAX_TAIL_PARTS
from detector.ledger.manifest import Part
from detector.ledger.overlap import drop_keys
from detector.normalize import containment
from detector.normalize.reader_state import ReaderState
from detector.normalize.source import Batch, empty_batch
from detector.readers import compression
from detector.readers.compression import MIB
from detector.readers.log_input import LocalFile
from detector.watch import chunk_reader
from detector.watch.content_hashing import BYTES_PER_STEP, HashQueue
from detector.watch.kafka_input import Partition
from detector.watch.log_content import CompressedFile, LogContent, MissingContent, PlainFile
from detector.watch.log_position import STREAMS, Log
from detector.watch.log_tracker import LogTracker
from detector.watch.open_days import TablesByDay, aggregate_batches, merge_days

#: Bytes of a micro-batch: what a transaction holds, and so what memory does.
MAX_BATCH_BYTES: Final = 16 * MIB
#: A log whose first entries lack columns may show them in so many bytes.
HEADER_BYTES: Final = MIB
#: Seconds for which a compressed file that breaks off is waited for.
PAUSE_SECONDS: Final = 60.0
#: Seconds since a file's last change after which another one gives it another time.
CLOCK_TICK: Final = 1.0
_LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some of a log: the log as it is then, and what was in it; of a whole file, its ``sums``."""

    log: Log
    batches: list[Batch]
    sums: TablesByDay = field(default_factory=dict)
    rejects: tuple[pl.DataFrame, ...] = ()


#: What is said of a log that came through a pipe when its watcher was killed.
KILLED_REASON: Final = (
    "the watcher was killed: what it had taken from the pipe and not counted is lost"
)


#: What is said of a log whose file was gone when the watcher started, with no copy of it.
MISSING_REASON: Final = (
    "its file was gone when the watcher started, and none holds the rest of it: what was written "
    "to it since the last stop is lost, if anything was"
)


@dataclass(slots=True)
class _WholeFile:
    """A file read as a whole: all of it counts at once, when it has come to its end."""

    log: Log
    batches: Iterator[Batch]
    hasher: compression.ContentHasher
    stamp: tuple[int, int]
    sums: TablesByDay = field(default_factory=dict)
    rejects: list[pl.DataFrame] = field(default_factory=list)
    known: pl.DataFrame | None = None


@dataclass(slots=True)
class MicroBatchReader:
    """``parts`` are the ledger's, for what logs before these left open.

    ``behind`` are logs that have more than was taken, None where one of them was not begun.
    ``doubled`` says which hours, accounts and actions of a whole file were counted before.
    """

    tracker: LogTracker
    parts: list[Part]
    timezone: str
    doubled: Callable[[Log, TablesByDay], pl.DataFrame | None] = lambda *_: None
    max_bytes: int = MAX_BATCH_BYTES
    backlog: list[Log] = field(default_factory=list)
    hash_queue: HashQueue = field(default_factory=HashQueue)
    _last_data: dict[int, float] = field(default_factory=dict)
    _whole_files: dict[int, _WholeFile] = field(default_factory=dict)
    _begun_ids: set[int] = field(default_factory=set)
    _idle_stamps: dict[int, tuple[int, int, int, bool]] = field(default_factory=dict)
    _has_resumed: bool = False

    def next_chunks(self, now: float, *, finish: bool) -> list[Chunk]:
        """The next pieces. With ``finish``, what is at its end has ended."""
        self._hash_contents(finish=finish)
        found: list[Chunk] = []
        left = self.max_bytes
        self.backlog = []
        for log in self._read_order():
            # Of whole files one at a time, so that each is held against those before it.
            late = log.form == "whole" and any(piece.log.form == "whole" for piece in found)
            if late or left <= 0 or not self._can_begin(log, now, finish=finish):
                self.backlog.append(log)
                continue
            try:
                piece, more = self._next_chunk(log, left, now, finish=finish)
            except InputError as error:
                if log.form == "pipe":
                    raise
                self._leave_out(log, error, finish=finish)
                continue
            except chunk_reader.FileChanged:
                self.tracker.mark_lost(log, now)
                self.backlog.append(log)
                continue
            except containment.PROPAGATED_ERRORS:
                raise
            except containment.CONTAINED_ERRORS as error:
                what = f"cannot be read: it {containment.failure_reason(error)}"
                self._leave_out(log, InputError(what, where=log.path), finish=True)
                continue
            if piece is not None:
                found.append(piece)
                self._begun_ids.add(log.id)
                left -= max(1, piece.log.position - log.position)
                self._last_data[log.id] = now
            after = log if piece is None else piece.log
            if more or (finish and after.form in STREAMS and after.stage == "open"):
                self.backlog.append(after)
        return found

    def _hash_contents(self, *, finish: bool) -> None:
        """Goes on with the content of logs that have ended."""
        if not self._has_resumed:
            self._has_resumed = True
            for log in self.hash_queue.resume(self.tracker.logs):
                self.tracker.update_log(log)
        for log in self.hash_queue.step(self.tracker.logs, finish=finish):
            self.tracker.update_log(log)

    @property
    def low_watermark(self) -> datetime | None:
        """The time that all that is behind has reached; None where nothing is."""
        return min((log.last or _LONG_AGO for log in self.backlog), default=None)

    def _read_order(self) -> list[Log]:
        """Begun logs by where they are, then the others as they were found."""
        logs = self.tracker.open_logs()
        begun = [log for log in logs if log.position or log.id in self._whole_files]
        fresh = [log for log in logs if not (log.position or log.id in self._whole_files)]
        return [*sorted(begun, key=lambda log: (log.last or _LONG_AGO, log.id)), *fresh]

    def _next_chunk(
        self, log: Log, most: int, now: float, *, finish: bool
    ) -> tuple[Chunk | None, bool]:
        if log.form == "whole":
            return self._next_file_batch(log, finish=finish), log.id in self._whole_files
        ended = self._has_ended(log, now, finish=finish)
        if not ended and self.tracker.contents.is_idle(log):
            return None, False
        content = self.tracker.content(log, now) or MissingContent()
        seen = (log.position, *_file_stamp(content), ended)
        if self._idle_stamps.get(log.id) == seen:
            return None, False
        if ended and isinstance(content, CompressedFile) and not content.end_reason:
            content.read(log.position, most + 1)  # it may break off, and go on later
            ended = self._has_ended(log, now, finish=finish)
        taken = chunk_reader.read_chunk(
            log, content, self.tracker.source_for(log), self.tracker.search.settings, most,
            self._earlier_tail(log), ended=ended,
        )  # fmt: skip
        if taken is None:
            # Files are stamped by a clock that ticks: what was written just now may not show.
            if (
                isinstance(content, PlainFile)
                and abs(self.tracker.times.wall - seen[2] / 1e9) > CLOCK_TICK
            ):
                self._idle_stamps[log.id] = seen
            return None, False
        after = taken.log
        if isinstance(content, Partition) and content.gap is not None and after.stage == "ended":
            return _skip_gap(after, taken.batches, content), True
        if after.stage == "ended" and log.form not in STREAMS:
            after = replace(after, unhashed=self.hash_queue.add(after, content))
        if after.stage == "ended" and log.id in self.tracker.missing_logs:
            after = replace(after, reason=MISSING_REASON, lost=1)
        if after.stage == "ended" and log.form == "pipe" and log.id not in self.tracker.contents:
            after = replace(after, reason=KILLED_REASON, lost=1)
        return Chunk(after, taken.batches), taken.has_more

    def _next_file_batch(self, log: Log, *, finish: bool) -> Chunk | None:
        """The next batch of a whole file, which counts for nothing until the last has come."""
        reading = self._whole_files.get(log.id)
        if reading is None:
            reading = self._whole_files[log.id] = self._begun_anew(log)
        try:
            step = chunk_reader.next_file_batch(reading.log, reading.batches)
        except containment.SourceFailure as broken:
            reading = self._whole_files[log.id] = self._reread_carefully(log, broken)
            return None
        except InputError:
            del self._whole_files[log.id]
            raise
        if step is None:
            found = reading.hasher.step(compression.NO_LIMIT if finish else BYTES_PER_STEP)
            if found is None:
                return None
            if (
                reading.known is None
                and (keys := self.doubled(reading.log, reading.sums)) is not None
            ):
                self._whole_files[log.id] = self._begun_anew(log, keys)
                return None
            del self._whole_files[log.id]
            if CompressedFile(Path(log.path)).stamp != reading.stamp:
                return None  # it was written over meanwhile: all of it is read anew
            size, nanoseconds = reading.stamp
            ended = replace(
                reading.log, stage="ended", content=found.sha256, size=size, stamp=nanoseconds
            )
            return Chunk(ended, [], reading.sums, tuple(reading.rejects))
        reading.log, batch = self._once(reading, *step)
        reading.sums = merge_days(reading.sums, aggregate_batches([batch], self.timezone))
        if batch.rejects.height:
            reading.rejects.append(batch.rejects)
        return None

    def _begun_anew(self, log: Log, known: pl.DataFrame | None = None) -> _WholeFile:
        """The file from its beginning, of which some is ``known``."""
        path, told, source = Path(log.path), self._earlier_tail(log), self.tracker.source_for(log)
        stamp = CompressedFile(path).stamp
        batches = containment.read_batches(
            source, LocalFile(path), self.tracker.search.settings, told
        )
        return _WholeFile(
            log, batches, compression.ContentHasher(LocalFile(path)), stamp, known=known
        )

    def _once(self, reading: _WholeFile, log: Log, batch: Batch) -> tuple[Log, Batch]:
        """Without what is known."""
        if reading.known is None:
            return log, batch
        kept = drop_keys(batch, reading.known)
        less = batch.events.height - kept.events.height
        return replace(log, events=log.events - less, skipped=log.skipped + less), kept

    def _reread_carefully(self, log: Log, broken: containment.SourceFailure) -> _WholeFile:
        """The file anew, read with care."""
        path, told = Path(log.path), self._earlier_tail(log)
        settings, source = self.tracker.search.settings, self.tracker.source_for(log)
        stamp = CompressedFile(path).stamp
        try:
            batches = containment.read_piecewise(source, LocalFile(path), settings, told, broken)
        except InputError:
            del self._whole_files[log.id]
            raise
        known = self._whole_files[log.id].known
        return _WholeFile(
            log, batches, compression.ContentHasher(LocalFile(path)), stamp, known=known
        )

    def _earlier_tail(self, log: Log) -> ReaderState:
        """What earlier logs of the same format left open; the latest word wins."""
        ended = [
            (other.last, str(other.id), other.tail.sessions)
            for other in self.tracker.logs.values()
            if other.stage == "ended" and other.source == log.source and other.last is not None
        ]
        parts = [
            (part.last, part.id, part.tail)
            for part in self.parts
            if part.source == log.source and part.last is not None
        ]
        recent = sorted([*ended, *parts], key=lambda each: (each[0], each[1]))[-MAX_TAIL_PARTS:]
        return ReaderState({name: value for _, _, left in recent for name, value in left.items()})

    def _predecessors(self, log: Log) -> list[Log]:
        """Begun logs whose end says how ``log`` is to be read: its source tells from file to file,
        and they stand in the same folder. A pipe goes on where the one before it broke off.
        """
        if log.form in STREAMS:
            pipe = log.form == "pipe"
            open_logs = self.tracker.open_logs()
            return [each for each in open_logs if pipe and each.form == "pipe" and each.id < log.id]
        folder = Path(log.path).parent
        return [
            other
            for other in self.tracker.open_logs()
            if other.id != log.id
            and other.source == log.source
            and (other.position or other.id in self._begun_ids)
            and Path(other.path).parent == folder
        ]

    def _can_begin(self, log: Log, now: float, *, finish: bool) -> bool:
        """A log begins when those it may continue have ended, or go on all the same."""
        if log.form == "topic" and log.id not in self.tracker.contents:
            return False  # it is not asked for this time
        if log.position or not self._has_predecessor(log):
            return True
        others = self._predecessors(log)
        if others and log.form == "pipe":
            return False
        patience = 10 * self.tracker.search.settle_seconds
        waited = now - self._last_data.setdefault(-log.id, now) > patience
        return not others or (waited and not finish)

    def _has_predecessor(self, log: Log) -> bool:
        growing = self.tracker.source_for(log).follow_reader
        return growing is not None and growing.close is not None

    def _has_ended(self, log: Log, now: float, *, finish: bool) -> bool:
        """Whether nothing more is to come: the file is gone, or another goes on where it was."""
        if log.form in STREAMS:
            stream = self.tracker.streams.by_log_id.get(log.id)
            return stream is None or stream.has_ended(finish=finish)
        quiet = now - self._last_data.setdefault(log.id, now) >= self.tracker.search.settle_seconds
        if log.form == "packed":
            return finish or not self._is_paused(log, now)
        if finish:
            # What is still being written may be half an entry.
            content = self.tracker.contents.get(log.id)
            if not isinstance(content, PlainFile):
                return True
            age = self.tracker.times.wall - content.status.st_mtime
            return age >= self.tracker.search.settle_seconds or age < 0
        if not quiet:
            return False
        if log.renamed or not self.tracker.contents.is_live(log):
            return True
        content = self.tracker.contents.get(log.id)
        if content is not None and content.read(log.position, 1):
            return False  # half an entry: its end is still to come
        return any(
            self._has_predecessor(other) and not other.position and log in self._predecessors(other)
            for other in self.tracker.open_logs()
        )

    def _is_paused(self, log: Log, now: float) -> bool:
        """Whether a compressed file that breaks off may yet go on: who writes it may pause."""
        content = self.tracker.contents.get(log.id)
        if (
            not isinstance(content, CompressedFile)
            or not content.end_reason
            or not content.path.exists()
        ):
            return False
        quiet = now - self._last_data.setdefault(log.id, now)
        return quiet < max(PAUSE_SECONDS, 10 * self.tracker.search.settle_seconds)

    def _leave_out(self, log: Log, error: InputError, *, finish: bool) -> None:
        """A log that cannot be read is left out; one that has but begun may yet show columns."""
        content = self.tracker.contents.get(log.id)
        fresh = log.position == 0 and not finish and self.tracker.contents.is_live(log)
        if fresh and content is not None and len(content.read(0, HEADER_BYTES)) < HEADER_BYTES:
            return
        self.tracker.update_log(replace(log, stage="left out", reason=error.reason))
        self.tracker.notices.append(f"left out {log.path}: {error.reason}")


def _file_stamp(content: LogContent) -> tuple[int, int]:
    """By which it is seen that a file was written to."""
    if not isinstance(content, PlainFile):
        return 0, 0
    status = content.status
    return status.st_size, status.st_mtime_ns


def _skip_gap(log: Log, batches: list[Batch], content: Partition) -> Chunk:
    """What came before messages that cannot be had any more, and that they are lost."""
    gap = content.gap
    assert gap is not None
    why = (log.path, log.line + 1, gap.reason)
    reject = pl.DataFrame([why], schema=dict(REJECTS), orient="row")
    told = replace(log, lost=log.lost + gap.lost, reason=gap.reason, rejects=log.rejects + 1)
    batches = [*batches, replace(empty_batch(log.tail), rejects=reject)]
    if gap.offset is None:
        return Chunk(replace(told, stage="left out"), batches)
    content.seek(gap.offset)
    return Chunk(replace(told, stage="open", offset=gap.offset, within=0), batches)
