"""What to simulate: sizes, dates, shares. Everything else follows from the seed."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from datetime import date, timedelta

import numpy as np

from simulation.agency.life import SETTLED, Life


@dataclass(frozen=True, slots=True)
class Mix:
    """Shares of the accounts that are not ordinary advisers."""

    partners: float = 0.10
    analysts: float = 0.05
    night: float = 0.04
    services: float = 0.05


@dataclass(frozen=True, slots=True)
class Plan:
    """One agency over some days.

    ``start`` is the first local day. In the last ``theft_days`` days, ``thieves`` partner
    accounts together take ``stolen`` records, and ``doublers`` advisers read twice their
    usual. 0 thieves and 0 doublers make an honest agency. ``campaigns`` thefts of each of
    ``kinds`` (of all where it is empty) begin and end in the same days, each with accounts of
    its own. ``rate`` scales everybody's statements a day, ``life`` says how often things change;
    in the sample, people are restless and nothing else changes.
    """

    seed: int = 20240205
    accounts: int = 200
    start: date = date(2023, 12, 7)
    days: int = 90
    thieves: int = 3
    stolen: int = 43_000_000
    theft_days: int = 30
    doublers: int = 1
    campaigns: int = 0
    kinds: tuple[str, ...] = ()
    rate: float = 1.0
    mix: Mix = field(default_factory=Mix)
    life: Life = SETTLED

    def __post_init__(self) -> None:
        if self.accounts < 20 or self.days < 1:
            raise ValueError("an agency has at least 20 accounts and one day")
        if self.thieves and self.stolen < 1:
            raise ValueError("thieves take at least one record")
        steals = self.thieves or self.doublers or self.campaigns
        if self.campaigns and self.theft_days < 1:
            raise ValueError("campaigns need at least one day to steal in")
        if self.theft_days < 0 or (steals and self.theft_days > self.days):
            raise ValueError("the theft cannot last longer than the log")

    @property
    def theft_from(self) -> int:
        """Index of the first day of the thefts."""
        return max(0, self.days - self.theft_days)

    def day(self, index: int) -> date:
        """The local date of day ``index``."""
        return self.start + timedelta(days=index)

    def dates(self) -> list[date]:
        """All local dates."""
        return [self.day(index) for index in range(self.days)]

    def random(self, name: str, part: int = 0) -> np.random.Generator:
        """The random stream of one aspect, apart from all others.

        So a change in one module leaves what the others draw as it was.
        """
        return np.random.default_rng([self.seed, zlib.crc32(name.encode()), part])
