"""Thefts that hide in the account's own work: some times the usual, a ramp, longer lists."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from simulation.agency import catalogue
from simulation.agency.campaigns import pages, shapes
from simulation.agency.campaigns.campaign import Campaign
from simulation.agency.campaigns.scene import Scene
from simulation.agency.reads import read

WEEK = 7
#: The last day of a ramp, in times the usual, and how long it takes.
RAMP_TO, RAMP_DAYS = (6.0, 10.0), (4 * WEEK, 6 * WEEK)
POISON, MARGIN = 3.0, (21, 29)
#: A named dose is met within so large a share of what is beyond the usual.
ABOUT = 0.08
#: Of the fold of any dose: times the usual, and days.
TIMES, DAYS = (1.3, 8.0), (4, 6 * WEEK)
#: Of a mimic: the share that its records grow by, and days.
LONGER, MIMIC_DAYS = (0.8, 1.25), (3 * WEEK, 5 * WEEK)
#: Records a day beyond the own work, seconds between two pages, and days.
SLOW, PAUSE, SLOW_DAYS = (2_000, 5_000), (120, 480), (25, 35)


def _fold(scene: Scene, times: float, weeks: int) -> Campaign:
    """About ``times`` the usual statements for about so many weeks (six at most), in own hours,
    of own tables, from the own address.
    """
    length = shapes.days(weeks * WEEK - 5, min(weeks * WEEK + 3, 6 * WEEK), scene.random)
    first, end = scene.span(length)
    account = scene.cast(scene.active(first, end))
    more = (times - 1) * scene.random.uniform(1 - ABOUT, 1 + ABOUT)
    return more_work(scene, account, first, more * shapes.even(end - first, scene.random))


fold_1_5 = partial(_fold, times=1.5, weeks=6)
fold_2 = partial(_fold, times=2.0, weeks=6)
fold_3 = partial(_fold, times=3.0, weeks=4)
fold_5 = partial(_fold, times=5.0, weeks=2)


def fold(scene: Scene) -> Campaign:
    """1.3 to 8 times the usual on the days it is there, for some days to six weeks, in any shape:
    even, growing, fading, on and off.
    """
    length = round(shapes.between(*DAYS, scene.random))
    first, end = scene.span(length)
    account = scene.cast(scene.active(first, end))
    more = shapes.between(*TIMES, scene.random) - 1
    return more_work(scene, account, first, more * shapes.any_shape(end - first, scene.random))


def ramp(scene: Scene) -> Campaign:
    """From the usual to six to ten times as much in four to six weeks, evenly."""
    first, end = scene.span(shapes.days(*RAMP_DAYS, scene.random))
    account = scene.cast(scene.active(first, end))
    more = np.linspace(0.0, scene.random.uniform(*RAMP_TO) - 1, end - first)
    return scene.done(scene.work(account, first, scene.usual(account, first, end) * more))


def poisoned(scene: Scene) -> Campaign:
    """About three times the usual, begun three to four weeks before the days of the thefts and
    never ended: whoever learns from the time before learns the theft.
    """
    plan = scene.world.plan
    first = max(0, plan.theft_from - int(scene.random.integers(*MARGIN)))
    account = scene.cast(scene.active(first, plan.days))
    more = (POISON - 1) * scene.random.uniform(1 - ABOUT, 1 + ABOUT)
    return more_work(scene, account, first, more * shapes.even(plan.days - first, scene.random))


def mimic(scene: Scene) -> Campaign:
    """About twice the records by longer lists, not by more statements, for some four weeks.

    The campaign tells the account's own work too: its lists are what grows.
    """
    world, random = scene.world, scene.random
    first, end = scene.span(shapes.days(*MIMIC_DAYS, random))
    account = int(scene.cast(scene.active(first, end))[0])
    only = np.zeros_like(world.days.statements)
    only[account] = world.days.statements[account]
    days = replace(world.days, statements=only)
    own = read(world.people, days, world.addresses, world.mix, (first, end), random)
    grows = (catalogue.column("elastic")[own.template] > 0) & (own.rows > 0)
    # A long list now and then is not what is twice as much.
    usual = own.rows[(own.rows > 0) & (own.template != catalogue.LONG_LIST)].sum()
    share = own.rows[grows].sum() / max(1, usual)
    cap = catalogue.column("cap")[own.template].astype(np.int64)
    times = 1 + random.uniform(*LONGER) / max(share, 0.25)
    longer = np.minimum(np.rint(own.rows * times).astype(np.int64), cap)
    rows = np.where(grows, np.maximum(longer, own.rows), own.rows)
    return scene.done(
        replace(own, rows=rows), np.maximum(rows - own.rows, 0), instead=(account, first, end)
    )


def slow_pages(scene: Scene) -> Campaign:
    """2,000 to 5,000 records a day more: a page every few minutes in own hours, for a month."""
    random, world = scene.random, scene.world
    first, end = scene.span(shapes.days(*SLOW_DAYS, random))
    account = scene.cast(scene.active(first, end))
    daily = int(random.integers(*SLOW))
    parts = []
    for day in first + np.flatnonzero(scene.presence(account, first, end)[0]):
        rows = pages.lengths(int(daily * random.uniform(0.8, 1.2)), random)
        begins = (world.people.begins[account] + random.uniform(0.2, 5.0)) * 3600
        second = begins + np.cumsum(random.uniform(*PAUSE, size=len(rows)))
        who, when = np.repeat(account, len(rows)), np.full(len(rows), day)
        parts.append((when, second.astype(np.int64), who, world.addresses.of_day[who, when], rows))
    return scene.done(pages.of_persons(*map(np.concatenate, zip(*parts, strict=True))))


def more_work(
    scene: Scene, account: NDArray[np.int64], first: int, more: NDArray[np.float64]
) -> Campaign:
    """The account's own work by so many times more, by day from ``first`` on.

    As much more on the whole as the mean of the days that are not 0 says, whichever of them the
    account is most at work on.
    """
    usual = scene.usual(account, first, first + len(more))
    if not (usual * more).any():
        # Away on all days on which the thief would come: he comes when the account does.
        more = np.full(len(more), more.max())
    on = usual * (more > 0)
    met = (usual * more).sum() / on.sum()
    return scene.done(scene.work(account, first, usual * more * (more[more > 0].mean() / met)))
