"""MySQL's audit logs in JSON, and MongoDB's log and profiler."""

import json
from pathlib import Path

import polars as pl
import pytest
from broken_logs import FAULTS, broken, content, read
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from properties import examples

from detector.normalize.reader_state import ReaderState

DATA = Path(__file__).parents[1] / "data"
AUDIT = DATA / "mysql_audit_json"
MONGOD = DATA / "mongodb_log" / "mongod.log"
PROFILE = DATA / "mongodb_profiler" / "system.profile.json"
FAST = settings(
    max_examples=examples(100),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def test_query_statistics_give_rows_and_bytes():
    found = read("mysql_audit_json", AUDIT / "mysql-enterprise-open.json")
    reads = found.events.filter(pl.col("action") == "read")
    assert reads.select("account", "object", "rows", "bytes", "duration_ms").rows() == [
        ("root", "test.t1", 3, 18384, 116.25)
    ]
    assert found.rejects.is_empty()


def test_the_older_plugin_knows_no_rows():
    events = read("mysql_audit_json", AUDIT / "percona-plugin.log").events
    assert events["action"].to_list() == ["login", "read", "read"]  # SELEKT
    assert events["rows"].to_list() == [0, None, None]
    assert events["success"].to_list() == [True, True, False]


@pytest.mark.parametrize("indent", [None, 1, 2, 4])
@pytest.mark.parametrize("closed", [True, False])
def test_an_array_is_read_however_it_is_laid_out(tmp_path, indent, closed):
    text = (AUDIT / "mysql-enterprise-open.json").read_text(encoding="utf-8").rstrip().rstrip(
        ","
    ) + "\n]\n"
    wanted = read("mysql_audit_json", AUDIT / "mysql-enterprise-open.json").events
    laid_out = json.dumps(json.loads(text), indent=indent)
    if not closed:
        laid_out = laid_out.rstrip("]").rstrip() + ","
    found = read("mysql_audit_json", tmp_path / "log", laid_out)
    assert found.events.equals(wanted)
    assert found.rejects.is_empty()


def test_every_object_is_accounted_for():
    for path, count in ((AUDIT / "percona-filter.jsonl", 6), (AUDIT / "percona-plugin.log", 5)):
        assert read("mysql_audit_json", path).told == count
    assert read("mongodb_log", MONGOD).told == len(MONGOD.read_text(encoding="utf-8").splitlines())
    assert read("mongodb_profiler", PROFILE).told == len(
        PROFILE.read_text(encoding="utf-8").splitlines()
    )


def test_the_batches_of_a_cursor_are_one_read():
    for name, path in (("mongodb_log", MONGOD), ("mongodb_profiler", PROFILE)):
        events = read(name, path).events
        assert events["rows"].max() == 10_000
        largest = events.filter(pl.col("rows") == 10_000)
        assert largest.select("account", "object", "action").rows() == [
            ("alice", "hr.person", "read")
        ]


def test_a_cursor_cut_by_a_rotation_counts_its_rows_once(tmp_path):
    lines = MONGOD.read_text(encoding="utf-8").splitlines(keepends=True)
    for cut in range(1, len(lines)):
        before = read("mongodb_log", tmp_path / "1", "".join(lines[:cut]))
        after = read("mongodb_log", tmp_path / "2", "".join(lines[cut:]), before.tail)
        both = pl.concat([before.events, after.events])
        assert both["rows"].sum() == read("mongodb_log", MONGOD).events["rows"].sum()


def test_the_tail_names_people_where_pseudonyms_reach(tmp_path):
    lines = MONGOD.read_text(encoding="utf-8").splitlines(keepends=True)
    found = read("mongodb_log", tmp_path / "log", "".join(lines[:8]))
    assert found.tail == ReaderState({"alice": "conn8"})


def test_an_operation_without_a_login_in_the_log_is_told():
    found = read("mongodb_log", MONGOD)
    assert found.rejects.select("line", "reason").rows() == [
        (20, "names no user: the login of its connection is not in the log")
    ]


def test_what_mongodb_does_to_which_collections():
    events = read("mongodb_log", MONGOD).events
    found = events.select("action", "object", "other_objects", "rows", "success").rows()
    for wanted in (
        ("read", "hr.person", None, 49, True),
        ("read", "hr.person", ["hr.case_note"], 12, True),
        ("export", "hr.person", None, None, True),
        ("read", "hr.person", None, 1, True),  # a count returns one number
        ("read", "hr.person", None, None, True),  # the log does not say how many were distinct
        ("write", "hr.person", None, 2, True),
        ("schema", None, None, None, True),
        ("read", "hr.person", None, None, False),
        ("login", None, None, 0, False),
    ):
        assert wanted in found


def test_queries_that_differ_in_values_alone_have_one_fingerprint(tmp_path):
    lines = MONGOD.read_text(encoding="utf-8").splitlines()
    login = lines[3]
    entry = json.loads(lines[5])
    entry["attr"].pop("queryHash")
    texts = []
    for value in ("a", 'b"\\": 1, "x', 7, None):
        entry["attr"]["command"]["filter"] = {"name": value}
        texts.append(json.dumps(entry))
    entry["attr"]["command"]["filter"] = {"city": "a"}
    log = "\n".join([login, *texts, json.dumps(entry)]) + "\n"
    events = read("mongodb_log", tmp_path / "log", log).events.filter(pl.col("action") == "read")
    assert events["statement"].n_unique() == 2
    assert events["statement"].head(4).n_unique() == 1


@pytest.mark.parametrize(("name", "path"), [("mongodb_log", MONGOD), ("mongodb_profiler", PROFILE)])
def test_canonical_extended_json_gives_the_same(tmp_path, name, path):
    def canonical(value):
        if isinstance(value, bool) or value is None or isinstance(value, str):
            return value
        if isinstance(value, int):
            return {"$numberLong": str(value)} if value > 2**31 else {"$numberInt": str(value)}
        if isinstance(value, list):
            return [canonical(each) for each in value]
        return {key: canonical(each) if key[0] != "$" else each for key, each in value.items()}

    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    if name == "mongodb_log":
        lines = [{**line, "attr": canonical(line["attr"])} for line in lines]
    else:
        lines = [canonical(line) for line in lines]
    log = "".join(json.dumps(line) + "\n" for line in lines)
    columns = ["account", "object", "action", "rows", "bytes"]
    found = read(name, tmp_path / "log", log).events.select(columns)
    assert sorted(map(str, found.rows())) == sorted(
        map(str, read(name, path).events.select(columns).rows())
    )


SAMPLES = {
    "mongodb_log": MONGOD,
    "mongodb_profiler": PROFILE,
    "mysql_audit_json": AUDIT / "percona-plugin.log",
}


@FAST
@given(
    st.sampled_from(sorted(SAMPLES)), st.floats(0, 1), FAULTS, st.floats(0, 1), st.integers(32, 126)
)
def test_one_broken_line_costs_itself_only(tmp_path, name, which, fault, at, byte):
    lines = content(SAMPLES[name]).splitlines(keepends=True)
    place = min(int(which * len(lines)), len(lines) - 1)
    middle = broken(lines[place], fault, at, byte)
    log = b"".join([*lines[:place], middle, *lines[place + 1 :]])
    found = read(name, tmp_path / "log", log)
    whole = read(name, SAMPLES[name])
    objects = len(lines) + {"join": 1, "repeat": 2}.get(fault, 0)
    # What no longer begins with a brace belongs to the object before it.
    assert objects - 2 <= found.told <= objects
    if fault in {"join", "repeat"}:
        assert found.told == objects
        assert found.events.height >= whole.events.height


@FAST
@given(st.sampled_from(sorted(SAMPLES)), st.binary(max_size=200))
def test_any_bytes_before_and_behind_cost_themselves_only(tmp_path, name, noise):
    lines = content(SAMPLES[name]).splitlines(keepends=True)
    log = b"".join([*lines, b"{", noise.replace(b"\n", b""), b"\n", *lines])
    found = read(name, tmp_path / "log", log)
    assert found.events.height >= 2 * read(name, SAMPLES[name]).events.height - 2
    assert found.told == 2 * len(lines) + 1


def test_a_garbage_line_costs_no_neighbour(tmp_path):
    event = (
        '{"timestamp": "2024-02-06 08:00:0%d", "id": 0, "class": "general", "event": "status", '
        '"connection_id": 5, "account": {"user": "clerk", "host": "h"}, "general_data": '
        '{"command": "Query", "query": "select * from hr.person", "status": 0}}\n'
    )
    for garbage, count in (("garbage, yes\n", 1), ("}]\nx\n", 2), ('"text"\n', 1), ("{\n", 1)):
        text = event % 1 + garbage + event % 2
        found = read("mysql_audit_json", tmp_path / "log", text)
        assert found.events.height == 2, garbage
        assert found.rejects.height == count, garbage
        assert found.rejects["line"][0] == 2
