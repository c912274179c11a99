"""Measures detector watch: how many events a second it counts, and how soon it rings.

    python -m benchmarks watch FOLDER [--accounts 5000] [--days 60] [--rate 10000] [--seconds 60]

A model is trained on the log of an agency of so many accounts (once; FOLDER keeps it). Then
*count*: a log of 3 million events is followed from its beginning, with nothing scored but what is
over. *ring*: when eight hours of the day lie behind, a writer
appends so many events a second by all accounts, and every second one account
exports records far beyond what it does; measured is the time from the append of that line until the
alert stands in the file of a sink. Prints one JSON line each.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks import ROOT

#: A working day after what was learned.
DAY = datetime(2024, 2, 5, 16, tzinfo=UTC)
#: Hours of the day that lie behind when *ring* begins.
WORKED = 8
EVENTS = 3_000_000


def prepare(folder: Path, accounts: int, days: int) -> None:
    if (folder / "model" / "model.json").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    agency = folder / "agency"
    subprocess.run(
        [sys.executable, "-m", "simulation.make_agency", "--out", agency,
         "--accounts", str(accounts), "--days", str(days), "--seed", "7"],
        check=True, cwd=ROOT, stdout=sys.stderr,
    )  # fmt: skip
    subprocess.run(
        [sys.executable, "-c", "from detector.cli.app import run; run()", "train", agency,
         "--directory", agency / "directory.csv", "--ledger", folder / "ledger",
         "--model", folder / "model"],
        check=True,
    )  # fmt: skip


def line(moment: datetime, account: str, action: str, rows: int, table: str) -> bytes:
    return (
        f'{{"timestamp":"{moment:%Y-%m-%dT%H:%M:%S.%f}Z","account":"{account}",'
        f'"client_address":"10.0.0.{hash(account) % 200}","application":"front",'
        f'"object":"{table}","action":"{action}","rows":{rows}}}\n'
    ).encode()


def names(folder: Path) -> list[str]:
    import csv

    with (folder / "agency" / "directory.csv").open(encoding="utf-8") as file:
        people = [row for row in csv.DictReader(file) if row["kind"] != "service"]
    return [row["account"] for row in people]


def write(log: Path, people: list[str], rate: int, seconds: int, stop: Any) -> None:
    """Ten times a second; notes when each line that matters was appended."""
    chance = random.Random(5)
    thieves = people[:: max(1, len(people) // (seconds + 1))][:seconds]
    begun = time.time()
    with log.open("ab", buffering=0) as out, log.with_suffix(".noted").open("w") as noted:
        for tick in range(seconds * 10):
            now = DAY + timedelta(seconds=tick / 10)
            lines = [
                line(now, chance.choice(people), "login", 0, "front") for _ in range(rate // 10)
            ]
            out.write(b"".join(lines))
            if tick % 10 == 5:
                thief = thieves[tick // 10]
                out.write(line(now, thief, "export", 50_000 + tick, "person"))
                noted.write(json.dumps([thief, time.time()]) + "\n")
                noted.flush()
            time.sleep(max(0.0, begun + (tick + 1) / 10 - time.time()))
    stop.wait(30)


def watcher(folder: Path, work: Path, clock: Callable[[], float]) -> Any:
    return watching(folder / "model", folder / "agency" / "directory.csv", work, clock)


def watching(
    model_folder: Path,
    directory_file: Path,
    work: Path,
    clock: Callable[[], float],
    settle: float = 1e9,
) -> Any:
    """A watcher of the folder ``logs`` in ``work``, where its state is too."""
    from detector import registry
    from detector.detection.pipeline import Pipeline
    from detector.ledger.store import Ledger
    from detector.model import store
    from detector.normalize import account_directory
    from detector.watch import memory
    from detector.watch.deduplication import LedgerContents
    from detector.watch.log_tracker import LogTracker
    from detector.watch.new_files import FileSearch, UnknownFiles
    from detector.watch.state import State
    from detector.watch.watcher import Watcher

    memory.reduce_memory()
    families = registry.families()
    model = store.load(model_folder, families)
    people = account_directory.load(directory_file)
    state = State.open(work / "state")
    ledger = Ledger.open(work / "ledger", model.settings.timezone)
    known = {log.id: log for log in state.logs()}
    looks = FileSearch([str(work / "logs")], registry.sources(), model.settings, None, settle)
    shelf = LogTracker(
        looks, known, UnknownFiles(LedgerContents(ledger.parts(), known, model.settings))
    )
    judging = Pipeline(model, people, model.settings, families)
    # Both clocks are the log's: what must rest for a while rests by it.
    return Watcher(
        state, ledger, judging, shelf, work / "out", ("file",), clock, steady_clock=clock
    )


def count(folder: Path) -> dict[str, Any]:
    work = folder / "count"
    shutil.rmtree(work, ignore_errors=True)
    (work / "logs").mkdir(parents=True)
    chance = random.Random(1)
    people = names(folder)
    with (work / "logs" / "audit.ndjson").open("wb") as out:
        for second in range(EVENTS // 1000):
            now = DAY + timedelta(seconds=second)
            out.write(b"".join(
                line(now, chance.choice(people), "read", chance.randrange(50), "person")
                for _ in range(1000)
            ))  # fmt: skip
    size = (work / "logs" / "audit.ndjson").stat().st_size
    seen = watcher(folder, work, time.time)
    begun, events = time.monotonic(), 0
    while events < EVENTS:
        events += seen.run_cycle().events
    seconds = time.monotonic() - begun
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"what": "count", "events": events, "seconds": round(seconds, 1),
            "events_per_second": round(events / seconds),
            "mb_per_second": round(size / seconds / 1e6), "peak_mb": round(peak)}  # fmt: skip


def ring(folder: Path, rate: int, seconds: int) -> dict[str, Any]:
    from detector import registry
    from detector.delivery.routing import build_routes
    from detector.watch.sender import Sender

    work = folder / "ring"
    shutil.rmtree(work, ignore_errors=True)
    (work / "logs").mkdir(parents=True)
    shutil.copytree(folder / "ledger", work / "ledger")
    log, sink = work / "logs" / "audit.ndjson", work / "alerts.ndjson"
    people = names(folder)
    log.write_bytes(b"".join(
        line(DAY - timedelta(hours=back), name, action, 3, "front")
        for back in range(WORKED, -1, -1) for name in people for action in ("login", "read")
    ))  # fmt: skip
    offset = time.time() - DAY.timestamp()
    seen = watcher(folder, work, lambda: time.time() - offset)
    ways = build_routes([{"url": f"file://{sink}", "name": "file", "format": "native"}], [],
                  registry.sinks(), registry.formats())  # fmt: skip
    found: dict[str, float] = {}
    at, events, behind, used = 0, 0, 0, 0.0
    with Sender(work / "state", ways, lambda said: print(said, file=sys.stderr)) as sending:
        while seen.scorer.intraday.context is None:
            seen.run_cycle()
            time.sleep(0.05)
        stop = multiprocessing.get_context("spawn").Event()
        writer = multiprocessing.get_context("spawn").Process(
            target=write, args=(log, people, rate, seconds, stop))  # fmt: skip
        writer.start()
        used = time.process_time()
        end = time.monotonic() + seconds + 15
        while time.monotonic() < end:
            done = seen.run_cycle()
            events += done.events
            behind = max(
                behind, log.stat().st_size - max(x.position for x in seen.tracker.logs.values())
            )
            if done.alerts:
                sending.wake()
            at = _arrived(sink, at, found)
            if done.is_idle:
                time.sleep(0.02)
        used = time.process_time() - used
        stop.set()
        writer.join()
    noted = [
        json.loads(each)
        for each in log.with_suffix(".noted").read_text(encoding="utf-8").splitlines()
    ]
    waits = sorted(found[who] - when for who, when in noted if who in found)
    return {
        "what": "ring", "rate": rate, "events": events, "accounts": len(people),
        "thefts": len(noted), "rang": len(waits), "most_bytes_behind": behind,
        "cpu_s": round(used, 1), "load": round(os.getloadavg()[0], 1),
        **{f"p{p}": round(waits[min(len(waits) - 1, len(waits) * p // 100)], 2)
           for p in (50, 90, 99) if waits},
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }  # fmt: skip


def _arrived(sink: Path, at: int, found: dict[str, float]) -> int:
    if not sink.exists():
        return at
    with sink.open("rb") as file:
        file.seek(at)
        for raw in file:
            if not raw.endswith(b"\n"):
                break
            at += len(raw)
            alert = json.loads(raw)
            if alert["entity_kind"] == "account":
                found.setdefault(alert["entity"], sink.stat().st_mtime)
    return at


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("folder", type=lambda name: Path(name).resolve())
    arguments.add_argument("--accounts", type=int, default=5000)
    arguments.add_argument("--days", type=int, default=60)
    arguments.add_argument("--rate", type=int, default=10_000)
    arguments.add_argument("--seconds", type=int, default=60)
    arguments.add_argument("--only", choices=["count", "ring"])
    asked = arguments.parse_args()
    from detector.cli.main import configure_allocator

    configure_allocator()  # as the command does
    prepare(asked.folder, asked.accounts, asked.days)
    if asked.only != "ring":
        print(json.dumps(count(asked.folder)), flush=True)
    if asked.only != "count":
        print(json.dumps(ring(asked.folder, asked.rate, asked.seconds)), flush=True)


if __name__ == "__main__":
    main()
