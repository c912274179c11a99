"""Makes data/sample/pgaudit: the csvlog of a real PostgreSQL with pgaudit, with one theft in it.

    python -m simulation.make_pgaudit_sample [--out DIR] [--seed N]

Starts a private server (see simulation/office/server.py; needs postgresql and pgaudit), plays the
plan of simulation/office/plan.py on it in under a minute, and re-dates what the server logged to
the plan's days: a server's clock cannot be moved. Only log_time, session_start_time and the
start in session_id are changed; all else is as PostgreSQL wrote it.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import io
import re
import sys
import tempfile
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path

from simulation.loopback import UnavailableError
from simulation.office.plan import ROLES, SCHEMA, Session, sessions
from simulation.office.relay import relay
from simulation.office.server import Server, running

ROOT = Path(__file__).resolve().parent.parent
STATEMENT = re.compile(r"AUDIT: (?:SESSION|OBJECT),(\d+),")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "data" / "sample" / "pgaudit")
    parser.add_argument("--seed", type=int, default=20240205)
    options = parser.parse_args()
    plan = sessions(options.seed)
    try:
        records = play(plan)
    except UnavailableError as error:
        print(f"cannot make the sample: {error}", file=sys.stderr)
        return 1
    options.out.mkdir(parents=True, exist_ok=True)
    for name, text in files(redate(records, plan)).items():
        target = options.out / name
        # No name and no time in the gzip header: the same log gives the same file.
        data = gzip.compress(text.encode(), 9, mtime=0) if name.endswith(".gz") else text.encode()
        target.write_bytes(data)
        print(f"{target}: {len(data):,} bytes")
    return 0


def play(plan: list[Session]) -> list[str]:
    """The csvlog's records of the plan's sessions, in order. Raises UnavailableError."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        with running(Path(folder) / "server") as server:
            server.psql(SCHEMA + ROLES)
            _log_in_all(server, plan)
        return _records(server.csvlog.read_text(encoding="utf-8"))


def _log_in_all(server: Server, plan: list[Session]) -> None:
    with ExitStack() as stack:
        ports = {
            address: stack.enter_context(relay(address, server.port))
            for address in sorted({session.address for session in plan})
        }
        for session in plan:
            script = "\n".join(text for _, text in session.statements)
            server.psql(
                script,
                user=session.user,
                host=session.address,
                port=ports[session.address],
                application=session.application,
            )


def _records(text: str) -> list[str]:
    """The whole records of a csvlog: a newline inside quotes is no end."""
    records: list[str] = []
    held = ""
    for line in text.splitlines(keepends=True):
        held += line
        if held.count('"') % 2 == 0:
            records.append(held)
            held = ""
    return records


def _cells(record: str) -> list[str]:
    return next(csv.reader(io.StringIO(record)))


def redate(records: list[str], plan: list[Session]) -> list[tuple[datetime, str]]:
    """(new time, record) of the plan's sessions, which ran one after the other."""
    users = {session.user for session in plan}
    parsed = [(record, _cells(record)) for record in records]
    wanted = list(dict.fromkeys(cells[5] for _, cells in parsed if cells[1] in users))
    if len(wanted) != len(plan):
        raise SystemExit(f"{len(plan)} sessions were planned, the log has {len(wanted)}")
    planned = dict(zip(wanted, plan, strict=True))
    found: list[tuple[datetime, str]] = []
    done: dict[str, int] = {}
    for record, cells in parsed:
        session = planned.get(cells[5])
        if session is not None:
            moment = _moment(cells, session, done)
            found.append((moment, _dated(record, cells, moment, session)))
    return sorted(found, key=lambda pair: pair[0])


def _moment(cells: list[str], session: Session, done: dict[str, int]) -> datetime:
    """When a record stands in the plan. Failed statements have no number of pgaudit's."""
    moments = [moment for moment, _ in session.statements]
    message, key = cells[13], cells[5]
    if message.startswith("disconnection"):
        return moments[-1] + timedelta(seconds=30)
    audit = STATEMENT.match(message)
    failures = done.setdefault(key + " failures", 0)
    if audit:
        done[key] = int(audit[1]) + failures
    elif cells[11] == "ERROR":
        done[key + " failures"] += 1
        done[key] = done.get(key, 0) + 1
    else:
        return moments[0] - timedelta(seconds=5)
    lag = timedelta(milliseconds=int(cells[6]) % 100)
    return moments[min(done[key], len(moments)) - 1] + lag


def _dated(record: str, cells: list[str], moment: datetime, session: Session) -> str:
    """The record's text with its three times replaced, nothing else."""
    start = session.statements[0][0] - timedelta(seconds=6)
    pid = cells[5].split(".")[1]
    time = f"{moment:%Y-%m-%d %H:%M:%S}.{moment.microsecond // 1000:03} UTC"
    record = time + record.removeprefix(cells[0])
    record = record.replace(f",{cells[5]},", f",{int(start.timestamp()):x}.{pid},", 1)
    return record.replace(f",{cells[8]},", f",{start:%Y-%m-%d %H:%M:%S} UTC,", 1)


def files(dated: list[tuple[datetime, str]]) -> dict[str, str]:
    """January in one file, February's days each in its own; the last one is not compressed."""
    texts: dict[str, list[str]] = {}
    last = dated[-1][0].date()
    for moment, record in dated:
        name = f"{moment:%Y-%m}.csv.gz" if moment.month == 1 else f"{moment:%Y-%m-%d}.csv.gz"
        if moment.date() == last:
            name = name.removesuffix(".gz")
        texts.setdefault(f"postgresql-{name}", []).append(record)
    return {name: "".join(records) for name, records in texts.items()}


if __name__ == "__main__":
    sys.exit(main())
