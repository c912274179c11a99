"""What a model learns from: a ledger's days, without confirmed thefts.

Few accounts are read at once. Of many, a sample tells how odd honest days get, and all are read
for what is usual, some after the others, so that memory need not hold them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date

import polars as pl

from detector.core.settings import Settings
from detector.features.baseline_training import Shard
from detector.features.feature import Family
from detector.features.feature_table import FEATURE_DIMENSIONS
from detector.features.peer_groups import assign_groups as peer_groups
from detector.features.peer_groups import groups_by_main_usage, main_usage
from detector.ledger.store import Ledger
from detector.model.sampling import SAMPLE_SIZE, sample_accounts
from detector.model.training_data import TrainingData
from detector.triage.history import EntityDay
from detector.triage.training_exclusions import CleanTables, exclude_days

#: Accounts of a shard, about.
SHARD_SIZE = 5000


@dataclass(frozen=True, slots=True)
class TrainingHistory:
    """The days of a ledger from ``since`` to ``until``, of which some were ``confirmed_days``
    thefts.
    """

    ledger: Ledger
    since: date
    until: date
    confirmed_days: Sequence[EntityDay]
    directory: pl.DataFrame | None
    settings: Settings

    def training_data(
        self, families: Sequence[Family], most: int = SAMPLE_SIZE
    ) -> tuple[TrainingData, pl.DataFrame]:
        """What to learn from, and the days left out of it (entity_kind, entity, day).

        A sample where there are more than ``most`` accounts.
        """
        accounts = self.ledger.accounts(self.since, self.until)
        if len(accounts) <= most:
            clean = self._read_clean(None, None)
            return self._build_data(clean, families), clean.excluded_days
        members = self._members(accounts)

        def everyone() -> Iterator[Shard]:
            for one in self._shards(len(accounts)):
                clean = self._read_clean(one, members)
                yield clean.hours, clean.touched

        chosen = sample_accounts(members, most)
        clean = self._read_clean(pl.col("account").is_in(chosen.implode()), members)
        data = self._build_data(clean, families)
        share = len(chosen) / len(accounts)
        left_out = clean.excluded_days
        if self.confirmed_days:
            parts = [
                self._read_clean(one, members).excluded_days for one in self._shards(len(accounts))
            ]
            left_out = pl.concat(parts).unique().sort("entity_kind", "entity", "day")
        return replace(data, all_shards=everyone, sample_share=share), left_out

    def _build_data(self, clean: CleanTables, families: Sequence[Family]) -> TrainingData:
        return TrainingData(clean.hours, clean.touched, self.directory, self.settings, families)

    def _read_clean(self, accounts: pl.Expr | None, members: pl.DataFrame | None) -> CleanTables:
        return exclude_days(
            self.ledger.hours(self.since, self.until, accounts),
            self.ledger.touched(self.since, self.until, FEATURE_DIMENSIONS, accounts),
            self.confirmed_days,
            self.directory,
            self.settings,
            members,
        )

    def _members(self, accounts: pl.Series) -> pl.DataFrame:
        """account, group: by the directory, or by what each uses."""
        if self.directory is not None:
            return peer_groups(accounts, self.directory)
        uses = [
            main_usage(self.ledger.touched(self.since, self.until, FEATURE_DIMENSIONS, one))
            for one in self._shards(len(accounts))
        ]
        return peer_groups(accounts, None, groups_by_main_usage(pl.concat(uses)))

    @staticmethod
    def _shards(accounts: int) -> list[pl.Expr]:
        """Each account is in one. Which, does not matter: sums of shards are sums of the whole."""
        many = -(-accounts // SHARD_SIZE)
        return [pl.col("account").hash() % many == number for number in range(many)]
