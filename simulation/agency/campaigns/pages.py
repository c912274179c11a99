"""Reading a table page by page, as a script does."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from simulation.agency import catalogue
from simulation.agency.reads import Statements, together

#: Rows of a page: median, sigma of the logarithm, at most.
ROWS, SPREAD, MOST = 290, 0.3, 1000
#: The first day begins when the stolen passwords are tried, in the morning.
BEGINS = 8 * 3600 + 40 * 60


def day_and_night(
    account: NDArray[np.int64],
    total: int,
    span: tuple[int, int],
    hosts: NDArray[np.int64],
    random: np.random.Generator,
) -> Statements:
    """The person table, ``total`` records in all, at an even pace on the days of ``span``."""
    days = span[1] - span[0]
    rows = lengths(total, random)
    cells = len(account) * days
    share = random.gamma(150.0, size=cells)
    cell = np.minimum(
        np.searchsorted(np.cumsum(share / share.sum()), (np.arange(len(rows)) + 0.5) / len(rows)),
        cells - 1,
    )
    per_cell = np.bincount(cell, minlength=cells)
    nth = np.arange(len(rows)) - (np.cumsum(per_cell) - per_cell)[cell]
    who, when = np.divmod(cell, days)
    begins = np.where(when == 0, BEGINS + 600 * who, 0)
    pace = (nth + random.random(len(rows)) * 0.8) / per_cell[cell]
    # Each account has one rented host, and changes to another half-way.
    host = (who + 3 * (when >= days // 2)) % len(hosts)
    return of_persons(
        span[0] + when,
        (begins + pace * (86_400 - begins)).astype(np.int64),
        account[who],
        hosts[host],
        rows,
    )


def of_persons(
    day: NDArray[np.int64],
    second: NDArray[np.int64],
    account: NDArray[np.int64],
    address: NDArray[np.int64],
    rows: NDArray[np.int64],
) -> Statements:
    """Pages of the person search."""
    return Statements(
        day=day,
        second=second,
        account=account,
        address=address,
        template=np.full(len(rows), catalogue.PAGE),
        variant=np.zeros(len(rows), dtype=np.int64),
        rows=rows,
        success=np.ones(len(rows), dtype=bool),
    )


def by_day(
    account: int,
    days: NDArray[np.int64],
    totals: NDArray[np.int64],
    hours: tuple[float, float],
    random: np.random.Generator,
    sizes: int | NDArray[np.int64] = ROWS,
) -> Statements:
    """The person table, on each of ``days`` so many records, at an even pace between two hours.

    ``sizes`` are the rows of a page at the median, on all days or by day. The addresses are 0: who
    calls says from where.
    """
    parts = []
    size = np.broadcast_to(np.asarray(sizes), days.shape)
    for day, total, median in zip(days, totals, size, strict=True):
        rows = lengths(int(total), random, int(median))
        count = len(rows)
        pace = (np.arange(count) + 0.8 * random.random(count)) / count
        second = 3600 * (hours[0] + pace * (hours[1] - hours[0]))
        who, when = np.full(count, account), np.full(count, day)
        parts.append(of_persons(when, second.astype(np.int64), who, np.zeros_like(who), rows))
    return together(parts)


def lengths(total: int, random: np.random.Generator, median: int = ROWS) -> NDArray[np.int64]:
    """Page lengths that sum to ``total`` exactly, so many rows at the median."""
    # Half as many again as are wanted: the surplus is cut off.
    draw = random.lognormal(np.log(median), SPREAD, size=total * 29 // (20 * median) + 10)
    rows = np.clip(np.rint(draw), 1, max(MOST, 3 * median)).astype(np.int64)
    count = int(np.searchsorted(np.cumsum(rows), total)) + 1
    rows = rows[:count]
    rows[-1] -= rows.sum() - total
    return rows
