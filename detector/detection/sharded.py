"""A day of many accounts, with the past of some in memory after the others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from typing import Final

import polars as pl

from detector.alerts import alert, feature_drift
from detector.alerts.alert import Alert
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

#: Accounts or groups whose hours of the day are judged at a time, for each whose past is held.
SHARDS_TOGETHER: Final = 2
#: What SCORES are made of, beside what tells whether an hour fires.
SCORE_COLUMNS: Final = ("hour_rows", "rows_usual", "hours_usual", "others", "others_usual")


def score(pipeline: Pipeline, ledger: LedgerTables, day: date, many: int) -> DetectionResult:
    """The final word on ``day``, with the past of ``many`` accounts at a time."""
    nobody = DetectionResult([day], empty(SCORES), [], [])
    past = day_context.gather_past(pipeline, ledger, day, many)
    if past is None:
        return nobody
    values, size = _judge_values(pipeline, past), SHARDS_TOGETHER * many
    before = day_context.build_context(pipeline, ledger, past)
    del past
    if before is None:
        return nobody
    so_far = ledger.hours(day, day), ledger.touched(day, day, tables.FEATURE_DIMENSIONS)
    running = PartialDay.from_day(before.today, so_far)
    today = running.today
    everyone = {ACCOUNT: today.members, GROUP: today.accounts["group"].unique()}
    judged = (_judge_names(pipeline, running, names) for names in _name_batches(everyone, size))
    brief = _concat_entities([*map(_select_columns, judged), _select_columns(values)])
    if brief.is_empty():
        return nobody
    counts = feature_drift.exceedance_counts(brief, pipeline.model)
    loud = pipeline.scorer_for(day).add_anomalous(brief).filter("anomalous")
    firing = loud.select(ENTITY_KEYS).unique()
    if firing.is_empty():
        return DetectionResult([day], alert.score_table(brief, []), [], [], counts)
    some = [
        before.day_result(pipeline, hours, _member_rows(so_far, members), members)
        for hours, members in _firing_entities(pipeline, running, firing, values, size)
    ]
    found = sorted((one for each in some for one in each.alerts), key=_firing_order)
    held = sorted((one for each in some for one in each.suppressed), key=_firing_order)
    return DetectionResult([day], alert.score_table(brief, found), found, held, counts)


def _firing_entities(
    pipeline: Pipeline, running: PartialDay, firing: pl.DataFrame, values: pl.DataFrame, size: int
) -> Iterator[tuple[pl.DataFrame, pl.Series | None]]:
    """All hours of what is ``firing``, scored, and the accounts behind it (None: all of them).

    Some after the others: of a day on which all fire, the whole is more than memory should hold.
    """
    by_kind = names_by_kind(firing.iter_rows())
    for names in _name_batches(by_kind, size):
        judged = _judge_names(pipeline, running, names)
        yield judged.join(firing, on=ENTITY_KEYS, how="semi"), running.today.group_accounts(names)
    if by_kind.keys() - {ACCOUNT, GROUP}:
        yield values.join(firing, on=ENTITY_KEYS, how="semi"), None


def _member_rows(day: Shard, members: pl.Series | None) -> Shard:
    if members is None:
        return day
    theirs = pl.col("account").is_in(members.implode())
    return day[0].filter(theirs), day[1].filter(theirs)


def _firing_order(found: Alert) -> tuple[str, str, str]:
    """As batch tells them."""
    return found["time"], found["entity_kind"], found["entity"]


def _judge_values(pipeline: Pipeline, past: PastData) -> pl.DataFrame:
    """The judged addresses and tables of the day: it has but one hour of each."""
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


def _judge_names(
    pipeline: Pipeline, running: PartialDay, names: Mapping[str, set[str]]
) -> pl.DataFrame:
    """All hours of some accounts and groups."""
    frame = running.today.table(running.hourly, running.new_values, names, ends=False)
    return pipeline.scorer.score_table(frame)


def _select_columns(judged: pl.DataFrame) -> pl.DataFrame:
    """Of judged hours, what tells which ring, and what SCORES are made of."""
    if judged.is_empty():
        return judged
    kept = select_firing_columns(judged)
    more = [name for name in SCORE_COLUMNS if name in judged.columns and name not in kept.columns]
    return pl.concat([kept, judged.select(more)], how="horizontal")


def _concat_entities(parts: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Of other entities each, as one; what some lack is null."""
    some = [part for part in parts if not part.is_empty()]
    return pl.concat(some, how="diagonal") if some else pl.DataFrame()
