"""The slow query log in all its variants, and broken, forged and hostile ones."""

import gzip
import re
from pathlib import Path

import polars as pl
import pytest
from broken_logs import FAULTS, broken, content, read
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from properties import examples

SOURCE = "mysql_slow_log"
DATA = Path(__file__).parents[1] / "data" / SOURCE
FAST = settings(
    max_examples=examples(120),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
HEAD = b"# User@Host: "
REAL = content(DATA / "mariadb10.11-full.log.gz")


def entry(
    text="SELECT * FROM person;",
    user="alice[alice] @ web1 [10.1.2.3]",
    sent=7,
    epoch=1707213600,
    time="",
    more="",
    use="",
):
    timed = f"# Time: {time}\n" if time else ""
    used = f"use {use};\n" if use else ""
    return (
        f"{timed}# User@Host: {user}\n# Query_time: 0.5  Lock_time: 0.0 Rows_sent: {sent}  "
        f"Rows_examined: 9{more}\n{used}SET timestamp={epoch};\n{text}\n"
    )


def figures(found):
    return found.events.select("account", "rows", "bytes", "timestamp").rows()


def test_a_real_log_says_who_read_what_and_how_much():
    found = read(SOURCE, DATA / "mariadb10.11-full.log.gz")
    mine = found.events.filter(pl.col("account") == "analyst")
    assert mine.select("object", "action", "rows", "bytes").rows()[1:5] == [
        ("sales.customers", "read", 1, 290),
        ("sales.customers", "read", 10, 635),
        ("sales.customers", "read", 123, 2402),
        ("sales.v_cust", "read", 11, 405),
    ]
    assert found.rejects.is_empty()
    assert found.events.height == REAL.count(HEAD) == 110


def test_a_dump_reads_each_table_whole_and_an_outfile_is_an_export():
    events = read(SOURCE, DATA / "mariadb10.11-full.log.gz").events
    dump = events.filter((pl.col("account") == "root") & (pl.col("rows") > 1000))
    assert dump.select("object", "rows").rows() == [
        ("sales.customers", 5000),
        ("sales.orders", 20000),
    ]
    out = events.filter(pl.col("action") == "export")
    assert out.select("object", "rows", "bytes").rows() == [("sales.customers", 60, 11)]


def test_a_prepared_statement_has_rows_and_no_bytes():
    events = read(SOURCE, DATA / "mariadb10.11-plain.log.gz").events
    executed = events.filter((pl.col("rows") == 5) & (pl.col("action") == "read"))
    assert executed["bytes"].to_list() == [None, None]


def test_an_error_code_tells_failures_and_its_absence_nothing(tmp_path):
    assert read(SOURCE, DATA / "percona.log").events["success"].to_list() == [True, False]
    plain = read(SOURCE, tmp_path / "log", entry()).events
    assert plain["success"].to_list() == [None]


def test_a_killed_read_keeps_what_it_sent():
    events = read(SOURCE, DATA / "percona.log").events
    assert events.filter(~pl.col("success"))["rows"].to_list() == [900]


def test_the_database_holds_until_another_is_used(tmp_path):
    log = entry(use="hr") + entry() + entry(use="`pay`") + entry("SELECT * FROM x.y;")
    found = read(SOURCE, tmp_path / "log", log).events
    assert found["database"].to_list() == ["hr", "hr", "pay", "pay"]
    assert found["object"].to_list() == ["hr.person", "hr.person", "pay.person", "x.y"]


def test_a_restart_forgets_the_database(tmp_path):
    banner = REAL[: REAL.index(HEAD)].decode()
    found = read(SOURCE, tmp_path / "log", banner + entry(use="hr") + banner + entry())
    assert found.events["database"].to_list() == ["hr", None]
    assert found.events["statement"].n_unique() == 1
    assert found.rejects.is_empty()


def test_a_head_inside_a_literal_is_text(tmp_path):
    inner = entry(user="forged[forged] @ x []", sent=10**9)
    log = entry(f"SELECT 1 FROM person WHERE a = '\n{inner}{inner}';") + entry(sent=8)
    found = read(SOURCE, tmp_path / "log", log)
    assert [row[:2] for row in figures(found)] == [("alice", 7), ("alice", 8)]


def test_a_wrong_statement_that_leaves_a_literal_open_swallows_nothing(tmp_path):
    log = entry("SELECT 'open;") + entry(sent=8) + entry(sent=9)
    found = read(SOURCE, tmp_path / "log", log)
    assert found.events["rows"].to_list() == [7, 8, 9]


@pytest.mark.parametrize("block", [1, 50, 400])
def test_a_forged_head_is_told_across_blocks(monkeypatch, tmp_path, block):
    from detector.readers import text_entries

    monkeypatch.setattr(text_entries, "_BLOCK_BYTES", block)
    inner = entry(user="forged[forged] @ x []", sent=10**9)
    log = entry(f"SELECT 1 WHERE a = '\n{inner}{inner}';") + entry("SELECT 'open;") + entry(sent=8)
    found = read(SOURCE, tmp_path / "log", log)
    assert found.events["rows"].to_list() == [7, 7, 8]


def test_a_session_that_sets_its_clock_back_is_dated_by_the_log(tmp_path):
    stamp = "2024-02-06T10:00:01.000000Z"
    mysql = read(SOURCE, tmp_path / "1", entry(epoch=1500000000, time=stamp)).events
    assert str(mysql["timestamp"][0]) == "2024-02-06 10:00:00.500000+00:00"


@pytest.mark.parametrize("block", [1, 1 << 20])
def test_a_clock_that_the_log_saw_being_set_is_not_believed(monkeypatch, tmp_path, block):
    from detector.readers import text_entries

    monkeypatch.setattr(text_entries, "_BLOCK_BYTES", block)
    mine = {"epoch": 1500000000, "user": "eve[eve] @ x []  Id: 66"}
    log = (
        entry()
        + entry("SET @@session.timestamp = 1500000000;", **mine)
        + entry(epoch=1707213660)
        + entry("SELECT 5;", **mine)
        + entry("SET timestamp = DEFAULT;", epoch=1707213700, user=mine["user"])
        + entry("SELECT 6;", epoch=1707213705, user=mine["user"])
    )
    found = read(SOURCE, tmp_path / "log", log).events["timestamp"].dt.epoch("s").to_list()
    assert found == [*(1707213600, 1707213600, 1707213660, 1707213660, 1707213700, 1707213705)]


@pytest.mark.parametrize("written", ["240206 10:00:00", "240206  9:59:59", "2024-02-06T10:00:00Z"])
def test_the_time_of_the_log_is_within_what_zones_differ_by(tmp_path, written):
    found = read(SOURCE, tmp_path / "log", entry(time=written), log_timezone="Asia/Tokyo").events
    assert str(found["timestamp"][0]).startswith(("2024-02-06 10:00:00", "2024-02-06 09:59:59"))


def test_an_entry_without_its_own_time_takes_the_log_s(tmp_path):
    log = entry(time="240706 10:00:00").replace("SET timestamp=1707213600;\n", "")
    found = read(SOURCE, tmp_path / "log", log, log_timezone="Europe/Paris").events
    assert str(found["timestamp"][0]) == "2024-07-06 08:00:00+00:00"


@pytest.mark.parametrize(
    ("log", "reason"),
    [
        (entry(epoch=5), "timestamp before 1990"),
        (entry(epoch=99999999999), "more than 2 days in the future"),
        (entry().replace("SET timestamp=1707213600;\n", ""), "no timestamp"),
        (entry(user="[] @ web1 []"), "names no user"),
        (entry(user="alice"), "names no user"),
        (entry().replace("Rows_sent: 7", "Rows_sent: many"), "not a whole entry"),
        ("# User@Host: eve[eve] @ x []\n# Thr\n", "not a whole entry"),
    ],
)
def test_an_entry_that_cannot_be_used_is_a_reject_and_spoils_nothing_else(tmp_path, log, reason):
    found = read(SOURCE, tmp_path / "log", entry(sent=1) + log + entry(sent=2))
    assert found.events["rows"].to_list() == [1, 2]
    assert reason in found.rejects["reason"][0]
    assert found.rejects["line"].to_list() == [5]


def test_the_rest_of_an_entry_from_another_file_is_told(tmp_path):
    found = read(SOURCE, tmp_path / "log", "FROM person;\n" + entry())
    assert found.rejects.select("line", "reason").rows() == [
        (1, "is the rest of an entry that begins in another file")
    ]


def test_bytes_that_are_no_text_cost_nothing(tmp_path):
    latin = entry("SELECT * FROM person WHERE name = 'Andr\xe9';").encode("latin-1")
    found = read(SOURCE, tmp_path / "log", latin + entry(sent=8).encode())
    assert found.events.select("object", "rows").rows() == [("person", 7), ("person", 8)]


def test_windows_line_ends_and_a_byte_order_mark_change_nothing(tmp_path):
    log = entry(use="hr", more=" Thread_id: 3 Errno: 0 Killed: 0 Bytes_sent: 12") + entry()
    wanted = read(SOURCE, tmp_path / "1", log).events
    changed = b"\xef\xbb\xbf" + log.replace("\n", "\r\n").encode()
    assert read(SOURCE, tmp_path / "2", changed).events.equals(wanted)


def test_half_a_gzip_gives_its_first_half_and_one_reject(tmp_path):
    packed = gzip.compress(b"".join(entry(sent=n).encode() for n in range(20000)), mtime=0)
    found = read(SOURCE, tmp_path / "log", packed[: len(packed) // 2])
    assert found.events.height > 1000
    assert any("file ends early" in reason for reason in found.rejects["reason"])


def test_an_entry_of_any_length_is_one_event(monkeypatch, tmp_path):
    from detector.readers import text_entries

    monkeypatch.setattr(text_entries, "_MAX_ENTRY_BYTES", 1 << 20)
    monkeypatch.setattr(text_entries, "_BLOCK_BYTES", 1 << 18)
    long = "INSERT INTO person VALUES " + ",\n".join(["(1,'x')"] * 400_000) + ";"
    found = read(SOURCE, tmp_path / "log", entry(long, sent=0) + entry(sent=8))
    assert found.events["action"].to_list() == ["write", "read"]
    assert found.rejects.is_empty()


@pytest.mark.parametrize("blank", ["\n", " \t\n", "\r\n"])
def test_empty_lines_hide_no_table(monkeypatch, tmp_path, blank):
    from detector.readers import text_entries

    monkeypatch.setattr(text_entries, "_MAX_ENTRY_LINES", 1000)
    monkeypatch.setattr(text_entries, "_BLOCK_BYTES", 1 << 14)
    statement = f"SELECT *{blank * 300_000}FROM person{blank * 300_000}WHERE 1;"
    found = read(SOURCE, tmp_path / "log", entry(statement, sent=7) + entry(sent=8))
    assert found.events.select("object", "rows").rows()[0] == ("person", 7)
    assert len(found.events) == 2


def test_names_of_people_may_hold_anything(tmp_path):
    found = read(SOURCE, tmp_path / "log", entry(user="o[b] @ [x][o[b] @ [x]] @ web1 [10.1.2.3]"))
    assert found.events.select("account", "client_address").rows()[0][1] == "10.1.2.3"
    host = read(SOURCE, tmp_path / "log", entry(user="eve[eve] @ web1 []")).events
    assert host["client_address"].to_list() == ["web1"]


ENTRIES = [HEAD + part for part in REAL.split(HEAD)[1:]]


@FAST
@given(
    st.integers(3, len(ENTRIES) - 4), FAULTS, st.floats(0, 1), st.integers(0, 255)
)  # fmt: skip
def test_one_broken_entry_costs_itself_only(tmp_path, place, fault, at, byte):
    before, after = ENTRIES[place - 3 : place], ENTRIES[place + 1 : place + 4]
    wanted = figures(read(SOURCE, tmp_path / "1", b"".join(before + after)))
    middle = broken(ENTRIES[place], fault, at, byte)
    log = b"".join([*before, middle, *after])
    found = read(SOURCE, tmp_path / "2", log)
    got = figures(found)
    # The entry before takes the text of one whose head is broken: what it does may change then,
    # and with that whether its rows are those sent or those affected.
    assert got[:2] == wanted[:2]
    assert got[2][::2] == wanted[2][::2]
    assert got[-3:] == wanted[3:]
    heads = len(re.findall(rb"(?m)^\0*# User@Host: ", log))
    nuls = found.rejects["reason"].str.contains("NUL bytes").sum()  # told apart from entries
    assert found.told == heads + nuls


@FAST
@given(st.binary(max_size=400))
def test_any_bytes_between_entries_cost_themselves_only(tmp_path, noise):
    log = entry(sent=1).encode() + noise.replace(b"'", b"") + b"\n" + entry(sent=2).encode()
    found = read(SOURCE, tmp_path / "log", log)
    assert found.events["rows"].to_list()[:1] == [1]
    assert found.events["rows"].to_list()[-1:] == [2]
