"""What a real PostgreSQL with pgaudit logs of a real client, as events."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from detector.core.settings import Settings
from detector.normalize.reader_state import ReaderState
from detector.readers.log_input import LocalFile
from detector.sources.postgresql import csvlog, jsonlog

SETUP = """
CREATE ROLE alice LOGIN; CREATE ROLE locked LOGIN PASSWORD 'right';
CREATE TABLE person (id int PRIMARY KEY, name text);
CREATE TABLE note (id int, person_id int REFERENCES person);
CREATE TABLE "Odd, ""name""
on two lines" (id int);
INSERT INTO person SELECT i, 'p' || i FROM generate_series(1, 500) i;
INSERT INTO note SELECT i, 1 + i % 500 FROM generate_series(1, 800) i;
INSERT INTO "Odd, ""name""
on two lines" SELECT generate_series(1, 9);
CREATE VIEW named AS SELECT p.name FROM person p JOIN note n ON n.person_id = p.id;
CREATE FUNCTION first_of(n int) RETURNS SETOF person LANGUAGE plpgsql AS
  $$ BEGIN RETURN QUERY SELECT * FROM person WHERE id <= n; END $$;
GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA public TO alice;
"""
ODD = '"Odd, ""name""\non two lines"'

#: (statement, what it must be read as): action, object, other objects, rows, success.
PLAYED = [
    ("SELECT * FROM person;", ("read", "public.person", None, 500, True)),
    (
        (
            "SELECT p.name,\n  'a, \"b\"'\nFROM person p\nJOIN note n ON n.person_id = p.id\n"
            "WHERE n.id <= 70;"
        ),
        ("read", "public.person", ["public.note"], 70, True),
    ),
    (
        "SELECT * FROM named LIMIT 11;",
        ("read", "public.named", ["public.person", "public.note"], 11, True),
    ),
    (f"SELECT * FROM {ODD};", ("read", f"public.{ODD}", None, 9, True)),
    ("COPY person TO STDOUT;", ("export", "person", None, None, True)),
    (f"COPY {ODD} (id) TO STDOUT;", ("export", ODD, None, None, True)),
    (
        "COPY (SELECT id FROM person WHERE id <= 33) TO STDOUT;",
        ("export", "public.person", None, 33, True),
    ),
    ("PREPARE p AS SELECT * FROM person WHERE id <= $1;", ("other", None, None, 0, True)),
    ("EXECUTE p(21);", ("read", "public.person", None, 21, True)),
    ("SELECT * FROM first_of(42);", ("read", "public.person", None, 42, True)),
    ("INSERT INTO note VALUES (1001, 5), (1002, 6);", ("write", "public.note", None, 2, True)),
    ("EXPLAIN ANALYZE SELECT * FROM person;", ("other", "public.person", None, 0, True)),
    ("SELECT * FROM nowhere;", ("read", "nowhere", None, 0, False)),
    ("SELECT 1 / (id - 400) FROM person;", ("read", "person", None, None, False)),
]
CURSOR = "BEGIN; DECLARE c CURSOR FOR SELECT * FROM person; FETCH ALL FROM c; COMMIT;\n"
FORGED = "DO $$BEGIN RAISE LOG 'AUDIT: SESSION,9,1,READ,SELECT,TABLE,t,x,<none>,99'; END$$;\n"


@pytest.fixture(scope="module")
def read(postgresql):
    postgresql.psql(SETUP)
    script = "\n".join(text for text, _ in PLAYED)
    postgresql.psql(script + "\n" + CURSOR, user="alice", application="office", check=False)
    postgresql.psql(FORGED, application="forger")
    wrong = postgresql.environment("locked") | {"PGPASSWORD": "wrong"}
    subprocess.run(
        [postgresql.bin / "psql", "-X", "-w"], env=wrong, capture_output=True, check=False
    )
    dump = postgresql.environment("postgres", application="pg_dump")
    subprocess.run([postgresql.bin / "pg_dump"], env=dump, capture_output=True, check=True)
    postgresql.written()
    return _read(csvlog, postgresql.csvlog), _read(jsonlog, postgresql.jsonlog)


def _read(module, path: Path):
    batches = list(module.SOURCE.read(LocalFile(path), Settings(), ReaderState()))
    return (
        pl.concat([batch.events for batch in batches]),
        pl.concat([batch.rejects for batch in batches]),
    )


def test_each_statement_is_read_as_what_the_client_got(read):
    events, _ = read[0]
    mine = events.filter((pl.col("application") == "office") & (pl.col("action") != "login"))
    columns = ("action", "object", "other_objects", "rows", "success")
    found = mine.select(columns).rows()
    for text, wanted in PLAYED:
        assert wanted in found, text
    cursor = ("read", "person", None, None, True)
    assert sorted(map(str, found)) == sorted(map(str, [wanted for _, wanted in PLAYED] + [cursor]))


def test_both_formats_give_the_same_events(read):
    (as_csv, _), (as_json, _) = read
    key = ["timestamp", "account", "action", "object", "rows", "statement"]
    assert_frame_equal(as_csv.sort(key), as_json.sort(key))


def test_a_failed_login_is_told(read):
    events, _ = read[0]
    refused = events.filter((pl.col("action") == "login") & ~pl.col("success"))
    assert set(refused["account"].to_list()) == {"locked"}


def test_pg_dump_exports_each_table_with_unknown_rows(read):
    events, _ = read[0]
    dump = events.filter((pl.col("application") == "pg_dump") & (pl.col("action") == "export"))
    assert set(dump["object"].to_list()) == {"public.person", "public.note", f"public.{ODD}"}
    assert dump["rows"].null_count() == dump.height


def test_a_forged_audit_message_is_a_reject_in_both_formats(read):
    for events, rejects in read:
        assert events.filter(pl.col("rows") == 99).is_empty()
        assert rejects["reason"].to_list() == [
            "begins with AUDIT: but was raised by an SQL statement, not by pgaudit"
        ]


@pytest.mark.slow
@pytest.mark.usefixtures("postgresql")
def test_the_sample_can_be_made_again(tmp_path):
    made = subprocess.run(
        [sys.executable, "-m", "simulation.make_pgaudit_sample", "--out", tmp_path],
        check=False,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert made.returncode == 0, made.stderr
    events, rejects = _read(csvlog, tmp_path / "postgresql-2024-02-05.csv")
    assert rejects.is_empty()
    stolen = events.filter(pl.col("client_address") == "127.0.0.66")
    assert stolen["rows"].sum() == 60_000
