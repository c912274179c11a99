"""The thefts, and the truth about them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from agency import catalogue
from agency.addresses import Addresses
from agency.days import Days
from agency.people import ADVISER, PARTNER, People
from agency.plan import Plan
from agency.reads import Statements, read

#: Rows of a page: median, sigma of the logarithm, at most.
PAGE_ROWS, PAGE_SPREAD, PAGE_MOST = 290, 0.3, 1000
#: The first day begins when the stolen passwords are tried, in the morning.
BEGINS = 8 * 3600 + 40 * 60


def thieves(plan: Plan, people: People, days: Days) -> NDArray[np.int64]:
    """The partner accounts whose passwords are stolen: long in service and at work meanwhile."""
    return _steadiest(plan, people, days, PARTNER, plan.thieves)


def doublers(plan: Plan, people: People, days: Days) -> NDArray[np.int64]:
    """The advisers who will read twice their usual: those whose days are the steadiest.

    Steady ones, so that twice the usual is what the log shows.
    """
    return _steadiest(plan, people, days, ADVISER, plan.doublers)


def pages(plan: Plan, account: NDArray[np.int64], addresses: Addresses) -> Statements:
    """The theft of the person table, page by page, day and night, at an even pace."""
    random = plan.random("theft")
    rows = _page_rows(plan.stolen, random)
    cells = len(account) * plan.theft_days
    share = random.gamma(150.0, size=cells)
    cell = np.minimum(
        np.searchsorted(np.cumsum(share / share.sum()), (np.arange(len(rows)) + 0.5) / len(rows)),
        cells - 1,
    )
    per_cell = np.bincount(cell, minlength=cells)
    nth = np.arange(len(rows)) - (np.cumsum(per_cell) - per_cell)[cell]
    who, when = np.divmod(cell, plan.theft_days)
    begins = np.where(when == 0, BEGINS + 600 * who, 0)
    pace = (nth + random.random(len(rows)) * 0.8) / per_cell[cell]
    # Each account has one rented host, and changes to another half-way.
    host = (who + 3 * (when >= plan.theft_days // 2)) % len(addresses.rented)
    return Statements(
        day=plan.theft_from + when,
        second=(begins + pace * (86_400 - begins)).astype(np.int64),
        account=account[who],
        address=addresses.rented[host],
        template=np.full(len(rows), catalogue.PAGE),
        variant=np.zeros(len(rows), dtype=np.int64),
        rows=rows,
        success=np.ones(len(rows), dtype=bool),
    )


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


def select(statements: Statements, which: NDArray[np.bool_] | NDArray[np.int64]) -> Statements:
    """Some of the statements, by mask or index."""
    names = Statements.__dataclass_fields__
    return Statements(**{name: getattr(statements, name)[which] for name in names})


def _page_rows(total: int, random: np.random.Generator) -> NDArray[np.int64]:
    """Page lengths that sum to ``total`` exactly."""
    draw = random.lognormal(np.log(PAGE_ROWS), PAGE_SPREAD, size=total // 200 + 10)
    rows = np.clip(np.rint(draw), 1, PAGE_MOST).astype(np.int64)
    count = int(np.searchsorted(np.cumsum(rows), total)) + 1
    rows = rows[:count]
    rows[-1] -= rows.sum() - total
    return rows


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
