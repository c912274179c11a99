"""A short run of scripts/prove_watch, and that its judge would see what is wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import polars as pl
from watching.run import judge

SCRIPT = Path(__file__).parents[2] / "scripts" / "prove_watch"


def test_kills_while_a_log_is_written_and_rotated_lose_and_double_nothing() -> None:
    done = subprocess.run(
        [sys.executable, SCRIPT, "--kills", "6", "--events", "20000", "--seed", "7"],
        capture_output=True, text=True, check=False, timeout=900,
    )  # fmt: skip
    told = json.loads(done.stdout or "{}")
    assert told["sound"] == dict.fromkeys(told["sound"], True), done.stderr
    assert done.returncode == 0, done.stderr


def test_the_judge_sees_what_is_lost_or_doubled() -> None:
    table = pl.DataFrame({"statements": [2, 3]})
    good = {"hours": table, "touched": table, "scores": table, "rejects": 1,
            "alerts": ["a"], "sink": ["a"]}  # fmt: skip
    assert all(judge(good, good, 5, 1).values())
    for name, bad in (
        ("hours", table.head(1)), ("rejects", 2), ("alerts", []), ("sink", ["a", "b"]),
        ("scores", table.head(1)),
    ):  # fmt: skip
        assert not all(judge({**good, name: bad}, good, 5, 1).values())
    assert not all(judge(good, good, 6, 1).values())
