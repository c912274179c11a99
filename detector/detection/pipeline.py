"""What days are scored by, wherever they are, and which of the alerts found are new."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from typing import Protocol

import polars as pl

from detector.alerts.alert import UPDATE, Alert
from detector.alerts.episode_history import EpisodeHistory
from detector.alerts.episodes import MAX_UPDATES
from detector.alerts.incidents import Joiner, sort_by_time
from detector.core.settings import Settings
from detector.features.feature import Family
from detector.ledger.aggregate import local_day
from detector.model.model import Model
from detector.model.scoring import Scorer, SuppressionRule


class LedgerTables(Protocol):
    """What is scored: a ledger, or one with what a watcher has not put there yet."""

    def hours(self, since: date, until: date, accounts: pl.Expr | None = None) -> pl.DataFrame:
        """See ``Ledger.hours``."""

    def touched(
        self,
        since: date,
        until: date,
        dimensions: Collection[str],
        accounts: pl.Expr | None = None,
    ) -> pl.DataFrame:
        """See ``Ledger.touched``."""

    def accounts(self, since: date, until: date) -> pl.Series:
        """See ``Ledger.accounts``."""


@dataclass(frozen=True, slots=True)
class TablesInMemory:
    """A ledger's tables, whole or in part, as frames."""

    all_hours: pl.DataFrame
    all_touched: pl.DataFrame
    settings: Settings

    def hours(self, since: date, until: date, accounts: pl.Expr | None = None) -> pl.DataFrame:
        """See ``Ledger.hours``."""
        days = local_day("hour", self.settings.timezone).is_between(since, until)
        return self.all_hours.filter(days, *_given(accounts))

    def touched(
        self,
        since: date,
        until: date,
        dimensions: Collection[str],
        accounts: pl.Expr | None = None,
    ) -> pl.DataFrame:
        """See ``Ledger.touched``."""
        return self.all_touched.filter(
            pl.col("day").is_between(since, until),
            pl.col("dimension").is_in(list(dimensions)),
            *_given(accounts),
        )

    def accounts(self, since: date, until: date) -> pl.Series:
        """See ``Ledger.accounts``."""
        return self.hours(since, until)["account"].unique().sort()

    def days(self) -> list[date]:
        """The days with data."""
        return self.all_touched["day"].unique().sort().to_list()


def _given(condition: pl.Expr | None) -> list[pl.Expr]:
    return [] if condition is None else [condition]


def copy_alerts(alerts: Sequence[Alert]) -> list[Alert]:
    """Nothing was said of any alert."""
    return list(alerts)


@dataclass(frozen=True, slots=True)
class Suppression:
    """What is expected: which scored hours (``covers``), and whether a whole alert is."""

    covers: SuppressionRule
    is_suppressed: Callable[[Alert], bool]


@dataclass(frozen=True, slots=True)
class Pipeline:
    """What days are scored by, in batch, by a watcher and in a drill.

    ``suppression`` is what is expected. ``add_objections`` and ``add_verdicts`` add what people
    said of alerts before and after they are joined into incidents. ``history`` is told what is
    found, so that the days after it join its episodes; a new one knows of none.
    """

    model: Model
    directory: pl.DataFrame | None
    settings: Settings
    families: Sequence[Family]
    suppression: Suppression | None = None
    add_objections: Callable[[Sequence[Alert]], list[Alert]] = copy_alerts
    add_verdicts: Callable[[Sequence[Alert]], list[Alert]] = copy_alerts
    history: EpisodeHistory = field(default_factory=EpisodeHistory)

    @property
    def scorer(self) -> Scorer:
        """The same that batch scoring makes."""
        covers = self.suppression.covers if self.suppression else None
        return Scorer(self.model, self.directory, self.settings, self.families, covers)

    def scorer_for(self, day: date) -> Scorer:
        """``scorer``, with the threshold of a day."""
        return replace(self.scorer, model=self.history.model_for_day(self.model, day))

    def new_alerts(
        self, found: Sequence[Alert], before: Sequence[Alert], known: set[str], now: float
    ) -> list[Alert]:
        """Those of ``found`` that are not ``known``, joined with those raised ``before``.

        An alert that was raised stays as it was; ``raised`` is the wall clock's time. Of updates
        only those that tell something new of their day.
        """
        new = self.add_objections(
            _drop_repeated_updates([each for each in found if each["id"] not in known], before)
        )
        if not new:
            return []
        at = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        fresh = {alert["id"] for alert in new}
        joiner, mine = Joiner(), list[Alert]()
        for alert in sort_by_time([*before, *new]):
            if alert["id"] not in fresh:
                joiner.add_known(alert)
                continue
            some = [joiner.add(alert)]
            self.history.record_message(some[0], ())
            update = self.history.incident_update(some[0], [*before, *mine])
            if update is not None and update["id"] not in known:
                some.append(joiner.add(update))
                self.history.record_message(some[1], ())
            mine += some
        return self.add_verdicts([{**alert, "raised": at} for alert in mine])


def _drop_repeated_updates(found: Sequence[Alert], before: Sequence[Alert]) -> list[Alert]:
    """Without updates whose triggers were all sent while the day ran, and without those that are
    more than a day may have.
    """
    updates: dict[tuple[str, str], list[Alert]] = defaultdict(list)
    for alert in before:
        if alert["activity"] == UPDATE:
            updates[alert["alert"], alert["date"]].append(alert)
    news = []
    for alert in found:
        if alert["activity"] != UPDATE:
            news.append(alert)
            continue
        sent = updates[alert["alert"], alert["date"]]
        known = {trigger for other in sent for trigger in other["triggers"]}
        fresh = [trigger for trigger in alert["triggers"] if trigger not in known]
        risen = any(trigger.startswith("severity ") for trigger in fresh)
        if fresh and (risen or len(sent) < MAX_UPDATES):
            news.append(alert)
            sent.append(alert)
    return news
