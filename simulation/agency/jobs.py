"""Service accounts: jobs that run by the clock and read much, evenly."""

from __future__ import annotations

import numpy as np

from simulation.agency import catalogue
from simulation.agency.addresses import Addresses
from simulation.agency.people import SERVICE, People
from simulation.agency.plan import Plan
from simulation.agency.reads import Statements, together

HOURLY, NIGHTLY, MONTHLY = range(3)
#: What each kind of job does, in the order of ``names.JOBS``: timetable, statements in a run,
#: rows in a statement.
TIMETABLE = (
    (NIGHTLY, 40, 5_000),
    (NIGHTLY, 60, 4_000),
    (HOURLY, 6, 120),
    (HOURLY, 8, 60),
    (NIGHTLY, 25, 8_000),
    (NIGHTLY, 30, 2_500),
    (MONTHLY, 300, 9_000),
    (HOURLY, 5, 300),
    (NIGHTLY, 12, 1_500),
    (HOURLY, 2, 1),
)
#: Shares of runs that are skipped, and that are run a second time.
SKIPPED, RERUN = 0.004, 0.008


def run(
    plan: Plan,
    people: People,
    addresses: Addresses,
    between: tuple[int, int],
    random: np.random.Generator,
) -> Statements:
    """All statements of service accounts on the days from ``between[0]`` to ``between[1]``."""
    accounts = np.flatnonzero(people.role == SERVICE)
    return together(
        [
            _job(
                plan,
                index,
                int(account),
                addresses,
                _while_there(people, account, between),
                random,
            )
            for index, account in enumerate(accounts)
        ]
    )


def _job(
    plan: Plan,
    index: int,
    account: int,
    addresses: Addresses,
    between: tuple[int, int],
    random: np.random.Generator,
) -> Statements:
    kind, statements, rows = TIMETABLE[index % len(TIMETABLE)]
    days = np.arange(*between)
    if kind == MONTHLY:
        days = days[[plan.day(int(day)).day == 1 for day in days]]
    every = 24 if kind == HOURLY else 1
    day = np.repeat(days, every)
    start = np.tile(np.arange(every) * 3600, len(days))
    # A job's own minute; night jobs lie between one and four o'clock.
    start = start + (index * 97) % 3000 + (0 if kind == HOURLY else 3600 * (1 + index % 3))
    ran = random.random(len(day))
    times = np.where(ran < SKIPPED, 0, np.where(ran < SKIPPED + RERUN, 2, 1)) * statements
    run_of = np.repeat(np.arange(len(day)), times)
    count = len(run_of)
    step = (np.arange(count) - (np.cumsum(times) - times)[run_of]) * 7
    second = start[run_of] + step + random.integers(0, 5, size=count)
    size = rows * (1 + growth(plan, index) * day[run_of] / 365)
    template = np.full(count, catalogue.FIRST_JOB + index % len(catalogue.JOB_TABLES))
    spread = np.exp(0.15 * random.standard_normal(count))
    success = random.random(count) >= 0.001
    return Statements(
        day=day[run_of],
        second=np.minimum(second, 86_399),
        account=np.full(count, account),
        address=addresses.of_day[account, day[run_of]],
        template=template,
        variant=np.arange(count) % catalogue.ALL[template[0]].variants if count else template,
        rows=np.where(success, np.rint(size * spread), 0).astype(np.int64),
        success=success,
    )


def growth(plan: Plan, index: int) -> float:
    """By what share a job's reads grow in a year: 8 % as the tables do, some jobs by far more."""
    random = plan.random("growing jobs", index)
    return float(random.uniform(0.5, 2.5)) if random.random() < plan.life.growing_jobs else 0.08


def _while_there(people: People, account: np.int64, between: tuple[int, int]) -> tuple[int, int]:
    """The part of the days on which the service is there: some start late."""
    return max(between[0], int(people.first[account])), between[1]
