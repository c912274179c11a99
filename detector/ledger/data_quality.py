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

from detector.core.formatting import percentage, quantity
from detector.core.schema import READ_ACTIONS
from detector.core.settings import Settings
from detector.ledger.ingest import IngestResult
from detector.ledger.store import Ledger

#: The source of parts that a watcher made.
WATCH_SOURCE: Final = "watch"
#: Fewer rejects, or new names, are no rise.
MIN_COUNT: Final = 20
#: So many times the usual share is a rise, where the usual one is of so many records.
RISE_FACTOR: Final = 5.0
MIN_BASELINE_RECORDS: Final = 1_000
#: Days that tell what is usual, and how many of them with data tell anything.
BASELINE_SPAN: Final = timedelta(days=28)
MIN_BASELINE_DAYS: Final = 7


@dataclass(frozen=True, slots=True)
class Counts:
    """Events and rejects of some logs of one source."""

    events: int = 0
    rejects: int = 0

    @property
    def reject_share(self) -> float:
        """Of rejects in all."""
        return self.rejects / max(1, self.events + self.rejects)


def reject_rise_warning(now: Counts, before: Counts, most: float) -> str:
    """Words for a rise in rejects; "" where there is none.

    ``most`` is the share that is always too much. Five times the usual share is a rise too.
    """
    usual = before.reject_share if before.events + before.rejects >= MIN_BASELINE_RECORDS else None
    risen = usual is not None and now.reject_share > RISE_FACTOR * usual
    if now.rejects < MIN_COUNT or not (now.reject_share > most or risen):
        return ""
    was = "" if usual is None else f" (usually {percentage(usual)})"
    many = f"{now.rejects:,} of {now.events + now.rejects:,}"
    return (
        f"{many} records were rejected, {percentage(now.reject_share)}{was}: what they "
        "hold was not judged"
    )


def quality_warnings(ledger: Ledger, done: IngestResult, settings: Settings) -> list[str]:
    """What is doubtful of a run's logs, in words. Raises LedgerError."""
    said = [f"{file.file}: {file.warning}" for file in done.files if file.warning]
    said += _reject_warnings(ledger, done, settings.health_limit("most_rejects"))
    if not done.days:
        return said
    first, last = done.days[0], done.days[-1]
    past = [day for day in ledger.days() if first - BASELINE_SPAN <= day < first]
    if len(past) >= MIN_BASELINE_DAYS:
        said += _new_account_warnings(
            ledger, past, (first, last), settings.health_limit("most_new_accounts")
        )
        said += _unknown_share_warnings(
            ledger, past, (first, last), settings.health_limit("most_unknown")
        )
        said += _missing_day_warnings(past, done.days)
    return said + _silent_source_warnings(ledger, last)


def _reject_warnings(ledger: Ledger, done: IngestResult, most: float) -> list[str]:
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
        if words := reject_rise_warning(all_, usual, most):
            said.append(f"{source}: {words}")
            continue
        each = [(f, reject_rise_warning(Counts(f.events, f.rejects), usual, most)) for f in files]
        said += [f"{file.file}: {words}" for file, words in each if words]
    return said


def _new_account_warnings(
    ledger: Ledger, past: Collection[date], span: tuple[date, date], most: float
) -> list[str]:
    known = ledger.accounts(min(past), max(past))
    now = ledger.accounts(*span)
    new = now.filter(~now.is_in(known.implode()))
    if len(new) < MIN_COUNT or len(new) <= most * len(now):
        return []
    part = percentage(len(new) / len(now))
    many, days = quantity(len(new), "account"), quantity(len(past), "day")
    words = f"{many} of {len(now):,} ({part}) were never seen in the {days} before"
    return [f"{words}: new hires, a new system, or invented names"]


def _unknown_share_warnings(
    ledger: Ledger, past: Collection[date], span: tuple[date, date], most: float
) -> list[str]:
    said = []
    before, now = ledger.totals(min(past), max(past)), ledger.totals(*span)
    for what, was, is_ in (
        (
            "reads do not say how many records they gave",
            _unknown_row_share(before),
            _unknown_row_share(now),
        ),
        (
            "statements could not be told for what they do",
            _unknown_action_share(before),
            _unknown_action_share(now),
        ),
    ):
        if is_ - was > most:
            said.append(f"{percentage(is_)} of the {what}, before {percentage(was)}")
    return said


def _unknown_row_share(totals: pl.DataFrame) -> float:
    reads = totals.filter(pl.col("action").is_in(READ_ACTIONS))
    return int(reads["unknown_rows"].sum()) / max(1, int(reads["statements"].sum()))


def _unknown_action_share(totals: pl.DataFrame) -> float:
    other = totals.filter(pl.col("action") == "other")
    return int(other["statements"].sum()) / max(1, int(totals["statements"].sum()))


def _missing_day_warnings(past: Collection[date], days: Iterable[date]) -> list[str]:
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
    return [f"no data of {quantity(len(missing), 'day')} that mostly has some: {shown}"]


def _silent_source_warnings(ledger: Ledger, last: date) -> list[str]:
    """Sources that gave data on most days before, and none since the day before the last."""
    said = []
    by_source: dict[str, set[date]] = {}
    for part in ledger.parts():
        by_source.setdefault(part.source, set()).update(part.days)
    by_source.pop(WATCH_SOURCE, None)  # of all sources that were followed
    for source, days in sorted(by_source.items()):
        lately = [day for day in days if last - BASELINE_SPAN <= day < last]
        newest = max(days, default=last)
        if len(lately) >= MIN_BASELINE_DAYS * 2 and newest < last - timedelta(days=3):
            said.append(f"no log of {source} since {newest}, and others go on to {last}")
    return said
