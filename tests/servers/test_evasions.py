"""Whoever was sent records by a real server has them counted as read, known or unknown.

    DETECTOR_EVASION_SECONDS=3600 pytest tests/servers/test_evasions.py

goes on with composed tricks for that long; without it, a fixed few are played.
"""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

import polars as pl
import pytest
from evasions import MARIADB, POSTGRESQL, RECORDS, composed, received

from detector import registry
from detector.core.settings import Settings
from detector.normalize.reader_state import ReaderState
from detector.readers.log_input import LocalFile

SECONDS = float(os.environ.get("DETECTOR_EVASION_SECONDS", "0"))
SEED = int(os.environ.get("DETECTOR_EVASION_SEED", "1"))
#: What watches each third of the accounts.
WATCHES = {
    "audit": "SET auto_explain.log_min_duration = -1",
    "plans": "SET pgaudit.log = 'none'",
    "both": "SET application_name = 'both'",
}
FORMATS = ("postgresql_csvlog", "postgresql_jsonlog")


def read(name: str, path: Path) -> tuple[pl.DataFrame, pl.DataFrame]:
    zone = os.environ.get("TZ") or "UTC"
    batches = list(
        registry.sources()[name].read(LocalFile(path), Settings(log_timezone=zone), ReaderState())
    )
    events = pl.concat([batch.events for batch in batches])
    return events, pl.concat([batch.rejects for batch in batches])


def told(events: pl.DataFrame) -> dict[str, int | None]:
    """Records that each account has read: null where some of its readings are unknown."""
    read = events.filter(pl.col("action").is_in(["read", "export"]))
    rows = pl.when(pl.col("rows").null_count() == 0).then(pl.col("rows").sum())
    return dict(read.group_by("account").agg(rows).rows())


def evaded(sent: dict[str, int], events: pl.DataFrame) -> dict[str, tuple[int, object]]:
    """Accounts that have less than they were sent: what they were sent, and what is told."""
    found = told(events)
    missing = object()
    return {
        account: (count, found.get(account, "nothing"))
        for account, count in sent.items()
        if (known := found.get(account, missing)) is not None
        # EXPLAIN gives a row too, and none of a table.
        and (known is missing or known < min(count, RECORDS))  # type: ignore[operator]
    }


def played(server, tricks) -> dict[str, int]:
    """What each account, one for each trick and watch, was sent."""
    names = [f"t_{watch}_{name}" for watch in WATCHES for name in tricks]
    roles = "".join(f"CREATE ROLE {name} LOGIN;" for name in names)
    watches = "".join(
        f"ALTER ROLE t_{watch}_{name} {setting};"
        for watch, setting in WATCHES.items()
        for name in tricks
    )
    server.psql(f"{roles}{watches}")
    return {
        f"t_{watch}_{name}": received(server.port, f"t_{watch}_{name}", trick)
        for watch in WATCHES
        for name, trick in tricks.items()
    }


@pytest.fixture(scope="module")
def office(explaining):
    explaining.psql(
        "DROP TABLE IF EXISTS person CASCADE; CREATE TABLE person (id int, name text);"
        f"INSERT INTO person SELECT i, 'p' || i FROM generate_series(1, {RECORDS}) i;"
        "GRANT SELECT ON person TO PUBLIC; DROP SEQUENCE IF EXISTS mine; CREATE SEQUENCE mine"
    )
    return explaining


def test_postgresql_tells_what_each_trick_was_sent(office):
    sent = played(office, POSTGRESQL)
    quiet = received(office.port, "postgres", POSTGRESQL["plain"])
    assert quiet == RECORDS
    least = {name: count for name, count in sent.items() if count < RECORDS}
    assert {name.split("_")[2] for name in least} <= {"timeout"}, least
    office.written()
    for name, path in zip(FORMATS, (office.csvlog, office.jsonlog), strict=True):
        events, _ = read(name, path)
        assert evaded(sent, events) == {}, name


def test_what_reads_nothing_is_not_told_as_a_reading(office):
    office.psql("CREATE ROLE idle LOGIN")
    office.psql("SET search_path = public; BEGIN; COMMIT; SELECT nothing FROM person;",
                user="idle", check=False)  # fmt: skip
    office.written()
    for name, path in zip(FORMATS, (office.csvlog, office.jsonlog), strict=True):
        assert told(read(name, path)[0]).get("idle", 0) == 0


def test_composed_tricks_are_told_too(office):
    choice = random.Random(SEED)
    end = time.monotonic() + SECONDS
    sent: dict[str, int] = {}
    round_ = 0
    while round_ == 0 or time.monotonic() < end:
        tricks = {f"r{round_}n{each}": composed(choice) for each in range(12)}
        sent |= played(office, tricks)
        round_ += 1
        office.written()
        if round_ % 20 == 1:
            for name, path in zip(FORMATS, (office.csvlog, office.jsonlog), strict=True):
                assert evaded(sent, read(name, path)[0]) == {}, (name, SEED, round_)


@pytest.fixture(scope="module")
def thieves(mariadb):
    mariadb.run(
        "DROP TABLE IF EXISTS person; CREATE TABLE person (id int PRIMARY KEY, name text);"
        "DROP TABLE IF EXISTS own; CREATE TABLE own (id int, name text);"
        f"INSERT INTO person SELECT seq, concat('p', seq) FROM seq_1_to_{RECORDS};"
        "CREATE OR REPLACE PROCEDURE people() SELECT * FROM person;"
    )
    for name, text in MARIADB.items():
        account = f"m_{name}"
        mariadb.run(f"CREATE USER {account}@'%'; GRANT ALL ON office.* TO {account}@'%'")
        single = text if name in {"handler", "execute"} else None
        script = f"{single};" if single else f"DELIMITER //\n{text}//\n"
        done = mariadb.run(script, user=account, host="127.0.0.1", options=("--comments",))
        assert done.stdout.count("\n") >= RECORDS, name
    time.sleep(0.3)
    return {f"m_{name}": RECORDS for name in MARIADB}


def test_the_slow_log_tells_what_each_trick_was_sent_and_nobody_else(mariadb, thieves):
    events, rejects = read("mysql_slow_log", mariadb.slow_log)
    assert evaded(thieves, events) == {}
    assert "bob" not in set(events.filter(pl.col("client_address") == "10.0.0.9")["account"])
    known = told(events.filter(pl.col("account").is_in(list(thieves))))
    # MariaDB counts no rows of HANDLER: what it sent is told by its bytes, and unknown.
    assert {name for name, rows in known.items() if rows is None} == {"m_handler"}
    assert rejects.filter(pl.col("reason").str.contains("inside the statement")).height >= 8


def test_server_audit_tells_of_a_reading_by_each_trick(mariadb, thieves):
    events, _ = read("mariadb_server_audit", mariadb.audit_log)
    assert evaded(thieves, events) == {}
    assert "bob" not in set(events.filter(pl.col("client_address") == "10.0.0.9")["account"])
