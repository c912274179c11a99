"""The part of a ledger on which campaigns are staged: its last days, and what lies before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import polars as pl

from detector.campaigns import ledger_rows
from detector.campaigns.patterns import Staged
from detector.campaigns.population import World, world
from detector.core.errors import NotEnoughHistory
from detector.core.formatting import counted
from detector.core.settings import Settings
from detector.features.peer_groups import groups
from detector.model.model import Model
from detector.model.scoring import LOOKBACK
from detector.model.synthetic_positives import services

#: Days of the stage where nothing else is asked for: the longest campaigns take five weeks.
DAYS = 42
#: On fewer, campaigns of weeks would be squeezed into days.
FEWEST = 14


@dataclass(frozen=True, slots=True)
class Stage:
    """HOURS and TOUCHED of a ledger's days to ``last``; campaigns act from ``first`` on."""

    hours: pl.DataFrame
    touched: pl.DataFrame
    directory: pl.DataFrame | None
    settings: Settings
    first: date
    last: date

    @property
    def days(self) -> list[date]:
        """All days of the stage, also those without data."""
        return [self.first + timedelta(days=n) for n in range((self.last - self.first).days + 1)]

    def people(self, model: Model) -> pl.DataFrame:
        """account, group: the groups in which the model sees them."""
        return groups(self.hours["account"], self.directory, model.learned.groups)

    def world(self, model: Model) -> World:
        """What campaigns need to know of its people."""
        return world(
            self.hours,
            self.touched,
            self.people(model),
            services(self.directory),
            self.first,
            self.last,
            self.settings.timezone,
        )

    def robbed(self, staged: Sequence[Staged]) -> Stage:
        """The same with the campaigns' acts in it."""
        acts = pl.concat([each.acts for each in staged])
        hours, touched = ledger_rows.added(self.hours, self.touched, acts)
        return Stage(hours, touched, self.directory, self.settings, self.first, self.last)


def span(days: Sequence[date], wanted: int | None) -> tuple[date, date]:
    """First and last day of the stage among a ledger's ``days`` with data.

    ``wanted`` last days, or DAYS, or as many as follow LOOKBACK days of history. Raises
    NotEnoughHistory where there are fewer than FEWEST, or than are wanted.
    """
    if not days:
        raise NotEnoughHistory("the ledger holds no day with data", hint="detector train fills it")
    first, last = days[0] + timedelta(days=LOOKBACK), days[-1]
    room = (last - first).days + 1
    if room < (wanted or FEWEST):
        covers = counted((last - days[0]).days + 1, "day")
        longest = f"; or ask for --days {room} or fewer" if wanted and room >= FEWEST else ""
        raise NotEnoughHistory(
            f"the ledger covers {covers}, {days[0]} to {last}: too few for a drill",
            hint=f"it needs {LOOKBACK} days of history and then the stage, at least "
            f"{LOOKBACK + (wanted or FEWEST)} days in all{longest}",
        )
    return last - timedelta(days=min(wanted or DAYS, room) - 1), last
