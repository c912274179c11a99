"""What days are judged by, in batch and by a watcher, and what is new among what is found."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Protocol

import polars as pl

from detector.alerts.alert import UPDATE, Alert
from detector.alerts.episode_history import EpisodeHistory
from detector.alerts.episodes import MAX_UPDATES
from detector.alerts.incidents import Joiner, sort_by_time
from detector.core.settings import Settings
from detector.detection.results import Suppression
from detector.features.feature import Family
from detector.model.model import Model
from detector.model.scoring import Scorer


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


def copy_alerts(alerts: Sequence[Alert]) -> list[Alert]:
    """Nothing was said of any alert."""
    return list(alerts)


@dataclass(frozen=True, slots=True)
class Pipeline:
    """What days are judged by. ``add_objections`` and ``add_verdicts`` add what people said of
    alerts before and after they are joined into incidents; ``suppression`` is what is expected.
    """

    model: Model
    directory: pl.DataFrame | None
    settings: Settings
    families: Sequence[Family]
    suppression: Suppression | None = None
    add_objections: Callable[[Sequence[Alert]], list[Alert]] = copy_alerts
    add_verdicts: Callable[[Sequence[Alert]], list[Alert]] = copy_alerts
    history: EpisodeHistory | None = None

    @property
    def scorer(self) -> Scorer:
        """The same that batch scoring makes."""
        covers = self.suppression.covers if self.suppression else None
        return Scorer(self.model, self.directory, self.settings, self.families, covers)

    def scorer_for(self, day: date) -> Scorer:
        """``scorer``, with the threshold of a day."""
        if self.history is None:
            return self.scorer
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
            if self.history is not None:
                self.history.record_message(some[0], ())
                if update := self.history.incident_update(some[0], [*before, *mine]):
                    some += [joiner.add(update)] if update["id"] not in known else []
            for each in some[1:]:
                assert self.history is not None
                self.history.record_message(each, ())
            mine += some
        return self.add_verdicts([{**alert, "raised": at} for alert in mine])


def _drop_repeated_updates(found: Sequence[Alert], before: Sequence[Alert]) -> list[Alert]:
    """Without updates whose triggers were all told while the day ran, and without those that are
    more than a day may have.
    """
    told: dict[tuple[str, str], list[Alert]] = {}
    for alert in before:
        if alert["activity"] == UPDATE:
            told.setdefault((alert["alert"], alert["date"]), []).append(alert)
    left = []
    for alert in found:
        same = told.get((alert["alert"], alert["date"]), [])
        said = {words for other in same for words in other["triggers"]}
        fresh = [words for words in alert["triggers"] if words not in said]
        risen = any(words.startswith("severity ") for words in fresh)
        if alert["activity"] != UPDATE or (fresh and (risen or len(same) < MAX_UPDATES)):
            left.append(alert)
            if alert["activity"] == UPDATE:
                told.setdefault((alert["alert"], alert["date"]), []).append(alert)
    return left
