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
from detector.features.feature_table import DIMENSIONS
from detector.features.peer_groups import by_dominant, dominant
from detector.features.peer_groups import groups as peer_groups
from detector.ledger.store import Ledger
from detector.model.sampling import SIZE, sample
from detector.model.training_data import Data
from detector.triage.history import EntityDay
from detector.triage.training_exclusions import Clean, without

#: Accounts of a shard, about.
SHARD = 5000


@dataclass(frozen=True, slots=True)
class History:
    """The days of a ledger from ``since`` to ``until``, of which some were ``confirmed`` thefts."""

    ledger: Ledger
    since: date
    until: date
    confirmed: Sequence[EntityDay]
    directory: pl.DataFrame | None
    settings: Settings

    def data(self, families: Sequence[Family], most: int = SIZE) -> tuple[Data, pl.DataFrame]:
        """What to learn from, and the days left out of it (entity_kind, entity, day).

        A sample where there are more than ``most`` accounts.
        """
        accounts = self.ledger.accounts(self.since, self.until)
        if len(accounts) <= most:
            clean = self._read(None, None)
            return self._data(clean, families), clean.left_out
        members = self._members(accounts)

        def everyone() -> Iterator[Shard]:
            for one in self._shards(len(accounts)):
                clean = self._read(one, members)
                yield clean.hours, clean.touched

        chosen = sample(members, most)
        clean = self._read(pl.col("account").is_in(chosen.implode()), members)
        data = self._data(clean, families)
        share = len(chosen) / len(accounts)
        left_out = clean.left_out
        if self.confirmed:
            parts = [self._read(one, members).left_out for one in self._shards(len(accounts))]
            left_out = pl.concat(parts).unique().sort("entity_kind", "entity", "day")
        return replace(data, everyone=everyone, share=share), left_out

    def _data(self, clean: Clean, families: Sequence[Family]) -> Data:
        return Data(clean.hours, clean.touched, self.directory, self.settings, families)

    def _read(self, accounts: pl.Expr | None, members: pl.DataFrame | None) -> Clean:
        return without(
            self.ledger.hours(self.since, self.until, accounts),
            self.ledger.touched(self.since, self.until, DIMENSIONS, accounts),
            self.confirmed,
            self.directory,
            self.settings,
            members,
        )

    def _members(self, accounts: pl.Series) -> pl.DataFrame:
        """account, group: by the directory, or by what each uses."""
        if self.directory is not None:
            return peer_groups(accounts, self.directory)
        uses = [
            dominant(self.ledger.touched(self.since, self.until, DIMENSIONS, one))
            for one in self._shards(len(accounts))
        ]
        return peer_groups(accounts, None, by_dominant(pl.concat(uses)))

    @staticmethod
    def _shards(accounts: int) -> list[pl.Expr]:
        """Each account is in one. Which, does not matter: sums of shards are sums of the whole."""
        many = -(-accounts // SHARD)
        return [pl.col("account").hash() % many == number for number in range(many)]
