"""simulation/ablation.py stands in for parts of training, by name: it must not lag behind them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROW = re.compile(
    r"^\| (?P<left_out>[^|]+) \| (?P<exposure>[01]\.\d{3}) \| \d+\.\d\d \|", re.MULTILINE
)


@pytest.mark.slow
def test_a_small_agency_is_judged_with_all_parts_and_without_some() -> None:
    asked = ("--seed", "353", "--accounts", "200", "--only", "group), and")
    done = subprocess.run(
        [sys.executable, "-m", "simulation.ablation", *asked],
        cwd=ROOT, check=False, capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    rows = [(row["left_out"], float(row["exposure"])) for row in ROW.finditer(done.stdout)]
    whole, both = rows
    assert whole[0] == "nothing: all of it"
    assert re.fullmatch(r"lessons of crowds .*, and the forest", both[0])
    # Found by chance alone, what is taken would nearly all be out.
    assert whole[1] < 0.5
