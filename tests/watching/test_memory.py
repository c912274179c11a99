"""What a watcher no longer needs it does not hold: sums that say the same, and freed arrays."""

from __future__ import annotations

import platform
import subprocess
import sys
from datetime import UTC, date, datetime

import polars as pl
import pytest

from detector.ledger.fold import HOUR_KEYS, TOUCHED_KEYS, merge_hours, merge_touched
from detector.schema import HOURS, TOUCHED
from detector.watch.sums import FAN, OpenDays, day_sums

DAY = date(2024, 3, 4)
HOUR = datetime(2024, 3, 4, 9, tzinfo=UTC)
#: Grows the heap by arrays, between which others stay, and lets them go: MB that are left of them.
ARRAYS = """
import numpy as np
from detector.watch import memory
if {lean}:
    memory.lean()
def held():
    lines = open("/proc/self/status", encoding="ascii").read().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) // 1024
for size in (1, 2, 3):
    np.ones(size << 17)
before, kept, many = held(), [], []
for _ in range(200):
    many.append(np.ones(1 << 17))
    kept.append(np.ones(1 << 10))
del many
print(held() - before)
"""


def tables(number: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """HOURS and TOUCHED: nine accounts that always do the same, and one of its own."""
    names = [*(f"a{n}" for n in range(9)), f"b{number}"]
    ones = dict.fromkeys(HOURS, 1) | {"hour": HOUR, "action": "read"}
    touched = dict.fromkeys(TOUCHED, 1) | {
        "day": DAY, "dimension": "object", "value": "person", "first_hour": HOUR
    }  # fmt: skip
    return (
        pl.DataFrame([ones | {"account": name} for name in names], schema=dict(HOURS)),
        pl.DataFrame([touched | {"account": name} for name in names], schema=dict(TOUCHED)),
    )


def test_what_is_said_again_and_again_is_held_twice_at_most() -> None:
    days, came = OpenDays(), []
    for number in range(5 * FAN * FAN // 2):
        came.append(tables(number))
        days.put([days.next(DAY, *came[-1])])
        for sums in days.ripe():
            whole = days.joined(sums)
            days.drop(sums)
            days.put([whole])
        parts = days.parts[DAY]
        # Two are merged in the next turn.
        assert sum(not each.level for each in parts) < FAN
        most = max((each.rows for each in parts if each.level), default=0)
        assert sum(each.rows for each in parts if each.level) <= 2 * most + 2 * FAN * 10
    hours, touched = zip(*came, strict=True)
    found = day_sums(days.parts[DAY])
    assert found[0].sort(HOUR_KEYS).equals(merge_hours(pl.concat(hours)).sort(HOUR_KEYS))
    assert found[1].sort(TOUCHED_KEYS).equals(merge_touched(pl.concat(touched)).sort(TOUCHED_KEYS))


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")
def test_freed_arrays_go_back_to_the_system() -> None:
    left = [
        int(subprocess.run(
            [sys.executable, "-c", ARRAYS.format(lean=lean)],
            check=True, capture_output=True, text=True,
        ).stdout)
        for lean in (False, True)
    ]  # fmt: skip
    assert left[0] > 100
    assert left[1] < 50
