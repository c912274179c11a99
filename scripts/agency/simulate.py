"""The whole agency: made once, told month by month."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby

import numpy as np
import polars as pl
from numpy.typing import NDArray

from agency import addresses as origins
from agency import assemble, campaigns, jobs, people, workdays
from agency import days as calendar
from agency.addresses import Addresses
from agency.days import Days
from agency.people import People
from agency.plan import Plan
from agency.reads import Statements, habits, read, together


@dataclass(frozen=True, slots=True)
class Agency:
    """An agency whose staff, days and thefts are settled, and whose log can be told."""

    plan: Plan
    people: People
    days: Days
    addresses: Addresses
    mix: NDArray[np.int64]
    thefts: Statements
    thieves: NDArray[np.int64]
    doublers: NDArray[np.int64]

    @classmethod
    def found(cls, plan: Plan) -> Agency:
        """The agency of ``plan``."""
        staff = people.hire(plan)
        days = calendar.spend(plan, staff)
        addresses = origins.connect(plan, staff)
        mix = habits(plan, staff)
        thieves = campaigns.thieves(plan, staff, days)
        doublers = campaigns.doublers(plan, staff, days)
        parts = [campaigns.as_much_again(plan, staff, days, addresses, mix, doublers)]
        if len(thieves) and plan.theft_days:
            parts.append(campaigns.pages(plan, thieves, addresses))
        return cls(plan, staff, days, addresses, mix, together(parts), thieves, doublers)

    def months(self) -> Iterator[tuple[str, pl.DataFrame]]:
        """The log by local month, ``2023-12`` and its events, in order."""
        hours = workdays.utc_hours(self.plan)
        dates = enumerate(self.plan.dates())
        for part, (month, days) in enumerate(
            groupby(dates, key=lambda item: item[1].strftime("%Y-%m"))
        ):
            indices = [index for index, _ in days]
            statements = self._between((indices[0], indices[-1] + 1), part)
            yield month, assemble.events(statements, self.people, self.addresses, hours)

    def events(self) -> pl.DataFrame:
        """The whole log in the order of time."""
        return pl.concat([frame for _, frame in self.months()])

    def directory(self) -> pl.DataFrame:
        """The directory of accounts (``schema.DIRECTORY``)."""
        return people.directory(self.plan, self.people)

    def incidents(self) -> pl.DataFrame:
        """The truth: account, start, end (UTC, of its first and last stolen record), kind,
        records (those read beyond the account's own work).
        """
        hours = workdays.utc_hours(self.plan)
        hour, rest = np.divmod(self.thefts.second, 3600)
        time = hours[self.thefts.day * 24 + hour] + rest
        rows = []
        for kind, accounts in (("theft", self.thieves), ("double", self.doublers)):
            for account in accounts:
                mine = self.thefts.account == account
                if mine.any():
                    span = (time[mine].min(), time[mine].max())
                    records = int(np.maximum(self.thefts.rows[mine], 0).sum())
                    rows.append((self.people.account[account], *map(_moment, span), kind, records))
        instant = pl.Datetime("us", "UTC")
        schema = {
            "account": pl.String(),
            "start": instant,
            "end": instant,
            "kind": pl.String(),
            "records": pl.Int64(),
        }
        return pl.DataFrame(rows, schema=schema, orient="row").sort("start", "account")

    def _between(self, days: tuple[int, int], part: int) -> Statements:
        plan = self.plan
        stolen = (self.thefts.day >= days[0]) & (self.thefts.day < days[1])
        staff = plan.random("reads", part)
        clock = plan.random("jobs", part)
        return together(
            [
                read(self.people, self.days, self.addresses, self.mix, days, staff),
                jobs.run(plan, self.people, self.addresses, days, clock),
                campaigns.select(self.thefts, stolen),
            ]
        )


def simulate(plan: Plan) -> pl.DataFrame:
    """The log of the agency of ``plan``, in the order of time."""
    return Agency.found(plan).events()


def _moment(second: np.int64) -> datetime:
    return datetime.fromtimestamp(int(second), tz=UTC)
