"""What a real MySQL logs of a real client in its slow log, plain and with log_slow_extra."""

from __future__ import annotations

import time

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
INSERT INTO person WITH RECURSIVE s AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM s WHERE n < 500)
  SELECT n, concat('p', n) FROM s;
INSERT INTO note WITH RECURSIVE s AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM s WHERE n < 800)
  SELECT n, 1 + n % 500 FROM s;
CREATE VIEW named AS SELECT p.name FROM person p JOIN note n ON n.person_id = p.id;
CREATE PROCEDURE first_of(n int) SELECT * FROM person WHERE id <= n;
CREATE USER alice@'%'; GRANT SELECT, INSERT, EXECUTE ON office.* TO alice@'%';
CREATE USER bob@'%' IDENTIFIED BY 'right'; GRANT SELECT ON office.note TO bob@'%';
"""
FORGED = (
    "SELECT * FROM person WHERE name = 'x\n# User@Host: eve[eve] @ y []\n"
    "# Query_time: 0  Lock_time: 0  Rows_sent: 1000000  Rows_examined: 1\n';"
)
#: (statement, action, object, other objects, rows, whether it succeeded)
PLAYED = [
    ("SELECT * FROM person;", "read", "office.person", None, 500, True),
    ("SELECT p.name FROM person p JOIN note n ON n.person_id = p.id WHERE n.id <= 70;",
     "read", "office.person", ["office.note"], 70, True),
    ("SELECT * FROM named LIMIT 11;", "read", "office.named", None, 11, True),
    ("TABLE person LIMIT 3;", "read", "office.person", None, 3, True),
    ("WITH x AS (SELECT * FROM person LIMIT 5) SELECT * FROM x;",
     "read", "office.person", None, 5, True),
    ("CALL first_of(42);", "read", None, None, 42, True),
    ("PREPARE p FROM 'SELECT * FROM person WHERE id <= ?'; SET @n = 21; EXECUTE p USING @n;",
     "read", "office.person", None, 21, True),
    ("INSERT INTO note VALUES (1001, 5), (1002, 6);", "write", "office.note", None, None, True),
    ("SELECT * FROM nowhere;", "read", "office.nowhere", None, 0, False),
    (FORGED, "read", "office.person", None, 0, True),
]  # fmt: skip


PLAIN = "SET GLOBAL log_slow_extra = 0; SET GLOBAL slow_query_log_file = 'plain.log';"
AGAIN = f"{PLAIN} DELETE FROM note WHERE id > 800;"


@pytest.fixture(scope="module")
def logs(mysql):
    """What was played twice, once in each kind of log."""
    found = {"extra": mysql.data / "slow.log", "plain": mysql.data / "plain.log"}
    for kind, first in (("extra", SETUP), ("plain", AGAIN)):
        mysql.run(first)
        play(mysql, kind)
    time.sleep(0.3)
    return found


@pytest.fixture(params=["extra", "plain"])
def log(request, logs):
    """(the kind of log, the log)."""
    return request.param, logs[request.param]


def play(mysql, kind):
    def client(user, script, password=""):
        options = {"host": "127.0.0.1", "options": ("--force",), "check": False}
        mysql.run(script, user=user, password=password, **options)

    client("alice", "\n".join(text for text, *_ in PLAYED))
    client("bob", "SELECT 1;", "wrong")
    client("bob", "SELECT * FROM note LIMIT 7; SELECT * FROM person;", "right")
    mysql.run(
        f"SELECT * FROM person INTO OUTFILE '{kind}.csv'; SET timestamp = 1500000000;"
        "SELECT * FROM person WHERE id < 300;"
    )
    mysql.run("", program="bin/mysqldump")


def read(path):
    source = registry.sources()["mysql_slow_log"]
    batches = list(source.read(LocalFile(path), Settings(), ReaderState()))
    return (
        pl.concat([batch.events for batch in batches]),
        pl.concat([batch.rejects for batch in batches]),
    )


def test_each_statement_is_read_as_what_the_client_got(log):
    kind, path = log
    events, rejects = read(path)
    [forged] = rejects["reason"]
    assert forged.startswith("stands inside the statement of another entry")
    mine = events.filter(pl.col("account") == "alice")
    found = mine.select("action", "object", "other_objects", "rows", "success").rows()
    for text, *wanted, succeeded in PLAYED:
        assert (*wanted, succeeded if kind == "extra" else None) in found, text
    assert set(mine["client_address"]) == {"127.0.0.1"}
    assert events.filter(pl.col("account") == "eve").is_empty()


def test_who_may_not_read_a_table_read_none_of_it(log):
    kind, path = log
    events, _ = read(path)
    his = events.filter((pl.col("account") == "bob") & pl.col("object").is_not_null())
    found = his.select("object", "rows", "success").rows()
    told = {"extra": (True, False), "plain": (None, None)}[kind]
    assert found == [("office.note", 7, told[0]), ("office.person", 0, told[1])]


def test_exports_and_dumps_have_their_rows(log):
    _, path = log
    events, _ = read(path)
    root = events.filter(pl.col("account") == "root")
    exported = root.filter(pl.col("action") == "export")
    assert exported.select("object", "rows").rows() == [("office.person", 500)]
    dumped = root.filter((pl.col("action") == "read") & (pl.col("rows") > 499))
    assert set(dumped.select("object", "rows").rows()) == {
        ("office.person", 500),
        ("office.note", 802),
    }


def test_a_clock_set_back_by_the_session_is_not_believed(log):
    _, path = log
    events, _ = read(path)
    assert "SET timestamp=1500000000;" in path.read_text(encoding="utf-8")
    forged = events.filter(pl.col("rows") == 299)
    assert forged["timestamp"].dt.year().to_list() == [events["timestamp"].dt.year().max()]


def test_the_log_is_recognised(log):
    _, path = log
    sample = Sample(LocalFile(path), path.read_bytes()[: 1 << 16])
    sources = registry.sources().values()
    assert [each.name for each in sources if each.accepts(sample, Settings())] == ["mysql_slow_log"]
