"""Thefts that hide in the account's own work: some times the usual, a ramp, longer lists."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from agency import catalogue
from agency.campaigns import pages
from agency.campaigns.campaign import Campaign
from agency.campaigns.scene import Scene
from agency.reads import read

WEEK = 7
RAMP_TO = 8.0
POISON, MARGIN = 3.0, (21, 29)
#: Records a day beyond the own work, and seconds between two pages.
SLOW, PAUSE = (2_000, 5_000), (120, 480)


def fold(scene: Scene, times: float, weeks: int) -> Campaign:
    """``times`` the usual statements, in own hours, of own tables, from the own address."""
    first, end = scene.span(weeks * WEEK)
    account = scene.cast(scene.active(first, end))
    return _times(scene, account, first, np.full(end - first, times))


fold_1_5 = partial(fold, times=1.5, weeks=6)
fold_2 = partial(fold, times=2.0, weeks=6)
fold_3 = partial(fold, times=3.0, weeks=4)
fold_5 = partial(fold, times=5.0, weeks=2)


def ramp(scene: Scene) -> Campaign:
    """From the usual to eight times as much in six weeks, evenly."""
    first, end = scene.span(6 * WEEK)
    account = scene.cast(scene.active(first, end))
    return _times(scene, account, first, np.linspace(1.0, RAMP_TO, end - first))


def poisoned(scene: Scene) -> Campaign:
    """Three times the usual, begun three to four weeks before the days of the thefts and never
    ended: whoever learns from the time before learns the theft.
    """
    plan = scene.world.plan
    first = max(0, plan.theft_from - int(scene.random.integers(*MARGIN)))
    account = scene.cast(scene.active(first, plan.days))
    return _times(scene, account, first, np.full(plan.days - first, POISON))


def mimic(scene: Scene) -> Campaign:
    """Twice the records by longer lists, not by more statements, for four weeks.

    The campaign tells the account's own work too: its lists are what grows.
    """
    world = scene.world
    first, end = scene.span(4 * WEEK)
    account = int(scene.cast(scene.active(first, end))[0])
    only = np.zeros_like(world.days.statements)
    only[account] = world.days.statements[account]
    days = replace(world.days, statements=only)
    own = read(world.people, days, world.addresses, world.mix, (first, end), scene.random)
    grows = (catalogue.column("elastic")[own.template] > 0) & (own.rows > 0)
    share = own.rows[grows].sum() / max(1, own.rows[own.rows > 0].sum())
    cap = catalogue.column("cap")[own.template].astype(np.int64)
    longer = np.minimum(np.rint(own.rows * (1 + 1 / max(share, 0.25))).astype(np.int64), cap)
    rows = np.where(grows, np.maximum(longer, own.rows), own.rows)
    return scene.done(
        replace(own, rows=rows), np.maximum(rows - own.rows, 0), instead=(account, first, end)
    )


def slow_pages(scene: Scene) -> Campaign:
    """2,000 to 5,000 records a day more: a page every few minutes in own hours, for a month."""
    random, world = scene.random, scene.world
    first, end = scene.span(30)
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


def _times(
    scene: Scene, account: NDArray[np.int64], first: int, times: NDArray[np.float64]
) -> Campaign:
    extra = scene.usual(account, first, first + len(times)) * (times - 1)
    return scene.done(scene.work(account, first, extra))
