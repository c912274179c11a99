"""Thefts that were there before anybody looked: under way already, or there all the time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from simulation.agency.campaigns import folds, pages, shapes
from simulation.agency.campaigns.campaign import Campaign
from simulation.agency.campaigns.scene import Scene, moved
from simulation.agency.people import SERVICE

#: Days that a theft under way is older than the days of the thefts.
BEGAN = (30, 60)
#: By more of the own work: times the usual. By pages: records a day.
TIMES, RECORDS = (2.0, 8.0), (3_000, 150_000)
#: Shares of those who read more of their own work, who page day and night, who rent a host.
OWN_WORK, NIGHT_AND_DAY, RENTS = 0.35, 0.5, 0.5


def under_way(scene: Scene) -> Campaign:
    """Began 30 to 60 days before the days of the thefts, and goes on to the end of the log."""
    began = scene.world.plan.theft_from - shapes.days(*BEGAN, scene.random)
    return _to_the_end(scene, max(0, began))


def resident(scene: Scene) -> Campaign:
    """Goes on from the first day of the log to the last."""
    return _to_the_end(scene, 0)


def _to_the_end(scene: Scene, first: int) -> Campaign:
    random, end = scene.random, scene.world.plan.days
    account = scene.cast(scene.active(first, end) & _employed(scene, first, end))
    if random.random() < OWN_WORK:
        more = (shapes.between(*TIMES, random) - 1) * shapes.even(end - first, random)
        return folds.more_work(scene, account, first, more)
    daily = shapes.between(*RECORDS, random)
    day = first + np.arange(end - first)
    always = random.random() < NIGHT_AND_DAY
    if not always:
        day = day[scene.presence(account, first, end)[0]]
    total = np.rint(daily * shapes.even(len(day), random)).astype(np.int64)
    read = pages.by_day(account[0], day, total, _hours(scene, account, always), random)
    if random.random() < RENTS:
        host = scene.rent()
        return scene.done(scene.signed_in(moved(read, host)), hosts=(host,))
    own = scene.world.addresses.of_day[read.account, read.day]
    read = replace(read, address=own)
    # Nobody signs in twice who is at work anyway.
    return scene.done(scene.signed_in(read) if always else read)


def _hours(scene: Scene, account: NDArray[np.int64], always: bool) -> tuple[float, float]:
    begins = float(scene.world.people.begins[account[0]])
    return (0.0, 24.0) if always else (begins + 0.3, begins + scene.random.uniform(3.0, 8.5))


def _employed(scene: Scene, first: int, end: int) -> NDArray[np.bool_]:
    people = scene.world.people
    there: NDArray[np.bool_] = (people.first <= first) & (people.last >= end)
    return there & (people.role != SERVICE)
