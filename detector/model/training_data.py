"""What a model is learned from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import polars as pl

from detector.core.settings import Settings
from detector.features.baseline_training import Shards
from detector.features.feature import Family
from detector.ledger.aggregate import local_day

#: The least number of days that can be learned from.
MIN_DAYS = 14


@dataclass(frozen=True, slots=True)
class TrainingData:
    """What a model is learned from: HOURS and TOUCHED of all days, and all that explains them.

    Where these are of a sample of the accounts, ``all_shards`` gives all of them in shards, and
    ``sample_share`` is the sample's share of them. ``hourly`` is HOURLY of the accounts of the
    tables, where that is at hand.
    """

    hours: pl.DataFrame
    touched: pl.DataFrame
    directory: pl.DataFrame | None
    settings: Settings
    families: Sequence[Family]
    all_shards: Shards | None = None
    sample_share: float = 1.0
    hourly: pl.DataFrame | None = None

    def account_count(self) -> int:
        """How many accounts there are in the tables."""
        return self.hours["account"].n_unique()

    def days(self) -> list[date]:
        """The days with data, in order."""
        day = local_day("hour", self.settings.timezone)
        return self.hours.select(day.unique().sort()).to_series().to_list()
