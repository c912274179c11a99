"""Kills, and then the count: see tests/support/prove_watch."""

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
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from detector.cli import app as command
from simulation.loopback import UnavailableError
from watching import replay, soak
from watching.database import HISTORY, Load, loaded
from watching.subject import AGENCY, Subject
from watching.writer import Writer

#: Seconds that a watcher lives.
SHORTEST, LONGEST = 0.05, 3.0
#: What is no event, one in so many lines.
BAD = 997
LAST = 900.0


def prepare(place: Path, events: int) -> None:
    """The log as one file. In a process of its own: what forks must not have used threads."""
    code = f"""
import polars as pl
log = pl.read_parquet({str(AGENCY / "2024-02a.parquet")!r}).sort("timestamp")
log.head({events}).write_ndjson({str(place / "clean.ndjson")!r})
"""
    subprocess.run([sys.executable, "-c", code], check=True)
    lines = (place / "clean.ndjson").read_bytes().splitlines(keepends=True)
    whole = [
        piece
        for number, line in enumerate(lines)
        for piece in ([line, b'{"account": "nobody"}\n'] if number % BAD == BAD - 1 else [line])
    ]
    (place / "one").mkdir()
    (place / "one" / "audit.ndjson").write_bytes(b"".join(whole))


def watcher(place: Path, name: str, logs: str, *more: str) -> int:
    """A process that watches ``logs``, a folder in ``place`` or a glob; its id.

    It seals and rescores in seconds what else takes minutes.
    """
    child = os.fork()
    if child:
        return child
    try:
        from detector.watch import day_scoring, ledger_commits

        ledger_commits.COMMIT_SECONDS = 0.5  # type: ignore[misc]
        day_scoring.RESCORE_SECONDS = 0.5  # type: ignore[misc]
        os.chdir(place)
        with (place / f"{name}.err").open("a") as said:
            os.dup2(said.fileno(), 2)
        folder = place / name
        sys.argv = [
            "detector", "watch", str(place / logs), "--state", str(folder / "state"),
            "--ledger", str(folder / "ledger"), "--out", str(folder / "out"),
            *Subject.sample().flags, "--settle", "0.3",
            "--sink", f"file://{folder / 'alerts.ndjson'}", *more,
        ]  # fmt: skip
        command.run()
    except SystemExit as stop:
        os._exit(int(stop.code or 0))
    finally:
        os._exit(0)


def ended(child: int) -> int:
    """Waits for a child; its exit code."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def kill(child: int) -> None:
    """SIGKILL, if it has not ended by itself."""
    with suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)


def rounds(place: Path, kills: int, seed: int, database: str | None) -> Writer:
    """All rounds; the writer, who has written everything. ``database`` are the logs of one.

    In each round a watcher of every kind is started and, at a moment of its own, killed.
    """
    chance = random.Random(seed)
    logs = place / "logs"
    logs.mkdir()
    data = (place / "one" / "audit.ndjson").read_bytes()
    writer = Writer(logs, data, random.Random(seed + 1))
    wanted = {"killed": "logs"} | ({"database": database} if database else {})
    for number in range(kills):
        begun = time.monotonic()
        ends = sorted((begun + chance.uniform(SHORTEST, LONGEST), name, watcher(place, name, what))
                      for name, what in wanted.items())  # fmt: skip
        for step, (end, name, child) in enumerate(ends):
            until = len(data) * (len(ends) * number + step + 1) // (len(ends) * kills)
            writer.write(end - time.monotonic(), until)
            time.sleep(max(0.0, end - time.monotonic()))
            _end(place, name, child)
    writer.write(0.0, len(data))
    return writer


def _end(place: Path, name: str, child: int) -> None:
    kill(child)
    code = ended(child)
    if code != -signal.SIGKILL:
        said = (place / f"{name}.err").read_text(encoding="utf-8").splitlines()[-3:]
        raise SystemExit(f"a watcher ended by itself with {code}: {said}")


def counted(place: Path, name: str) -> dict[str, Any]:
    """What a run left behind."""
    import polars as pl

    from detector.ledger.store import Ledger

    folder = place / name
    ledger = Ledger.open(folder / "ledger", None)
    days = ledger.days()
    scores = [pl.read_parquet(path) for path in sorted((folder / "out/scores").glob("*.parquet"))]
    out = folder / "alerts.ndjson"
    sink = out.read_bytes().splitlines() if out.exists() else []
    return {
        "hours": ledger.hours(),
        "touched": ledger.touched(days[0], days[-1]),
        "rejects": ledger.rejects([part.id for part in ledger.parts()]).collect().height,
        "scores": pl.concat(scores),
        "alerts": _alerts(folder),
        "sink": sorted({json.loads(line)["metadata"]["uid"] for line in sink}),
        "sent": len(sink),
    }


def _alerts(folder: Path) -> list[str]:
    from detector.delivery.outbox.store import Outbox

    with Outbox.open(folder / "state", create=False) as box:
        return sorted(box.ids())


def judge_database(
    killed: dict[str, Any], whole: dict[str, Any], transactions: int
) -> dict[str, bool]:
    """What must hold of a server's own log. Alerts of the day that runs may be more than batch's
    (see docs/watch.md).
    """
    import polars as pl

    mine = killed["touched"].filter(pl.col("value") == HISTORY)
    return {
        "transactions": int(mine["statements"].sum()) == transactions,
        "rejects": killed["rejects"] == whole["rejects"],
        **{name: killed[name].equals(whole[name]) for name in ("hours", "touched", "scores")},
        "alerts": set(killed["alerts"]) >= set(whole["alerts"]),
        "sink": killed["sink"] == killed["alerts"],
    }


def judge(killed: dict[str, Any], whole: dict[str, Any], events: int, bad: int) -> dict[str, bool]:
    """What must hold."""
    return {
        "events": int(killed["hours"]["statements"].sum()) == events,
        "rejects": killed["rejects"] == bad,
        **{name: killed[name].equals(whole[name]) for name in ("hours", "touched", "scores")},
        "alerts": killed["alerts"] == whole["alerts"] and len(killed["alerts"]) > 0,
        "sink": killed["sink"] == killed["alerts"],
    }


def prove(place: Path, asked: argparse.Namespace, load: Load | None) -> dict[str, Any]:
    """All rounds, the watchers that nobody kills, and what came of both."""
    begun = time.monotonic()
    writer = rounds(place, asked.kills, asked.seed, load.logs if load else None)
    transactions = load.stop() if load else 0
    time.sleep(1.0)  # what rests for --settle is complete
    runs = [("killed", "logs"), ("whole", "one")]
    if load:
        runs += [("database", load.logs), ("database-whole", load.logs)]
    codes = [ended(watcher(place, name, what, "--once")) for name, what in runs]
    found = {name: counted(place, name) for name, _ in runs}
    lines = (place / "one" / "audit.ndjson").read_bytes().count(b"\n")
    bad = asked.events // BAD
    told = {
        "kills": asked.kills * len(runs) // 2,
        "seconds": round(time.monotonic() - begun),
        "events": lines - bad,
        "rotations": writer.rotations,
        "alerts": len(found["killed"]["alerts"]),
        "sent": found["killed"]["sent"],
        "exit codes": codes,
        "sound": judge(found["killed"], found["whole"], lines - bad, bad),
        "database": "none here: see --database",
    }
    if load:
        of = found["database"]
        files = len(list(load.server.csvlog.parent.glob("*.csv")))
        told["database"] = {
            "transactions": transactions,
            "events": int(of["hours"]["statements"].sum()),
            "files": files,
            "alerts": len(of["alerts"]),
            "sound": judge_database(of, found["database-whole"], transactions),
        }
    return told


def options() -> argparse.Namespace:
    arguments = argparse.ArgumentParser(description="See the script's first lines.")
    arguments.add_argument("--kills", type=int, default=500)
    arguments.add_argument("--events", type=int, default=60_000)
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--keep", type=Path)
    arguments.add_argument("--database", choices=["yes", "no", "if there"], default="if there")
    soak.add_options(arguments)
    replay.add_options(arguments)
    return arguments.parse_args()


def main() -> int:
    asked = options()
    if asked.soak:
        return soak.main(asked)
    if asked.replay:
        return replay.main(asked)
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as stack:
        place = asked.keep or Path(scratch)
        place.mkdir(parents=True, exist_ok=True)
        prepare(place, asked.events)
        import pyod.models.iforest  # noqa: F401 - so that no child has to

        told = prove(place, asked, _load(stack, asked.database))
    print(json.dumps(told))
    sound = {**told["sound"], **(told["database"]["sound"] if isinstance(told["database"], dict)
                                 else {})}  # fmt: skip
    return 0 if all(sound.values()) and not any(told["exit codes"]) else 1


def _load(stack: ExitStack, wanted: str) -> Load | None:
    if wanted == "no":
        return None
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    folder.chmod(0o755)
    try:
        return stack.enter_context(loaded(folder / "server"))
    except UnavailableError as error:
        if wanted == "yes":
            raise SystemExit(f"prove_watch: {error}") from None
        print(f"prove_watch: no PostgreSQL: {error}", file=sys.stderr)
        return None
