"""Statements of a new log that were counted before, in another one: they count once, and are told.

As ``ledger.overlap`` does where ``score`` takes a dump in. A watcher reads in pieces: of hours that
it reads in several it says what it cannot tell.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Final

import polars as pl

from detector.core.formatting import percentage, quantity
from detector.ledger.aggregate import HOUR_KEYS, merge_hourly_sums
from detector.ledger.manifest import Part
from detector.ledger.overlap import (
    MIN_ACCOUNTS,
    MIN_SUMS,
    Overlap,
    compare_hours,
    drop_keys,
    is_within,
    spans_meet,
)
from detector.normalize.source import Batch
from detector.watch.log_conditions import Condition
from detector.watch.log_position import Log
from detector.watch.micro_batch import Chunk
from detector.watch.open_days import LedgerView, TablesByDay, aggregate_batches, merge_days

#: Accounts that are looked at first: most logs have nothing in common.
SAMPLE_ACCOUNTS: Final = 64
#: Bytes of a piece from which it is looked at though it does not begin a log.
MIN_CHECKED_BYTES: Final = 1 << 16
#: Sums of hours that are not whole in a piece, and the share of them that others may hold, from
#: which it is told that nobody can tell.
MIN_UNCLEAR_SUMS: Final = 50
MIN_UNCLEAR_SHARE: Final = 0.95


@dataclass(slots=True)
class DuplicateFilter:
    """``parts`` are the ledger's, ``logs`` all that are followed, ``ledger_view`` has what was
    counted. ``conditions`` say what was found of each log.
    """

    parts: Collection[Part]
    logs: Mapping[int, Log]
    ledger_view: Callable[[], LedgerView]
    conditions: dict[int, Condition] = field(default_factory=dict)
    _dropped_counts: dict[int, int] = field(default_factory=dict)

    def drop_counted(self, pieces: Sequence[Chunk]) -> tuple[list[Chunk], TablesByDay]:
        """The pieces without what was counted before, and their sums."""
        zone = self.ledger_view().ledger.timezone
        kept: list[Chunk] = []
        days: TablesByDay = {}
        plain: list[Batch] = []
        for piece in pieces:
            days = merge_days(days, piece.sums)
            # So few are alike by chance.
            many = sum(batch.events.height for batch in piece.batches) >= MIN_SUMS
            if many and self._needs_check(piece.log, [each.log for each in kept]):
                days, plain = merge_days(days, aggregate_batches(plain, zone)), []
                keys = self._find_keys(piece.log, aggregate_batches(piece.batches, zone), days)
                kept.append(piece if keys is None else self._drop_keys(piece, keys))
            else:
                kept.append(piece)
            plain += kept[-1].batches
        return kept, merge_days(days, aggregate_batches(plain, zone))

    def counted_keys(self, log: Log, mine: TablesByDay) -> pl.DataFrame | None:
        """The hours, accounts and actions of a whole file that were counted before."""
        keys = self._find_keys(log, mine, {})
        if keys is not None:
            own = pl.concat(tables[0] for tables in mine.values())
            number = own.join(keys, on=list(HOUR_KEYS), how="semi")["statements"].sum()
            self._record_dropped(log, int(number))
        return keys

    def _drop_keys(self, piece: Chunk, keys: pl.DataFrame) -> Chunk:
        """Without the events of some hours, accounts and actions."""
        batches = [drop_keys(batch, keys) for batch in piece.batches]
        pairs = zip(piece.batches, batches, strict=True)
        less = sum(one.events.height - other.events.height for one, other in pairs)
        self._record_dropped(piece.log, less)
        log = piece.log
        fewer = replace(log, events=log.events - less, skipped=log.skipped + less)
        return replace(piece, log=fewer, batches=batches)

    def _needs_check(self, log: Log, fresh: Sequence[Log]) -> bool:
        """Whether what was read of a log just now is to be looked at. ``fresh`` are others that
        were read just now.
        """
        before = self.logs.get(log.id)
        begun = before.position if before is not None else 0
        if (
            begun
            and log.position - begun < MIN_CHECKED_BYTES
            and log.id not in self._dropped_counts
        ):
            return False
        first, last = (before and before.last) or log.first, log.last
        if first is None or last is None:
            return False
        # Most meet the first of them: none is made a list of.
        others = (each for each in chain(self.logs.values(), fresh) if each.id != log.id)
        of_logs = ((each.first, each.last) for each in others)
        of_parts = ((part.first, part.last) for part in self.parts)
        return any(spans_meet((first, last), span) for span in chain(of_logs, of_parts))

    def _find_keys(self, log: Log, mine: TablesByDay, fresh: TablesByDay) -> pl.DataFrame | None:
        """The hours, accounts and actions of ``mine`` that were counted before, or are ``fresh``;
        None where none.
        """
        own = pl.concat(tables[0] for tables in mine.values()) if mine else pl.DataFrame()
        if own.is_empty() or own.height < MIN_SUMS or own["account"].n_unique() < MIN_ACCOUNTS:
            return None  # so few are alike by chance
        some = own.group_by("account").agg(pl.col("statements").sum())
        some = some.sort("statements", "account", descending=[True, False]).head(SAMPLE_ACCOUNTS)
        theirs = pl.col("account").is_in(some["account"].implode())
        if not self._may_overlap(
            log, own.filter(theirs), self._counted_hours(own, mine, fresh, theirs)
        ):
            return None
        there = self._counted_hours(own, mine, fresh, pl.lit(value=True))
        found = compare_hours(own, there, "")
        if found is None or not found.is_sure:
            return None
        again = compare_hours(own, there, "", same_log=True)
        return again.keys if again is not None else found.keys

    def _counted_hours(
        self, own: pl.DataFrame, mine: TablesByDay, fresh: TablesByDay, some: pl.Expr
    ) -> pl.DataFrame:
        """HOURS of some accounts that were counted, of the hours of ``own``."""
        known = self.ledger_view().hours(min(mine), max(mine), some)
        more = [tables[0].filter(some) for tables in fresh.values()]
        found = merge_hourly_sums(pl.concat([known, *more])) if more else known
        return found.filter(pl.col("hour").is_in(own["hour"].unique().implode()))

    def _may_overlap(self, log: Log, own: pl.DataFrame, there: pl.DataFrame) -> bool:
        """Whether what was counted may hold it; what cannot be told is told."""
        found = compare_hours(own, there, "")
        if found is not None and found.is_sure:
            return True
        words = _partial_warning(found) if found is not None else _unclear_warning(own, there)
        if words:
            self._set_condition(log, words, "unsure")
        return False

    def _record_dropped(self, log: Log, number: int) -> None:
        """So many statements of a log were counted before."""
        total = self._dropped_counts[log.id] = self._dropped_counts.get(log.id, 0) + number
        words = (
            f"{quantity(total, 'statement')} of it were counted before, in another log, and count "
            "once; hours that only one of both holds whole may count twice"
        )
        self._set_condition(log, words, "sure")

    def _set_condition(self, log: Log, words: str, how: str) -> None:
        self.conditions[log.id] = Condition(log.path, "doubled", words, f"{log.id} {how}")


def _partial_warning(found: Overlap) -> str:
    return (
        f"{percentage(found.share)} of its sums by hour and account are those of what was counted "
        "before: if these are the same statements, they count twice"
    )


def _unclear_warning(own: pl.DataFrame, there: pl.DataFrame) -> str:
    """Of hours that are read in pieces: whether all of it may be some of what was counted."""
    both = own.join(there, on=list(HOUR_KEYS), suffix="_there")
    same = both.filter(is_within()).height
    if same < MIN_UNCLEAR_SUMS or same < MIN_UNCLEAR_SHARE * own.height:
        return ""
    return (
        "all of it may have been counted before, in another log of the same hours, which cannot be "
        "told: if these are the same statements, they count twice"
    )
