"""MariaDB's server_audit: its lines become statements, and none has a row count."""

from pathlib import Path

import polars as pl
import pytest
from broken_logs import FAULTS, broken, content, entries, read
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from properties import examples

SOURCE = "mariadb_server_audit"
DATA = Path(__file__).parents[1] / "data" / SOURCE
REAL = content(DATA / "mariadb10.11-full.log.gz")
LINES = REAL.splitlines(keepends=True)
FAST = settings(
    max_examples=examples(120),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def line(
    operation, rest, query=6, connection=3, user="alice", time="20240206 10:00:00", host="10.1.2.3"
):
    return f"{time},vm,{user},{host},{connection},{query},{operation},{rest}\n"


def statement(text="select * from person", query=6, tables=("person",), code=0, **more):
    lines = [line("READ", f"hr,{table},", query, **more) for table in tables]
    return "".join(lines) + line("QUERY", f"hr,'{text}',{code}", query, **more)


def test_no_statement_has_rows_and_each_names_its_tables():
    events = read(SOURCE, DATA / "mariadb10.11-full.log.gz").events
    reads = events.filter(pl.col("action").is_in(["read", "export", "write"]))
    assert reads["rows"].null_count() == reads.height > 40
    joined = events.filter(pl.col("other_objects").list.len() == 1)["other_objects"].to_list()
    assert ["sales.orders"] in joined
    assert "mysql.table_stats" not in str(events.rows())


def test_all_lines_are_accounted_for():
    for name in ("mariadb10.11-full.log.gz", "mariadb10.11-tables-only.log.gz"):
        found = read(SOURCE, DATA / name)
        assert found.told == len(content(DATA / name).splitlines())
        assert found.rejects.is_empty()


def test_a_user_with_commas_is_one_person():
    events = read(SOURCE, DATA / "mariadb10.11-full.log.gz").events
    assert "o'brien, eve" in events["account"].to_list()


def test_logins_and_failures_are_told():
    events = read(SOURCE, DATA / "mariadb10.11-full.log.gz").events
    logins = events.filter(pl.col("action") == "login")
    assert logins["success"].value_counts().sort("success").rows() == [(False, 1), (True, 5)]
    failed = events.filter(~pl.col("success") & (pl.col("action") != "login"))
    assert "sales.nonexistent" in failed["object"].to_list()


def test_tables_alone_tell_what_was_read_and_written(tmp_path):
    log = line("READ", "hr,person,") + line("WRITE", "hr,note,") + line("READ", "hr,city,", query=7)
    found = read(SOURCE, tmp_path / "log", log)
    assert found.events.select("action", "object", "other_objects").rows() == [
        ("write", "hr.note", ["hr.person"]),
        ("read", "hr.city", None),
    ]


def test_a_server_that_starts_again_counts_from_one(tmp_path):
    log = statement("select 1 from a", tables="a") + statement("select 1 from b", tables="b")
    assert read(SOURCE, tmp_path / "log", log).events["object"].to_list() == ["hr.a", "hr.b"]


def test_statements_of_connections_may_be_mixed(tmp_path):
    log = (
        line("READ", "hr,a,", connection=1, query=1)
        + line("READ", "hr,b,", connection=2, query=2, user="bob")
        + line("QUERY", "hr,'select * from b',0", connection=2, query=2, user="bob")
        + line("QUERY", "hr,'select * from a',0", connection=1, query=1)
    )
    found = read(SOURCE, tmp_path / "log", log).events
    assert sorted(found.select("account", "object").rows()) == [("alice", "hr.a"), ("bob", "hr.b")]


@pytest.mark.parametrize("cut", range(1, 6))
def test_a_log_split_at_any_line_gives_the_same_statements(tmp_path, cut):
    log = statement(tables=("person", "note")) + statement("select 2 from x", 7)
    lines = log.splitlines(keepends=True)
    before = read(SOURCE, tmp_path / "1", "".join(lines[:cut]))
    after = read(SOURCE, tmp_path / "2", "".join(lines[cut:]), before.tail)
    assert before.events.height + after.events.height == 2
    assert before.told + after.told == len(lines)


@pytest.mark.parametrize("block", [1, 300])
def test_blocks_do_not_matter(monkeypatch, block):
    from detector.sources.mysql import server_audit

    path = DATA / "mariadb10.11-full.log.gz"
    wanted = sorted(map(str, read(SOURCE, path).events.rows()))
    monkeypatch.setattr(server_audit, "_BLOCK_BYTES", block)
    assert sorted(map(str, read(SOURCE, path).events.rows())) == wanted


def test_escapes_of_the_log_are_not_the_statement_s(tmp_path):
    text = r"select * from person\n where a = \'it\'\'s \\\'x\\\' \' -- from secret"
    found = read(SOURCE, tmp_path / "log", statement(text, tables=())).events
    assert found["object"].to_list() == ["hr.person"]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ("20240206 10:00:00,vm,alice\n", "not a whole line"),
        (line("READ", "hr,person"), "not a whole line"),
        (line("QUERY", "hr,'open,0"), "not a whole line"),
        (line("DANCE", "hr,'x',0"), "not a whole line"),
        (line("READ", "hr,person,", user=""), "names no user"),
        (line("READ", "hr,person,", time="20241345 10:00:00"), "timestamp not understood"),
        (line("READ", "hr,person,", time="19700101 10:00:00"), "before 1990"),
        (line("READ", "hr,person,", time="29900101 10:00:00"), "in the future"),
    ],
)
def test_a_line_that_cannot_be_used_is_a_reject(tmp_path, bad, reason):
    found = read(SOURCE, tmp_path / "log", statement() + bad + statement(query=8))
    assert found.events.height == 2
    assert [reason in told for told in found.rejects["reason"]] == [True]
    assert found.rejects["line"].to_list() == [3]


def test_the_hour_that_occurs_twice_is_told_by_the_order(tmp_path):
    moments = ["01:50:00", "02:10:00", "02:59:00", "02:01:00", "02:40:00", "03:05:00"]
    log = "".join(
        line("QUERY", "hr,'select 1',0", query=n, time=f"20231029 {moment}")
        for n, moment in enumerate(moments)
    )
    found = read(SOURCE, tmp_path / "log", log, log_timezone="Europe/Paris").events
    assert found["timestamp"].dt.strftime("%H:%M").to_list() == [
        *("23:50", "00:10", "00:59", "01:01", "01:40", "02:05")
    ]


def test_an_hour_that_does_not_exist_is_a_reject(tmp_path):
    log = line("QUERY", "hr,'select 1',0", time="20240331 02:30:00")
    found = read(SOURCE, tmp_path / "log", log, log_timezone="Europe/Paris")
    assert "clocks were put forward" in found.rejects["reason"][0]


@FAST
@given(st.integers(6, len(LINES) - 7), FAULTS, st.floats(0, 1), st.integers(0, 255))
def test_one_broken_line_costs_itself_only(tmp_path, place, fault, at, byte):
    # Blank lines are no entries, and the lines beside it may be of the same statement.
    middle = broken(LINES[place], fault, at, byte)
    log = b"".join([*LINES[place - 6 : place], middle, *LINES[place + 1 : place + 7]])
    found = read(SOURCE, tmp_path / "log", log)
    assert found.told == entries(log)
    alone = read(SOURCE, tmp_path / "1", b"".join(LINES[place - 6 : place]))
    assert found.rejects.height <= 3
    assert found.events.height >= alone.events.height - 1


@FAST
@given(st.binary(max_size=300))
def test_any_bytes_between_lines_cost_themselves_only(tmp_path, noise):
    log = statement().encode() + noise + b"\n" + statement(query=9).encode()
    found = read(SOURCE, tmp_path / "log", log)
    assert found.events["object"].to_list().count("hr.person") >= 2
