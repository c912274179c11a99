"""Thefts shared out: many accounts take a little each."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from simulation.agency import catalogue
from simulation.agency.campaigns import shapes
from simulation.agency.campaigns.campaign import Campaign
from simulation.agency.campaigns.scene import Scene, moved
from simulation.agency.people import ADVISER, PARTNER

#: Accounts of a crowd; in a small agency at most a tenth of all.
CROWD, LARGEST_SHARE = (40, 61), 10
GROUP_SHARE, GROUP_TIMES, SMALLEST_GROUP = 0.8, (1.5, 1.7), 5
#: Days of an address's crowd, and of the others.
ADDRESS_DAYS, DAYS = (10, 18), (16, 26)
#: Tables that staff know but seldom read.
SELDOM = 6.0


def crowd_address(scene: Scene) -> Campaign:
    """Each reads 30 to 60 % more for some two weeks, the extra through one new external address."""
    first, end = scene.span(shapes.days(*ADDRESS_DAYS, scene.random))
    account = scene.cast(_staff(scene, first, end), _size(scene))
    share = scene.random.uniform(0.3, 0.6, size=(len(account), 1))
    host = scene.rent()

    parts = scene.work(account, first, share * scene.usual(account, first, end))
    return scene.done(scene.signed_in(moved(parts, host)), hosts=(host,))


def crowd_table(scene: Scene) -> Campaign:
    """Each makes 20 to 50 more statements a day of one table, from the own address."""
    first, end = scene.span(shapes.days(*DAYS, scene.random))
    account = scene.cast(_staff(scene, first, end), _size(scene))
    present = scene.presence(account, first, end)
    extra = np.where(present, scene.random.integers(20, 51, size=present.shape), 0)
    known = catalogue.TEMPLATES
    seldom = [
        index
        for index, one in enumerate(known)
        if one.action == "read" and one.elastic and 0 < one.weights[0] <= SELDOM
    ]
    template = scene.random.choice(seldom, size=1)
    work = scene.of_tables(scene.work(account, first, extra.astype(np.float64)), template)
    variant = np.zeros(len(work.day), dtype=np.int64)
    return scene.done(replace(work, variant=variant), tables=(known[template[0]].table,))


def crowd_group(scene: Scene) -> Campaign:
    """Most members of one group read some 1.6 times their usual for three weeks."""
    first, end = scene.span(shapes.days(*DAYS, scene.random))
    suitable = _staff(scene, first, end)
    suitable[np.array(list(scene.world.busy), dtype=np.int64)] = False
    group = scene.world.people.group
    free = np.bincount(group[suitable], minlength=len(scene.world.people.groups))
    whole = np.bincount(group, minlength=len(free))
    enough = np.flatnonzero((free >= SMALLEST_GROUP) & (free >= GROUP_SHARE * 0.75 * whole))
    if not len(enough):
        raise ValueError("crowd_group needs a group whose members no other theft uses")
    chosen = int(scene.random.choice(enough))
    count = min(int(free[chosen]), round(GROUP_SHARE * whole[chosen]))
    account = scene.cast(suitable & (group == chosen), count)
    extra = (scene.random.uniform(*GROUP_TIMES) - 1) * scene.usual(account, first, end)
    return scene.done(scene.work(account, first, extra), groups=(chosen,))


def _staff(scene: Scene, first: int, end: int) -> NDArray[np.bool_]:
    return (
        scene.active(first, end)
        & scene.settled()
        & np.isin(scene.world.people.role, (ADVISER, PARTNER))
    )


def _size(scene: Scene) -> int:
    wanted = int(scene.random.integers(*CROWD))
    return max(2, min(wanted, scene.world.plan.accounts // LARGEST_SHARE))
