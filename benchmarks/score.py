"""Prepares "score one more day" with a short and with a long history.

The history is ingested and a model is trained on its last 30 days; what is then measured is
``detector score`` of one day more, on a fresh copy of that ledger.

    python -m benchmarks.score FOLDER DAYS EVENTS_A_DAY

Prints the command to measure, as JSON.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import polars as pl

from benchmarks import events

LONGEST = 400


def prepare(work: Path, days: int, per_day: int) -> list[str]:
    """The command that scores one more day after ``days`` days of ``per_day`` events."""
    folder = work / f"score-{days}-{per_day}"
    if not (folder / "model").is_dir():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        # The histories end on the same day, so that the day scored is the same one.
        for day in range(LONGEST - days, LONGEST):
            _day(folder / "history" / f"{day:03d}.parquet", day, per_day)
        _day(folder / "next.parquet", LONGEST, per_day)
        _detector("train", folder / "history", "--ledger", folder / "fresh", folder=folder)
    shutil.rmtree(folder / "ledger", ignore_errors=True)
    shutil.rmtree(folder / "out", ignore_errors=True)
    shutil.copytree(folder / "fresh", folder / "ledger")
    return [*_command("score", folder / "next.parquet", "--ledger", folder / "ledger",
                      "--model", folder / "model", "--out", folder / "out")]  # fmt: skip


def _day(path: Path, day: int, per_day: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    frame: pl.DataFrame = events.block(day * per_day, per_day, per_day)
    frame.write_parquet(path)


def _command(*arguments: object) -> list[str]:
    run = "from detector.cli.app import run; run()"
    return [sys.executable, "-c", run, *(str(argument) for argument in arguments)]


def _detector(*arguments: object, folder: Path) -> None:
    command = _command(*arguments, "--model", folder / "model")
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"bench: detector {arguments[0]} failed: {done.stderr.strip()}")


if __name__ == "__main__":
    print(json.dumps(prepare(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))))
