"""What a watcher no longer needs it does not hold: sums that say the same, and freed arrays."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from datetime import UTC, date, datetime

import polars as pl
import pytest

from detector.cli import main
from detector.core.schema import HOURLY_SUMS, TOUCHED_VALUES
from detector.ledger.aggregate import (
    HOUR_KEYS,
    TOUCHED_KEYS,
    merge_hourly_sums,
    merge_touched_values,
)
from detector.watch.open_days import FAN_IN, OpenDays, sum_tables

DAY = date(2024, 3, 4)
HOUR = datetime(2024, 3, 4, 9, tzinfo=UTC)
HELD = """
def held():
    lines = open("/proc/self/status", encoding="ascii").read().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) // 1024
"""
#: Grows the heap by arrays, between which others stay, and lets them go: MB that are left of them.
ARRAYS = (
    HELD
    + """
import numpy as np
from detector.watch import memory
if {lean}:
    memory.reduce_memory()
for size in (1, 2, 3):
    np.ones(size << 17)
before, kept, many = held(), [], []
for _ in range(200):
    many.append(np.ones(1 << 17))
    kept.append(np.ones(1 << 10))
del many
print(held() - before)
"""
)

#: The same of a frame, right after it was let go.
FRAMES = (
    HELD
    + """
from detector.cli import main
if {lean}:
    main.configure_allocator()
import polars as pl
pl.select(pl.int_range(1000)).sum()
before = held()
frame = pl.select(pl.int_range(30_000_000))
assert held() - before > 200
del frame
print(held() - before)
"""
)
#: What polars is told when a command starts, before it is loaded.
TOLD = """
import os, sys
from detector.cli import main
assert "polars" not in sys.modules
sys.argv = ["detector", "{name}", "--help"]
try:
    main.run()
except SystemExit:
    print("allocator", os.environ.get(main.ALLOCATOR[0], "as polars has it"))
"""


def tables(number: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """HOURS and TOUCHED: nine accounts that always do the same, and one of its own."""
    names = [*(f"a{n}" for n in range(9)), f"b{number}"]
    ones = dict.fromkeys(HOURLY_SUMS, 1) | {"hour": HOUR, "action": "read"}
    touched = dict.fromkeys(TOUCHED_VALUES, 1) | {
        "day": DAY, "dimension": "object", "value": "person", "first_hour": HOUR
    }  # fmt: skip
    return (
        pl.DataFrame([ones | {"account": name} for name in names], schema=dict(HOURLY_SUMS)),
        pl.DataFrame([touched | {"account": name} for name in names], schema=dict(TOUCHED_VALUES)),
    )


def test_what_is_said_again_and_again_is_held_twice_at_most() -> None:
    days, came = OpenDays(), []
    for number in range(5 * FAN_IN * FAN_IN // 2):
        came.append(tables(number))
        days.add([days.new_sums(DAY, *came[-1])])
        for sums in days.mergeable():
            whole = days.merge(sums)
            days.remove(sums)
            days.add([whole])
        parts = days.parts[DAY]
        # Two are merged in the next turn.
        assert sum(not each.level for each in parts) < FAN_IN
        most = max((each.rows for each in parts if each.level), default=0)
        assert sum(each.rows for each in parts if each.level) <= 2 * most + 2 * FAN_IN * 10
    hours, touched = zip(*came, strict=True)
    found = sum_tables(days.parts[DAY])
    assert found[0].sort(HOUR_KEYS).equals(merge_hourly_sums(pl.concat(hours)).sort(HOUR_KEYS))
    assert (
        found[1]
        .sort(TOUCHED_KEYS)
        .equals(merge_touched_values(pl.concat(touched)).sort(TOUCHED_KEYS))
    )


def printed(code: str) -> str:
    """The last line that a process of its own prints; polars tells those it starts what it told
    itself.
    """
    own = {name: value for name, value in os.environ.items() if name != main.ALLOCATOR[0]}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=own)
    return done.stdout.splitlines()[-1]


def left(code: str, *, lean: bool) -> int:
    return int(printed(code.format(lean=lean)))


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")
def test_freed_arrays_go_back_to_the_system() -> None:
    assert left(ARRAYS, lean=False) > 100
    assert left(ARRAYS, lean=True) < 50


def test_freed_frames_go_back_to_the_system_at_once() -> None:
    assert left(FRAMES, lean=False) > 100
    assert left(FRAMES, lean=True) < 50


@pytest.mark.slow
@pytest.mark.parametrize(("name", "lean"), [("watch", True), ("score", False)])
def test_only_what_runs_for_months_pays_for_it(name: str, *, lean: bool) -> None:
    assert printed(TOLD.format(name=name)).endswith(main.ALLOCATOR[1]) == lean
