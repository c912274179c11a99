import gzip
import json
import string

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from broken_logs import entries
from event_logs import EVENTS, csv_bytes, ndjson_bytes, packed, read, reasons
from hypothesis import example, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from properties import examples

from detector.core.errors import InputError
from detector.core.settings import Settings
from detector.normalize.reader_state import ReaderState
from detector.normalize.source import Sample
from detector.readers import blocks, json_lines, json_shape
from detector.readers.log_input import LocalFile
from detector.sources.generic import csv, ndjson, parquet

HEAD = "timestamp,account,object,rows\n"
LINE = "2024-02-06T10:00:00Z,bob,public.person,3\n"


def write(path, data):
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def test_the_same_events_come_from_every_format_and_packing(tmp_path):
    pl.DataFrame(EVENTS).write_parquet(tmp_path / "a.parquet")
    expected, rejects, _ = read(parquet.SOURCE, tmp_path / "a.parquet")
    assert len(expected) == len(EVENTS)
    assert not len(rejects)
    for how in ("plain", "gz", "zst"):
        for delimiter in ",;\t|":
            path = write(tmp_path / "a", packed(csv_bytes(delimiter=delimiter), how))
            assert_frame_equal(read(csv.SOURCE, path)[0], expected)
        path = write(tmp_path / "a", packed(ndjson_bytes(), how))
        assert_frame_equal(read(ndjson.SOURCE, path)[0], expected)


@pytest.mark.parametrize(
    ("source", "data"), [(csv.SOURCE, csv_bytes()), (ndjson.SOURCE, ndjson_bytes())]
)
def test_half_a_gzip_gives_its_events_and_one_reject(tmp_path, source, data):
    many = data + b"".join(data.splitlines(keepends=True)[1:]) * 2000
    path = write(tmp_path / "a.gz", gzip.compress(many)[:-9])
    events, rejects, _ = read(source, path)
    assert len(events) > 40_000
    assert "file ends early" in rejects["reason"].item()
    assert rejects["line"].item() >= len(events)


@pytest.mark.parametrize(
    ("source", "data"), [(csv.SOURCE, csv_bytes()), (ndjson.SOURCE, ndjson_bytes())]
)
@pytest.mark.parametrize("block", [200, 1000, 1 << 20])
def test_events_and_rejects_do_not_depend_on_the_size_of_blocks(
    tmp_path, monkeypatch, source, data, block
):
    bad = b'"\xff"\n' + b"2024-02-06T10:00:00Z,,x\n" + b'{"timestamp": 5, "account": "x"}\n{]\n'
    lines = data.splitlines(keepends=True)
    path = write(tmp_path / "a", b"".join(lines[:7]) + bad + b"".join(lines[7:]))
    whole = read(source, path)
    name = "csv_blocks" if source is csv.SOURCE else "line_blocks"
    original = getattr(blocks, name)
    module = csv if source is csv.SOURCE else blocks
    monkeypatch.setattr(module, name, lambda path: original(path, block))
    cut = read(source, path)
    assert_frame_equal(cut[0], whole[0])
    assert_frame_equal(cut[1], whole[1])
    assert len(whole[0]) >= 24
    assert len(whole[1]) >= 3


def test_csv_rejects_name_the_line_even_after_fields_that_span_lines(tmp_path):
    text = HEAD + LINE + '2024-02-06T10:00:00Z,bob,"a\nb\nc",3\n' + "\n" + "x,bob,t,1\n"
    text += LINE + "1,2\n" + '2024-02-06T10:00:00Z,bob,"a\nb",-3\n' + LINE.replace("3", "a,b,c")
    events, rejects, _ = read(csv.SOURCE, write(tmp_path / "a.csv", text))
    assert len(events) == 3
    plain = [(line, reason.split(", such as")[0]) for line, reason in reasons(rejects)]
    assert plain[:3] == [
        (7, "timestamp not understood"),
        (9, "has 2 columns where the header has 4"),
        (10, "rows is negative"),
    ]
    assert reasons(rejects)[3][0] == 12


def test_csv_quotes_in_the_middle_of_a_field_are_text(tmp_path):
    text = (
        HEAD + LINE.replace("public", '5" pipe') + LINE + LINE.replace("public", '6" pipe') + LINE
    )
    events, rejects, _ = read(csv.SOURCE, write(tmp_path / "a.csv", text))
    assert len(events) + len(rejects) == 4
    assert events["object"][0] == '5" pipe.person'


def test_csv_with_an_open_quote_loses_only_that_line(tmp_path):
    text = HEAD + LINE + '2024-02-06T10:00:00Z,"bob,t,1\n' + LINE
    events, rejects, _ = read(csv.SOURCE, write(tmp_path / "a.csv", text))
    assert len(events) == 2
    assert reasons(rejects) == [(3, "a quote is opened and never closed")]


def test_one_bad_number_changes_nothing_for_its_neighbours(tmp_path):
    text = HEAD + LINE * 3 + LINE.replace(",3", ",three") + LINE.replace(",3", ",") + LINE
    events, rejects, _ = read(csv.SOURCE, write(tmp_path / "a.csv", text))
    assert events["rows"].to_list() == [3, 3, 3, None, 3]
    assert reasons(rejects) == [(5, "rows is not a number")]


@pytest.mark.slow
def test_a_field_of_50_mb_is_read(tmp_path):
    text = HEAD + LINE + '2024-02-06T10:00:00Z,bob,"' + "x y\n" * (13 << 20) + '",4\n' + LINE
    events, rejects, _ = read(csv.SOURCE, write(tmp_path / "a.csv", text))
    assert events["rows"].to_list() == [3, 4, 3]
    assert not len(rejects)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ("", "holds no CSV header"),
        ("\n\n", "holds no CSV header"),
        ("2024-02-06T10:00:00Z,bob\n", "no header"),
        ("timestamp account\nx y\n", "no header"),
        ("when_it_was,usr,rows\n", "no column for 'timestamp'"),
        ("time,usr,rows\n", "did you mean 'usr'"),
        (HEAD.encode("utf-32"), "binary"),
    ],
)
def test_a_csv_that_cannot_be_used_says_why(tmp_path, data, says):
    path = write(tmp_path / "agents.csv", data)
    with pytest.raises(InputError, match=says) as error:
        read(csv.SOURCE, path)
    assert "agents.csv" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_header_alone_is_a_log_without_events(tmp_path):
    events, rejects, _ = read(csv.SOURCE, write(tmp_path / "a.csv", HEAD))
    assert len(events) == len(rejects) == 0


def test_parquet_that_cannot_be_used_says_why(tmp_path):
    good = pl.DataFrame(EVENTS)
    path = tmp_path / "a.parquet"
    good.write_parquet(path)
    whole = path.read_bytes()
    for data in (whole[:-100], whole[:50], b"PAR1", b"PAR1" + b"x" * 500):
        with pytest.raises(InputError, match="no readable Parquet"):
            read(parquet.SOURCE, write(path, data))
    good.rename({"account": "acount"}).write_parquet(path)
    with pytest.raises(InputError, match=r"no column for 'account'.*'acount'"):
        read(parquet.SOURCE, path)
    good.with_columns(timestamp=pl.lit(value=True)).write_parquet(path)
    with pytest.raises(InputError, match="'timestamp' is bool"):
        read(parquet.SOURCE, path)
    good.with_columns(account=pl.lit([1, 2])).write_parquet(path)
    with pytest.raises(InputError, match=r"'account' is .*list"):
        read(parquet.SOURCE, path)


def test_parquet_reaches_into_structs_and_takes_further_objects(tmp_path):
    frame = pl.DataFrame(
        {
            "time": [1707213600000],
            "actor": [{"user": {"name": "bob"}}],
            "src_endpoint": [{"ip": "10.0.0.1"}],
            "other_objects": [["a", " b "]],
        }
    )
    frame.write_parquet(tmp_path / "a.parquet")
    events, _, _ = read(parquet.SOURCE, tmp_path / "a.parquet")
    row = events.row(0, named=True)
    assert (row["account"], row["client_address"]) == ("bob", "10.0.0.1")
    assert row["other_objects"] == ["a", "b"]


def test_parquet_rows_that_are_no_events_are_told_by_row(tmp_path):
    frame = pl.DataFrame(EVENTS).with_columns(
        account=pl.when(pl.col("rows") == 5).then(None).otherwise("account"),
        rows=pl.when(pl.col("rows") == 9).then(-1).otherwise("rows"),
    )
    frame.write_parquet(tmp_path / "a.parquet")
    events, rejects, _ = read(parquet.SOURCE, tmp_path / "a.parquet")
    assert len(events) == len(EVENTS) - 2
    assert reasons(rejects) == [(6, "no account"), (10, "rows is negative")]


def test_parquet_text_that_is_no_utf_8_is_rejected(tmp_path):
    raw = pa.array([b"bob", b"b\xffb", None, b"eve"], pa.binary())
    account = pa.Array.from_buffers(pa.string(), 4, raw.buffers())
    table = pa.table({"timestamp": ["2024-02-06T10:00:00Z"] * 4, "account": account})
    pq.write_table(table, tmp_path / "a.parquet")
    events, rejects, _ = read(parquet.SOURCE, tmp_path / "a.parquet")
    assert events["account"].to_list() == ["bob", "eve"]
    assert reasons(rejects) == [(2, "is not valid UTF-8"), (3, "no account")]


def test_a_name_that_is_no_utf_8_stands_in_no_way_of_names_with_space_around_them(tmp_path):
    """What is trimmed is the column's dictionary, in which words of rejected rows were left."""
    raw = pa.array([b" bob", b"b\xffb", b"eve "], pa.binary())
    account = pa.Array.from_buffers(pa.string(), 3, raw.buffers())
    table = pa.table({"timestamp": ["2024-02-06T10:00:00Z"] * 3, "account": account})
    pq.write_table(table, tmp_path / "a.parquet")
    events, rejects, _ = read(parquet.SOURCE, tmp_path / "a.parquet")
    assert events["account"].to_list() == ["bob", "eve"]
    assert reasons(rejects) == [(2, "is not valid UTF-8")]


NESTED = {
    "@timestamp": "2024-02-06T10:00:00Z",
    "user": {"name": "bob"},
    "source.ip": "10.0.0.1",
    "event": {"action": "select", "outcome": "failure", "duration": 2000000},
}


def test_ndjson_reaches_into_nested_objects(tmp_path):
    path = write(tmp_path / "a", json.dumps(NESTED) + "\n")
    event = read(ndjson.SOURCE, path)[0].row(0, named=True)
    assert event["account"] == "bob"
    assert event["client_address"] == "10.0.0.1"
    assert (event["action"], event["success"], event["duration_ms"]) == ("read", False, 2.0)
    mapped, _, _ = read(ndjson.SOURCE, path, columns={"account": "event.action"})
    assert mapped["account"].item() == "select"


def test_a_key_in_another_case_in_the_first_line_of_ndjson_costs_no_other_line_it(tmp_path):
    line = b'{"ts": 1707213600, "user": "bob", "rows": 7}\n'
    for key in (b"ts", b"user", b"rows"):
        odd = line.replace(key, key.title())
        events, rejects, _ = read(ndjson.SOURCE, write(tmp_path / "a", odd + line * 3))
        assert events["rows"].to_list()[-3:] == [7, 7, 7]
        assert rejects["line"].to_list() == ([] if key == b"rows" else [1])


def test_the_pieces_of_a_growing_ndjson_agree_on_the_commonest_key(tmp_path):
    odd, line = b'{"ts": 1707213600, "User": "eve"}\n', b'{"ts": 1707213600, "user": "bob"}\n'
    tail = ReaderState()
    for piece, expected in ((odd, ["eve"]), (line, ["bob"]), (line * 2, ["bob", "bob"])):
        path = write(tmp_path / "a", piece)
        batches = list(ndjson.SOURCE.follow_reader.read(LocalFile(path), Settings(), tail))
        assert [who for batch in batches for who in batch.events["account"]] == expected
        tail = batches[-1].tail


def test_the_shape_of_an_ndjson_that_an_earlier_version_kept_is_understood():
    shape = json_shape.decode('[[["user", "name"], "text"], [["rows"], null]]')
    assert shape.keys == {"user.name": ("user", "name"), "rows": ("rows",)}
    assert json_shape.decode(json_shape.encode(shape)) == shape


def test_a_block_of_ndjson_is_the_same_in_parts_and_beside_a_line_longer_than_one(
    tmp_path, monkeypatch
):
    lines = ndjson_bytes().splitlines(keepends=True) * 50
    long = json.dumps({**json.loads(lines[0]), "note": "x" * 20_000}).encode() + b"\n"
    for data in (b"".join(lines), b"".join([*lines[:99], long, *lines[99:]])):
        path = write(tmp_path / "a", data)
        wanted = read(ndjson.SOURCE, path)[0]
        assert wanted.height == data.count(b"\n")
        with monkeypatch.context() as patch:
            patch.setattr(json_lines, "MIB", 1000)
            assert_frame_equal(read(ndjson.SOURCE, path)[0], wanted)


def test_ndjson_lines_that_are_no_objects_are_rejected(tmp_path):
    good = b'{"ts": 1707213600, "user": "bob"}\n'
    bad = [
        b"5\n",
        b"[]\n",
        b"{\n",
        b"null\n",
        b'{"ts": 1}{"ts": 2}\n',
        b'{"ts":1707213600,"user":"\\ud800"}\n',
        b'{"ts": 1707213600, "user": {"x": 1}}\n',
        b"[" * 100_000 + b"\n",
        b'{"user": "x"}\n',
    ]
    path = write(tmp_path / "a", good + b"\n" + b"".join(bad) + good)
    events, rejects, _ = read(ndjson.SOURCE, path)
    assert len(events) == 2
    assert rejects["line"].to_list() == list(range(3, 3 + len(bad)))
    assert rejects["reason"].n_unique() >= 4


WORDS = ["2024-02-06T10:00:00Z", 1707213600, 1707213600.5, "12", 12, 12.5, "read", "success"]
JSON_CELLS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**20), 10**20),
    st.floats(width=32),
    st.text(max_size=4),
    st.sampled_from(WORDS),
)
JSON_EVENT = st.fixed_dictionaries(
    {
        "timestamp": st.sampled_from(["2024-02-06T10:00:00Z", 1707213600, "x", 1.5e9]),
        "account": st.sampled_from(["bob", " ", "é"]),
    },
    optional=dict.fromkeys(("rows", "action", "success", "duration", "ip"), JSON_CELLS),
)


@settings(max_examples=examples(150))
@given(st.lists(JSON_EVENT, min_size=1, max_size=6))
def test_ndjson_reads_the_same_quickly_and_carefully(tmp_path_factory, events):
    path = tmp_path_factory.mktemp("json") / "a"
    path.write_bytes(ndjson_bytes(events))
    quick = read(ndjson.SOURCE, path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_lines, "_parse_fast", lambda *_: None)
        careful = read(ndjson.SOURCE, path)
    assert_frame_equal(quick[0], careful[0])
    assert_frame_equal(quick[1], careful[1])
    assert len(quick[0]) + len(quick[1]) == len(events)


HOSTILE = st.one_of(
    st.binary(max_size=200),
    st.text(st.sampled_from(string.digits + ',;"\n\r\t{}[]:-TZ aé\0\x1b'), max_size=200).map(
        str.encode
    ),
)


@settings(max_examples=examples(200))
@given(HOSTILE, st.booleans())
def test_csv_of_anything_gives_events_or_rejects_or_one_clear_error(tmp_path_factory, data, header):
    path = tmp_path_factory.mktemp("csv") / "a"
    path.write_bytes(HEAD.encode() * header + data)
    try:
        events, rejects, _ = read(csv.SOURCE, path)
    except InputError as error:
        assert "\n" not in str(error)  # noqa: PT017 - an error is one of two good ends
        return
    assert (len(events) + len(rejects) > 0) or not data.strip(b"\xef\xbb\xbf\r\n\t \0\x0b\x0c")


@settings(max_examples=examples(200))
@given(st.lists(HOSTILE.map(lambda data: data.replace(b"\n", b"")), max_size=5))
def test_every_line_of_ndjson_is_an_event_or_a_reject(tmp_path_factory, lines):
    path = tmp_path_factory.mktemp("json") / "a"
    path.write_bytes(b"\n".join([b'{"ts": 1707213600, "user": "bob"}', *lines]))
    try:
        events, rejects, _ = read(ndjson.SOURCE, path)
    except InputError:
        return  # many NULs: taken for UTF-16
    assert len(events) + len(rejects) == entries(path.read_bytes())


@settings(max_examples=examples(60))
@given(st.binary(max_size=200), st.integers(0, 2000))
@example(b"\t\x80", 481)
def test_parquet_with_bytes_changed_is_read_or_refused(tmp_path_factory, noise, at):
    path = tmp_path_factory.mktemp("parquet") / "a"
    pl.DataFrame(EVENTS).write_parquet(path)
    data = bytearray(path.read_bytes())
    at %= len(data)
    data[at : at + len(noise)] = noise
    path.write_bytes(data)
    try:
        read(parquet.SOURCE, path)
    except InputError as error:
        assert "\n" not in str(error)  # noqa: PT017 - an error is one of two good ends


CELLS = st.text(st.sampled_from('ab",;\n é'), max_size=6)


@settings(max_examples=examples(100))
@given(st.lists(CELLS, max_size=12), st.integers(60, 200))
def test_quoted_csv_is_read_whole_whatever_the_block(tmp_path_factory, objects, block):
    path = tmp_path_factory.mktemp("csv") / "a"
    frame = pl.DataFrame(
        {"timestamp": ["2024-02-06T10:00:00Z"] * len(objects), "account": ["bob"] * len(objects),
         "object": pl.Series(objects, dtype=pl.String)}
    )  # fmt: skip
    path.write_bytes(frame.write_csv(quote_style="always").encode())
    original = blocks.csv_blocks
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv, "csv_blocks", lambda path: original(path, block))
        events, rejects, _ = read(csv.SOURCE, path)
    assert events["object"].to_list() == [text.strip() or None for text in objects]
    assert not len(rejects)


def test_csv_and_ndjson_refuse_what_is_not_theirs(tmp_path):
    def accepts(source, data):
        return source.accepts(Sample(LocalFile(tmp_path / "a"), data), Settings())

    assert accepts(csv.SOURCE, csv_bytes())
    assert accepts(ndjson.SOURCE, ndjson_bytes())
    assert not accepts(csv.SOURCE, ndjson_bytes())
    assert not accepts(ndjson.SOURCE, csv_bytes())
    assert not accepts(csv.SOURCE, b"a,b,c\n1,2,3\n")
    assert not accepts(ndjson.SOURCE, b'{"a": 1}\n')
    mapped = Settings(columns={"timestamp": "a", "account": "b"})
    assert csv.SOURCE.accepts(Sample(LocalFile(tmp_path / "a"), b"a,b,c\n1,2,3\n"), mapped)
