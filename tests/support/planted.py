"""A small office's logs in every format, with names of accounts wherever a log can have them.

Every name holds STEM, and nothing else does, so a search for it finds whatever of a name is left.
"""

from __future__ import annotations

import csv
import io
import json
import sqlite3
import zipfile
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import polars as pl
from small_office import CUT, JOB, SCORED, START, agent, desk, honest_events, joined, pages

STEM = "quxquill"
#: Of the office, enough to have colleagues: to train a model of all takes four times as long.
FEW = 24
#: In letters that JSON escapes and a terminal might not show; some are long, one is hostile.
NAMES = {
    **{agent(n): f"Zo\xe9.{STEM}{n:02}@agence.example" for n in range(FEW)},
    agent(3): f"{STEM}\x1b[2J\t\u202e{STEM}",
    agent(4): STEM * 500,
    JOB: f"svc-{STEM}",
}
THIEF = NAMES[agent(0)]
#: Days told in each format but Parquet, which has all others: two to learn from, one to score.
TOLD = {
    name: [START + timedelta(days=number + 49), START + timedelta(days=number + 56), SCORED[number]]
    for number, name in enumerate(("csv", "ndjson", "csvlog", "jsonlog"))
}


def found(data: bytes) -> bool:
    """Whether any of a name is in ``data``, in whatever case, plain or as hexadecimal digits."""
    low = data.lower()
    return STEM.encode() in low or STEM.encode().hex().encode() in low


def leaks(folder: Path) -> list[str]:
    """What in ``folder`` has a name: paths, bytes, and what compressed files hold."""
    wrong = []
    for path in sorted(folder.rglob("*")):
        if found(str(path.relative_to(folder)).encode()):
            wrong.append(f"the path {path.name}")
        if path.is_file() and any(found(data) for data in contents(path)):
            wrong.append(str(path.relative_to(folder)))
    return wrong


def contents(path: Path) -> Iterator[bytes]:
    """The file's bytes, and what they stand for where it is compressed or a database."""
    yield path.read_bytes()
    if path.suffix == ".parquet":
        text = pl.read_parquet(path, hive_partitioning=False).select(pl.col(pl.String, pl.List))
        yield text.write_ndjson().encode()
    if path.suffix == ".sqlite":
        # Long texts lie on several pages, and what was committed last beside the file.
        with closing(sqlite3.connect(path)) as base:
            yield "\n".join(base.iterdump()).encode()
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            yield from (archive.read(name) for name in archive.namelist())


def write(folder: Path) -> None:
    """The logs, in ``past`` and ``new``, ``directory.csv`` and ``incidents.csv``."""
    events = joined(honest_events(until=(CUT - START).days + 5), pages(0, SCORED[:5], 900))
    events = events.filter(pl.col("account").is_in(list(NAMES)))
    events = events.with_columns(pl.col("account").replace(NAMES))
    day = pl.col("timestamp").dt.date()
    writers = {"csv": _csv, "ndjson": _ndjson, "csvlog": _csvlog, "jsonlog": _jsonlog}
    told = [each for some in TOLD.values() for each in some]
    for name, new in (("past", False), ("new", True)):
        place = folder / name
        place.mkdir(parents=True)
        era = events.filter((day >= CUT) if new else (day < CUT))
        era.filter(~day.is_in(told)).write_parquet(place / "office.parquet")
        for kind, some in TOLD.items():
            writers[kind](era.filter(day.is_in(some)), place)
    (folder / "new" / "headless.csv").write_text(
        f"{STEM}01,SELECT,person\n{STEM}02,SELECT,note\n", encoding="utf-8"
    )
    (folder / "new" / "keys.ndjson").write_text(
        json.dumps({f"{STEM}01": 3, "when": 1}) + "\n", encoding="utf-8"
    )
    (folder / "new" / "broken.parquet").write_bytes(b"PAR1" + STEM.encode() * 50 + b"PAR1")
    _directory().write_csv(folder / "directory.csv")
    _incidents(folder / "incidents.csv")


def _directory() -> pl.DataFrame:
    people = [(NAMES[agent(n)], f"desk {desk(n)}", "human") for n in range(FEW)]
    rows = [*people, (NAMES[JOB], "desk north", "service")]
    return pl.DataFrame(rows, schema=["account", "group", "kind"], orient="row")


def _incidents(path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["account", "start", "end"], [THIEF, CUT, SCORED[:5][-1]]])


def _csv(events: pl.DataFrame, place: Path) -> None:
    """With columns that are not read, a statement's text, and lines that are rejected."""
    told = events.select(
        "timestamp", "account", "client_address", "application", "object", "action", "rows",
        query=pl.format("SELECT * FROM person WHERE adviser = '{}'", "account"),
        comment=pl.col("account"),
    )  # fmt: skip
    text = told.write_csv(datetime_format="%Y-%m-%dT%H:%M:%S%.6fZ")
    when = str(events["timestamp"][0])
    bad = [
        [STEM, STEM, "", "", "", "", "1", "", ""],
        [when, STEM, "", "", "", "", f"{STEM}!", "", ""],
        [when, STEM, "", "", "", "", "-1", STEM, STEM],
        [when, STEM, STEM],
        ["", STEM, "", "", "", "", "1", "", STEM],
    ]
    more = io.StringIO()
    csv.writer(more, lineterminator="\n").writerows(bad)
    (place / "office.csv").write_bytes(
        text.encode() + more.getvalue().encode() + f'{when},{STEM}\0,,,,,,,\n"{STEM}'.encode()
    )


def _ndjson(events: pl.DataFrame, place: Path) -> None:
    told = events.select(
        "timestamp", "client_address", "object", "action", "rows",
        user=pl.struct(name="account"), statement="account",
    )  # fmt: skip
    bad = [
        json.dumps({"timestamp": STEM, "user": {"name": STEM}}),
        json.dumps({"timestamp": "2024-02-01T10:00:00Z", "user": {"name": {STEM: STEM}}}),
        json.dumps({"timestamp": "2024-02-01T10:00:00Z", "user": STEM, STEM: 1}),
        '{"timestamp": "2024-02-01T10:00:00Z", "user": {"name": "' + STEM,
    ]
    (place / "office.ndjson").write_text(
        told.write_ndjson() + "\n".join(bad) + "\n", encoding="utf-8"
    )


#: Of PostgreSQL's csvlog, in order.
COLUMNS = [
    "log_time",
    "user_name",
    "database_name",
    "process_id",
    "connection_from",
    "session_id",
    "session_line_num",
    "command_tag",
    "session_start_time",
    "virtual_transaction_id",
    "transaction_id",
    "error_severity",
    "sql_state_code",
    "message",
    "detail",
    "hint",
    "internal_query",
    "internal_query_pos",
    "context",
    "query",
    "query_pos",
    "location",
    "application_name",
    "backend_type",
    "leader_pid",
    "query_id",
]
#: And their keys in its jsonlog.
KEYS = {
    "log_time": "timestamp",
    "user_name": "user",
    "database_name": "dbname",
    "connection_from": "remote_host",
    "command_tag": "ps",
    "sql_state_code": "state_code",
    "query": "statement",
}


def _entries(events: pl.DataFrame) -> list[dict[str, str]]:
    """What a server with pgaudit logs of ``events``, and what else it says with names in it."""
    found = []
    for number, row in enumerate(events.iter_rows(named=True)):
        text = f"SELECT * FROM {row['object']} WHERE adviser = '{STEM}'"
        # One session a statement: names are in its id too, which is hostile text like any other.
        base = _base(row, f"{number:08x}.{STEM}")
        found.append(base | {"message": _audit(row["object"], text, row["rows"])})
    row = events.row(0, named=True)
    base = _base(row, "65c0b1a0.1092")
    said = f"{STEM} said"
    others = [
        {"message": f"connection authorized: user={STEM} database=office"},
        {"error_severity": "FATAL", "sql_state_code": "28P01",
         "message": f'password authentication failed for user "{STEM}"', "detail": said},
        {"error_severity": "ERROR", "sql_state_code": "42501", "hint": said, "query":
         f"SELECT * FROM person WHERE name = '{STEM}'",
         "message": f"permission denied for {STEM}", "internal_query": said},
        {"message": _audit("person", f"-- {STEM}", 9), "context": f"PL/pgSQL function {STEM}()"},
        {"message": f"AUDIT: SESSION,{STEM}"},
        {"message": f"AUDIT: SESSION,1,1,ROLE,ALTER ROLE,,,ALTER ROLE {STEM} SUPERUSER,<none>,0"},
        {"message": _audit("person", f"SET ROLE {STEM}", 1), "log_time": f"{STEM} UTC"},
        {"message": _audit("person", "SELECT 1", 1), "user_name": "", "location": STEM},
    ]  # fmt: skip
    return found + [base | other for other in others]


def _base(row: dict[str, object], session: str) -> dict[str, str]:
    return dict.fromkeys(COLUMNS, "") | {
        "log_time": f"{row['timestamp']:%Y-%m-%d %H:%M:%S.000} UTC",
        "user_name": str(row["account"]),
        "database_name": "office",
        "connection_from": f"{row['client_address']}:40000",
        "session_id": session,
        "command_tag": "SELECT",
        "error_severity": "LOG",
        "sql_state_code": "00000",
        "application_name": "front",
        "backend_type": "client backend",
        "location": STEM,
    }


def _audit(table: object, text: str, rows: object) -> str:
    return f'AUDIT: SESSION,1,1,READ,SELECT,TABLE,{table},"{text}",{STEM},{rows}'


def _csvlog(events: pl.DataFrame, place: Path) -> None:
    with (place / "postgresql.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writerows(_entries(events))
        file.write(f'2024-02-01 10:00:00.000 UTC,"{STEM}","cut')


def _jsonlog(events: pl.DataFrame, place: Path) -> None:
    lines = []
    for entry in _entries(events):
        told = {KEYS.get(name, name): text for name, text in entry.items() if text}
        lines.append(json.dumps(told | {"remote_host": entry["connection_from"].split(":")[0]}))
    lines += [json.dumps({"timestamp": STEM, STEM: STEM}), '{"user": "' + STEM]
    (place / "postgresql.json").write_text("\n".join(lines) + "\n", encoding="utf-8")
