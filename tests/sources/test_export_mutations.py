"""Damaged lines of exports: each entry is an event, a reject or skipped, and none hurts another."""

import json

import polars as pl
import pytest
from broken_logs import entries
from event_logs import read
from export_logs import PRESETS, SOURCES, as_csv, as_parquet, ndjson, plain, sample
from hypothesis import given, settings
from hypothesis import strategies as st
from properties import examples

from detector.core.errors import InputError
from detector.normalize import statement_merge
from detector.readers import blocks
from detector.sources.exports import json_records

FOLDED = {"aws_activity_streams", "elasticsearch_audit", "opensearch_audit"}
FOLDED |= {"oracle", "sqlserver_audit"}


@st.composite
def damage(draw, lines):
    """Lines of which some are flipped, cut, joined with the next, or repeated."""
    lines = list(lines)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(lines) - 1))
        line = lines[at]
        how = draw(st.sampled_from(["flip", "cut", "join", "repeat"]))
        if how == "flip":
            place = draw(st.integers(0, len(line) - 1))
            byte = draw(st.integers(0, 255).filter(lambda value: value != 10))
            lines[at] = line[:place] + bytes([byte]) + line[place + 1 :]
        elif how == "cut":
            lines[at] = line[: draw(st.integers(1, len(line)))]
        elif how == "join" and at + 1 < len(lines):
            lines[at : at + 2] = [line + lines[at + 1]]
        else:
            lines.insert(draw(st.integers(0, len(lines))), line)
    return lines


def keys(events):
    return [str(row) for row in events.to_dicts()]


@pytest.mark.parametrize("name", PRESETS)
@settings(deadline=None, max_examples=examples(20))
@given(data=st.data())
def test_events_rejects_and_skipped_are_all_entries(tmp_path_factory, name, data):
    whole = ndjson(plain(name) * 2).splitlines()
    lines = data.draw(damage(whole))
    hurts_no_other(name, tmp_path_factory.mktemp("any") / "log", lines, whole)


def hurts_no_other(name, path, lines, whole):
    """Of ``lines``, those that are in ``whole`` are read as if the others were not there."""
    path.write_bytes(b"\n".join(lines) + b"\n")
    events, rejects, skipped = read(SOURCES[name], path)
    assert len(events) + len(rejects) + skipped == entries(path.read_bytes())
    if name not in FOLDED:  # whose events are made of several lines
        kept = [line for line in lines if line in whole]
        path.write_bytes(b"\n".join(kept) + b"\n")
        expected = keys(read(SOURCES[name], path)[0])
        found = keys(events)
        for event in expected:
            found.remove(event)  # each event of an unharmed line is there


def test_a_key_in_another_case_in_the_first_line_costs_no_other_line_the_column(tmp_path):
    whole = ndjson(plain("redshift") * 2).splitlines()
    first = whole[0].replace(b'"application_name"', b'"applIcation_name"')
    assert first != whole[0]
    hurts_no_other("redshift", tmp_path / "log", [first, *whole[1:]], whole)


@pytest.mark.slow
@pytest.mark.parametrize("name", PRESETS)
def test_any_key_in_another_case_in_the_first_line_costs_no_other_line_it(tmp_path, name):
    first, *others = plain(name)
    whole = ndjson([first, *others] * 2).splitlines()
    for key in first:
        odd = {key[:1].swapcase() + key[1:] if each == key else each: first[each] for each in first}
        hurts_no_other(name, tmp_path / "log", [*ndjson([odd]).splitlines(), *whole[1:]], whole)


@pytest.mark.parametrize("name", ["aws_activity_streams", "cloudtrail_s3"])
@settings(max_examples=examples(60))
@given(data=st.data())
def test_a_damaged_list_keeps_the_entries_that_are_whole(tmp_path_factory, name, data):
    wrapper = {"cloudtrail_s3": "Records"}.get(name, "databaseActivityEventList")
    found = [entry for entry in plain(name) if len(entry) > 5]  # a heartbeat has one key
    whole = [{"type": "x", wrapper: found[:3]}, {"type": "x", wrapper: found[3:]}]
    lines = ndjson(whole).splitlines()
    texts = [json.dumps(entry).encode() for entry in found[:3]]
    broken = data.draw(st.integers(0, 2))
    start = lines[0].index(texts[broken]) + 2
    place = data.draw(st.integers(start, start + len(texts[broken]) - 4))
    lines[0] = lines[0][:place] + b"\x01" + lines[0][place + 1 :]
    path = tmp_path_factory.mktemp("any") / "log"
    path.write_bytes(b"\n".join(lines) + b"\n")
    events, rejects, skipped = read(SOURCES[name], path)
    assert len(rejects) == 1
    assert len(events) + skipped == len(found) - 1


@pytest.mark.slow
@pytest.mark.parametrize("name", PRESETS)
def test_events_do_not_depend_on_the_size_of_blocks(tmp_path, monkeypatch, name):
    found = plain(name) * 30
    good = ndjson(found).splitlines()
    for at in range(3, len(good), 40):
        good[at] = good[at][:-9]
    path = tmp_path / "log"
    path.write_bytes(b"\n".join(good) + b"\n")
    monkeypatch.setattr(statement_merge, "MAX_ENTRY_DISTANCE", 200)
    whole = read(SOURCES[name], path)
    original = blocks.line_blocks
    monkeypatch.setattr(
        json_records.records,
        "line_blocks",
        lambda path, _, chunks=None: original(path, 3000, chunks=chunks),
    )
    cut = read(SOURCES[name], path)
    assert sorted(keys(cut[0])) == sorted(keys(whole[0]))
    assert cut[1].equals(whole[1])
    assert cut[2] == whole[2]
    assert len(whole[1]) == len(range(3, len(good), 40))


@settings(max_examples=examples(60))
@given(
    st.lists(
        st.text(max_size=8) | st.none() | st.integers() | st.floats() | st.booleans(), max_size=6
    )
)
def test_values_of_any_kind_are_an_event_or_a_reject(tmp_path_factory, values):
    rows = plain("databricks")
    for row, value in zip(rows, values, strict=False):
        row["produced_rows"] = value
        row["executed_by"] = value
        row["start_time"] = value if row is rows[1] else row["start_time"]
    path = tmp_path_factory.mktemp("any") / "log"
    path.write_bytes(ndjson(rows))
    events, rejects, skipped = read(SOURCES["databricks"], path)
    assert len(events) + len(rejects) + skipped == len(rows)


@pytest.mark.parametrize("name", ["snowflake", "redshift", "clickhouse", "sqlserver_audit"])
@settings(deadline=None, max_examples=examples(20))
@given(data=st.data())
def test_damaged_rows_of_csv_are_events_or_rejects_too(tmp_path_factory, name, data):
    head, *lines = as_csv(plain(name) * 2).splitlines()
    whole = list(lines)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(lines) - 1))
        how = data.draw(st.sampled_from(["flip", "cut", "join", "repeat"]))
        line = lines[at]
        letters = [place for place, byte in enumerate(line) if chr(byte).isalnum()]
        if how == "flip":
            place = data.draw(st.sampled_from(letters))
            lines[at] = line[:place] + data.draw(st.sampled_from([b"x", b"7"])) + line[place + 1 :]
        elif how == "cut":  # where no quote is left open
            lines[at] = line[: line.index(b",") + 1]
        elif how == "join" and at + 1 < len(lines):
            lines[at : at + 2] = [line + lines[at + 1]]
        else:
            lines.insert(at, line)
    path = tmp_path_factory.mktemp("any") / "log"
    path.write_bytes(b"\n".join([head, *lines]) + b"\n")
    events, rejects, skipped = read(SOURCES[name], path)
    assert len(events) + len(rejects) + skipped == len(lines)
    if name not in FOLDED:
        path.write_bytes(b"\n".join([head, *(line for line in lines if line in whole)]) + b"\n")
        found = keys(events)
        for event in keys(read(SOURCES[name], path)[0]):
            found.remove(event)


@pytest.mark.parametrize("name", ["snowflake", "ocsf", "clickhouse", "databricks"])
@settings(max_examples=examples(60))
@given(data=st.data())
def test_a_damaged_parquet_is_read_or_refused_in_one_line(tmp_path_factory, name, data):
    whole = as_parquet(plain(name))
    place = data.draw(st.integers(0, len(whole) - 1))
    damaged = whole[:place] + data.draw(st.binary(max_size=3)) + whole[place + 1 :]
    path = tmp_path_factory.mktemp("any") / "log"
    path.write_bytes(damaged)
    try:
        read(SOURCES[name], path)
    except InputError as error:
        assert "\n" not in str(error)  # noqa: PT017 - an error is one of two good ends


def test_a_statement_whose_lines_lie_in_two_blocks_counts_once(tmp_path, monkeypatch):
    lines = sample("aws_activity_streams", "aurora_postgresql.ndjson").splitlines()
    found = [each for line in lines for each in json.loads(line)["databaseActivityEventList"]]
    join = [entry for entry in found if entry.get("rowCount") == 49]
    assert len(join) == 2
    path = tmp_path / "log"
    path.write_bytes(
        ndjson([join[0]] + [{**join[0], "statementId": 99 + i} for i in range(50)] + [join[1]])
    )
    original = blocks.line_blocks
    monkeypatch.setattr(
        json_records.records,
        "line_blocks",
        lambda path, _, chunks=None: original(path, 2000, chunks=chunks),
    )
    events, _, skipped = read(SOURCES["aws_activity_streams"], path)
    assert len(events) == 51
    assert skipped == 1
    assert events.filter(pl.col("other_objects").list.len() == 1).height == 1
