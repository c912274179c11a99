"""A day of many accounts, with the past of some in memory after the others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from typing import Final

import polars as pl

from detector.alerts import alert, feature_drift
from detector.alerts.alert import Alert
from detector.alerts.incidents import sort_by_time
from detector.core.schema import SCORES, empty
from detector.detection import day_context
from detector.detection.day_context import ENTITY_KEYS, names_by_kind, select_firing_columns
from detector.detection.day_state import PartialDay
from detector.detection.pipeline import LedgerTables, Pipeline
from detector.detection.results import DetectionResult
from detector.features import feature_table as tables
from detector.features.aggregates import ACCOUNT, ADDRESS, GROUP, OBJECT
from detector.features.baseline_training import Shard
from detector.features.history import PastData

#: Accounts or groups whose hours of the day are scored at a time, for each whose past is at hand.
SHARDS_TOGETHER: Final = 2
#: What SCORES are made of, beside what tells whether an hour fires.
SCORE_COLUMNS: Final = ("hour_rows", "rows_usual", "hours_usual", "others", "others_usual")


def score(pipeline: Pipeline, ledger: LedgerTables, day: date, many: int) -> DetectionResult:
    """The final word on ``day``, with the past of ``many`` accounts at a time."""
    nobody = DetectionResult([day], empty(SCORES), [], [])
    past = day_context.gather_past(pipeline, ledger, day, many)
    if past is None:
        return nobody
    values, size = _score_values(pipeline, past), SHARDS_TOGETHER * many
    before = day_context.build_context(pipeline, ledger, past)
    del past
    if before is None:
        return nobody
    so_far = ledger.hours(day, day), ledger.touched(day, day, tables.FEATURE_DIMENSIONS)
    running = PartialDay.from_day(before.today, so_far)
    today = running.today
    everyone = {ACCOUNT: today.members, GROUP: today.accounts["group"].unique()}
    scored = (_score_names(pipeline, running, names) for names in _name_batches(everyone, size))
    brief = _concat_entities([*map(_select_columns, scored), _select_columns(values)])
    if brief.is_empty():
        return nobody
    counts = feature_drift.exceedance_counts(brief, pipeline.model)
    anomalous = pipeline.scorer_for(day).add_anomalous(brief).filter("anomalous")
    firing = anomalous.select(ENTITY_KEYS).unique()
    alerts, suppressed = list[Alert](), list[Alert]()
    for hours, members in _firing_entities(pipeline, running, firing, values, size):
        theirs = _member_rows(so_far, members)
        found, expected = before.day_messages(pipeline, hours, theirs, members)
        alerts += found
        suppressed += expected
    alerts, suppressed = sort_by_time(alerts), sort_by_time(suppressed)
    return DetectionResult([day], alert.score_table(brief, alerts), alerts, suppressed, counts)


def _firing_entities(
    pipeline: Pipeline, running: PartialDay, firing: pl.DataFrame, values: pl.DataFrame, size: int
) -> Iterator[tuple[pl.DataFrame, pl.Series | None]]:
    """All hours of what is ``firing``, scored, and the accounts behind it (None: all of them).

    Some after the others: of a day on which all fire, the whole is more than memory should hold.
    """
    by_kind = names_by_kind(firing.iter_rows())
    for names in _name_batches(by_kind, size):
        scored = _score_names(pipeline, running, names)
        yield scored.join(firing, on=ENTITY_KEYS, how="semi"), running.today.group_accounts(names)
    if by_kind.keys() - {ACCOUNT, GROUP}:
        yield values.join(firing, on=ENTITY_KEYS, how="semi"), None


def _member_rows(day: Shard, members: pl.Series | None) -> Shard:
    if members is None:
        return day
    theirs = pl.col("account").is_in(members.implode())
    return day[0].filter(theirs), day[1].filter(theirs)


def _score_values(pipeline: Pipeline, past: PastData) -> pl.DataFrame:
    """The scored addresses and tables of the day: it has but one hour of each."""
    kinds = past.kind_parts((ADDRESS, OBJECT))
    return pipeline.scorer.score_table(
        tables.build_from_parts(
            kinds, [past.day], past.learned, past.settings, pipeline.families, ends=False
        )
    )


def _name_batches(names: Mapping[str, Iterable[str]], size: int) -> Iterator[dict[str, set[str]]]:
    """Some of the accounts among ``names`` by kind after the others, then of the groups."""
    for kind in (ACCOUNT, GROUP):
        some = sorted(names.get(kind, ()))
        for start in range(0, len(some), size):
            yield {kind: set(some[start : start + size])}


def _score_names(
    pipeline: Pipeline, running: PartialDay, names: Mapping[str, set[str]]
) -> pl.DataFrame:
    """All hours of some accounts and groups."""
    frame = running.today.table(running.hourly, running.new_values, names, ends=False)
    return pipeline.scorer.score_table(frame)


def _select_columns(scored: pl.DataFrame) -> pl.DataFrame:
    """What tells which of the scored hours fire, and what SCORES are made of."""
    if scored.is_empty():
        return scored
    firing = select_firing_columns(scored)
    more = [name for name in SCORE_COLUMNS if name in scored.columns and name not in firing.columns]
    return pl.concat([firing, scored.select(more)], how="horizontal")


def _concat_entities(parts: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Of other entities each, as one; what some lack is null."""
    some = [part for part in parts if not part.is_empty()]
    return pl.concat(some, how="diagonal") if some else pl.DataFrame()
