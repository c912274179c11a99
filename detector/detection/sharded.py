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
from detector.detection.day_context import KEYS, by_kind, slim
from detector.detection.day_state import Running
from detector.detection.pipeline import Judging, Tables
from detector.detection.results import Scored
from detector.features import feature_table as tables
from detector.features.aggregates import ACCOUNT, ADDRESS, GROUP, OBJECT
from detector.features.baseline_training import Shard
from detector.features.history import Past
from detector.features.incremental import span

#: Accounts or groups whose hours of the day are judged at a time, for each whose past is held.
TOGETHER: Final = 2
#: What SCORES are made of, beside what tells whether an hour rings.
TOLD: Final = ("hour_rows", "rows_usual", "hours_usual", "others", "others_usual")


def score(judging: Judging, ledger: Tables, day: date, many: int) -> Scored:
    """The final word on ``day``, with the past of ``many`` accounts at a time."""
    nobody = Scored([day], empty(SCORES), [], [])
    past = day_context.gathered(judging, ledger, day, many)
    if past is None:
        return nobody
    scorer, values, size = judging.scorer, _values(judging, past), TOGETHER * many
    before = day_context.ready_of(judging, ledger, past)
    del past
    if before is None:
        return nobody
    so_far = ledger.hours(day, day), ledger.touched(day, day, tables.DIMENSIONS)
    running = Running.of(before.today, so_far)
    today = running.today
    everyone = {ACCOUNT: today.members, GROUP: today.accounts["group"].unique()}
    parts = [_brief(_judged(judging, running, names)) for names in _handfuls(everyone, size)]
    brief = _joined([*parts, _brief(values)])
    if brief.is_empty():
        return nobody
    counts = feature_drift.counted(brief, scorer.model)
    if judging.memory is None:
        brief = scorer.ring(brief, before.earlier)
        rings = brief.filter(pl.col("alarming") | pl.col("held")).select(KEYS).unique()
    else:
        loud = judging.scorer_of(day).anomalous(brief).filter("anomalous")
        rings = loud.select(KEYS).unique()
    if rings.is_empty():
        return Scored([day], alert.scores(brief, []), [], [], counts)
    some = [
        before.told(judging, judged.join(rings, on=KEYS, how="semi"), _of(so_far, members), members)
        for judged, members in _ringing(judging, running, rings, values, size)
    ]
    found = sorted((one for each in some for one in each.alerts), key=_in_order)
    held = sorted((one for each in some for one in each.held), key=_in_order)
    return Scored([day], alert.scores(brief, found), found, held, counts)


def _ringing(
    judging: Judging, running: Running, rings: pl.DataFrame, values: pl.DataFrame, size: int
) -> Iterator[tuple[pl.DataFrame, pl.Series | None]]:
    """All hours of what ``rings``, judged, and the accounts that tell of it (None: all of them).

    Some after the others: of a day on which all ring, the whole is more than memory should hold.
    """
    ringing = by_kind(rings.iter_rows())
    for names in _handfuls(ringing, size):
        yield _judged(judging, running, names), running.today.members_of(names)
    if ringing.keys() - {ACCOUNT, GROUP}:
        yield values, None


def _of(day: Shard, members: pl.Series | None) -> Shard:
    if members is None:
        return day
    theirs = pl.col("account").is_in(members.implode())
    return day[0].filter(theirs), day[1].filter(theirs)


def _in_order(found: Alert) -> tuple[str, str, str]:
    """As batch tells them."""
    return found["time"], found["entity_kind"], found["entity"]


def _values(judging: Judging, past: Past) -> pl.DataFrame:
    """The judged addresses and tables of the day: it has but one hour of each."""
    kinds = past.kinds(span(past.day), (ADDRESS, OBJECT))
    return judging.scorer.judge(
        tables.of_parts(
            kinds, [past.day], past.learned, past.settings, judging.families, ends=False
        )
    )


def _handfuls(names: Mapping[str, Iterable[str]], size: int) -> Iterator[dict[str, set[str]]]:
    """Some of the accounts among ``names`` by kind after the others, then of the groups."""
    for kind in (ACCOUNT, GROUP):
        some = sorted(names.get(kind, ()))
        for start in range(0, len(some), size):
            yield {kind: set(some[start : start + size])}


def _judged(judging: Judging, running: Running, names: Mapping[str, set[str]]) -> pl.DataFrame:
    """All hours of some accounts and groups."""
    frame = running.today.table(running.each, running.new, names, ends=False)
    return judging.scorer.judge(frame)


def _brief(judged: pl.DataFrame) -> pl.DataFrame:
    """Of judged hours, what tells which ring, and what SCORES are made of."""
    if judged.is_empty():
        return judged
    kept = slim(judged)
    more = [name for name in TOLD if name in judged.columns and name not in kept.columns]
    return pl.concat([kept, judged.select(more)], how="horizontal")


def _joined(parts: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Of other entities each, as one; what some lack is null."""
    some = [part for part in parts if not part.is_empty()]
    return pl.concat(some, how="diagonal") if some else pl.DataFrame()
