"""The final word on days that are over: batch's, with some accounts in memory after the others.

Batch scoring holds seven weeks of all accounts at once, which for thousands of them is more than a
watcher should take. Scores and alerts are the same, to the last digit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import Final

import polars as pl

from detector.alerts import alert
from detector.alerts.alert import Alert
from detector.alerts.batch import Scored
from detector.features import table as tables
from detector.features.measures import ACCOUNT, ADDRESS, GROUP, OBJECT
from detector.features.past import Past
from detector.features.today import span
from detector.forests.scoring import LOOKBACK
from detector.schema import SCORES, empty
from detector.watch import ready
from detector.watch.judging import Judging
from detector.watch.ready import KEYS, by_kind, slim
from detector.watch.running import Running
from detector.watch.sums import Books, Tables

#: Accounts and groups whose hours are judged at a time.
TOGETHER: Final = 1000
#: What SCORES are made of, beside what tells whether an hour rings.
TOLD: Final = ("hour_rows", "rows_usual", "hours_usual", "others", "others_usual")


def score(judging: Judging, books: Books, days: Sequence[date]) -> Scored:
    """The first of ``days``, sorted; the first week of them where few accounts are in it."""
    first = days[0]
    if len(books.accounts(first - timedelta(days=LOOKBACK), days[-1])) <= ready.SHARD:
        return next(judging.days(books, days))
    return _sharded(judging, books, first)


def _sharded(judging: Judging, books: Books, day: date) -> Scored:
    nobody = Scored([day], empty(SCORES), [], [])
    past = ready.gathered(judging, books, day)
    if past is None:
        return nobody
    scorer, values = judging.scorer, _values(judging, past)
    before = ready.ready_of(judging, books, past)
    del past
    so_far = books.hours(day, day), books.touched(day, day, tables.DIMENSIONS)
    if before is None:
        return nobody
    running = Running.of(before.today, so_far)
    today = running.today
    everyone = {ACCOUNT: today.members, GROUP: today.accounts["group"].unique()}
    parts = [_brief(_judged(judging, running, names)) for names in _handfuls(everyone)]
    brief = _joined([*parts, _brief(values)])
    if brief.is_empty():
        return nobody
    brief = scorer.ring(brief, before.earlier)
    rings = brief.filter(pl.col("alarming") | pl.col("held")).select(KEYS).unique()
    if rings.is_empty():
        return Scored([day], alert.scores(brief, []), [], [])
    some = [
        before.told(judging, judged.join(rings, on=KEYS, how="semi"), _of(so_far, members), members)
        for judged, members in _ringing(judging, running, rings, values)
    ]
    found = sorted((one for each in some for one in each.alerts), key=_in_order)
    held = sorted((one for each in some for one in each.held), key=_in_order)
    return Scored([day], alert.scores(brief, found), found, held)


def _ringing(
    judging: Judging, running: Running, rings: pl.DataFrame, values: pl.DataFrame
) -> Iterator[tuple[pl.DataFrame, pl.Series | None]]:
    """All hours of what ``rings``, judged, and the accounts that tell of it (None: all of them).

    Some after the others: of a day on which all ring, the whole is more than memory should hold.
    """
    ringing = by_kind(rings.iter_rows())
    for names in _handfuls(ringing):
        yield _judged(judging, running, names), running.today.members_of(names)
    if ringing.keys() - {ACCOUNT, GROUP}:
        yield values, None


def _of(day: Tables, members: pl.Series | None) -> Tables:
    if members is None:
        return day
    theirs = pl.col("account").is_in(members.implode())
    return day[0].filter(theirs), day[1].filter(theirs)


def _in_order(found: Alert) -> tuple[str, str, str]:
    """As batch tells them."""
    return found["time"], found["entity_kind"], found["entity"]


def _values(judging: Judging, past: Past) -> pl.DataFrame:
    """The judged addresses and tables of the day: they are few, and it has but one hour of each."""
    kinds = past.kinds(span(past.day), (ADDRESS, OBJECT))
    return judging.scorer.judge(
        tables.of_parts(
            kinds, [past.day], past.learned, past.settings, judging.families, ends=False
        )
    )


def _handfuls(names: Mapping[str, Iterable[str]]) -> Iterator[dict[str, set[str]]]:
    """Some of the accounts among ``names`` by kind after the others, then of the groups."""
    for kind in (ACCOUNT, GROUP):
        some = sorted(names.get(kind, ()))
        for start in range(0, len(some), TOGETHER):
            yield {kind: set(some[start : start + TOGETHER])}


def _judged(judging: Judging, running: Running, names: Mapping[str, set[str]]) -> pl.DataFrame:
    """All hours of some accounts and groups."""
    frame = running.today.table(running.each, running.new, names, ends=False)
    return judging.scorer.judge(frame)


def _brief(judged: pl.DataFrame) -> pl.DataFrame:
    """Of judged hours, what tells which ring, and what SCORES are made of."""
    if judged.is_empty():
        return judged
    more = [name for name in TOLD if name in judged.columns]
    return pl.concat([slim(judged), judged.select(more)], how="horizontal")


def _joined(parts: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Of other entities each, as one; what some lack is null."""
    some = [part for part in parts if not part.is_empty()]
    return pl.concat(some, how="diagonal") if some else pl.DataFrame()
