"""Who works there: accounts, groups, roles, and what each one's ordinary day is like."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

from simulation.agency.names import JOBS, SURNAMES, TOWNS, numbered
from simulation.agency.plan import Plan

ADVISER, PARTNER, ANALYST, NIGHT, SERVICE = range(5)
ROLES = ("adviser", "partner adviser", "analyst", "on-call", "service")
PREFIXES = ("adv", "partner", "ana", "oncall", "svc")
#: Staff of one agency or partner.
GROUP_SIZE = 21
#: Days until the directory knows that somebody moved.
LAG = 28
#: Statements on a median workday, by role. Service accounts follow their timetable instead.
MEDIAN_RATE = (40.0, 30.0, 35.0, 28.0, 0.0)
#: Spread between people (sigma of the logarithm): the busiest of 150 does some four times the
#: median.
RATE_SPREAD = (0.5, 0.55, 0.7, 0.4, 0.0)
#: Shape of the gamma that makes a person's days uneven; analysts work in bursts.
EVENNESS = (6.0, 5.0, 1.2, 4.0, 1.0)


@dataclass(frozen=True, slots=True)
class People:
    """All accounts; arrays are by account.

    ``first`` and ``last`` are the first and last day of employment as indices into the plan
    (first may be negative). Who moves has a row for each posting, under one account name.
    ``rate`` is statements on an ordinary workday, ``scale`` the person's factor on the length of
    lists, ``evenness`` the shape of the gamma of its days, ``begins`` the hour the day begins.
    ``works`` and ``remote`` are account x weekday (Monday 0).
    """

    account: list[str]
    role: NDArray[np.int64]
    group: NDArray[np.int64]
    groups: list[str]
    first: NDArray[np.int64]
    last: NDArray[np.int64]
    rate: NDArray[np.float64]
    scale: NDArray[np.float64]
    evenness: NDArray[np.float64]
    begins: NDArray[np.float64]
    works: NDArray[np.bool_]
    remote: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.account)


def hire(plan: Plan) -> People:
    """The staff and service accounts of ``plan``."""
    random = plan.random("people")
    role = _roles(plan)
    count = len(role)
    group, groups = _groups(role)
    first, last = _employment(plan, role, random)
    spread = np.take(RATE_SPREAD, role)
    return People(
        account=_accounts(role, random),
        role=role,
        group=group,
        groups=groups,
        first=first,
        last=last,
        rate=plan.rate * np.take(MEDIAN_RATE, role) * np.exp(spread * random.normal(size=count)),
        scale=np.exp(0.35 * random.normal(size=count)),
        evenness=np.take(EVENNESS, role) * np.exp(0.3 * random.normal(size=count)),
        begins=np.clip(random.normal(8.6, 0.5, size=count), 7.2, 10.5),
        works=_weekdays(role, random),
        remote=_remote(role, random),
    )


def directory(plan: Plan, people: People) -> pl.DataFrame:
    """The directory of accounts: account, group, role, kind, hired (``schema.DIRECTORY``).

    It lags: who moved in the last four weeks still stands in the old group.
    """
    began: dict[str, int] = {}
    row: dict[str, int] = {}
    for index, (account, first) in enumerate(zip(people.account, people.first, strict=True)):
        began.setdefault(account, int(first))
        if account not in row or first < plan.days - LAG:
            row[account] = index
    hired: list[date] = [plan.start + timedelta(days=first) for first in began.values()]
    shown = list(row.values())
    return pl.DataFrame(
        {
            "account": list(row),
            "group": [people.groups[index] for index in people.group[shown]],
            "role": [ROLES[index] for index in people.role[shown]],
            "kind": ["service" if one == SERVICE else "human" for one in people.role[shown]],
            "hired": hired,
        },
        schema_overrides={"hired": pl.Date},
    )


def _roles(plan: Plan) -> NDArray[np.int64]:
    shares = plan.mix
    sizes = {
        PARTNER: max(4, round(plan.accounts * shares.partners)),
        ANALYST: max(1, round(plan.accounts * shares.analysts)),
        NIGHT: max(1, round(plan.accounts * shares.night)),
        SERVICE: max(2, round(plan.accounts * shares.services)),
    }
    sizes[ADVISER] = plan.accounts - sum(sizes.values())
    if sizes[ADVISER] < 1:
        raise ValueError("the mix leaves no advisers")
    return np.repeat(np.arange(5), [sizes[role] for role in range(5)])


def _accounts(role: NDArray[np.int64], random: np.random.Generator) -> list[str]:
    surnames = random.permutation(len(SURNAMES))
    names = []
    services = 0
    for index, one in enumerate(role):
        if one == SERVICE:
            names.append(f"svc.{JOBS[services % len(JOBS)]}")
            services += 1
        else:
            names.append(f"{PREFIXES[one]}.{SURNAMES[surnames[index % len(SURNAMES)]]}")
    return numbered(names)


def _groups(role: NDArray[np.int64]) -> tuple[NDArray[np.int64], list[str]]:
    """Group of each account, and the groups' names. Agencies and partners have about 21 staff."""
    group = np.zeros(len(role), dtype=np.int64)
    names: list[str] = []
    for one, title in enumerate(("agency", "partner", "analysis", "oncall", "batch")):
        members = np.flatnonzero(role == one)
        split = max(1, round(len(members) / GROUP_SIZE)) if one in {ADVISER, PARTNER} else 1
        group[members] = len(names) + np.arange(len(members)) * split // max(1, len(members))
        if one == ADVISER:
            names += numbered([f"{title}.{TOWNS[index % len(TOWNS)]}" for index in range(split)])
        elif one == PARTNER:
            names += [f"{title}.site-{index + 1}" for index in range(split)]
        else:
            names.append(title)
    return group, names


def _employment(
    plan: Plan, role: NDArray[np.int64], random: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First and last day. In a year some 20 % join and 12 % leave; services stay, some new
    ones start.
    """
    count = len(role)
    first = -random.integers(60, 20 * 365, size=count)
    last = np.full(count, plan.days + 10_000)
    human = role != SERVICE
    year = plan.days / 365
    joins = human & (random.random(count) < 0.20 * year)
    first[joins] = random.integers(0, plan.days, size=int(joins.sum()))
    new = plan.random("new jobs").random(count) < plan.life.new_jobs * year
    new &= ~human
    first[new] = plan.random("new jobs", 1).integers(0, plan.days, size=int(new.sum()))
    leaves = human & ~joins & (random.random(count) < 0.12 * year)
    last[leaves] = random.integers(0, plan.days, size=int(leaves.sum()))
    return first, last


def _weekdays(role: NDArray[np.int64], random: np.random.Generator) -> NDArray[np.bool_]:
    """Account x weekday: one in five is part-time and has one or two fixed days off."""
    count = len(role)
    works = np.zeros((count, 7), dtype=bool)
    works[:, :5] = True
    part_time = random.random(count) < 0.2
    # Wednesday is the usual day off in France: schools are closed in the afternoon.
    off = random.choice(5, p=[0.13, 0.1, 0.45, 0.1, 0.22], size=count)
    works[np.flatnonzero(part_time), off[part_time]] = False
    half = part_time & (random.random(count) < 0.3)
    works[np.flatnonzero(half), (off[half] + 2) % 5] = False
    return works


def _remote(role: NDArray[np.int64], random: np.random.Generator) -> NDArray[np.bool_]:
    """Account x weekday: two in five of the agency's own staff telework one or two days a week."""
    count = len(role)
    remote = np.zeros((count, 7), dtype=bool)
    teleworks = np.isin(role, (ADVISER, ANALYST)) & (random.random(count) < 0.4)
    chosen = random.integers(0, 5, size=count)
    remote[np.flatnonzero(teleworks), chosen[teleworks]] = True
    twice = teleworks & (random.random(count) < 0.5)
    remote[np.flatnonzero(twice), (chosen[twice] + 3) % 5] = True
    return remote
