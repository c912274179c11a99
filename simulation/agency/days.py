"""How many statements each account makes on each day."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulation.agency import restless, workdays
from simulation.agency.people import ADVISER, ANALYST, NIGHT, PARTNER, SERVICE, People
from simulation.agency.plan import Plan

#: Weekday factors: Monday and Tuesday are the days people come.
WEEK = np.array([1.12, 1.1, 0.95, 1.02, 0.85, 0.5, 0.4])
#: After a leave of a week or more: the first, second and third day back.
BACKLOG = (1.7, 1.35, 1.15)
#: Share of days on which a person pulls long lists, and on which a person works at ten times
#: the pace (a transferred caseload, a macro): makes the far tail of honest days.
LONG_LIST_DAYS = 0.016
FRANTIC_DAYS = 0.0005


@dataclass(frozen=True, slots=True)
class Days:
    """Account x day: statements, whether long lists are pulled, and the day's rows factor."""

    statements: NDArray[np.int64]
    long_lists: NDArray[np.bool_]
    length: NDArray[np.float64]


def spend(plan: Plan, people: People) -> Days:
    """The days of everybody (service accounts have none: they follow their timetable)."""
    random = plan.random("days")
    shape = (len(people), plan.days)
    present, backlog = _presence(plan, people, random)
    mean = people.rate[:, None] * backlog * present
    mean = mean * np.where(people.role == NIGHT, 1.0, 0.0)[:, None] + (
        mean * WEEK[workdays.weekday(plan)] * (people.role != NIGHT)[:, None]
    )
    mean *= _busy_times(plan, people, random)
    evenness = people.evenness[:, None]
    mean *= random.gamma(np.broadcast_to(evenness, shape)) / evenness
    frantic = random.random(shape) < FRANTIC_DAYS
    mean *= np.where(frantic, random.uniform(9.0, 22.0, size=shape), 1.0)
    mean *= restless.factors(plan, people)
    long_lists = random.random(shape) < LONG_LIST_DAYS
    # A slow drift of how long the lists are, besides each day's own.
    length = np.exp(0.3 * random.normal(size=shape))
    statements = random.poisson(mean)
    return Days(statements, long_lists & (statements > 0), length)


def _presence(
    plan: Plan, people: People, random: np.random.Generator
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Account x day: is the person at work, and by what factor is there a backlog."""
    weekday, day = workdays.weekday(plan), np.arange(plan.days)
    present = people.works[:, weekday] & ~workdays.closed(plan)
    night = people.role == NIGHT
    # On-call staff work four nights of eight, weekends and holidays too.
    turn = random.integers(0, 8, size=len(people))[:, None]
    present = np.where(night[:, None], (day + turn) % 8 < 4, present)
    # Now and then somebody comes in on a Saturday.
    overtime = (random.random(present.shape) < 0.012) & (weekday == 5)
    present |= overtime & np.isin(people.role, (ADVISER, ANALYST))[:, None]
    employed = (people.first[:, None] <= day) & (day <= people.last[:, None])
    present &= employed & (people.role != SERVICE)[:, None]
    leave = _leave(plan, len(people), random)
    present &= ~_long_absence(plan, len(people))
    present &= ~leave & (random.random(present.shape) >= 0.025)
    return present, _backlog(present, leave)


def _leave(plan: Plan, count: int, random: np.random.Generator) -> NDArray[np.bool_]:
    """Account x day: on leave of one to three weeks, some two and a half times a year.

    Leave begins on Mondays, and at Christmas twice as often.
    """
    weeks = np.arange(-plan.start.weekday(), plan.days, 7)
    chance = np.full(len(weeks), 0.04)
    for index, monday in enumerate(weeks):
        date = plan.day(int(monday))
        chance[index] *= 4 if (date.month, date.day) >= (12, 21) else 1
    begins = random.random((count, len(weeks))) < chance
    length = random.choice([1, 2, 3], p=[0.6, 0.3, 0.1], size=begins.shape)
    away = np.zeros_like(begins)
    for shift in range(3):
        late = begins & (length > shift)
        away[:, shift:] |= late[:, : late.shape[1] - shift]
    week_of_day = (np.arange(plan.days) + plan.start.weekday()) // 7
    return away[:, week_of_day]


def _long_absence(plan: Plan, count: int) -> NDArray[np.bool_]:
    """Account x day: away for 5 to 20 weeks, and back: a child, an illness, seasonal work."""
    random = plan.random("absences")
    longest = 20 * 7
    length = random.integers(5 * 7, longest + 1, size=count)
    begins = random.integers(-longest, plan.days, size=count)
    away = random.random(count) < plan.life.absences * (plan.days + longest) / 365
    day = np.arange(plan.days)
    inside = (begins[:, None] <= day) & (day < (begins + length)[:, None])
    absence: NDArray[np.bool_] = away[:, None] & inside
    return absence


def _backlog(present: NDArray[np.bool_], leave: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Account x day: the factor of the first days back from leave."""
    day = np.arange(present.shape[1])
    worked = np.cumsum(present, axis=1)
    last_away = np.maximum.accumulate(np.where(leave, day, -1), axis=1)
    worked_then = np.take_along_axis(worked, np.maximum(last_away, 0), axis=1)
    nth = np.where(last_away >= 0, worked - worked_then, 99)
    factor = np.ones(present.shape)
    for index, extra in enumerate(BACKLOG, start=1):
        factor[nth == index] = extra
    return factor


def _busy_times(plan: Plan, people: People, random: np.random.Generator) -> NDArray[np.float64]:
    """Account x day: month ends by group, and the organisation's campaign days."""
    groups = len(people.groups)
    amplitude = np.abs(random.normal(0.3, 0.15, size=groups))
    pressure = 1 + amplitude[:, None] * workdays.month_end(plan)
    called = random.random(plan.days) < 1 / 30
    joins_in = random.random((groups, plan.days)) < 0.75
    intensity = random.uniform(1.4, 1.9, size=plan.days)
    by_group = pressure * np.where(called & joins_in, intensity, 1.0)
    quarter = plan.random("quarters").exponential(1.0, size=groups) * plan.life.quarter_ends
    by_group = by_group * (1 + quarter[:, None] * workdays.quarter_end(plan))
    office = np.isin(people.role, (ADVISER, PARTNER))[:, None]
    return np.where(office, by_group[people.group], 1.0)
