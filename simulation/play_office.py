"""Plays one small office, with one thief in it, on PostgreSQL and on MariaDB.

    python -m simulation.play_office --out DIR [--server postgresql|mariadb|both] [--seed N]

Each server is private and on loopback (simulation/office); the plan of its plan.py is the same: the
same people at the same desks with the same questions, and the same night in which one of
them takes the whole table. Writes, for each server, ``learn`` (all days before that night) and
``night`` (the last day): pgaudit's csvlog of PostgreSQL, the slow query log of MariaDB. Then

    detector train DIR/mariadb/learn* --ledger DIR/mariadb/ledger --model DIR/mariadb/model
    detector score DIR/mariadb/night* --ledger DIR/mariadb/ledger --model DIR/mariadb/model
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from simulation import make_pgaudit_sample
from simulation.loopback import UnavailableError
from simulation.office import mariadb, mariadb_plan
from simulation.office.plan import LAST, Session, sessions

NIGHT = datetime(LAST.year, LAST.month, LAST.day, tzinfo=UTC)
SERVERS = ("postgresql", "mariadb")


def on_postgresql(plan: list[Session]) -> tuple[str, str]:
    """Csvlog before the last day, and of it. Raises UnavailableError."""
    dated = make_pgaudit_sample.redate(make_pgaudit_sample.play(plan), plan)
    before = "".join(record for moment, record in dated if moment < NIGHT)
    return before, "".join(record for moment, record in dated if moment >= NIGHT)


def on_mariadb(plan: list[Session]) -> tuple[str, str]:
    """The slow log before the last day, and of it. Raises UnavailableError."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        with mariadb.running(Path(folder) / "server") as server:
            text = mariadb_plan.play(server, plan)
    banner, *entries = re.split(r"(?m)^(?=# User@Host: )", text)
    before, after = [banner], [banner]
    for entry in entries:
        found = re.search(r"(?m)^(?:use .*;\n)?SET timestamp=(\d+);$", entry)
        late = found is not None and int(found[1]) >= NIGHT.timestamp()
        (after if late else before).append(entry)
    return "".join(before), "".join(after)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--server", choices=[*SERVERS, "both"], default="both")
    parser.add_argument("--seed", type=int, default=20240205)
    options = parser.parse_args()
    plan = sessions(options.seed)
    played = {"postgresql": (on_postgresql, "csv"), "mariadb": (on_mariadb, "log")}
    for name in SERVERS if options.server == "both" else (options.server,):
        play, suffix = played[name]
        try:
            before, night = play(plan)
        except UnavailableError as error:
            print(f"cannot play on {name}: {error}", file=sys.stderr)
            return 1
        folder = options.out / name
        folder.mkdir(parents=True, exist_ok=True)
        for part, text in (("learn", before), ("night", night)):
            (folder / f"{part}.{suffix}").write_text(text, encoding="utf-8", newline="")
        print(f"{folder}: {len(before):,} and {len(night):,} characters")
    return 0


if __name__ == "__main__":
    sys.exit(main())
