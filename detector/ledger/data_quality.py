"""What makes that which was read of logs doubtful: said loudly, since not scored is not quiet.

Each look holds what a run took in against what the ledger had of the same source before: a rise in
rejects, in names nobody knows, in reads of unknown size, or a day that never came.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

import polars as pl

from detector.core.formatting import counted, share
from detector.core.schema import READING
from detector.core.settings import Settings
from detector.ledger.ingest import Ingested
from detector.ledger.store import Ledger

#: The source of parts that a watcher made.
WATCHED: Final = "watch"
#: Fewer rejects, or new names, are no rise.
FEW: Final = 20
#: So many times the usual share is a rise, where the usual one is of so many records.
TIMES: Final = 5.0
ENOUGH: Final = 1_000
#: Days that tell what is usual, and how many of them with data tell anything.
BEFORE: Final = timedelta(days=28)
KNOWN_DAYS: Final = 7


@dataclass(frozen=True, slots=True)
class Counts:
    """Events and rejects of some logs of one source."""

    events: int = 0
    rejects: int = 0

    @property
    def share(self) -> float:
        """Of rejects in all."""
        return self.rejects / max(1, self.events + self.rejects)


def rejected(now: Counts, before: Counts, most: float) -> str:
    """Words for a rise in rejects; "" where there is none.

    ``most`` is the share that is always too much. Five times the usual share is a rise too.
    """
    usual = before.share if before.events + before.rejects >= ENOUGH else None
    risen = usual is not None and now.share > TIMES * usual
    if now.rejects < FEW or not (now.share > most or risen):
        return ""
    was = "" if usual is None else f" (usually {share(usual)})"
    many = f"{now.rejects:,} of {now.events + now.rejects:,}"
    return f"{many} records were rejected, {share(now.share)}{was}: what they hold was not judged"


def doubts(ledger: Ledger, done: Ingested, settings: Settings) -> list[str]:
    """What is doubtful of a run's logs, in words. Raises LedgerError."""
    said = [f"{file.path}: {file.said}" for file in done.files if file.said]
    said += _rejects(ledger, done, settings.limit("most_rejects"))
    if not done.days:
        return said
    first, last = done.days[0], done.days[-1]
    past = [day for day in ledger.days() if first - BEFORE <= day < first]
    if len(past) >= KNOWN_DAYS:
        said += _newcomers(ledger, past, (first, last), settings.limit("most_new_accounts"))
        said += _unknown(ledger, past, (first, last), settings.limit("most_unknown"))
        said += _absent(past, done.days)
    return said + _silent(ledger, last)


def _rejects(ledger: Ledger, done: Ingested, most: float) -> list[str]:
    """By source, and by file where the files of a source differ."""
    own = set(done.part_ids)
    past: dict[str, Counts] = {}
    for part in ledger.parts():
        if part.id not in own:
            counts = past.get(part.source, Counts())
            past[part.source] = Counts(counts.events + part.events, counts.rejects + part.rejects)
    said = []
    unique = {file.part_id: file for file in done.files}.values()
    for source in sorted({file.source for file in unique}):
        files = [file for file in unique if file.source == source]
        usual = past.get(source, Counts())
        all_ = Counts(sum(f.events for f in files), sum(f.rejects for f in files))
        if words := rejected(all_, usual, most):
            said.append(f"{source}: {words}")
            continue
        each = [(f, rejected(Counts(f.events, f.rejects), usual, most)) for f in files]
        said += [f"{file.path}: {words}" for file, words in each if words]
    return said


def _newcomers(
    ledger: Ledger, past: Collection[date], span: tuple[date, date], most: float
) -> list[str]:
    known = ledger.accounts(min(past), max(past))
    now = ledger.accounts(*span)
    new = now.filter(~now.is_in(known.implode()))
    if len(new) < FEW or len(new) <= most * len(now):
        return []
    part = share(len(new) / len(now))
    many, days = counted(len(new), "account"), counted(len(past), "day")
    words = f"{many} of {len(now):,} ({part}) were never seen in the {days} before"
    return [f"{words}: new hires, a new system, or invented names"]


def _unknown(
    ledger: Ledger, past: Collection[date], span: tuple[date, date], most: float
) -> list[str]:
    said = []
    before, now = ledger.totals(min(past), max(past)), ledger.totals(*span)
    for what, was, is_ in (
        ("reads do not say how many records they gave", _unsized(before), _unsized(now)),
        ("statements could not be told for what they do", _untold(before), _untold(now)),
    ):
        if is_ - was > most:
            said.append(f"{share(is_)} of the {what}, before {share(was)}")
    return said


def _unsized(totals: pl.DataFrame) -> float:
    reads = totals.filter(pl.col("action").is_in(READING))
    return int(reads["unknown_rows"].sum()) / max(1, int(reads["statements"].sum()))


def _untold(totals: pl.DataFrame) -> float:
    other = totals.filter(pl.col("action") == "other")
    return int(other["statements"].sum()) / max(1, int(totals["statements"].sum()))


def _absent(past: Collection[date], days: Iterable[date]) -> list[str]:
    """Days between what was known and what came, on weekdays that mostly have data."""
    there = sorted({*past, *days})
    missing = []
    day = max(past) + timedelta(days=1)
    while day < there[-1]:
        weeks = [day - timedelta(days=7 * week) in there for week in range(1, 5)]
        if day not in there and sum(weeks) * 2 >= len(weeks):
            missing.append(day)
        day += timedelta(days=1)
    if not missing:
        return []
    shown = ", ".join(map(str, missing[:5])) + (", ..." if len(missing) > 5 else "")
    return [f"no data of {counted(len(missing), 'day')} that mostly has some: {shown}"]


def _silent(ledger: Ledger, last: date) -> list[str]:
    """Sources that gave data on most days before, and none since the day before the last."""
    said = []
    by_source: dict[str, set[date]] = {}
    for part in ledger.parts():
        by_source.setdefault(part.source, set()).update(part.days)
    by_source.pop(WATCHED, None)  # of all sources that were followed
    for source, days in sorted(by_source.items()):
        lately = [day for day in days if last - BEFORE <= day < last]
        newest = max(days, default=last)
        if len(lately) >= KNOWN_DAYS * 2 and newest < last - timedelta(days=3):
            said.append(f"no log of {source} since {newest}, and others go on to {last}")
    return said
