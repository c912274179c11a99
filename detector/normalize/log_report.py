"""What a log is like, before anyone trains on it: pure sums over its batches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

import polars as pl

from detector.core.errors import InputError
from detector.core.formatting import percentage
from detector.core.schema import READ_ACTIONS
from detector.core.settings import Settings
from detector.normalize import containment, notes, pseudonymize, shared_accounts
from detector.normalize.reader_state import ReaderState
from detector.normalize.source import Batch, Source
from detector.privacy import pseudonyms
from detector.readers.log_input import LogInput

#: Above these shares, a person is told.
MAX_UNKNOWN_SHARE = 0.2
SHARED_ACCOUNT_SHARE = 0.5
MAX_REJECT_SHARE = 0.01


@dataclass(frozen=True, slots=True)
class FileSummary:
    """One file: how it was read and what it gave."""

    file: str
    source: str
    mapping: dict[str, str]
    events: int
    rejects: int
    skipped: int


@dataclass(frozen=True, slots=True)
class LogReport:
    """All files together. ``top`` is (account, statements, rows) of the ten that read most;
    ``rejects`` is reason to (count, an example file:line); ``unused`` are files left out.
    ``active_accounts`` has, by hour of UTC, how many accounts were active.
    """

    files: list[FileSummary]
    unused: list[tuple[str, str]]
    events: int
    reads: int
    unknown_rows: int
    first: datetime | None
    last: datetime | None
    accounts: int
    top_accounts: list[tuple[str, int, int]]
    actions: dict[str, int]
    rejects: dict[str, tuple[int, str]]
    skipped: int
    active_accounts: dict[datetime, int] = field(default_factory=dict)
    notes: Mapping[str, int] = field(default_factory=dict)

    @property
    def unknown_share(self) -> float:
        """The share of the ``reads`` (which succeeded) whose row count the log does not give."""
        return self.unknown_rows / self.reads if self.reads else 0.0

    def warnings(self) -> list[str]:
        """What makes this log a poor one to learn from."""
        said = [f"{file} is not used: {reason}" for file, reason in self.unused]
        rejected = sum(count for count, _ in self.rejects.values())
        if not self.events:
            said.append("no event could be read: there is nothing to learn from")
            return said
        if not self.reads:
            said.append(
                "no successful read is in the log, so no theft can be seen in it: it may not "
                "record them (PostgreSQL needs pgaudit for that)"
            )
        elif self.unknown_rows == self.reads:
            said.append(
                "the log has no row counts: how much was read is unknown, not 0, and can only be "
                "guessed from the number of statements"
            )
        elif self.unknown_share > MAX_UNKNOWN_SHARE:
            said.append(f"{percentage(self.unknown_share)} of reading statements have no row count")
        if rejected > MAX_REJECT_SHARE * (self.events + rejected):
            part = percentage(rejected / (self.events + rejected))
            said.append(f"{part} of records were rejected, see the reasons")
        most = max(self.top_accounts, key=lambda row: row[1], default=None)
        said += notes.sentences(self.notes)
        if self.accounts == 1 or (most and most[1] > SHARED_ACCOUNT_SHARE * self.events):
            name = most[0] if most else ""
            said.append(
                f"account {name!r} makes most of the statements: people who share it, such as "
                "through a connection pool, cannot be told apart; say in [identity] where the "
                "application names the person, see docs/identity.md"
            )
        return said


@dataclass(slots=True)
class _Sums:
    """What is accumulated: bounded by the number of accounts, hours, actions and reasons."""

    events: int = 0
    reads: int = 0
    unknown_rows: int = 0
    first: datetime | None = None
    last: datetime | None = None
    accounts: pl.DataFrame = field(
        default_factory=lambda: pl.DataFrame(
            schema={"account": pl.String, "statements": pl.Int64, "rows": pl.Int64}
        )
    )
    actions: Counter[str] = field(default_factory=Counter)
    rejects: dict[str, tuple[int, str]] = field(default_factory=dict)
    skipped: int = 0
    tails: dict[str, ReaderState] = field(default_factory=dict)
    active_accounts: Counter[datetime] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)

    def add(self, batch: Batch) -> None:
        events = batch.events
        self.events += len(events)
        self.skipped += batch.skipped
        self.notes.update(batch.notes)
        self._add_rejects(batch.rejects)
        if not len(events):
            return
        reading = pl.col("action").cast(pl.String).is_in(READ_ACTIONS)
        reads = events.filter(reading & pl.col("success").fill_null(value=True))
        self.reads += len(reads)
        self.unknown_rows += reads["rows"].null_count()
        low, high = events["timestamp"].min(), events["timestamp"].max()
        assert isinstance(low, datetime)
        assert isinstance(high, datetime)
        self.first = low if self.first is None else min(self.first, low)
        self.last = high if self.last is None else max(self.last, high)
        by_action = events.group_by("action").len()
        for action, count in by_action.iter_rows():
            self.actions[action] += count
        new = events.group_by("account").agg(
            statements=pl.len().cast(pl.Int64), rows=pl.col("rows").sum()
        )
        new = new.with_columns(pl.col("account").cast(pl.String))
        self.accounts = pl.concat([self.accounts, new]).group_by("account").sum()
        hours = events.group_by(pl.col("timestamp").dt.truncate("1h")).agg(
            pl.col("account").n_unique()
        )
        # Who is active in two batches of one hour counts twice: little beside a whole day.
        self.active_accounts.update(dict(hours.iter_rows()))

    def _add_rejects(self, rejects: pl.DataFrame) -> None:
        grouped = rejects.group_by("reason").agg(
            pl.len(), pl.col("file").first(), pl.col("line").first()
        )
        for reason, count, file, line in grouped.sort("reason").iter_rows():
            before, example = self.rejects.get(reason, (0, f"{file}:{line}"))
            self.rejects[reason] = (before + count, example)


def build_report(
    files: Sequence[tuple[LogInput, Source]],
    settings: Settings,
    advance: Callable[[int], object] = lambda _: None,
    unused: Sequence[tuple[str, str]] = (),
) -> LogReport:
    """Reads all of ``files``, batch by batch. ``advance`` is told the bytes done so far.

    A file that turns out to be unusable joins ``unused``, whatever was read of it left out.
    Raises InputError where none can be used.
    """
    found = pseudonyms.load_if_enabled(settings)
    sums = _Sums()
    seen: list[FileSummary] = []
    left_out = list(unused)
    first: InputError | None = None
    done = 0
    for log, source in files:
        size = log.size()
        try:
            told = partial(_advance_from, advance, done)
            behind = pseudonymize.wrap_source(shared_accounts.wrap_source(source, settings), found)
            tail = sums.tails.get(source.name, ReaderState())
            add = partial(_add_batches, sums, source.name, told)
            trial, rejected = containment.read_contained(behind, log, settings, tail, add)
            one = _file_summary(log, behind, settings, sums, trial, rejected)
        except InputError as error:
            first = first or error
            left_out.append((log.name, error.reason))
        else:
            sums = trial
            seen.append(one)
        done += size
    if first is not None and not seen:
        raise first
    return _total_report(sums, seen, left_out)


def _add_batches(
    before: _Sums, source: str, advance: Callable[[int], object], batches: Iterator[Batch]
) -> tuple[_Sums, int]:
    """The sums with the batches of one file, and how many rejects those have."""
    sums, rejected = deepcopy(before), 0
    for batch in batches:
        sums.add(batch)
        rejected += len(batch.rejects)
        sums.tails[source] = batch.tail
        advance(batch.bytes_read)
    return sums, rejected


def _file_summary(
    log: LogInput, source: Source, settings: Settings, before: _Sums, after: _Sums, rejected: int
) -> FileSummary:
    """What one file added. Raises InputError."""
    return FileSummary(
        log.name,
        source.name,
        source.mapping(log, settings),
        after.events - before.events,
        rejected,
        after.skipped - before.skipped,
    )


def _advance_from(advance: Callable[[int], object], before: int, done: int) -> None:
    advance(before + done)


def _total_report(
    sums: _Sums, seen: list[FileSummary], unused: Sequence[tuple[str, str]]
) -> LogReport:
    ordered = sums.accounts.sort(["rows", "statements", "account"], descending=[True, True, False])
    busiest = sums.accounts.sort(["statements", "account"], descending=[True, False]).head(1)
    top = pl.concat([ordered.head(10), busiest]).unique(maintain_order=True)
    return LogReport(
        files=seen,
        unused=list(unused),
        events=sums.events,
        reads=sums.reads,
        unknown_rows=sums.unknown_rows,
        first=sums.first,
        last=sums.last,
        accounts=len(sums.accounts),
        top_accounts=list(top.iter_rows()),
        actions=_sort_counts(sums.actions),
        rejects=dict(sorted(sums.rejects.items(), key=lambda item: (-item[1][0], item[0]))),
        skipped=sums.skipped,
        active_accounts=dict(sums.active_accounts),
        notes=dict(sums.notes),
    )


def _sort_counts(counts: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
