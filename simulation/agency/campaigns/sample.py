"""The thefts of the sample: three partner accounts by the million, one adviser quietly."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from simulation.agency import catalogue
from simulation.agency.addresses import Addresses
from simulation.agency.campaigns import pages
from simulation.agency.campaigns.campaign import Campaign
from simulation.agency.days import Days, spend
from simulation.agency.people import ADVISER, PARTNER, People
from simulation.agency.plan import Plan
from simulation.agency.reads import Statements, read, select


def thieves(plan: Plan, people: People, days: Days) -> NDArray[np.int64]:
    """The partner accounts whose passwords are stolen: long in service and at work meanwhile.

    They are the steadiest of the even agency: how restless people are does not say who is robbed.
    """
    even = replace(plan, life=replace(plan.life, restless=0.0))
    settled = spend(even, people) if plan.thieves and plan.life.restless else days
    return _steadiest(plan, people, settled, PARTNER, plan.thieves)


def doublers(plan: Plan, people: People, days: Days) -> NDArray[np.int64]:
    """The advisers who will read twice their usual: those whose days are the steadiest.

    Steady ones, so that twice the usual is what the log shows.
    """
    return _steadiest(plan, people, days, ADVISER, plan.doublers)


def theft(
    plan: Plan, people: People, days: Days, addresses: Addresses, mix: NDArray[np.int64]
) -> list[Campaign]:
    """The sample's campaigns: first each doubler's, then the thieves'."""
    second = doublers(plan, people, days)
    again = as_much_again(plan, people, days, addresses, mix, second)
    campaigns = [
        _campaign("double", number, select(again, again.account == account))
        for number, account in enumerate(second, start=1)
    ]
    first = thieves(plan, people, days)
    if len(first) and plan.theft_days:
        span = (plan.theft_from, plan.theft_from + plan.theft_days)
        hosts, random = addresses.rented, plan.random("theft")
        taken = pages.day_and_night(first, plan.stolen, span, hosts, random)
        campaigns.append(_campaign("theft", 1, taken, tuple(hosts)))
    return campaigns


def as_much_again(
    plan: Plan,
    people: People,
    days: Days,
    addresses: Addresses,
    mix: NDArray[np.int64],
    account: NDArray[np.int64],
) -> Statements:
    """The same number of statements once more, in the same hours, from the same address."""
    extra = np.zeros_like(days.statements)
    extra[account, plan.theft_from :] = days.statements[account, plan.theft_from :]
    again = replace(days, statements=extra)
    both = read(people, again, addresses, mix, (0, plan.days), plan.random("doubled"))
    kept = both.template != catalogue.LOGIN
    return select(both, kept)


def _campaign(
    kind: str, number: int, statements: Statements, hosts: tuple[int, ...] = ()
) -> Campaign:
    taken = np.maximum(statements.rows, 0)
    return Campaign(f"{kind}-{number}", kind, statements, taken, hosts)


def _steadiest(plan: Plan, people: People, days: Days, role: int, count: int) -> NDArray[np.int64]:
    """``count`` accounts of a role whose days before and during the thefts are most alike.

    Those who joined, left, were long away, pulled long lists or read little come last.
    Raises ValueError where the role has fewer accounts.
    """
    members = np.flatnonzero(people.role == role)
    if len(members) < count:
        raise ValueError(f"{count} accounts were to steal, only {len(members)} have the role")
    # Work in proportion to rows: statements, and how long the day's lists are.
    work = days.statements[members] * days.length[members]
    before, during = work[:, : plan.theft_from], work[:, plan.theft_from :]
    usual, now = _mean_of_worked(before), _mean_of_worked(during)
    swing = np.abs(np.log((now + 1) / (usual + 1)))
    changed = (people.first[members] >= 0) | (people.last[members] < plan.days)
    away = (during > 0).mean(axis=1) < 0.6 if plan.theft_days else np.zeros(len(members))
    wild = days.long_lists[members].any(axis=1) | (days.statements[members].max(axis=1) > 5 * usual)
    pace = people.rate[members] * people.scale[members]
    penalty = 10.0 * changed + 4.0 * away + 2.0 * wild + 1.0 * (pace < np.median(pace))
    return members[np.argsort(swing + penalty, kind="stable")[:count]]


def _mean_of_worked(statements: NDArray[np.float64]) -> NDArray[np.float64]:
    mean: NDArray[np.float64] = statements.sum(axis=1) / np.maximum((statements > 0).sum(axis=1), 1)
    return mean
