"""When the network changes: sites that are renumbered, days on which all work from home."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from simulation.agency.addresses import SPARE, Addresses
from simulation.agency.people import ADVISER, ANALYST, PARTNER, SERVICE, People
from simulation.agency.plan import Plan

#: On a day of snow or strikes: share of groups that stay at home, and of their staff.
GROUPS_AT_HOME, STAFF_AT_HOME = 0.7, 0.85


def change(plan: Plan, people: People, addresses: Addresses) -> Addresses:
    """The addresses after all such changes."""
    return _home_days(plan, people, _renumber(plan, people, addresses))


def _renumber(plan: Plan, people: People, addresses: Addresses) -> Addresses:
    """From a day on, every device of the group has another address, and keeps it."""
    random = plan.random("renumbered")
    book, of_day = list(addresses.book), addresses.of_day.copy()
    happens = random.random(len(people.groups)) < plan.life.renumbered * plan.days / 365
    day = random.integers(1, max(2, plan.days), size=len(people.groups))
    for group in np.flatnonzero(happens):
        members = np.flatnonzero((people.group == group) & (people.role != SERVICE))
        devices = (members[:, None] * SPARE + np.arange(SPARE)).ravel()
        new = np.arange(len(book) + len(devices))
        new[devices] = len(book) + np.arange(len(devices))
        book += [
            f"10.{130 + group // 250 + 4 * (index // 250)}.{group % 250}.{index % 250}"
            for index in range(len(devices))
        ]
        of_day[:, day[group] :] = new[of_day[:, day[group] :]]
    return replace(addresses, book=book, of_day=of_day)


def _home_days(plan: Plan, people: People, addresses: Addresses) -> Addresses:
    """On such a day most staff of many groups come through the pool of the VPN."""
    random = plan.random("vpn days")
    of_day = addresses.of_day.copy()
    office = np.isin(people.role, (ADVISER, ANALYST, PARTNER))
    for day in random.integers(
        0, plan.days, size=random.poisson(plan.life.vpn_days * plan.days / 365)
    ):
        groups = random.random(len(people.groups)) < GROUPS_AT_HOME
        home = office & groups[people.group] & (random.random(len(people)) < STAFF_AT_HOME)
        of_day[home, day] = random.choice(addresses.pool, size=int(home.sum()))
    return replace(addresses, of_day=of_day)
