"""What days are judged by, in batch and by a watcher, and what is new among what is found."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Protocol

import polars as pl

from detector.alerts import incidents
from detector.alerts.alert import Alert
from detector.alerts.told import Hush
from detector.features.feature import Family
from detector.forests.model import Model
from detector.forests.scoring import Scorer
from detector.settings import Settings


class Tables(Protocol):
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


def as_they_are(alerts: Sequence[Alert]) -> list[Alert]:
    """Nothing was said of any alert."""
    return list(alerts)


@dataclass(frozen=True, slots=True)
class Judging:
    """What days are judged by. ``explained`` and ``stand`` add what people said of alerts before
    and after they are joined into incidents; ``hush`` is what is expected.
    """

    model: Model
    people: pl.DataFrame | None
    settings: Settings
    families: Sequence[Family]
    hush: Hush | None = None
    explained: Callable[[Sequence[Alert]], list[Alert]] = as_they_are
    stand: Callable[[Sequence[Alert]], list[Alert]] = as_they_are

    @property
    def scorer(self) -> Scorer:
        """The same that batch scoring makes."""
        covers = self.hush.covers if self.hush else None
        return Scorer(self.model, self.people, self.settings, self.families, covers)

    def raised(
        self, found: Sequence[Alert], before: Sequence[Alert], known: set[str], now: float
    ) -> list[Alert]:
        """Those of ``found`` that are not ``known``, joined with those raised ``before``.

        An alert that was raised stays as it was; ``raised`` is the wall clock's time.
        """
        new = [alert for alert in found if alert["id"] not in known]
        if not new:
            return []
        fresh = {alert["id"] for alert in new}
        roots = {alert["id"]: alert["incident"] for alert in before}
        joined, _ = incidents.join([*before, *self.explained(new)])
        at = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        mine = [
            # The first alert of a long incident may be forgotten; those after it name it.
            {**alert, "incident": roots.get(alert["incident"], alert["incident"]), "raised": at}
            for alert in joined
            if alert["id"] in fresh
        ]
        return self.stand(mine)
