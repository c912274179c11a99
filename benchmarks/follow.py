"""One job of the section watch: a log followed, its bytes parsed, or river fed with it.

    python -m benchmarks.follow make LOG EVENTS
    python -m benchmarks.follow watch|steady|floor|river LOG FOLDER

*watch* follows a log that is there from its beginning and counts it; nothing is scored.
*steady* follows one that grows by 100,000 events a second, by staff of the sample agency, and
scores the day as it runs. *floor* reads the same bytes in the same pieces and parses them with
polars. *river* parses line by line and has HalfSpaceTrees score and learn each event; of the first
LEARNED events alone. Prints one JSON line with ``events`` and ``events_per_second``.
"""

from __future__ import annotations

import io
import json
import math
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

from watching.soak import DAY, events_of
from watching.subject import AGENCY, ROOT

PIECE = 16 << 20
LEARNED = 50_000
RATE = 100_000


def make(log: Path, events: int) -> None:
    """A log of the sample agency's staff, 10,000 events a second of its own time."""
    import numpy as np

    from detector.normalize import account_directory

    if log.exists():
        return
    people = account_directory.load(AGENCY / "directory.csv")["account"].to_list()
    chance = np.random.default_rng(1)
    fresh = log.with_suffix(".tmp")
    with fresh.open("wb") as out:
        for step in range(0, events, RATE):
            start = DAY + timedelta(seconds=step // (RATE // 10))
            out.write(events_of(start, RATE, people, chance).write_ndjson().encode())
    fresh.rename(log)


def pieces(log: Path) -> Iterator[bytes]:
    """Whole lines, as a watcher takes them."""
    left = b""
    with log.open("rb") as file:
        while data := file.read(PIECE):
            end = data.rfind(b"\n") + 1
            yield left + data[:end]
            left = data[end:]


def floor(log: Path, _: Path) -> int:
    import polars as pl

    if log.suffix == ".ndjson":
        return sum(pl.read_ndjson(io.BytesIO(data)).height for data in pieces(log))
    # Entries span lines: parsed in one go, which a watcher could not.
    return pl.read_csv(log, has_header=False, infer_schema=False).height


def river(log: Path, _: Path) -> int:
    from river.anomaly import HalfSpaceTrees

    forest = HalfSpaceTrees(seed=1)
    count = 0
    with log.open("rb") as file:
        for count, line in enumerate(file, 1):
            event = json.loads(line)
            point = {
                "rows": min(1.0, math.log1p(event["rows"]) / 20),
                "hour": int(event["timestamp"][11:13]) / 24,
                "who": hash(event["account"]) % 1000 / 1000,
                "what": hash(event["object"]) % 1000 / 1000,
            }
            forest.score_one(point)
            forest.learn_one(point)
            if count == LEARNED:
                break
    return count


def watch(log: Path, folder: Path) -> dict[str, Any]:
    from benchmarks import watch
    from detector.watch.day_scoring import DayScorer

    (folder / "logs").mkdir()
    os.link(log, folder / "logs" / log.name)
    seen = watch.watching(ROOT / "models" / "agency", AGENCY / "directory.csv", folder, time.time)
    DayScorer.score_complete = lambda *_, **__: []  # what is over is batch's to measure
    seen.run_cycle()  # what is imported late is no part of a rate
    events, begun = 0, time.monotonic()
    while True:
        done = seen.run_cycle()
        events += done.events
        if done.is_idle:
            return {"events": events, "seconds": time.monotonic() - begun}


def steady(log: Path, folder: Path) -> dict[str, Any]:
    from benchmarks import watch

    (folder / "logs").mkdir()
    begun = time.time()
    seen = watch.watching(
        ROOT / "models" / "agency", AGENCY / "directory.csv", folder,
        lambda: DAY.timestamp() + time.time() - begun,
    )  # fmt: skip
    context = multiprocessing.get_context("spawn")
    writer = context.Process(target=grow, args=(log, folder / "logs" / log.name))
    writer.start()
    started = time.monotonic()
    events, behind, ended = 0, 0, 0.0
    most = log.stat().st_size
    while sum(each.position for each in seen.tracker.logs.values()) < most:
        events += seen.run_cycle().events
        grown = (folder / "logs" / log.name).stat().st_size if events else 0
        behind = max(behind, grown - sum(each.position for each in seen.tracker.logs.values()))
        if not ended and grown == most:
            ended = time.monotonic()
    after = time.monotonic() - ended if ended else 0.0
    seen.close()
    seconds = time.monotonic() - started
    return {
        "events": events,
        "seconds": seconds,
        "most_bytes_behind": behind,
        "seconds_behind": round(after, 1),
    }


def grow(source: Path, target: Path) -> None:
    """Appends a log by itself, ten times a second."""
    lines = source.read_bytes().splitlines(keepends=True)
    begun = time.monotonic()
    with target.open("ab", buffering=0) as out:
        for tick, start in enumerate(range(0, len(lines), RATE // 10), 1):
            out.write(b"".join(lines[start : start + RATE // 10]))
            time.sleep(max(0.0, begun + tick / 10 - time.monotonic()))


JOBS: dict[str, Callable[[Path, Path], Any]] = {
    "watch": watch, "steady": steady, "floor": floor, "river": river,
}  # fmt: skip


def main() -> None:
    job, log, last = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
    if job == "make":
        make(log, int(last))
        return
    begun = time.monotonic()
    found = JOBS[job](log, Path(last))
    told = {"seconds": time.monotonic() - begun}
    told |= found if isinstance(found, dict) else {"events": found}
    told["events_per_second"] = round(told["events"] / told["seconds"])
    print(json.dumps({**told, "seconds": round(told["seconds"], 2)}))
    sys.stdout.flush()
    os._exit(0)  # threads that prepare scores need not be waited for


if __name__ == "__main__":
    main()
