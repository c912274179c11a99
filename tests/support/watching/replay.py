"""A log replayed through watch, and scored by batch: the same ledger, scores and alerts."""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from watching.subject import Subject

#: Pieces that each log is appended in.
PIECES = 40


def add_options(arguments: argparse.ArgumentParser) -> None:
    arguments.add_argument("--replay", action="store_true")
    arguments.add_argument("--logs", nargs="*", type=Path)


def main(asked: argparse.Namespace) -> int:
    subject = Subject.prepared(asked.prepared) if asked.prepared else Subject.sample()
    with tempfile.TemporaryDirectory() as scratch:
        place = asked.keep or Path(scratch)
        place.mkdir(parents=True, exist_ok=True)
        told = replay(place, subject, asked.logs or subject.logs, asked.seed)
    print(json.dumps(told))
    return 0 if all(told["sound"].values()) else 1


def replay(place: Path, subject: Subject, logs: list[Path], seed: int) -> dict[str, Any]:
    """Both ways, and what differs."""
    made = [_lines(path, place / "whole") for path in logs]
    begun = time.monotonic()
    flags = [
        "score", str(place / "whole"), "--ledger", str(place / "batch" / "ledger"),
        "--out", str(place / "batch" / "out"), "--format", "native", *subject.flags,
    ]  # fmt: skip
    _run(flags)
    batch_s = time.monotonic() - begun
    begun = time.monotonic()
    _follow(place, subject, made, random.Random(seed))
    watch_s = time.monotonic() - begun
    one, other = _of(place / "batch", "batch"), _of(place / "watch", "watch")
    return {
        "logs": [str(path) for path in logs],
        "events": int(one["hours"]["statements"].sum()),
        "hours": one["hours"].height,
        "touched": one["touched"].height,
        "scores": one["scores"].height,
        "alerts": len(one["alerts"]),
        "score_s": round(batch_s),
        "watch_s": round(watch_s),
        "sound": compare(one, other),
    }


def compare(one: dict[str, Any], other: dict[str, Any]) -> dict[str, bool]:
    """What must be the same."""
    tables = ("hours", "touched", "scores")
    found = {name: bool(one[name].equals(other[name])) for name in tables}
    return {**found, "alerts": one["alerts"] == other["alerts"]}


def _lines(path: Path, folder: Path) -> Path:
    """The log as NDJSON, by a process of its own: memory is given back."""
    folder.mkdir(parents=True, exist_ok=True)
    made = folder / f"{path.stem}.ndjson"
    code = f"""
import polars as pl
pl.read_parquet({str(path)!r}).sort("timestamp", maintain_order=True).write_ndjson({str(made)!r})
"""
    subprocess.run([sys.executable, "-c", code], check=True)
    return made


def _command(flags: list[str]) -> list[str]:
    return [sys.executable, "-c", "from detector.cli.main import run; run()", *flags]


def _run(flags: list[str]) -> None:
    done = subprocess.run(_command(flags), capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"detector {flags[0]} failed: {done.stderr}")


def _follow(place: Path, subject: Subject, made: list[Path], chance: random.Random) -> None:
    """Appends the logs, one after the other, in pieces that end anywhere, while they are followed;
    with one SIGTERM on the way.
    """
    (place / "logs").mkdir()
    flags = [
        "watch", str(place / "logs"), "--state", str(place / "watch" / "state"),
        "--ledger", str(place / "watch" / "ledger"), "--out", str(place / "watch" / "out"),
        "--settle", "0", *subject.flags,
    ]  # fmt: skip
    child = _started(flags, place)
    for number, path in enumerate(made):
        data = path.read_bytes()
        cuts = sorted(chance.randrange(len(data)) for _ in range(PIECES - 1))
        with (place / "logs" / path.name).open("ab", buffering=0) as out:
            for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True):
                out.write(data[start:end])
                time.sleep(0.05)
        if number == 0:
            _stopped(child, place)
            child = _started(flags, place)
    _stopped(child, place)
    _run([*flags, "--once"])


def _started(flags: list[str], place: Path) -> subprocess.Popen[bytes]:
    with (place / "watch.err").open("ab") as said:
        return subprocess.Popen(_command(flags), stderr=said)


def _stopped(child: subprocess.Popen[bytes], place: Path) -> None:
    status = place / "watch" / "state" / "status.json"
    while not status.exists() and child.poll() is None:
        time.sleep(0.1)  # it listens for signals once it is ready
    child.send_signal(signal.SIGTERM)
    if child.wait(600):
        raise SystemExit(
            f"detector watch failed: {(place / 'watch.err').read_text(encoding='utf-8')[-500:]}"
        )
    os.unlink(status)  # noqa: PTH108 - so that the next one is seen to be ready


def _of(folder: Path, kind: str) -> dict[str, Any]:
    import polars as pl

    from detector.delivery.outbox.store import Outbox
    from detector.ledger.store import Ledger

    ledger = Ledger.open(folder / "ledger", None)
    days = ledger.days()
    if kind == "batch":
        scores = pl.read_parquet(folder / "out" / "scores.parquet")
        lines = (folder / "out" / "alerts.ndjson").read_text(encoding="utf-8").splitlines()
        alerts = sorted(json.loads(line)["id"] for line in lines)
    else:
        files = sorted((folder / "out" / "scores").glob("*.parquet"))
        scores = pl.concat([pl.read_parquet(path) for path in files])
        with Outbox.open(folder / "state", create=False) as box:
            alerts = sorted(box.ids())
    return {
        "hours": ledger.hours(),
        "touched": ledger.touched(days[0], days[-1]),
        "scores": scores,
        "alerts": alerts,
    }
