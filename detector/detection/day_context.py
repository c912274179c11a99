"""What lies before a day, gathered from some accounts after the others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

import polars as pl

from detector.alerts.alert import Alert
from detector.core.frame_bytes import decode, encode
from detector.detection.pipeline import LedgerTables, Pipeline
from detector.detection.results import episode_messages
from detector.features.baseline_training import Shard
from detector.features.feature_table import FEATURE_DIMENSIONS
from detector.features.history import PastData, gather
from detector.features.incremental import RunningDay
from detector.model.scoring import LOOKBACK_DAYS
from detector.model.threshold import EPISODE_DAYS

#: Handfuls of accounts of which the week before is packed each: what fires needs one or two.
PARTITIONS: Final = 32
ENTITY_KEYS: Final = ["entity_kind", "entity"]
#: What tells whether an hour fires.
FIRING_COLUMNS: Final = (*ENTITY_KEYS, "day", "hour", "rows", "unknown", "surprise")
#: And what tells whether planned work explains it.
PLANNED_WORK_COLUMNS: Final = (
    "group",
    "hour",
    "rows_usual",
    "unknown_usual",
    "others",
    "others_usual",
)


@dataclass(frozen=True, slots=True)
class PackedWeek:
    """HOURS and TOUCHED of some days, packed by the handful of accounts."""

    parts: list[tuple[bytes, bytes]]

    @classmethod
    def pack(cls, hours: pl.DataFrame, touched: pl.DataFrame) -> PackedWeek:
        """Takes a tenth of the room."""
        handful = _partition(pl.col("account"))
        return cls(
            [
                (encode(hours.filter(handful == at)), encode(touched.filter(handful == at)))
                for at in range(PARTITIONS)
            ]
        )

    def unpack(self, accounts: pl.Series | None = None) -> Shard:
        """Of some ``accounts``, or of all."""
        if accounts is None:
            return _concat_parts(self.parts)
        some = (
            accounts.to_frame("account").select(_partition(pl.col("account")).unique()).to_series()
        )
        hours, touched = _concat_parts([self.parts[at] for at in some.sort()] or self.parts[:1])
        theirs = pl.col("account").is_in(accounts.implode())
        return hours.filter(theirs), touched.filter(theirs)


def _partition(account: pl.Expr) -> pl.Expr:
    return account.hash(seed=0) % PARTITIONS


def _concat_parts(parts: Sequence[tuple[bytes, bytes]]) -> Shard:
    hours, touched = zip(*parts, strict=True)
    return pl.concat(map(decode, hours)), pl.concat(map(decode, touched))


@dataclass(frozen=True, slots=True)
class DayContext:
    """What lies before ``today.day``, and the ``week`` before it."""

    today: RunningDay
    week: PackedWeek

    def day_messages(
        self, pipeline: Pipeline, scored: pl.DataFrame, day: Shard, members: pl.Series | None
    ) -> tuple[list[Alert], list[Alert]]:
        """The messages of entities, ``scored`` in all their hours, and those that are suppressed:
        from what their ``members`` (None: all accounts) did in the week before, and on the ``day``.
        """
        hours, touched = (
            pl.concat(both) for both in zip(self.week.unpack(members), day, strict=True)
        )
        return episode_messages(pipeline, scored, hours, touched)


def gather_past(pipeline: Pipeline, ledger: LedgerTables, day: date, many: int) -> PastData | None:
    """What of the days up to ``day`` says how it is scored, ``many`` accounts at a time; None where
    there is nobody.
    """
    return gather(
        shards(ledger, day, many),
        day,
        pipeline.model.baselines,
        pipeline.directory,
        pipeline.settings,
    )


def build_context(
    pipeline: Pipeline, ledger: LedgerTables, past: PastData | None
) -> DayContext | None:
    """From what was gathered, which is let go of here where the caller holds it no longer."""
    if past is None:
        return None
    day = past.day
    today = RunningDay.from_past(past, pipeline.families)
    if today is None:
        return None
    del past
    week, until = day - timedelta(days=EPISODE_DAYS), day - timedelta(days=1)
    packed = PackedWeek.pack(
        ledger.hours(week, until), ledger.touched(week, until, FEATURE_DIMENSIONS)
    )
    return DayContext(today, packed)


def shards(ledger: LedgerTables, day: date, many: int) -> Iterator[Shard]:
    """HOURS and TOUCHED of ``many`` accounts after the others, as far back as scores look."""
    since = day - timedelta(days=LOOKBACK_DAYS)
    names = ledger.accounts(since, day)
    for start in range(0, len(names), many):
        mine = pl.col("account").is_in(names.slice(start, many).implode())
        yield ledger.hours(since, day, mine), ledger.touched(since, day, FEATURE_DIMENSIONS, mine)


def names_by_kind(entities: Iterable[tuple[str, str]]) -> dict[str, set[str]]:
    """Names by kind of entity, of (kind, name)."""
    found: dict[str, set[str]] = {}
    for kind, name in entities:
        found.setdefault(kind, set()).add(name)
    return found


def select_firing_columns(scored: pl.DataFrame) -> pl.DataFrame:
    """Of a scored table, what tells whether an hour fires."""
    return scored.select(
        name
        for name in scored.columns
        if name in (*FIRING_COLUMNS, *PLANNED_WORK_COLUMNS) or name.endswith("_surprise")
    )
