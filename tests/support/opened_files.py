"""A small agency whose application logs each file that is opened, and whose.

Counsellors open the files of their own people. Clerks open the same 40 files all day long. Two of
them open as many as each other, until one of these goes through other people's.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl

from detector.core import schema

START = date(2024, 1, 1)
DAYS = 77
#: The first day that a model does not know, and the day on which the roamer begins.
CUT = START + timedelta(days=56)
ROAMS = CUT + timedelta(days=9)
SCORED = [CUT + timedelta(days=n) for n in range(DAYS - 56)]
COUNSELLORS = 30
STEADY, ROAMER = "clerk.steady", "clerk.roamer"
#: What each clerk opens a day, of how many people.
CLERKS = {STEADY: 4000, ROAMER: 4000, **{f"clerk{n}": 2500 + 500 * n for n in range(6)}}
FILES = 40


def opened(
    day: date, account: str, subjects: Sequence[str] | np.ndarray, rng: np.random.Generator
) -> pl.DataFrame:
    """EVENTS (some columns): one for each file opened, within the hours of work."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()
    clock = rng.uniform(8, 17, len(subjects)) * 3600
    return pl.DataFrame(
        {
            "timestamp": pl.Series(((midnight + clock) * 1e6).astype(np.int64)).cast(
                schema.TIMESTAMP
            ),
            "account": account,
            "client_address": f"desk of {account}",
            "application": "cases",
            "object": "file",
            "subject": subjects,
            "action": "read",
            "rows": 1,
            "success": True,
        },
        schema_overrides={name: schema.EVENTS[name] for name in ("rows", "success", "subject")},
    )


def hashed(numbers: np.ndarray) -> list[str]:
    """Subjects as keyed hashes would have them: spread over all of their range."""
    spread = numbers.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    return [f"{number:012x}" for number in (spread >> np.uint64(16)).tolist()]


def log(seed: int = 1, days: int = DAYS) -> pl.DataFrame:
    """EVENTS of all of them; from ROAMS on each file that the roamer opens is another person's."""
    rng = np.random.default_rng(seed)
    frames = [schema.empty(schema.EVENTS)]
    for n in range(days):
        day = START + timedelta(days=n)
        if day.isoweekday() > 5:
            continue
        for number in range(COUNSELLORS):
            views = rng.poisson(25 * rng.gamma(6, 1 / 6))
            people = number * 1000 + rng.integers(0, 120, views)
            frames.append(opened(day, f"counsellor{number:02}", hashed(people), rng))
        for at, (clerk, usual) in enumerate(CLERKS.items()):
            views = rng.poisson(usual)
            own = np.array(hashed(900_000 + at * 1000 + np.arange(FILES)))
            people = own[rng.integers(0, FILES, views)]
            if clerk == ROAMER and day >= ROAMS:
                people = hashed(2_000_000 + n * 10_000 + np.arange(views))
            frames.append(opened(day, clerk, people, rng))
    return pl.concat(frames, how="diagonal").sort("timestamp", "account", "subject")
