"""At what time of the day statements happen, in seconds after local midnight."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from simulation.agency.people import NIGHT, People

#: Share of statements that open a screen: the rest follow one within seconds.
OPENS_SCREEN = 0.45
SECONDS = 86_400


def times(
    people: People,
    account: NDArray[np.int64],
    order: NDArray[np.int64],
    days: int,
    random: np.random.Generator,
) -> NDArray[np.int64]:
    """Seconds after midnight of each statement.

    ``account`` is by statement; ``order`` numbers the account-days (0 to ``days`` - 1) the
    statements belong to, in ascending order. A person's own beginning of the day varies by a
    quarter of an hour.
    """
    late = random.normal(0.0, 0.25, size=days)[order]
    hour = _office(people.begins[account] + late, random)
    night = people.role[account] == NIGHT
    if night.any():
        hour[night] = _night(int(night.sum()), random)
    second = _in_screens(hour * 3600, order, random)
    return np.clip(second, 0, SECONDS - 1).astype(np.int64)


def _office(begins: NDArray[np.float64], random: np.random.Generator) -> NDArray[np.float64]:
    """Hours of an office day: morning, afternoon, few at lunch, fewer in the evening."""
    count = len(begins)
    part = random.random(count)
    position = random.beta(1.25, 1.35, size=count)
    morning = begins + position * (12.3 - begins)
    afternoon = 13.5 + position * (begins + 8.9 - 13.5)
    lunch = 12.3 + 1.2 * position
    evening = begins + 8.9 + random.exponential(0.7, size=count)
    return np.select(
        [part < 0.50, part < 0.945, part < 0.98], [morning, afternoon, lunch], default=evening
    )


def _night(count: int, random: np.random.Generator) -> NDArray[np.float64]:
    """Hours of on-call staff: 20:00 to 06:00, of which the early part belongs to the same date."""
    return (20.0 + 10.0 * random.beta(1.1, 1.4, size=count)) % 24


def _in_screens(
    second: NDArray[np.float64], order: NDArray[np.int64], random: np.random.Generator
) -> NDArray[np.float64]:
    """Draws statements together: one that opens a screen, and those that follow it."""
    count = len(second)
    opens = random.random(count) < OPENS_SCREEN
    opens[np.flatnonzero(np.diff(order, prepend=-1))] = True
    index = np.maximum.accumulate(np.where(opens, np.arange(count), 0))
    gap = np.where(opens, 0.0, 1.0 + random.exponential(8.0, size=count))
    return second[index] + gap
