"""How unevenly people work: no day is like another, nor a week, nor a quarter of a year."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from simulation.agency.people import SERVICE, People
from simulation.agency.plan import Plan

#: All sigmas are of the logarithm. How much more or less restless people are than each other.
TEMPER = 0.25
#: The sigma of a day beside its neighbours; of a person's week; of a site's week, since what
#: comes to a site is everybody's there. MEMORY is the correlation of a week with the one before.
DAY, WEEK, SITE_WEEK, MEMORY = 0.2, 0.34, 0.1, 0.55
#: A slow drift: the sigma of a year's.
DRIFT = 0.3
#: Shifts of the level (a case load, a project, another task): begun in a year, days, sigma.
SHIFTS, SHIFT_DAYS, SHIFT = 2.2, (21, 120), 0.38
#: Bursts (a stock-taking, a crisis): begun in a year, days, factor.
BURSTS, BURST_DAYS, BURST = 3.0, (2, 6), (1.6, 3.2)
#: Days with little at the screen (training, meetings): share of the days, factor.
QUIET_DAYS, QUIET = 0.09, (0.05, 0.5)
#: Heights are drawn of so many.
_DRAWS = 1000


def factors(plan: Plan, people: People) -> NDArray[np.float64]:
    """Account x day: by what factor the day differs from an even one; 1 where life is not restless.

    The mean of all is 1: the log is as large as an even one. Services follow their timetable.
    """
    strength, human = plan.life.restless, people.role != SERVICE
    shape = (len(people), plan.days)
    if strength == 0:
        return np.ones(shape)
    random = plan.random("restless")
    temper = np.exp(TEMPER * random.normal(size=(len(people), 1)))
    level = DAY * random.normal(size=shape) + WEEK * _weeks(plan, len(people), random)
    level += DRIFT * random.normal(size=(len(people), 1)) * np.arange(plan.days) / 365
    level += _spells(shape, SHIFTS, SHIFT_DAYS, SHIFT * random.normal(size=_DRAWS), random)
    level *= temper
    level += SITE_WEEK * _weeks(plan, len(people.groups), random)[people.group]
    level += _spells(shape, BURSTS, BURST_DAYS, random.uniform(*np.log(BURST), size=_DRAWS), random)
    quiet = random.random(shape) < QUIET_DAYS
    level += quiet * random.uniform(*np.log(QUIET), size=shape)
    factor = np.exp(strength * level)
    return np.where(human[:, None], factor / factor[human].mean(), 1.0)


def _weeks(plan: Plan, count: int, random: np.random.Generator) -> NDArray[np.float64]:
    """Row x day: the level of its week, an autoregression of variance 1."""
    week = (np.arange(plan.days) + plan.start.weekday()) // 7
    level = random.normal(size=(count, int(week[-1]) + 1))
    for one in range(1, level.shape[1]):
        level[:, one] = MEMORY * level[:, one - 1] + np.sqrt(1 - MEMORY**2) * level[:, one]
    return level[:, week]


def _spells(
    shape: tuple[int, int],
    yearly: float,
    lasts: tuple[int, int],
    heights: NDArray[np.float64],
    random: np.random.Generator,
) -> NDArray[np.float64]:
    """Row x day: the sum of the heights of what is going on.

    A row has ``yearly`` spells a year, begun at any time (before the first day too), of ``lasts``
    days, each with a height by chance of ``heights``.
    """
    rows, days = shape
    number = random.poisson(yearly * (days + lasts[1]) / 365, size=rows)
    row = np.repeat(np.arange(rows), number)
    begins = random.integers(-lasts[1], days, size=len(row))
    ends = begins + random.integers(*lasts, size=len(row))
    height = random.choice(heights, size=len(row))
    change = np.zeros((rows, days + lasts[1] + 1))
    np.add.at(change, (row, np.maximum(begins, 0)), height)
    np.add.at(change, (row, np.maximum(ends, 0)), -height)
    level: NDArray[np.float64] = np.cumsum(change, axis=1)[:, :days]
    return level
