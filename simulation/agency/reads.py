"""What people read: from account-days to statements with their rows."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from simulation.agency import catalogue, hours
from simulation.agency.addresses import Addresses
from simulation.agency.days import Days
from simulation.agency.people import ANALYST, SERVICE, People
from simulation.agency.plan import Plan

#: Each person's own mix of statements, as a table of so many equally likely slots.
SLOTS = 512
#: Share of statements outside the person's own mix: anybody may open any of their role's tables.
UNUSUAL = 0.004
FAILS, LOGIN_FAILS = 0.006, 0.04


@dataclass(frozen=True, slots=True)
class Statements:
    """Statements as codes, by statement. ``rows`` -1 is unknown. ``second`` is after local
    midnight of ``day``.
    """

    day: NDArray[np.int64]
    second: NDArray[np.int64]
    account: NDArray[np.int64]
    address: NDArray[np.int64]
    template: NDArray[np.int64]
    variant: NDArray[np.int64]
    rows: NDArray[np.int64]
    success: NDArray[np.bool_]


def together(parts: list[Statements]) -> Statements:
    """The parts one after another."""
    names = [item.name for item in fields(Statements)]
    return Statements(
        **{name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
    )


def select(statements: Statements, which: NDArray[np.bool_] | NDArray[np.int64]) -> Statements:
    """Some of the statements, by mask or index."""
    return Statements(
        **{item.name: getattr(statements, item.name)[which] for item in fields(Statements)}
    )


def seconds(statements: Statements, hours: NDArray[np.int64]) -> NDArray[np.int64]:
    """Seconds since 1970 of the statements; ``hours`` is when each local hour begins."""
    hour, rest = np.divmod(statements.second, 3600)
    time: NDArray[np.int64] = hours[statements.day * 24 + hour] + rest
    return time


def habits(plan: Plan, people: People) -> NDArray[np.int64]:
    """Account x slot: templates, each person's share of slots around the role's (Dirichlet)."""
    random = plan.random("habits")
    role = np.where(people.role == SERVICE, 0, people.role)
    share = random.standard_gamma(25 * catalogue.weights()[role] + 1e-9)
    reach = np.cumsum(share, axis=1)
    reach /= reach[:, -1:]
    position = (np.arange(SLOTS) + 0.5) / SLOTS
    return np.array([np.searchsorted(row, position) for row in reach], dtype=np.int64)


def read(
    people: People,
    days: Days,
    addresses: Addresses,
    mix: NDArray[np.int64],
    between: tuple[int, int],
    random: np.random.Generator,
) -> Statements:
    """All statements of people on the days from ``between[0]`` to before ``between[1]``."""
    first, end = between
    who, when = np.nonzero(days.statements[:, first:end])
    when = when + first
    number = days.statements[who, when]
    order = np.repeat(np.arange(len(who)), number)
    account, day = who[order], when[order]
    second = hours.times(people, account, order, len(who), random)
    template = mix[account, random.integers(0, SLOTS, size=len(order))]
    _sometimes_unusual(people, account, template, random)
    begins = np.cumsum(number) - number
    template[begins[days.long_lists[who, when]]] = catalogue.LONG_LIST
    length = people.scale[account] * days.length[who, when][order]
    rows = lengths(template, length, random)
    success = random.random(len(order)) >= FAILS
    work = Statements(
        day=day,
        second=second,
        account=account,
        address=addresses.of_day[account, day],
        template=template,
        variant=random.integers(0, catalogue.VARIANTS, size=len(order)),
        rows=np.where(success, rows, 0),
        success=success,
    )
    if not len(order):
        return work
    earliest = np.minimum.reduceat(second, begins)
    address = addresses.of_day[who, when]
    return together([work, logins(who, when, earliest, address, random)])


def lengths(
    template: NDArray[np.int64], factor: NDArray[np.float64], random: np.random.Generator
) -> NDArray[np.int64]:
    """Rows that statements return: lognormal by template, -1 where the log cannot say."""
    count = len(template)
    sigma, elastic = catalogue.column("sigma")[template], catalogue.column("elastic")[template]
    rows = catalogue.column("median")[template] * np.where(elastic > 0, factor, 1.0)
    rows *= np.exp(sigma * random.standard_normal(count))
    rows = np.minimum(np.rint(rows), catalogue.column("cap")[template])
    rows[random.random(count) < catalogue.column("miss")[template]] = 0
    rows[catalogue.column("known")[template] == 0] = -1
    return rows.astype(np.int64)


def _sometimes_unusual(
    people: People,
    account: NDArray[np.int64],
    template: NDArray[np.int64],
    random: np.random.Generator,
) -> None:
    """Replaces a few templates, in place, by any of the role's, rare ones as likely as usual."""
    odd = np.flatnonzero(random.random(len(template)) < UNUSUAL)
    draw = random.random(len(odd))
    role = people.role[account[odd]]
    for one in range(ANALYST + 2):
        allowed = np.flatnonzero(catalogue.weights()[one])
        mine = role == one
        template[odd[mine]] = allowed[(draw[mine] * len(allowed)).astype(np.int64)]


def logins(
    who: NDArray[np.int64],
    when: NDArray[np.int64],
    earliest: NDArray[np.int64],
    address: NDArray[np.int64],
    random: np.random.Generator,
) -> Statements:
    """A login a minute before the day's first statement; now and then a mistyped one before."""
    mistyped = random.random(len(who)) < LOGIN_FAILS
    pick = np.concatenate([np.arange(len(who)), np.flatnonzero(mistyped)])
    failed = np.arange(len(pick)) >= len(who)
    count = len(pick)
    before = np.where(failed, 70, 30) + random.integers(0, 30, size=count)
    return Statements(
        day=when[pick],
        second=np.maximum(earliest[pick] - before, 0),
        account=who[pick],
        address=address[pick],
        template=np.full(count, catalogue.LOGIN),
        variant=np.zeros(count, dtype=np.int64),
        rows=np.zeros(count, dtype=np.int64),
        success=~failed,
    )
