"""Thefts that take much at once: a smash, a month of millions, exports."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from simulation.agency import catalogue
from simulation.agency.campaigns import pages, shapes
from simulation.agency.campaigns.campaign import Campaign
from simulation.agency.campaigns.scene import Scene, moved
from simulation.agency.people import ADVISER, PARTNER
from simulation.agency.reads import Statements

#: Records of a smash: between these, by their logarithm.
SMASH = (200_000, 2_000_000)
MONTH, A_DAY, ACCOUNTS = 30, (1_200_000, 1_400_000), 3
EXPORT_DAYS = (14, 28)
#: Of pages by the day: records of a day, days, and rows of a page at the median; and the sigma
#: of the logarithm of a day's records.
MIXED, MIXED_DAYS, MIXED_PAGE, MIXED_SPREAD = (1_000, 60_000), (5, 40), (50, 2_000), 0.8
SMASH_PAGE, SMASH_SPREAD = 2_500, 0.5


def smash(scene: Scene) -> Campaign:
    """One account takes 200,000 to 2,000,000 records within one to three working hours."""
    random, world = scene.random, scene.world
    first, _ = scene.span(1)
    account = scene.cast(scene.active(first, first + 1))
    total = np.exp(random.uniform(*np.log(SMASH)))
    rows = np.rint(random.lognormal(np.log(SMASH_PAGE), SMASH_SPREAD, size=int(total / 2_800)))
    rows = np.maximum(rows * total / rows.sum(), 1)
    begins = world.people.begins[account] + random.uniform(0.5, 5.0)
    hours = begins + np.sort(random.random(len(rows))) * random.uniform(1.0, 3.0)
    count = len(rows)
    taken = pages.of_persons(
        np.full(count, first),
        (hours * 3600).astype(np.int64),
        np.repeat(account, count),
        world.addresses.of_day[np.repeat(account, count), first],
        rows.astype(np.int64),
    )
    if random.random() < 0.5:
        return scene.done(taken)
    host = scene.rent()
    return _as_logged(scene, moved(taken, host), hosts=(host,))


def month_of_millions(scene: Scene) -> Campaign:
    """Three accounts page through the persons day and night, some 1,300,000 a day together."""
    first, end = scene.span(MONTH)
    role = np.isin(scene.world.people.role, (ADVISER, PARTNER))
    account = scene.cast(scene.active(first, end) & role, ACCOUNTS)
    hosts = np.array([scene.rent() for _ in range(5)])
    total = int(scene.random.uniform(*A_DAY)) * (end - first)
    taken = pages.day_and_night(account, total, (first, end), hosts, scene.random)
    return _as_logged(scene, taken, hosts=tuple(hosts), tables=("public.person",))


def export(scene: Scene) -> Campaign:
    """Two to five COPY a day, whose rows the log does not say, by one who never exports."""
    random = scene.random
    first, end = scene.span(shapes.days(*EXPORT_DAYS, random))
    role = np.isin(scene.world.people.role, (ADVISER, PARTNER))
    account = scene.cast(scene.active(first, end) & role)
    present = scene.presence(account, first, end)
    number = np.where(present, random.integers(2, 6, size=present.shape), 0).astype(np.float64)
    work = scene.work(account, first, number)
    count = len(work.day)
    unsaid = replace(
        work,
        template=np.full(count, catalogue.COPY),
        rows=np.full(count, -1),
        success=np.ones(count, dtype=bool),
    )
    return scene.done(unsaid)


def pages_mixed(scene: Scene) -> Campaign:
    """Pages by day, from the own address: much on one day and little on another, in pages of
    another length each day.
    """
    random, world = scene.random, scene.world
    first, end = scene.span(shapes.days(*MIXED_DAYS, random))
    account = scene.cast(scene.active(first, end))
    day = first + np.flatnonzero(scene.presence(account, first, end)[0])
    spread = random.normal(0.0, MIXED_SPREAD, size=len(day))
    total = np.rint(shapes.between(*MIXED, random) * np.exp(spread)).astype(np.int64)
    size = np.rint(np.exp(random.uniform(*np.log(MIXED_PAGE), size=len(day)))).astype(np.int64)
    begins = float(world.people.begins[account[0]]) + random.uniform(0.2, 3.0)
    hours = (begins, begins + random.uniform(1.0, 6.0))
    read = pages.by_day(int(account[0]), day, total, hours, random, size)
    return scene.done(replace(read, address=world.addresses.of_day[read.account, read.day]))


def _as_logged(
    scene: Scene,
    taken: Statements,
    hosts: tuple[int, ...],
    tables: tuple[str, ...] = (),
) -> Campaign:
    return scene.done(scene.signed_in(taken), hosts=hosts, tables=tables)
