"""Thefts by an account that no directory knows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from simulation.agency.campaigns import pages, shapes
from simulation.agency.campaigns.campaign import Campaign
from simulation.agency.campaigns.scene import Scene, moved
from simulation.agency.people import ADVISER

#: Records in all, and days.
RECORDS, DAYS = (20_000, 5_000_000), (1, 12)
#: Chances that it reads all in a few statements, that it pages day and night, that it comes from
#: a rented host.
AT_ONCE, NIGHT_AND_DAY, RENTS = 0.35, 0.5, 0.5
#: Statements a day of one that reads all at once; rows of one page at the median.
STATEMENTS, PAGE = (1, 4), (100, 3_000)


def unlisted(scene: Scene) -> Campaign:
    """An account in no directory appears, and reads 20,000 to 5,000,000 records in some days: page
    by page, by day or day and night, or in a few statements.
    """
    random = scene.random
    first, end = scene.span(shapes.days(*DAYS, random))
    account, day = scene.invent(), np.arange(first, end)
    weight = shapes.even(len(day), random)
    total = np.rint(shapes.between(*RECORDS, random) * weight / weight.sum()).astype(np.int64)
    total = np.maximum(total, 1)
    size = round(shapes.between(*PAGE, random))
    if random.random() < AT_ONCE:
        size = max(1, int(total.max()) // shapes.days(*STATEMENTS, random))
    always = random.random() < NIGHT_AND_DAY
    hours = (0.0, 24.0) if always else (random.uniform(7.5, 10.0), random.uniform(12.0, 19.0))
    read = pages.by_day(account, day, total, hours, random, size)
    if random.random() < RENTS:
        host = scene.rent()
        return scene.done(scene.signed_in(moved(read, host)), hosts=(host,))
    world = scene.world
    desk = int(random.choice(np.flatnonzero(world.people.role == ADVISER)))
    own = world.addresses.of_day[desk, read.day]
    return scene.done(scene.signed_in(replace(read, address=own)))
