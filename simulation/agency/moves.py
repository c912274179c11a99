"""People who move to another group or role. A later posting is another row of the same account."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
from numpy.typing import NDArray

from simulation.agency.people import (
    ADVISER,
    ANALYST,
    MEDIAN_RATE,
    NIGHT,
    RATE_SPREAD,
    SERVICE,
    People,
)
from simulation.agency.plan import Plan

#: Share of the agency's own movers who change their role too.
NEW_ROLE = 0.3
OWN_STAFF = (ADVISER, ANALYST, NIGHT)


def move(plan: Plan, people: People) -> People:
    """The people, with the later postings of those who move after all first ones."""
    random = plan.random("moves")
    day = random.integers(1, max(2, plan.days), size=len(people))
    moves = random.random(len(people)) < plan.life.moves * plan.days / 365
    moves &= (people.role != SERVICE) & (people.first < day) & (day < people.last)
    who = np.flatnonzero(moves)
    group, role = _elsewhere(people, who, random)
    stays = group == people.group[who]
    who, group, role = who[~stays], group[~stays], role[~stays]
    if not len(who):
        return people
    pace = np.exp(np.take(RATE_SPREAD, role) * random.normal(size=len(who)))
    last = people.last.copy()
    last[who] = day[who] - 1
    later = {
        "role": role,
        "group": group,
        "first": day[who],
        "last": people.last[who],
        "rate": plan.rate * np.take(MEDIAN_RATE, role) * pace,
    }
    joined = {
        item.name: np.concatenate(
            [getattr(people, item.name), later.get(item.name, getattr(people, item.name)[who])]
        )
        for item in fields(People)
        if item.name not in {"account", "groups", "last"}
    }
    names = people.account + [people.account[index] for index in who]
    return replace(people, **joined, account=names, last=np.concatenate([last, later["last"]]))


def _elsewhere(
    people: People, who: NDArray[np.int64], random: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """New group and role: mostly another site of the same work; partners stay partners."""
    role = people.role[who].copy()
    changes = np.isin(role, OWN_STAFF) & (random.random(len(who)) < NEW_ROLE)
    role[changes] = random.choice(OWN_STAFF, size=int(changes.sum()))
    group = np.empty(len(who), dtype=np.int64)
    for one in np.unique(role):
        sites = np.unique(people.group[people.role == one])
        mine = role == one
        group[mine] = random.choice(sites, size=int(mine.sum()))
    return group, role
