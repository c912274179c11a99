"""A day of logs at a rate that does not let up: what memory and file handles do meanwhile."""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import shutil
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from watching.subject import Subject

#: From the morning of a working day after what was learned, so that midnight lies within.
DAY = datetime(2024, 3, 12, 10, tzinfo=UTC)
#: The same of what benchmarks/watch.py prepares, whose ledger lies behind it.
AFTER = datetime(2024, 2, 5, 10, tzinfo=UTC)
#: Bytes after which the log is rotated, rotated logs that are left, and how far the writer may be
#: ahead: it waits rather than delete what was not read.
ROTATED, LEFT, AHEAD = 32 << 20, 2, 48 << 20
#: Seconds of the log's time that are written at once.
STEP = 10
#: Addresses in all, and those of one account: few, as an hour of the log, which has fewer events
#: than one at the full rate, is to show them all. Else the day so far would grow for hours.
ADDRESSES, OWN = 200, 5
#: Parts of the whole over which memory and handles are told; the first may grow.
PARTS = 24


def add_options(arguments: argparse.ArgumentParser) -> None:
    arguments.add_argument("--soak", action="store_true")
    arguments.add_argument("--hours", type=float, default=24.0)
    arguments.add_argument("--rate", type=int, default=1000)
    arguments.add_argument("--minutes", type=float, default=20.0)
    arguments.add_argument("--growth", type=float, default=1.1)
    arguments.add_argument("--prepared", type=Path)


def events_of(
    start: datetime, size: int, people: list[str], chance: Any, own: int = ADDRESSES
) -> Any:
    """Events of ``people``, each from so many addresses of its ``own`` among all ADDRESSES."""
    import numpy as np
    import polars as pl

    moments = np.sort(chance.integers(0, STEP * 1_000_000, size)) + round(start.timestamp() * 1e6)
    times = pl.Series(moments).cast(pl.Datetime("us")).dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ")
    who = chance.integers(0, len(people), size)
    addresses = (who * 7 + chance.integers(0, own, size)) % ADDRESSES
    return pl.DataFrame(
        {
            "timestamp": times,
            "account": [people[at] for at in who],
            "client_address": [f"10.0.0.{at}" for at in addresses],
            "application": "front",
            "object": [f"t.table{at}" for at in chance.integers(0, 6, size)],
            "action": "read",
            "rows": chance.integers(0, 20, size),
        }
    )


def write(
    folder: Path,
    people: list[str],
    begins: datetime,
    asked: dict[str, float],
    done: Any,
    read: Any,
) -> None:
    """All of the log, in the time there is, rotated and deleted as servers do it."""
    import numpy as np

    chance = np.random.default_rng(3)
    log, number = folder / "audit.ndjson", 0
    size = round(asked["rate"] * STEP)
    steps = round(asked["hours"] * 3600 / STEP)
    begun, written = time.monotonic(), 0
    for step in range(steps):
        frame = events_of(begins + timedelta(seconds=step * STEP), size, people, chance, OWN)
        data = frame.write_ndjson().encode()
        with log.open("ab") as out:
            out.write(data)
        written += len(data)
        done.value = step + 1
        if log.stat().st_size > ROTATED:
            number += 1
            log.rename(folder / f"audit.ndjson.{number}")
            (folder / f"audit.ndjson.{number - LEFT}").unlink(missing_ok=True)
        pause = begun + asked["minutes"] * 60 * (step + 1) / steps - time.monotonic()
        time.sleep(max(0.0, pause))
        while written - read.value > AHEAD:
            time.sleep(0.02)


def sample() -> dict[str, int]:
    """The most resident MB of this process since the last time, and its open handles."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    most = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
    Path("/proc/self/clear_refs").write_text(
        "5", encoding="utf-8"
    )  # see proc(5): begins the most anew
    return {"mb": most // 1024, "handles": len(os.listdir("/proc/self/fd"))}  # noqa: PTH208


def main(asked: argparse.Namespace) -> int:
    with tempfile.TemporaryDirectory() as scratch:
        place = asked.keep or Path(scratch)
        (place / "logs").mkdir(parents=True)
        told = follow(place, asked)
    print(json.dumps(told))
    return 0 if all(told["sound"].values()) else 1


def follow(place: Path, asked: argparse.Namespace) -> dict[str, Any]:
    """Follows it in this process, whose clock is the log's."""
    context = multiprocessing.get_context("spawn")
    done, read = context.Value("q", 0), context.Value("q", 0)
    begins = DAY if asked.prepared is None else AFTER
    seen = _watcher(place, asked.prepared, lambda: begins.timestamp() + done.value * STEP)
    people = seen.scorer.pipeline.directory["account"].to_list()
    sizes = {name: getattr(asked, name) for name in ("rate", "hours", "minutes")}
    writer = context.Process(target=write, args=(place / "logs", people, begins, sizes, done, read),
                             daemon=True)  # fmt: skip
    steps = round(asked.hours * 3600 / STEP)
    parts: list[dict[str, int]] = [{"mb": 0, "handles": 0} for _ in range(PARTS)]
    begun, events, alerts, sampled, told = time.monotonic(), 0, 0, 0.0, 0
    writer.start()
    while True:
        turn = seen.run_cycle()
        events, alerts = events + turn.events, alerts + len(turn.alerts)
        read.value += turn.bytes
        if time.monotonic() - sampled > 0.2 and done.value:
            sampled = time.monotonic()
            part = parts[min(PARTS - 1, (done.value - 1) * PARTS // steps)]
            now = sample()
            part["mb"] = max(part["mb"], now["mb"])
            part["handles"] = max(part["handles"], now["handles"])
            if sum(each["mb"] > 0 for each in parts) > told:
                told += 1
                print(f"part {told} of {PARTS} begun: {parts[:told]}", file=sys.stderr, flush=True)
        if turn.is_idle:
            if done.value == steps and not writer.is_alive():
                break
            time.sleep(0.05)
    seconds = time.monotonic() - begun
    writer.join()
    view = seen.ledger_view
    days = [day for day in view.days() if day >= begins.date()]
    kept = sum(int(view.hours(day, day)["statements"].sum()) for day in days)
    used = os.times()
    seen.close()
    return {
        "hours": asked.hours, "events": events, "alerts": alerts, "seconds": round(seconds),
        "events_per_second": round(events / seconds), "accounts": len(people),
        "cpu_s": round(used.user + used.system), "parts": parts,
        "sound": judge(parts, events, kept, round(asked.rate * STEP) * steps, asked.growth),
    }  # fmt: skip


def judge(
    parts: list[dict[str, int]], events: int, kept: int, written: int, growth: float
) -> dict[str, bool]:
    """What must hold."""
    most = {name: [part[name] for part in parts] for name in ("mb", "handles")}
    return {
        "events": events == kept == written,
        "memory": max(most["mb"]) <= growth * max(most["mb"][:2]),
        # Of logs that were rotated, those stay open that are not at their end yet, and one that
        # was deleted until it is looked at again.
        "handles": max(most["handles"]) <= max(most["handles"][:2]) + LEFT + 1,
    }


def _watcher(place: Path, prepared: Path | None, clock: Any) -> Any:
    from benchmarks import watch

    subject = Subject.sample() if prepared is None else Subject.prepared(prepared)
    if prepared is not None:
        shutil.copytree(prepared / "ledger", place / "ledger")
    return watch.watching(subject.model, subject.directory, place, clock, settle=60.0)


if __name__ == "__main__":
    sys.exit("see tests/support/prove_watch")
