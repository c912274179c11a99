"""From where accounts connect: account x day, as indices into one book of addresses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulation.agency import workdays
from simulation.agency.people import ADVISER, ANALYST, NIGHT, PARTNER, SERVICE, People
from simulation.agency.plan import Plan

#: A device is swapped once in about 250 days, a hot desk used on 2 days of 100.
SWAP, HOT_DESK = 1 / 250, 0.02
#: Devices a person may own in turn.
SPARE = 4
#: Hosts that the thieves come from: rented servers, never seen before.
RENTED = ("185.12.4.7", "203.0.113.77", "198.51.100.23", "203.0.113.140", "192.0.2.66")


@dataclass(frozen=True, slots=True)
class Addresses:
    """``book`` of addresses, and indices into it: account x day, the thieves' rented hosts, the
    pool of the VPN.
    """

    book: list[str]
    of_day: NDArray[np.int64]
    rented: NDArray[np.int64]
    pool: NDArray[np.int64]


def connect(plan: Plan, people: People) -> Addresses:
    """Where everybody connects from on each day."""
    random = plan.random("addresses")
    count, shape = len(people), (len(people), plan.days)
    devices = np.arange(count * SPARE).reshape(count, SPARE)
    book = [_device(people, person, turn) for person in range(count) for turn in range(SPARE)]
    # The pool of the VPN, and homes of on-call staff.
    pool = len(book) + np.arange(max(4, count // 4))
    book += [f"10.250.{index // 250}.{index % 250 + 1}" for index in range(len(pool))]
    rented = len(book) + np.arange(len(RENTED))
    book += RENTED
    swaps = (random.random(shape) < SWAP) & (people.role != SERVICE)[:, None]
    turn = np.minimum(np.cumsum(swaps, axis=1), SPARE - 1)
    of_day = np.take_along_axis(devices, turn, axis=1)
    own_staff = np.isin(people.role, (ADVISER, ANALYST))[:, None]
    borrowed = (random.random(shape) < HOT_DESK) & np.isin(people.role, (ADVISER, PARTNER))[:, None]
    neighbour = _neighbours(people, random, plan.days)
    of_day = np.where(borrowed, devices[neighbour, 0], of_day)
    weekday = workdays.weekday(plan)
    away = people.remote[:, weekday] | ((random.random(shape) < 0.015) & own_staff)
    away |= own_staff & (weekday >= 5)
    of_day = np.where(away, random.choice(pool, size=shape), of_day)
    return Addresses(book, of_day, rented, pool)


def _device(people: People, person: int, turn: int) -> str:
    group, role = int(people.group[person]), people.role[person]
    host = 10 + (person * 4 + turn) % 240
    if role == PARTNER:
        return f"172.{20 + group // 250}.{group % 250}.{host}"
    if role == NIGHT:
        return f"100.{64 + person % 60}.{(person * 7) % 250}.{host}"
    if role == SERVICE:
        return f"10.0.{person % 250}.{10 + person // 250}"
    if role == ANALYST:
        return f"10.18.{person // 50 % 250}.{host}"
    return f"10.{20 + group // 250}.{group % 250}.{host}"


def _neighbours(people: People, random: np.random.Generator, days: int) -> NDArray[np.int64]:
    """Account x day: a colleague of the same group."""
    ordered = np.argsort(people.group, kind="stable")
    size = np.bincount(people.group, minlength=len(people.groups))
    begins = np.cumsum(size) - size
    draw = random.random((len(people), days))
    place = begins[people.group][:, None] + (draw * size[people.group][:, None]).astype(np.int64)
    neighbours: NDArray[np.int64] = ordered[place]
    return neighbours
