"""Measures how soon detector watch follows again after a kill, with a year of ledger behind it.

    python -m benchmarks start FOLDER [--days 365]

FOLDER is that of watch.py, whose ledger is repeated, shifted, until it reaches back so many days, a
part a day; FOLDER keeps it. `detector watch` is started on it, killed with SIGKILL while it reads,
and started again, five times; measured is the time from the start of the process until it says
that it is ready (sd_notify), the wall's and the processor's. Prints one JSON line.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from datetime import date, timedelta
from pathlib import Path

from watching.soak import DAY, events_of

TIMES = 5


def year_of(folder: Path, days: int) -> Path:
    """A ledger whose days are those of the bench's, again and again."""
    from detector.core.schema import HOURLY_SUMS, TOUCHED_VALUES
    from detector.ledger.manifest import Part
    from detector.ledger.store import Ledger
    from detector.watch.commit import part_id, write_table

    place = folder / f"year-{days}"
    if (place / "made").exists():
        return place
    given = Ledger.open(folder / "ledger", None)
    ledger = Ledger.open(place, given.timezone)
    known = given.days()
    for back in range(days):
        source, shift = known[-1 - back % len(known)], back // len(known) * len(known)
        by = timedelta(days=shift)
        hours = given.hours(source, source).with_columns(hour=_shifted("hour", by))
        touched = given.touched(source, source).with_columns(
            day=_shifted("day", by), first_hour=_shifted("first_hour", by)
        )
        day: date = source - by
        own = part_id("year", back)
        part = Part(
            id=own, settings_fingerprint="0" * 16, file="bench", source="bench", size=0,
            events=int(hours["statements"].sum()), rejects=0, skipped=0,
            first=hours["hour"].min(), last=hours["hour"].max(), days=(day,), head_digest=own,
        )  # fmt: skip
        write_table(hours, HOURLY_SUMS, ledger.data_path("hours", day, part.stem))
        write_table(touched, TOUCHED_VALUES, ledger.data_path("touched", day, part.stem))
        ledger.commit(part)
    (place / "made").touch()
    return place


def _shifted(column: str, by: timedelta) -> object:
    import polars as pl

    return pl.col(column) - by


def starts(folder: Path, ledger: Path, work: Path) -> list[tuple[float, float]]:
    """Seconds until it is ready, of a start from nothing and of those after kills."""
    import numpy as np

    from detector.normalize import account_directory

    people = account_directory.load(folder / "agency" / "directory.csv")["account"].to_list()
    address = str(work / "notify")
    ear = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    ear.bind(address)
    ear.settimeout(60)
    log = work / "logs" / "audit.ndjson"
    log.parent.mkdir()
    found = []
    for number in range(TIMES + 1):
        frame = events_of(DAY + timedelta(hours=number), 50_000, people, np.random.default_rng(9))
        with log.open("ab") as out:
            out.write(frame.write_ndjson().encode())
        begun = time.monotonic()
        child = subprocess.Popen(
            [sys.executable, "-c", "from detector.cli.main import run; run()", "watch",
             str(log.parent), "--state", str(work / "state"), "--ledger", str(ledger), "--out",
             str(work / "out"), "--model", str(folder / "model"), "--directory",
             str(folder / "agency" / "directory.csv")],
            env={**os.environ, "NOTIFY_SOCKET": address}, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        while b"READY=1" not in ear.recv(4096):
            pass
        ticks = (
            Path(f"/proc/{child.pid}/stat")
            .read_text(encoding="utf-8")
            .rpartition(")")[2]
            .split()[11:13]
        )
        used = sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")
        found.append((round(time.monotonic() - begun, 2), used))
        time.sleep(3.0)
        child.send_signal(signal.SIGKILL)
        child.wait()
    ear.close()
    return found


def main() -> None:
    arguments = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--days", type=int, default=365)
    asked = arguments.parse_args()
    ledger = year_of(asked.folder, asked.days)
    # What an earlier run left behind, whose state folder is gone.
    (ledger / "watched.json").unlink(missing_ok=True)
    size = sum(path.stat().st_size for path in ledger.rglob("*.parquet")) // 1_000_000
    with tempfile.TemporaryDirectory(dir=asked.folder) as scratch:
        first, *after = starts(asked.folder, ledger, Path(scratch))
    told = {"what": "start", "days": asked.days, "ledger_mb": size, "first": first, "after": after}
    most = {"most_s": max(wall for wall, _ in after), "most_cpu_s": max(cpu for _, cpu in after)}
    print(json.dumps({**told, **most}))


if __name__ == "__main__":
    main()
