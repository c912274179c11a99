"""What the PostgreSQL sources refuse, and that they say why."""

from __future__ import annotations

import gzip
import json

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from postgresql_logs import SOURCES, accepting, audit, entry, log, read
from properties import examples

from detector.core.errors import InputError
from detector.core.settings import Settings
from detector.normalize.reader_state import ReaderState
from detector.readers.log_input import LocalFile

READ = ("SESSION", 1, 1, "READ", "SELECT", "TABLE", "public.person")
FAST = settings(
    max_examples=examples(60),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=60)


def one(rows: int = 7, text: str = "SELECT 1 FROM person", **changes: str) -> str:
    return entry(audit(*READ, text, "<none>", rows), **changes)


def test_a_message_that_sql_raised_is_no_audit(tmp_path):
    context = "PL/pgSQL function inline_code_block line 1 at RAISE"
    found = read(log(tmp_path, one(), one(10**6, context=context), one(10**6, query="DO $$$$")))
    assert found.events["rows"].to_list() == [7]
    assert found.rejects["line"].to_list() == [2, 3]
    assert "not by pgaudit" in found.rejects["reason"][0]


@pytest.mark.parametrize(
    "message",
    [
        "AUDIT: ",
        "AUDIT: SESSION,1",
        'AUDIT: SESSION,1,1,READ,SELECT,TABLE,t,"open,<none>,5',
        "AUDIT: SESSION,1,1,READ,SELECT,TABLE,t,select a, b,<none>,5",
        "AUDIT: SESSION,99999999999999999999,1,READ,SELECT,TABLE,t,x,<none>,5",
        "AUDIT: SESSION,1,1,READ,SELECT,TABLE,t,x,<none>,99999999999999999999999",
    ],
)
def test_a_message_out_of_shape_is_a_reject_and_spoils_nothing_else(message, tmp_path):
    found = read(log(tmp_path, one(), entry(message), one(session_id="65c0b1a0.2")))
    assert found.events["rows"].to_list() == [7, 7]
    assert found.rejects.select("line", "reason").rows() == [
        (2, "begins with AUDIT: but is not in pgaudit's format")
    ]


@pytest.mark.parametrize("columns", [23, 24, 26])
def test_each_version_has_its_number_of_columns(columns, tmp_path):
    path = log(tmp_path, entry(audit(*READ, "x", "<none>", 7), columns))
    assert accepting(path) == ["postgresql_csvlog"]
    assert read(path).events["rows"].to_list() == [7]


def test_versions_can_change_within_a_file(tmp_path):
    records = [
        entry(audit(*READ, "x", "<none>", n), columns, session_id=f"65c0b1a0.{n}")
        for n, columns in ((1, 23), (2, 26), (3, 24))
    ]
    found = read(log(tmp_path, *records))
    assert found.events["rows"].to_list() == [1, 2, 3]
    assert found.rejects.is_empty()


@pytest.mark.parametrize("cut", range(20, 200, 15))
def test_a_record_that_breaks_off_costs_itself_only(cut, tmp_path):
    text = 'SELECT "a, b"\n  FROM person\n WHERE x = 1'
    records = [one(n, text, session_id=f"65c0b1a0.{n}") for n in range(1, 7)]
    broken = one(99, text, session_id="65c0b1a0.99")[:cut] + "\n"
    found = read(log(tmp_path, *records[:3], broken, *records[3:]))
    assert found.events["rows"].to_list() == [1, 2, 3, 4, 5, 6]
    assert found.rejects.height == 1
    assert found.rejects["line"].to_list() == [10]


def test_a_record_that_lost_its_newline_to_the_next_is_a_reject(tmp_path):
    """Wherever it stands: what is behind its last column is no part of it, and not nothing."""
    glued = one(1)[:-1] + one(10**6, session_id="65c0b1a0.2")
    found = read(log(tmp_path, one(), glued, one(session_id="65c0b1a0.3")))
    assert found.events["rows"].to_list() == [7, 7]
    assert found.rejects["line"].to_list() == [2]


@pytest.mark.parametrize("columns", [23, 24, 25, 26])
@pytest.mark.parametrize("before", [0, 1])
def test_so_is_one_to_which_the_beginning_of_the_next_is_glued(columns, before, tmp_path):
    """A crash may cut that behind its message: both together have no more columns than one may."""
    glued = entry(audit(*READ, "SELECT 1 FROM person", "<none>", 1), columns)[:-1]
    glued += one(10**6, session_id="65c0b1a0.2").partition(',"psql"')[0].rstrip(",") + "\n"
    others = [one(session_id=f"65c0b1a0.{number}") for number in range(3, 5)]
    found = read(log(tmp_path, *others[:before], glued, *others[before:]))
    assert found.events["rows"].to_list() == [7, 7]
    assert found.rejects["line"].to_list() == [1 + before]


def test_text_that_looks_like_a_record_is_text(tmp_path):
    inside = one(10**6, session_id="65c0b1a0.5").replace('"', "")
    found = read(log(tmp_path, one(3, f"SELECT '\n{inside}'"), one(4, session_id="65c0b1a0.2")))
    assert found.events["rows"].to_list() == [3, 4]
    assert found.rejects.is_empty()


@pytest.mark.parametrize(
    ("written", "zone", "utc"),
    [
        ("2024-02-05 10:00:00.123 UTC", "UTC", "2024-02-05 10:00:00.123"),
        ("2024-02-05 10:00:00.123 GMT", "Asia/Tokyo", "2024-02-05 10:00:00.123"),
        ("2024-02-05 10:00:00.123 +03", "UTC", "2024-02-05 07:00:00.123"),
        ("2024-02-05 10:00:00.123 +0530", "UTC", "2024-02-05 04:30:00.123"),
        ("2024-02-05 10:00:00.123 -03", "UTC", "2024-02-05 13:00:00.123"),
        ("2024-02-05 10:00:00.123 CET", "UTC", "2024-02-05 09:00:00.123"),
        ("2024-02-05 10:00:00 CET", "Europe/Paris", "2024-02-05 09:00:00.000"),
        ("2023-10-29 02:30:00.000 CEST", "Europe/Paris", "2023-10-29 00:30:00.000"),
        ("2023-10-29 02:30:00.000 CET", "Europe/Paris", "2023-10-29 01:30:00.000"),
        ("2024-02-05 10:00:00.123 IST", "Asia/Kolkata", "2024-02-05 04:30:00.123"),
        ("2024-02-05 10:00:00.123 CST", "America/Chicago", "2024-02-05 16:00:00.123"),
        ("2024-02-05 10:00:00.123 CST", "Asia/Shanghai", "2024-02-05 02:00:00.123"),
    ],
)
def test_zones_are_read_as_the_server_meant_them(written, zone, utc, tmp_path):
    found = read(log(tmp_path, one(log_time=written)), settings=Settings(log_timezone=zone))
    assert found.events["timestamp"].dt.strftime("%Y-%m-%d %H:%M:%S%.3f").to_list() == [utc]


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("2024-02-05 10:00:00.123 IST", "log_timezone"),
        ("2024-02-05 10:00:00.123 XYZ", "log_timezone"),
        ("1970-01-01 00:00:00.000 UTC", "before 1990"),
        ("2990-01-01 00:00:00.000 UTC", "in the future"),
        ("2024-13-45 10:00:00.123 UTC", "no readable time"),
    ],
)
def test_a_record_that_cannot_be_dated_is_a_reject(written, words, tmp_path):
    found = read(log(tmp_path, one(), one(log_time=written)))
    assert found.events.height == 1
    assert words in found.rejects["reason"][0]
    assert found.rejects["line"].to_list() == [2]


def test_bytes_that_are_no_text_cost_their_record_only(tmp_path):
    path = log(tmp_path, one(1))
    good = one(2, session_id="65c0b1a0.2").encode()
    path.write_bytes(path.read_bytes() + b"\xff\xfe\n" + b"a\0b\n" + good)
    found = read(path)
    assert found.events["rows"].to_list() == [1, 2]
    assert found.rejects["line"].to_list() == [2, 3]


def test_half_a_gzip_gives_its_first_half_and_one_reject(tmp_path):
    records = [one(n, f"SELECT {n * 7919}", session_id=f"65c0b1a0.{n:x}") for n in range(1, 4000)]
    path = tmp_path / "log.csv.gz"
    data = gzip.compress("".join(records).encode(), mtime=0)
    path.write_bytes(data[: len(data) // 2])
    found = read(path)
    assert 1000 < found.events.height < 3000
    assert "file ends early" in found.rejects["reason"].to_list()[-1]


def test_a_missing_file_is_one_clear_line(tmp_path):
    for source in SOURCES:
        with pytest.raises(InputError, match="no such file"):
            list(source.read(LocalFile(tmp_path / "gone.csv"), Settings(), ReaderState()))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a,b,c\n1,2,3\n",
        "timestamp,account,rows\n2024-01-01 10:00:00,a,1\n",
        "{}\n",
        "[1]\n",
        '{"timestamp":"2024-01-01T00:00:00Z","account":"a","rows":3}\n',
        "\n\n",
        "PAR1",
    ],
)
def test_other_formats_are_not_accepted(text, tmp_path):
    assert accepting(log(tmp_path, text)) == []


def test_an_ipv6_address_keeps_its_colons_and_a_socket_its_name(tmp_path):
    found = read(
        log(
            tmp_path,
            one(connection_from="2001:db8::7:40000"),
            one(connection_from="[local]", session_id="65c0b1a0.2"),
        )
    )
    assert found.events["client_address"].to_list() == ["2001:db8::7", "[local]"]


def test_foreign_key_checks_are_no_access_but_what_only_resembles_them_is(tmp_path):
    check = (
        'SELECT 1 FROM ONLY "public"."person" x WHERE "id" OPERATOR(pg_catalog.=) $1'
        " FOR KEY SHARE OF x"
    )
    like = "SELECT * FROM person x WHERE id > 3 FOR KEY SHARE OF x"
    found = read(log(tmp_path, one(1, check), one(9, like, session_id="65c0b1a0.2")))
    assert found.events["rows"].to_list() == [9]
    assert found.skipped == 1


def test_an_explain_in_the_text_alone_hides_no_read(tmp_path):
    text = "EXPLAIN SELECT 1; SELECT * FROM person"
    found = read(
        log(
            tmp_path, one(5000, text), one(60, text, command_tag="EXPLAIN", session_id="65c0b1a0.2")
        )
    )
    assert found.events.select("action", "rows").rows() == [("read", 5000), ("other", 0)]


def test_reading_beside_a_write_is_a_read(tmp_path):
    text = "WITH x AS (INSERT INTO note VALUES (1)) SELECT * FROM person"
    written = audit("SESSION", 1, 1, "WRITE", "INSERT", "TABLE", "public.note", text, "<none>", 60)
    found = read(log(tmp_path, entry(written), one(60, text)))
    assert found.events.select("action", "rows", "other_objects").rows() == [
        ("read", 60, ["public.person"])
    ]


def test_a_cancelled_read_has_unknown_rows_and_a_refused_one_none(tmp_path):
    # The state alone proves nothing, since a function may raise any; what was refused does.
    failed = {"severity": "ERROR", "query": "SELECT * FROM person"}
    refused = "permission denied for table person"
    found = read(
        log(
            tmp_path,
            entry("", **failed | {"state": "57014"}),
            entry("", **failed | {"state": "42501"}),
            entry(refused, **failed | {"state": "42501"}),
        )
    )
    assert found.events.select("action", "rows", "success").rows() == [
        ("read", None, False),
        ("read", None, False),
        ("read", 0, False),
    ]


def test_a_text_said_before_keeps_the_fingerprint_of_its_statement(tmp_path):
    again = audit(*READ[:6], "public.other", "<previously logged>", "<previously logged>", 7)
    found = read(log(tmp_path, one(7), entry(again)))
    alone = read(log(tmp_path, one(7)))
    assert found.events["statement"].to_list() == alone.events["statement"].to_list()
    assert read(log(tmp_path, entry(again))).events["statement"].to_list() == [None]


PRIVATE = "Zx81secret"


@pytest.mark.parametrize(
    "text",
    [
        f"SELECT * FROM person WHERE name = 'from {PRIVATE}'",
        f"SELECT E'it\\'s from {PRIVATE}'",
        f"SELECT $q$ from {PRIVATE} $q$",
        f"SELECT 1 /* from {PRIVATE} */ -- join {PRIVATE}\n FROM person",
        f"COPY (SELECT 'from {PRIVATE}') TO STDOUT",
        f"SELECT '' from person where x = ' from {PRIVATE} ",
    ],
)
@pytest.mark.parametrize("relation", ["", "public.person"])
def test_no_literal_and_no_comment_reaches_the_events(text, relation, tmp_path):
    kind = ("SESSION", 1, 1, "READ", "SELECT", "TABLE" if relation else "", relation)
    failed = entry("", severity="ERROR", state="22012", query=text)
    found = read(log(tmp_path, entry(audit(*kind, text, PRIVATE, 3)), failed))
    assert found.events.height == 2
    assert PRIVATE not in str(found.events.to_dicts())


@FAST
@given(text=TEXT, name=TEXT.filter(bool), rows=st.integers(0, 10**9), user=TEXT.filter(bool))
def test_any_statement_comes_back_as_one_event(text, name, rows, user, tmp_path):
    message = audit(*READ[:6], name, text, "<none>", rows)
    found = read(log(tmp_path, entry(message, user=user), one(3, session_id="65c0b1a0.2")))
    assert found.events.select("account", "object", "rows").rows() == [
        (user, name, rows),
        ("alice", "public.person", 3),
    ]
    assert found.rejects.is_empty()


@FAST
@given(pieces=st.lists(st.binary(max_size=80) | st.sampled_from([b'"', b"\n", one().encode()])))
def test_arbitrary_bytes_are_rejected_and_never_raise(pieces, tmp_path):
    path = tmp_path / "log"
    path.write_bytes(b"".join(pieces))
    for source in SOURCES:
        try:
            found = read(path, source=source)
        except InputError:
            continue
        assert found.events["timestamp"].null_count() == 0


@FAST
@given(message=TEXT, tag=TEXT, zone=TEXT, query=TEXT)
def test_arbitrary_fields_are_rejected_and_never_raise(message, tag, zone, query, tmp_path):
    changes = {"command_tag": tag, "query": query, "log_time": f"2024-02-05 10:00:00.1 {zone}"}
    found = read(log(tmp_path, entry("AUDIT: " + message, **changes), one()))
    assert found.events["rows"].to_list()[-1:] == [7]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
KEYS = ("timestamp", "user", "session_id", "error_severity", "message", "ps", "statement")


@FAST
@given(objects=st.lists(st.dictionaries(st.sampled_from(KEYS), JSON, max_size=7), max_size=4))
def test_arbitrary_objects_are_rejected_and_never_raise(objects, tmp_path):
    path = tmp_path / "log.json"
    path.write_text("".join(json.dumps(item) + "\n" for item in objects), encoding="utf-8")
    found = read(path, source=SOURCES[1])
    assert found.events.height + found.rejects.height + found.skipped == len(objects)


def test_a_bad_json_line_costs_itself_only(tmp_path):
    good = {
        "timestamp": "2024-02-05 10:00:00.123 UTC",
        "user": "alice",
        "session_id": "65c0b1a0.1",
        "error_severity": "LOG",
        "message": audit(*READ, "x", "<none>", 7),
        "backend_type": "client backend",
    }
    lines = [json.dumps(good), '{"timestamp": "2024', "[" * 50_000, '{"timestamp": 3}']
    path = tmp_path / "log.json"
    path.write_text(
        "\n".join([*lines, json.dumps(good | {"session_id": "65c0b1a0.2"})]), encoding="utf-8"
    )
    found = read(path, source=SOURCES[1])
    assert found.events["rows"].to_list() == [7, 7]
    assert found.rejects["line"].to_list() == [2, 3, 4]


def test_a_damaged_tail_is_ignored(tmp_path):
    found = read(log(tmp_path, one()), ReaderState({"65c0b1a0.1092": "x", "": "1"}))
    assert found.events.height == 1
    assert read(log(tmp_path, one()), ReaderState({"65c0b1a0.1092": "1"})).skipped == 1


def test_every_record_is_an_event_a_reject_or_skipped(tmp_path):
    records = [one(), one(), entry("checkpoint starting"), entry("AUDIT: "), one(session_id="6.2")]
    found = read(log(tmp_path, *records))
    assert (found.events.height, found.rejects.height, found.skipped) == (2, 1, 2)


def test_a_bulk_of_rows_is_summed_once(tmp_path):
    path = log(tmp_path, *(one(n, session_id=f"{n:x}.1") for n in range(1, 2001)))
    assert read(path).events.select(pl.sum("rows")).item() == 2000 * 2001 // 2
