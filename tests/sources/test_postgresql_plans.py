"""auto_explain, log_statement and durations: each statement counts once, with the rows it gave."""

import json

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from postgresql_logs import DATA, SOURCES, audit, entry, log, read
from properties import examples

from detector.core.settings import Settings
from detector.readers.blocks import split_records
from detector.readers.compression import chunks
from detector.readers.log_input import LocalFile

FAST = settings(
    max_examples=examples(80),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
TEXT = "SELECT * FROM person"


def plan(text=TEXT, rows=7, node="Seq Scan", relation="person", **changes):
    top = {"Node Type": node, "Relation Name": relation, "Plan Rows": 1, "Plan Width": 8}
    body = {"Query Text": text, "Plan": {**top, "Actual Rows": rows, "Actual Loops": 1}}
    return entry(f"duration: 0.802 ms  plan:\n{json.dumps(body, indent=2)}", **changes)


def text_plan(text=TEXT, rows=7, more="", **changes):
    node = "Seq Scan on person  (cost=0.00..9.00 rows=5 width=4) "
    node += f"(actual time=0.1..0.2 rows={rows} loops=1)"
    return entry(f"duration: 0.802 ms  plan:\nQuery Text: {text}\n{node}\n{more}", **changes)


def audited(rows=7, text=TEXT, statement=1, **changes):
    fields = ("SESSION", statement, 1, "READ", "SELECT", "TABLE", "public.person", text, "<none>")
    return entry(audit(*fields, *([] if rows is None else [rows])), **changes)


def cursor(statement=1, text=f"DECLARE c CURSOR FOR {TEXT}", **changes):
    fields = ("SESSION", statement, 1, "READ", "DECLARE CURSOR", "", "", text, "<none>", 0)
    return entry(audit(*fields), **changes)


def stated(text=TEXT, **changes):
    return entry(f"duration: 0.9 ms  statement: {text}", **changes)


def told(tmp_path, *parts):
    found = read(log(tmp_path, *parts))
    assert found.rejects.is_empty()
    assert found.events.height + found.skipped == len(parts)
    return found.events.select("action", "object", "rows").rows()


def sums(name):
    events = read(DATA / f"{name}.csv.gz").events
    mine = events.filter(pl.col("success") & (pl.col("application") == "psql-work"))
    return mine.filter(pl.col("action") == "read")["rows"].sum()


def test_auto_explain_knows_the_rows_of_cursors_where_pgaudit_does_not():
    alone = sums("pgaudit_rows_relation")
    assert sums("auto_explain_json") == sums("auto_explain_text") == 15_496
    assert sums("pgaudit_plus_autoexplain") == 15_496 > alone


def test_no_read_is_left_unknown_where_both_speak():
    events = read(DATA / "pgaudit_plus_autoexplain.csv.gz").events
    reads = events.filter((pl.col("action") == "read") & pl.col("success"))
    assert reads["rows"].null_count() == 0
    exports = events.filter(pl.col("action") == "export")
    assert exports["rows"].drop_nulls().to_list() == [77]  # COPY of a table has no plan


def test_a_plan_beside_pgaudit_is_the_same_statement(tmp_path):
    for parts in (
        [plan(), audited(), stated()],
        [audited(), plan()],
        [stated(), audited(), plan()],
    ):
        assert told(tmp_path, *parts) == [("read", "public.person", 7)]


def test_without_row_counts_of_pgaudit_those_of_the_plan_are_taken(tmp_path):
    parts = [audited(None), plan(rows=900), audited(None, statement=2), plan(rows=3)]
    assert told(tmp_path, *parts) == [("read", "public.person", 900), ("read", "public.person", 3)]


def test_a_plan_alone_and_a_text_alone_count(tmp_path):
    assert told(tmp_path, plan(), stated()) == [("read", "person", 7)]
    assert told(tmp_path, stated()) == [("read", "person", None)]
    assert told(tmp_path, stated("COPY person TO STDOUT")) == [("export", "person", None)]
    assert told(tmp_path, stated("SET x = 1")) == []


def test_the_same_statement_many_times_counts_as_often(tmp_path):
    for kinds in ([plan], [plan, audited, stated], [stated], [plan, stated]):
        parts = [
            kind(statement=n) if kind is audited else kind() for n in range(1, 30) for kind in kinds
        ]
        assert len(told(tmp_path, *parts)) == 29


def test_a_cursor_gets_its_rows_when_it_is_closed(tmp_path):
    text = f"DECLARE c CURSOR FOR {TEXT}"
    between = [stated("FETCH ALL FROM c"), audited(5, "SELECT 2 FROM person", 2)]
    closed = plan(text, 4000, command_tag="COMMIT")
    found = told(tmp_path, cursor(), *between, closed)
    assert sorted(map(str, found)) == sorted(
        map(str, [("read", "person", 4000), ("read", "public.person", 5)])
    )


def test_a_cursor_that_is_never_closed_stays_unknown(tmp_path):
    parts = [plan(session_id="65c0b1a0.2"), cursor(), audited(5, "SELECT 2", 2)]
    assert ("read", "person", None) in told(tmp_path, *parts)


def test_cursors_of_statements_that_only_have_texts_are_filled_too(tmp_path):
    text = f"DECLARE c CURSOR FOR {TEXT}"
    parts = [stated(text), stated("FETCH ALL FROM c"), plan(text, 4000), stated("COMMIT")]
    assert told(tmp_path, *parts) == [("read", "person", 4000)]


def test_a_failed_statement_counts_once(tmp_path):
    failed = entry(
        "division by zero", severity="ERROR", state="22012", query=TEXT, command_tag="SELECT"
    )
    statement = entry(f"statement: {TEXT}")
    assert told(tmp_path, statement, failed) == [("read", "person", None)]
    assert len(told(tmp_path, statement, failed, statement)) == 2


def test_what_is_nested_or_forged_by_sql_is_not_counted(tmp_path):
    nested = plan(context="SQL function")
    forged = plan(rows=10**9, query="DO $$$$", context="PL/pgSQL function inline_code_block")
    assert told(tmp_path, nested, forged, plan()) == [("read", "person", 7)]


def test_parse_and_bind_and_fetches_are_no_statements(tmp_path):
    steps = [f"duration: 0.1 ms  {step} <unnamed>: {TEXT}" for step in ("parse", "bind", "execute")]
    more = [f"execute fetch from s/p: {TEXT}"] * 3
    found = told(tmp_path, *(entry(message) for message in (*steps, *more, "duration: 0.3 ms")))
    assert found == [("read", "person", None)]


def test_an_execute_is_the_plan_of_its_prepare(tmp_path):
    prepare = "PREPARE p(int) AS SELECT * FROM person WHERE id <= $1"
    parts = [stated(prepare), plan(prepare, 21), stated("EXECUTE p(21)")]
    assert told(tmp_path, *parts) == [("read", "person", 21)]


def test_rows_without_analyze_are_unknown_and_of_writes_too(tmp_path):
    body = json.dumps({"Query Text": TEXT, "Plan": {"Node Type": "Seq Scan"}}, indent=2)
    assert told(tmp_path, entry(f"duration: 1 ms  plan:\n{body}")) == [("read", "person", None)]
    write = plan("INSERT INTO person VALUES (1)", 0, "ModifyTable")
    assert told(tmp_path, write) == [("write", "person", None)]


def test_rows_are_those_of_all_loops_and_of_the_newest_form(tmp_path):
    assert told(tmp_path, plan(rows=10.00)) == [("read", "person", 10)]
    looped = plan().replace('""Actual Loops"": 1', '""Actual Loops"": 3')
    assert told(tmp_path, looped) == [("read", "person", 21)]


def test_a_plan_as_text_is_told_from_its_statement_and_its_filters(tmp_path):
    assert told(tmp_path, text_plan()) == [("read", "person", 7)]
    fake = "Seq Scan on x  (cost=0.00..9.00 rows=5 width=4) (actual rows=0 loops=1)"
    inside = f"SELECT * FROM person WHERE a = '\n{fake}\n' /*\n{fake}\n*/"
    filtered = f"  Filter: (a = '\n{fake}\n'::text)"
    assert told(tmp_path, text_plan(inside, 900, filtered)) == [("read", "person", 900)]
    json_fake = plan('SELECT "\n    "\\"Actual Rows\\": 0 FROM person', 900)
    assert [rows for _, _, rows in told(tmp_path, json_fake)] == [900]


@pytest.mark.parametrize(
    "hides",
    [
        "/* {} */",
        "/* /* */ {} */",
        "$$ {} $$",
        "$a$ $b$ {} $b$ $a$",
        '"{}"',
        "'{}'",
        "E'\\'{}'",
        "E'a'\n'\\'{}'",
        "--\r'{}'",
        "a$$ /* {} */",
    ],
)
def test_no_line_within_a_statement_is_taken_for_its_plan(tmp_path, hides):
    fake = "\nSeq Scan on x  (cost=0.00..9.00 rows=5 width=4) (actual rows=0 loops=1)\n"
    statement = f"SELECT * FROM person WHERE a <> {hides.format(fake)}"
    assert told(tmp_path, text_plan(statement, 900)) == [("read", "person", 900)]


def test_where_backslashes_decide_what_a_plan_is_its_rows_are_unknown(tmp_path):
    fake = "\nSeq Scan on x  (cost=0.00..9.00 rows=5 width=4) (actual rows=0 loops=1)\n"
    statement = f"SELECT * FROM person WHERE a <> '\\'{fake}' --'"
    [(action, _, rows)] = told(tmp_path, text_plan(statement, 900))
    assert (action, rows) == ("read", None)


@pytest.mark.parametrize(
    "text", ["SET x = 1 --\r; SELECT * FROM person", "SET x = 1 --\r'\n'; SELECT * FROM person --'"]
)
def test_a_carriage_return_ends_a_comment(tmp_path, text):
    assert told(tmp_path, stated(text)) == [("read", "person", None)]


def test_an_audited_session_counts_no_catalogue_and_no_texts(tmp_path):
    parts = [
        plan("SELECT * FROM pg_class", 400, relation="pg_class"),
        audited(),
        plan(),
        stated("SELECT * FROM other"),
        plan("SELECT * FROM unaudited", 50, relation="unaudited"),
    ]
    assert sorted(told(tmp_path, *parts)) == [
        ("read", "public.person", 7),
        ("read", "unaudited", 50),
    ]


@pytest.mark.parametrize(
    "name",
    ["auto_explain_json", "pgaudit_plus_autoexplain", "min_duration0", "log_statement_duration"],
)
def test_blocks_do_not_matter(monkeypatch, name):
    from detector.sources.postgresql import csv_records

    path = DATA / f"{name}.csv.gz"
    keys = ["timestamp", "account", "application", "action", "object", "rows", "statement"]
    wanted = read(path).events.select(keys).sort(keys)
    for block in (1500, 6000, 40000):
        monkeypatch.setattr(csv_records, "_BLOCK_BYTES", block)
        found = read(path)
        assert_frame_equal(found.events.select(keys).sort(keys), wanted)


@pytest.mark.parametrize("name", ["auto_explain_json", "pgaudit_plus_autoexplain"])
def test_every_record_is_accounted_for(name):
    data = b"".join(data for data, _ in chunks(LocalFile(DATA / f"{name}.csv.gz")))
    found = read(DATA / f"{name}.csv.gz")
    assert found.events.height + found.skipped == sum(1 for _ in split_records(data, quoted=True))
    rows = json.loads("[" + b",".join(_lines(name)).decode() + "]")
    again = read(DATA / f"{name}.json.gz", source=SOURCES[1], settings=Settings())
    assert again.events.height + again.skipped == len(rows)


def _lines(name):
    return b"".join(data for data, _ in chunks(LocalFile(DATA / f"{name}.json.gz"))).splitlines()


KINDS = {"plan": plan, "audited": audited, "stated": stated, "cursor": cursor, "text": text_plan}


@FAST
@given(st.lists(st.tuples(st.sampled_from(sorted(KINDS)), st.sampled_from("abc")), max_size=30))
def test_any_order_of_lines_is_accounted_for(tmp_path, parts):
    written = []
    for number, (kind, session) in enumerate(parts, 1):
        more = {"statement": number} if kind in {"audited", "cursor"} else {}
        written.append(KINDS[kind](session_id=f"65c0b1a0.{session}", **more))
    found = read(log(tmp_path, *written))
    assert found.events.height + found.skipped == len(written)
    assert found.rejects.is_empty()
    kinds = [kind for kind, _ in parts]
    assert found.events.height <= len(parts)
    assert found.events.height >= max(kinds.count("audited"), 0)
