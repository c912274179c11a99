"""auto_explain on a real PostgreSQL, beside pgaudit and without it."""

from __future__ import annotations

import polars as pl
import pytest

from detector import registry
from detector.core.settings import Settings
from detector.normalize.reader_state import ReaderState
from detector.readers.log_input import LocalFile

SETUP = """
CREATE ROLE audited LOGIN; CREATE ROLE plain LOGIN; CREATE ROLE written LOGIN;
ALTER ROLE plain SET pgaudit.log = 'none';
ALTER ROLE written SET pgaudit.log = 'none';
ALTER ROLE written SET auto_explain.log_min_duration = -1;
CREATE TABLE person (id int PRIMARY KEY, name text);
INSERT INTO person SELECT i, 'p' || i FROM generate_series(1, 500) i;
CREATE VIEW named AS SELECT name FROM person;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO audited, plain, written;
"""
SCRIPT = """
SELECT * FROM person;
SELECT * FROM named LIMIT 11;
BEGIN; DECLARE c CURSOR FOR SELECT * FROM person; FETCH ALL FROM c; COMMIT;
BEGIN; DECLARE d CURSOR FOR SELECT * FROM person; FETCH 77 FROM d; CLOSE d; COMMIT;
PREPARE p AS SELECT * FROM person WHERE id <= $1; EXECUTE p(21);
COPY person TO STDOUT;
COPY (SELECT id FROM person WHERE id <= 33) TO STDOUT;
SELECT 1 / (id - 400) FROM person;
"""
READS = [500, 11, 500, 77, 21]


@pytest.fixture(scope="module")
def read(explaining):
    explaining.psql(SETUP)
    for role in ("audited", "plain", "written"):
        explaining.psql(SCRIPT, user=role, application="office", check=False)
    explaining.written()
    found = {}
    for name, path in (
        ("postgresql_csvlog", explaining.csvlog), ("postgresql_jsonlog", explaining.jsonlog),
    ):  # fmt: skip
        batches = list(registry.sources()[name].read(LocalFile(path), Settings(), ReaderState()))
        events = pl.concat([batch.events for batch in batches])
        found[name] = events.filter(pl.col("application") == "office")
    return found


@pytest.mark.parametrize("name", ["postgresql_csvlog", "postgresql_jsonlog"])
@pytest.mark.parametrize("role", ["audited", "plain"])
def test_cursors_and_all_else_have_their_rows_and_count_once(read, name, role):
    done = read[name].filter((pl.col("account") == role) & pl.col("success"))
    reads = done.filter(pl.col("action") == "read")
    assert sorted(reads["rows"].to_list()) == sorted(READS)
    exports = done.filter(pl.col("action") == "export")
    assert sorted(map(str, exports["rows"].to_list())) == ["33", "None"]
    assert set(reads["object"].to_list()) <= {"public.person", "public.named", "person", "named"}


def test_texts_alone_know_the_statements_and_no_rows(read):
    done = read["postgresql_csvlog"].filter((pl.col("account") == "written") & pl.col("success"))
    told = done.filter(pl.col("action").is_in(["read", "export"]))
    assert told.height == len(READS) + 2
    assert told["rows"].null_count() == told.height


@pytest.mark.parametrize("role", ["audited", "plain", "written"])
def test_a_failed_statement_counts_once_for_everybody(read, role):
    failed = read["postgresql_csvlog"].filter((pl.col("account") == role) & ~pl.col("success"))
    assert failed.select("action", "rows").rows() == [("read", None)]
