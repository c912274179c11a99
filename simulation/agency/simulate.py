"""The whole agency: made once, told month by month."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np
import polars as pl
from numpy.typing import NDArray

from simulation.agency import addresses as origins
from simulation.agency import assemble, jobs, moves, networks, people, systems, workdays
from simulation.agency import days as calendar
from simulation.agency.addresses import Addresses
from simulation.agency.campaigns import campaign, kinds, sample
from simulation.agency.campaigns.campaign import Campaign
from simulation.agency.campaigns.scene import World
from simulation.agency.days import Days
from simulation.agency.extracts import extracts
from simulation.agency.people import People
from simulation.agency.plan import Plan
from simulation.agency.reads import Statements, habits, read, select, together


@dataclass(frozen=True, slots=True)
class Agency:
    """An agency whose staff, days and thefts are settled, and whose log can be told.

    ``accounts`` are the names of all, those that no directory knows after those of the people.
    """

    plan: Plan
    people: People
    days: Days
    addresses: Addresses
    mix: NDArray[np.int64]
    accounts: list[str]
    once: Statements
    campaigns: list[Campaign]

    @classmethod
    def found(cls, plan: Plan) -> Agency:
        """The agency of ``plan``."""
        staff = moves.move(plan, people.hire(plan))
        days = calendar.spend(plan, staff)
        addresses = networks.change(plan, staff, origins.connect(plan, staff))
        mix = habits(plan, staff)
        campaigns = sample.theft(plan, staff, days, addresses, mix)
        world = World(plan, staff, days, addresses, mix)
        for one in campaigns:
            world.busy.update(int(account) for account in one.statements.account)
        if plan.campaigns:
            campaigns += kinds.commit(world)
        once = extracts(plan, staff, days, addresses)
        book = replace(addresses, book=[*addresses.book, *world.hosts])
        accounts = [*staff.account, *world.strangers]
        return cls(plan, staff, days, book, mix, accounts, once, campaigns)

    def months(self) -> Iterator[tuple[str, pl.DataFrame]]:
        """The log by local month, ``2023-12`` and its events, in order."""
        hours, releases = workdays.utc_hours(self.plan), systems.releases(self.plan)
        dates = enumerate(self.plan.dates())
        for part, (month, days) in enumerate(
            groupby(dates, key=lambda item: item[1].strftime("%Y-%m"))
        ):
            indices = [index for index, _ in days]
            statements = self._between((indices[0], indices[-1] + 1), part)
            yield month, assemble.events(statements, self.accounts, self.addresses, hours, releases)

    def events(self) -> pl.DataFrame:
        """The whole log in the order of time."""
        return pl.concat([frame for _, frame in self.months()])

    def directory(self) -> pl.DataFrame:
        """The directory of accounts (``schema.DIRECTORY``)."""
        return people.directory(self.plan, self.people)

    def incidents(self) -> pl.DataFrame:
        """The truth, an entity of a campaign a row (see ``campaign.incidents``)."""
        hours = workdays.utc_hours(self.plan)
        return campaign.incidents(self.campaigns, self.accounts, self.people, self.addresses, hours)

    def stolen(self) -> pl.DataFrame:
        """Stolen records by campaign, hour and account (see ``campaign.stolen``)."""
        return campaign.stolen(self.campaigns, self.accounts, workdays.utc_hours(self.plan))

    def _between(self, days: tuple[int, int], part: int) -> Statements:
        plan = self.plan
        staff = plan.random("reads", part)
        clock = plan.random("jobs", part)
        own = read(self.people, self.days, self.addresses, self.mix, days, staff)
        statements = together(
            [
                self._without_retold(own),
                jobs.run(plan, self.people, self.addresses, days, clock),
                _within(self.once, days),
                *(_within(one.statements, days) for one in self.campaigns),
            ]
        )
        return systems.logged(plan, statements)

    def _without_retold(self, own: Statements) -> Statements:
        """Own work, without that which a campaign tells itself."""
        kept = np.ones(len(own.day), dtype=bool)
        for one in self.campaigns:
            if one.instead:
                account, first, end = one.instead
                kept &= (own.account != account) | (own.day < first) | (own.day >= end)
        return own if kept.all() else select(own, kept)


def simulate(plan: Plan) -> pl.DataFrame:
    """The log of the agency of ``plan``, in the order of time."""
    return Agency.found(plan).events()


def _within(statements: Statements, days: tuple[int, int]) -> Statements:
    return select(statements, (statements.day >= days[0]) & (statements.day < days[1]))
