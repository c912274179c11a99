"""Golden figures from real logs, counted by reading the log beside what was run."""

from __future__ import annotations

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from postgresql_logs import DATA, SOURCES, accepting, audit, entry, log, read

from detector.readers.blocks import split_records
from detector.readers.compression import chunks
from detector.readers.log_input import LocalFile

#: The first session's statements, as the log tells them: what the client got of which table.
FIRST_SESSION = [
    ("read", None, 1),  # SELECT 1
    ("read", "public.customers", 10),
    ("read", "public.customers", 123),  # a join with orders: two lines
    ("read", "public.v_cust", 11),  # a view over customers and orders: four lines
    ("read", "public.mv_cust", 3),
    ("read", "public.part", 150),  # two partitions beside it
    ("read", "public.orders", 1),  # count(*)
    ("read", "public.customers", 0),  # over four lines, with quotes
    ("read", 'crm."Weird ""Table"", name"', 37),
    ("read", "public.customers", 5),  # WITH
    ("read", "public.customers", 42),  # a function's rows, handed on
    ("read", "public.customers", 1),  # a function that reads 50 and 7 and returns one
    ("read", "public.customers", 19),  # IN (SELECT ... FROM orders)
    ("export", "public.customers", None),  # COPY customers TO STDOUT, logged with 0
    ("export", "public.customers", 77),  # COPY (SELECT ...) TO STDOUT
    ("other", None, 0),  # PREPARE
    ("read", "public.customers", 21),  # EXECUTE
    ("read", "public.customers", 22),
    ("read", "public.customers", None),  # DECLARE CURSOR
    ("read", "public.orders", None),
    ("read", "public.customers", None),  # DO: it can send what it reads as notices
    ("write", "public.customers", 60),  # CREATE TABLE AS
    ("write", "public.customers", 61),  # SELECT INTO
    ("schema", "public.staging", 0),  # DROP TABLE
    ("other", "public.customers", 0),  # EXPLAIN ANALYZE, logged with 5000
    ("read", "public.customers", 5000),  # TABLE customers
    ("read", None, 2),  # VALUES
    ("read", None, 1),  # three statements in one string
    ("read", "public.customers", 1),
    ("read", "public.orders", 3),
]
PGAUDIT = (
    "pgaudit_rows_relation",
    "pgaudit_norows",
    "pgaudit_rows_norelation_once",
    "pgaudit_object_role",
)


def statements(events: pl.DataFrame, account: str, application: str) -> list[tuple]:
    chosen = (pl.col("account") == account) & (pl.col("application") == application)
    done = events.filter(chosen & pl.col("success") & (pl.col("action") != "login"))
    return done.select("action", "object", "rows").rows()


def test_every_statement_of_a_session_counts_once_with_what_the_client_got():
    events = read(DATA / "pgaudit_rows_relation.csv.gz").events
    found = statements(events, "analyst", "psql-work")
    assert found[: len(FIRST_SESSION)] == FIRST_SESSION


def test_a_join_keeps_its_other_relations_once_each():
    events = read(DATA / "pgaudit_rows_relation.csv.gz").events
    joined = events.filter(pl.col("rows") == 123)
    assert joined["other_objects"].to_list() == [["public.orders"]]
    view = events.filter(pl.col("object") == "public.v_cust")
    assert view["other_objects"].to_list() == [["public.customers", "public.orders"]]


def test_pg_dump_is_four_exports_of_unknown_size():
    events = read(DATA / "pgaudit_rows_relation.csv.gz").events
    dump = events.filter((pl.col("application") == "pg_dump") & (pl.col("action") == "export"))
    tables = ["public.customers", "public.orders", "public.part_1", "public.part_2"]
    assert dump["object"].to_list() == tables
    assert dump["rows"].null_count() == 4


def test_portals_of_the_extended_protocol_count_what_was_fetched():
    events = read(DATA / "pgaudit_rows_relation.csv.gz").events
    assert statements(events, "analyst", "notebook") == [
        ("read", "public.customers", 88),
        ("read", "public.orders", 30),
        ("read", "public.orders", 1234),
    ]


def test_failed_statements_and_logins_are_events_without_success():
    events = read(DATA / "pgaudit_rows_relation.csv.gz").events
    failed = events.filter(~pl.col("success"))
    # Not existing, divided by zero twice (when rows may be out), SELEKT, three writes and a
    # COPY FROM without permission, FOR UPDATE without it, and the notebook's missing table.
    assert failed.filter(pl.col("action") != "login").select("action", "rows").rows() == [
        ("read", 0),
        ("read", None),
        ("read", None),
        ("read", 0),  # the position of a syntax error proves that it never ran
        ("read", 0),  # INSERT ... RETURNING
        *[("write", 0)] * 3,
        ("read", 0),
        ("read", 0),
    ]
    assert failed.filter(pl.col("action") == "login")["account"].to_list() == ["nosuch"]
    logins = events.filter((pl.col("action") == "login") & pl.col("success"))
    odd = 'o\'brien, "eve"'
    wanted = ["analyst", "analyst", odd, "app_rw", "app_rw", "postgres", "postgres", "nosuch"]
    assert sorted(logins["account"].to_list()) == sorted(wanted)


def test_without_row_counts_rows_are_unknown_and_never_zero():
    events = read(DATA / "pgaudit_norows.csv.gz").events
    reads = events.filter(pl.col("action").is_in(["read", "export"]) & pl.col("success"))
    # log_rows was switched off just after one statement, select pg_sleep(0.3), had been logged.
    assert reads["rows"].drop_nulls().to_list() == [1]
    found = [(action, name) for action, name, _ in statements(events, "analyst", "psql-work")]
    # 1/0 stands among them: without log_rows a statement is logged before it fails.
    assert found[:13] == [(action, name) for action, name, _ in FIRST_SESSION[:13]]


def test_without_relations_tables_come_from_the_sql_and_rows_are_the_same():
    events = read(DATA / "pgaudit_rows_norelation_once.csv.gz").events
    found = statements(events, "analyst", "psql-work")
    wanted = [rows for _, _, rows in FIRST_SESSION]
    assert [rows for _, _, rows in found[: len(wanted)]] == wanted
    clear = {9: None, 20: None, 24: None, 28: None, 29: None}  # WITH, DO, EXPLAIN, several
    for index, (_, name, _) in enumerate(FIRST_SESSION):
        if index not in clear:
            assert found[index][1] == name


def test_object_audit_counts_the_audited_table():
    events = read(DATA / "pgaudit_object_role.csv.gz").events
    reads = [row for row in statements(events, "analyst", "psql-work") if row[0] == "read"]
    assert [rows for _, _, rows in reads] == [10, 123, 11, 0, 5, 42, 50, 19, 21, 22, 1, 61, 5000, 1]
    assert {name for _, name, _ in reads} == {"public.customers"}


@pytest.mark.parametrize("name", PGAUDIT)
def test_both_formats_of_one_log_give_the_same_events(name):
    as_csv = read(DATA / f"{name}.csv.gz")
    as_json = read(DATA / f"{name}.json.gz", source=SOURCES[1])
    assert_frame_equal(as_csv.events, as_json.events)
    assert as_csv.skipped == as_json.skipped
    assert as_csv.tail == as_json.tail
    assert as_csv.rejects.is_empty()
    assert as_json.rejects.is_empty()


@pytest.mark.parametrize("name", [*PGAUDIT, "pg14", "pg16", "pg17", "pg18"])
def test_each_log_is_recognised_as_its_format_only(name):
    for ending, source in (("csv", "postgresql_csvlog"), ("json", "postgresql_jsonlog")):
        for path in DATA.glob(f"{name}.{ending}*"):
            assert accepting(path) == [source]


@pytest.mark.parametrize("name", ["pg14", "pg16", "pg17", "pg18"])
def test_a_log_with_texts_alone_knows_no_rows(name):
    found = read(DATA / f"{name}.csv")
    assert {"login", "read", "export"} <= set(found.events["action"].to_list())
    read_ones = found.events.filter(pl.col("action").is_in(["read", "export"]) & pl.col("success"))
    assert read_ones["rows"].null_count() == read_ones.height > 0
    assert found.rejects.is_empty()
    assert found.skipped > 0


@pytest.mark.slow
@pytest.mark.parametrize("name", ["pgaudit_rows_norelation_once", "pgaudit_rows_relation"])
def test_a_log_split_at_a_line_gives_the_same_statements_and_rows(name, tmp_path):
    data = b"".join(data for data, _ in chunks(LocalFile(DATA / f"{name}.csv.gz")))
    lines = list(split_records(data, quoted=True))[:165]
    whole = log(tmp_path, *(line.decode() for line in lines))
    wanted = figures(read(whole).events)
    first, second = tmp_path / "first.csv", tmp_path / "second.csv"
    cuts = [*range(1, 60), *range(60, len(lines), 3)] if "once" in name else range(1, len(lines), 4)
    for cut in cuts:
        first.write_bytes(b"".join(lines[:cut]))
        second.write_bytes(b"".join(lines[cut:]))
        before = read(first)
        after = read(second, before.tail)
        assert figures(pl.concat([before.events, after.events])) == wanted, lines[cut]


def test_a_function_split_from_its_own_line_is_counted_when_it_ends(tmp_path):
    call = ("FUNCTION", "EXECUTE", "FUNCTION", "public.f", "SELECT f()", "<none>", 0)
    inner = ("READ", "SELECT", "TABLE", "public.person", "SELECT 1 FROM person", "<none>", 900)
    outer = ("READ", "SELECT", "", "", "SELECT f()", "<none>", 1)
    parts = [entry(audit("SESSION", 1, i, *p)) for i, p in enumerate((call, inner, outer), 1)]
    for cut in (1, 2):
        before = read(log(tmp_path, *parts[:cut]))
        after = read(log(tmp_path, *parts[cut:]), before.tail)
        both = pl.concat([before.events, after.events])
        assert both.select("action", "rows").rows() == [("read", 1)]


def test_what_a_block_read_is_unknown_where_its_lines_may_be_in_the_next_file(tmp_path):
    block = ("FUNCTION", "DO", "", "", "DO $$ BEGIN PERFORM f(); END $$", "<none>", 0)
    later = ("READ", "SELECT", "", "", "SELECT 1", "<none>", 1)
    cut = read(log(tmp_path, entry(audit("SESSION", 1, 1, *block))))
    assert cut.events.select("action", "rows").rows() == [("read", None)]
    parts = [entry(audit("SESSION", 1, 1, *block)), entry(audit("SESSION", 2, 1, *later))]
    done = read(log(tmp_path, *parts))
    assert done.events.select("action", "rows").rows() == [("other", 0), ("read", 1)]


def figures(events: pl.DataFrame) -> tuple:
    return events.height, events["rows"].sum(), events["rows"].null_count()
