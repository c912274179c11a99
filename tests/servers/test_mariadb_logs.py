"""What a real MariaDB logs of a real client, in the slow log and in server_audit, as events."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import polars as pl
import pytest

from detector import registry
from detector.core.settings import Settings
from detector.normalize.reader_state import ReaderState
from detector.normalize.source import Sample
from detector.readers.log_input import LocalFile

SETUP = """
CREATE TABLE person (id int PRIMARY KEY, name text);
CREATE TABLE note (id int PRIMARY KEY, person_id int);
CREATE TABLE `Odd, ``name``` (id int);
INSERT INTO person SELECT seq, concat('p', seq) FROM seq_1_to_500;
INSERT INTO note SELECT seq, 1 + seq % 500 FROM seq_1_to_800;
INSERT INTO `Odd, ``name``` SELECT seq FROM seq_1_to_9;
CREATE VIEW named AS SELECT p.name FROM person p JOIN note n ON n.person_id = p.id;
CREATE PROCEDURE first_of(n int) SELECT * FROM person WHERE id <= n;
CREATE USER alice@'%'; GRANT SELECT, INSERT, EXECUTE ON office.* TO alice@'%';
CREATE USER bob@'%' IDENTIFIED BY 'right';
"""
JOIN = (
    "SELECT p.name,\n  'a, \"b\"; # c'\nFROM person p\nJOIN note n ON n.person_id = p.id\n"
    "WHERE n.id <= 70;"
)
FORGED = (
    "SELECT * FROM person WHERE name = 'x\n# User@Host: eve[eve] @ y []\n"
    "# Query_time: 0  Lock_time: 0  Rows_sent: 1000000  Rows_examined: 1\n';"
)
#: (statement, action, object, other objects, rows)
PLAYED = [
    ("SELECT * FROM person;", "read", "office.person", None, 500),
    (JOIN, "read", "office.person", ["office.note"], 70),
    ("SELECT * FROM named LIMIT 11;", "read", "office.named", None, 11),
    ("SELECT * FROM `Odd, ``name```;", "read", "office.Odd, `name`", None, 9),
    ("WITH x AS (SELECT * FROM person LIMIT 5) SELECT * FROM x;", "read", "office.person", None, 5),
    ("CALL first_of(42);", "read", None, None, 42),
    ("PREPARE p FROM 'SELECT * FROM person WHERE id <= ?'; SET @n = 21; EXECUTE p USING @n;",
     "read", "office.person", None, 21),
    ("INSERT INTO note VALUES (1001, 5), (1002, 6);", "write", "office.note", None, 2),
    ("SELECT * FROM nowhere;", "read", "office.nowhere", None, 0),
    (FORGED,
     "read", "office.person", None, 0),
]  # fmt: skip


@pytest.fixture(scope="module")
def played(mariadb):
    mariadb.run(SETUP)
    script = "\n".join(text for text, *_ in PLAYED)
    mariadb.run(script, user="alice", host="127.0.0.1", options=("--force",), check=False)
    mariadb.run("SELECT 1", user="bob", host="127.0.0.1", password="wrong", check=False)
    mariadb.run(
        "SELECT * FROM person INTO OUTFILE 'out.csv'; SET timestamp = 1500000000;"
        "SELECT * FROM person WHERE id < 300;"
    )
    dump = ["mariadb-dump", "--no-defaults", "-u", "root", "-S", str(mariadb.socket), "office"]
    subprocess.run(dump, capture_output=True, check=True)
    time.sleep(0.3)
    return mariadb


def read(name, path: Path):
    batches = list(
        registry.sources()[name].read(
            LocalFile(path), Settings(log_timezone=_zone()), ReaderState()
        )
    )
    return (
        pl.concat([batch.events for batch in batches]),
        pl.concat([batch.rejects for batch in batches]),
    )


def _zone():
    return os.environ.get("TZ") or "UTC"


def test_each_statement_is_read_as_what_the_client_got(played):
    events, rejects = read("mysql_slow_log", played.slow_log)
    [forged] = rejects["reason"]
    assert forged.startswith("stands inside the statement of another entry")
    mine = events.filter(pl.col("account") == "alice")
    found = mine.select("action", "object", "other_objects", "rows").rows()
    for text, *wanted in PLAYED:
        assert tuple(wanted) in found, text
    assert events.filter(pl.col("account") == "eve").is_empty()
    assert set(mine["client_address"]) == {"127.0.0.1"}


def test_exports_and_dumps_have_their_rows(played):
    events, _ = read("mysql_slow_log", played.slow_log)
    root = events.filter(pl.col("account") == "root")
    exported = root.filter(pl.col("action") == "export")
    assert exported.select("object", "rows").rows() == [("office.person", 500)]
    dumped = root.filter((pl.col("action") == "read") & (pl.col("object") == "office.person"))
    assert 500 in dumped["rows"].to_list()


def test_a_clock_set_back_by_the_session_is_not_believed_where_the_log_has_its_own(played):
    text = played.slow_log.read_text(encoding="utf-8")
    events, _ = read("mysql_slow_log", played.slow_log)
    forged = events.filter(pl.col("rows") == 299)
    assert text.count("SET timestamp=1500000000;") >= 1
    assert forged["timestamp"].dt.year().to_list() == [events["timestamp"].dt.year().max()]


def test_server_audit_tells_the_same_statements_without_rows(played):
    events, rejects = read("mariadb_server_audit", played.audit_log)
    assert rejects.is_empty()
    mine = events.filter((pl.col("account") == "alice") & (pl.col("action") != "login"))
    assert mine["rows"].null_count() == mine.height
    told = mine.select("action", "object").rows()
    for text, action, name, *_ in PLAYED:
        if name is not None and "named" not in name:
            assert (action, name) in told, text
    refused = events.filter((pl.col("action") == "login") & ~pl.col("success"))
    assert refused["account"].to_list() == ["bob"]


def test_each_log_is_recognised(played):
    for name, path in (
        ("mysql_slow_log", played.slow_log), ("mariadb_server_audit", played.audit_log),
    ):  # fmt: skip
        sample = Sample(LocalFile(path), path.read_bytes()[: 1 << 16])
        sources = registry.sources().values()
        assert [each.name for each in sources if each.accepts(sample, Settings())] == [name]
