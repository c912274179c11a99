"""The part of a ledger on which campaigns are staged: its last days, and what lies before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import polars as pl

from detector.campaigns import ledger_rows
from detector.campaigns.patterns import Campaign
from detector.campaigns.population import Population, build_population
from detector.core.days import days_between
from detector.core.errors import NotEnoughHistory
from detector.core.formatting import quantity
from detector.core.settings import Settings
from detector.features.peer_groups import assign_groups
from detector.model.model import Model
from detector.model.scoring import LOOKBACK_DAYS
from detector.model.synthetic_positives import service_accounts

#: Days of the stage where nothing else is asked for: the longest campaigns take five weeks.
DEFAULT_DAYS = 42
#: On fewer, campaigns of weeks would be squeezed into days.
MIN_DAYS = 14


@dataclass(frozen=True, slots=True)
class DrillWindow:
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
        return days_between(self.first, self.last)

    def peer_groups(self, model: Model) -> pl.DataFrame:
        """account, group: the groups in which the model sees them."""
        return assign_groups(self.hours["account"], self.directory, model.baselines.groups)

    def population(self, model: Model) -> Population:
        """What campaigns need to know of its people."""
        return build_population(
            self.hours,
            self.touched,
            self.peer_groups(model),
            service_accounts(self.directory),
            self.first,
            self.last,
            self.settings.timezone,
        )

    def with_campaigns(self, staged: Sequence[Campaign]) -> DrillWindow:
        """The same with the campaigns' acts in it."""
        acts = pl.concat([each.rows for each in staged])
        hours, touched = ledger_rows.add_campaign(self.hours, self.touched, acts)
        return DrillWindow(hours, touched, self.directory, self.settings, self.first, self.last)


def day_range(days: Sequence[date], wanted: int | None) -> tuple[date, date]:
    """First and last day of the stage among a ledger's ``days`` with data.

    ``wanted`` last days, or DAYS, or as many as follow LOOKBACK days of history. Raises
    NotEnoughHistory where there are fewer than FEWEST, or than are wanted.
    """
    if not days:
        raise NotEnoughHistory("the ledger holds no day with data", hint="detector train fills it")
    first, last = days[0] + timedelta(days=LOOKBACK_DAYS), days[-1]
    room = (last - first).days + 1
    if room < (wanted or MIN_DAYS):
        covers = quantity((last - days[0]).days + 1, "day")
        longest = f"; or ask for --days {room} or fewer" if wanted and room >= MIN_DAYS else ""
        raise NotEnoughHistory(
            f"the ledger covers {covers}, {days[0]} to {last}: too few for a drill",
            hint=f"it needs {LOOKBACK_DAYS} days of history and then the stage, at least "
            f"{LOOKBACK_DAYS + (wanted or MIN_DAYS)} days in all{longest}",
        )
    return last - timedelta(days=min(wanted or DEFAULT_DAYS, room) - 1), last
