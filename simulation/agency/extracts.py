"""What is read once: an auditor's yearly extract, a look into a table of another service."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from simulation.agency import catalogue
from simulation.agency.addresses import Addresses
from simulation.agency.days import Days
from simulation.agency.people import SERVICE, People
from simulation.agency.plan import Plan
from simulation.agency.reads import Statements, lengths, together

#: Records of an audit (by their logarithm), its days, statements and tables.
RECORDS, DAYS, STATEMENTS, TABLES = (100_000, 2_000_000), (2, 6), (30, 150), (3, 7)
#: Auditors are among the fifth of the staff that reads least.
READS_LITTLE = 0.2


def extracts(plan: Plan, people: People, days: Days, addresses: Addresses) -> Statements:
    """All such statements of the log."""
    random = plan.random("audits")
    number = random.poisson(plan.life.audits * plan.accounts / 1000 * plan.days / 365)
    human = people.role != SERVICE
    slow = human & (people.rate <= np.quantile(people.rate[human], READS_LITTLE))
    able = np.flatnonzero(slow & ((days.statements > 0).sum(axis=1) >= DAYS[1]))
    chosen = random.choice(able, size=min(number, len(able)), replace=False)
    audits = [_audit(int(one), days, addresses, random) for one in chosen]
    return together([*audits, _curiosity(plan, people, days, addresses)])


def _audit(
    account: int, days: Days, addresses: Addresses, random: np.random.Generator
) -> Statements:
    worked = np.flatnonzero(days.statements[account])
    length = int(random.integers(*DAYS))
    begin = int(random.integers(0, len(worked) - length + 1))
    count = int(random.integers(*STATEMENTS))
    day = np.sort(random.choice(worked[begin : begin + length], size=count))
    readable = [
        index for index, one in enumerate(catalogue.ALL) if one.action == "read" and one.elastic
    ]
    tables = random.choice(readable, size=int(random.integers(*TABLES)), replace=False)
    share = random.lognormal(0.0, 1.0, size=count)
    total = np.exp(random.uniform(*np.log(RECORDS)))
    rows = np.rint(total * share / share.sum()).astype(np.int64)
    return _at_work(account, day, random.choice(tables, size=count), rows, addresses, random)


def _curiosity(plan: Plan, people: People, days: Days, addresses: Addresses) -> Statements:
    random = plan.random("curiosity")
    who, when = np.nonzero((days.statements > 0) & (people.role != SERVICE)[:, None])
    # Of some 220 workdays a year.
    looks = np.flatnonzero(random.random(len(who)) < plan.life.curiosity / 220)
    account, day = who[looks], when[looks]
    rare = random.integers(0, len(catalogue.RARE_TABLES), size=len(looks))
    template = catalogue.FIRST_RARE + rare
    rows = lengths(template, people.scale[account], random)
    return _at_work(account, day, template, rows, addresses, random)


def _at_work(
    account: int | NDArray[np.int64],
    day: NDArray[np.int64],
    template: NDArray[np.int64],
    rows: NDArray[np.int64],
    addresses: Addresses,
    random: np.random.Generator,
) -> Statements:
    count = len(day)
    who = np.broadcast_to(np.asarray(account, dtype=np.int64), count)
    return Statements(
        day=day,
        second=(random.uniform(9.0, 17.5, size=count) * 3600).astype(np.int64),
        account=who,
        address=addresses.of_day[who, day],
        template=template,
        variant=random.integers(0, catalogue.VARIANTS, size=count),
        rows=rows,
        success=np.ones(count, dtype=bool),
    )
