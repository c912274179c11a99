"""Thefts at an unusual time, place, table or by an account that should not be at work."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from simulation.agency import catalogue, workdays
from simulation.agency.campaigns import shapes
from simulation.agency.campaigns.campaign import Campaign
from simulation.agency.campaigns.scene import Scene, moved
from simulation.agency.people import ADVISER, NIGHT, SERVICE

#: Most of these last some three weeks.
WEEKS = (14, 28)
#: Around what is said of them: half a day's work more, a whole day's.
HALF, WHOLE = (0.4, 0.6), (0.7, 1.3)
IDLE = 8 * 7
#: Statements a day of a service account in a thief's hands.
BY_HAND = (60, 200)


def weekend_nights(scene: Scene) -> Campaign:
    """About a normal day's volume on each weekend day and on three nights a week."""
    first, end = scene.span(shapes.days(*WEEKS, scene.random))
    random, people = scene.random, scene.world.people
    account = scene.cast(scene.active(first, end) & (people.role != NIGHT))
    weekday = workdays.weekday(scene.world.plan)[first:end]
    open_days = (weekday >= 5) | np.isin(weekday, random.choice(5, size=3, replace=False))
    rate = people.rate[account][:, None] * random.uniform(*WHOLE)
    work = scene.work(account, first, rate * open_days)
    weekend = workdays.weekday(scene.world.plan)[work.day] >= 5
    by_day = random.uniform(8.0, 23.0, size=len(work.day))
    by_night = (22.0 + 7.0 * random.random(len(work.day))) % 24
    hour = np.where(weekend, by_day, by_night)
    return scene.done(scene.signed_in(replace(work, second=(hour * 3600).astype(np.int64))))


def dormant(scene: Scene) -> Campaign:
    """An account idle for eight weeks wakes, and reads 2 to 5 times its group's usual day."""
    first, end = scene.span(shapes.days(10, 18, scene.random))
    world = scene.world
    worked = world.days.statements > 0
    idle = ~worked[:, max(0, first - IDLE) : end].any(axis=1)
    known = worked[:, : max(0, first - IDLE)].sum(axis=1) >= 5
    account = scene.cast(idle & known & (world.people.role != SERVICE))
    times = scene.random.uniform(2.0, 5.0)
    work = scene.work(account, first, times * _group_days(scene, account, first, end))
    if scene.random.random() < 0.5:
        return scene.done(scene.signed_in(work))
    host = scene.rent()
    return scene.done(scene.signed_in(moved(work, host)), hosts=(host,))


def newcomer(scene: Scene) -> Campaign:
    """Hired within two weeks, reads 3 to 6 times the group's usual from the third day on."""
    plan, people, random = scene.world.plan, scene.world.people, scene.random
    arrived = people.first >= max(1, plan.theft_from - 2)
    stays = (people.first + 14 <= plan.days) & (people.last >= people.first + 30)
    works = scene.world.days.statements.sum(axis=1) > 0
    account = scene.cast(arrived & stays & works & (people.role != SERVICE))
    first = int(people.first[account[0]]) + 2
    end = min(first + shapes.days(*WEEKS, random), plan.days)
    wanted = random.uniform(3.0, 6.0) * _group_days(scene, account, first, end)
    wanted *= random.uniform(0.7, 1.3, size=wanted.shape)
    more = np.maximum(wanted - scene.usual(account, first, end), 0)
    return scene.done(scene.work(account, first, more))


def service_abuse(scene: Scene) -> Campaign:
    """A service account used by hand: office hours, tables of the staff, a desk's address."""
    first, end = scene.span(shapes.days(*WEEKS, scene.random))
    world, random = scene.world, scene.random
    account = scene.cast(world.people.role == SERVICE)
    office = _office(scene, first, end)
    number = np.where(office, random.integers(*BY_HAND, size=(1, end - first)), 0)
    work = scene.work(account, first, number.astype(np.float64))
    if random.random() < 0.5:
        host = scene.rent()
        return scene.done(scene.signed_in(moved(work, host)), hosts=(host,))
    desk = int(random.choice(np.flatnonzero(world.people.role == ADVISER)))
    address = int(world.addresses.of_day[desk, first])
    return scene.done(scene.signed_in(moved(work, address)))


def new_tables(scene: Scene) -> Campaign:
    """About half the usual volume more, of five to ten tables new to account and group."""
    first, end = scene.span(shapes.days(*WEEKS, scene.random))
    account = scene.cast(scene.active(first, end))
    share = scene.random.uniform(*HALF)
    work = scene.work(account, first, share * scene.usual(account, first, end))
    count = int(scene.random.integers(5, 11))
    tables = scene.random.choice(len(catalogue.RARE_TABLES), size=count, replace=False)
    return scene.done(scene.of_tables(work, catalogue.FIRST_RARE + tables))


def new_address(scene: Scene) -> Campaign:
    """About half a day's work more, from a rented host abroad."""
    first, end = scene.span(shapes.days(*WEEKS, scene.random))
    account = scene.cast(scene.active(first, end))
    host = scene.rent()
    more = scene.random.uniform(*HALF) * scene.usual(account, first, end)
    work = moved(scene.work(account, first, more), host)
    return scene.done(scene.signed_in(work), hosts=(host,))


def _group_days(
    scene: Scene, account: NDArray[np.int64], first: int, end: int
) -> NDArray[np.float64]:
    """Account x day: the median day of the account's group, on days the office is open."""
    people = scene.world.people
    colleagues = people.group == people.group[account[0]]
    usual = scene.world.days.statements[colleagues]
    median = np.median(usual[usual > 0])
    return median * _office(scene, first, end)[None, :].astype(np.float64)


def _office(scene: Scene, first: int, end: int) -> NDArray[np.bool_]:
    plan = scene.world.plan
    is_open: NDArray[np.bool_] = (workdays.weekday(plan) < 5) & ~workdays.closed(plan)
    return is_open[first:end]
