"""JSON that is one document: cut into entries, one a line, without being parsed."""

import gzip
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from properties import examples

from detector.readers import compression, json_array
from detector.readers.log_input import LocalFile

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text('ab"\\{}[], :\n\u00e9', max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("bcd", max_size=2), inner),
    max_leaves=6,
)
ENTRIES = st.lists(
    st.dictionaries(st.text("xyz", min_size=1, max_size=2), VALUES, min_size=1), min_size=1
)


def cut(data, size=7, found=None):
    """The lines that a document becomes, given in pieces of ``size`` bytes."""
    how = json_array.entry_splitter(json_array.first_entries(data) if found is None else found)
    pieces = ((data[at : at + size], at) for at in range(0, len(data), size))
    return b"".join(part for part, _ in json_array.flatten_entries(pieces, how)).splitlines()


@settings(max_examples=examples(200))
@given(
    ENTRIES,
    st.integers(1, 40),
    st.sampled_from([None, 1, 2]),
    st.sampled_from(["", "Records", "databaseActivityEventList"]),
)
def test_any_document_becomes_its_entries(entries, size, indent, wrapper):
    whole = {"version": "1", wrapper: entries, "count": 3} if wrapper else entries
    data = json.dumps(whole, indent=indent).encode()
    # An entry whose first key is also that of an object within one is not cut, but parted later.
    lines = [part for line in cut(data, size) for part in json_array.split_line(line)]
    assert [json.loads(line) for line in lines] == entries


def test_entries_are_cut_where_their_first_keys_differ():
    data = b'[{"a": 1}, {"b": [{"c": 2}, {"c": 3}]},\n {"a": 4}]'
    assert cut(data) == [b'{"a": 1}', b'{"b": [{"c": 2}, {"c": 3}]}', b'{"a": 4}']


def test_what_looks_like_a_cut_within_a_text_is_none():
    entry = {"a": '}, {"a": 1', "b": "],"}
    assert [json.loads(line) for line in cut(json.dumps([entry] * 3).encode())] == [entry] * 3


def test_an_array_that_breaks_off_keeps_its_whole_entries():
    data = b'[{"a": 1}, {"a": 2}, {"a": 3'
    assert cut(data) == [b'{"a": 1}', b'{"a": 2}', b'{"a": 3']
    open_ended = b'[{"a": 1},\n{"a": 2}\n'
    assert [json.loads(line) for line in cut(open_ended)] == [{"a": 1}, {"a": 2}]


def test_a_damaged_entry_stands_alone():
    data = b'[{"a": 1}, {"a": "x}, {"a": 3}]'
    assert cut(data) == [b'{"a": 1}', b'{"a": "x}', b'{"a": 3}']
    first_key = json_array.split_line(b'{"a": 1}, {"b\x01": 2}')
    assert first_key == [b'{"a": 1}', b'{"b\x01": 2}']


@pytest.mark.parametrize(
    ("head", "document"),
    [
        (b'[{"a": 1}]', True),
        (b'\xef\xbb\xbf[\n{"a": 1},\n{"a": 2}\n]', True),
        (b'{"Records":[{"a": 1', True),
        (b'{\n "Records": [\n  {\n   "a": 1\n  }\n ]\n}', True),
        (b'{"Records": [{"a": 1}]}\n{"Records": [{"a": 1}]}\n', False),
        (b'{"a": 1}\n{"a": 2}\n', False),
        (b'[broken\n{"a": 1}\n{"a": 2}\n', False),
        (b"[2024-02-06] a line of words\n", True),
        (b"", False),
    ],
)
def test_a_document_is_told_from_lines(head, document):
    assert json_array.is_document(head) is document


def test_compressed_text_that_breaks_off_gives_what_came_before(tmp_path):
    path = tmp_path / "log"
    data = json.dumps([{"a": i, "b": "x" * 50} for i in range(40_000)]).encode()
    path.write_bytes(gzip.compress(data, mtime=0)[:-2000])
    lines = json_array.flatten_entries(
        compression.chunks(LocalFile(path), 1 << 16), json_array.entry_splitter([{"a": 0}])
    )
    seen: list[bytes] = []
    with pytest.raises(compression.TruncatedError):
        seen.extend(part for part, _ in lines)
    assert sum(part.count(b"\n") for part in seen) > 10_000


def test_a_text_without_an_end_of_entry_is_let_go(monkeypatch):
    monkeypatch.setattr(json_array, "_MAX_ENTRY_BYTES", 1000)
    data = b'[{"a": "' + b"x" * 10_000
    parts = [
        len(part)
        for part, _ in json_array.flatten_entries(
            ((data[i : i + 100], i) for i in range(0, len(data), 100)),
            json_array.entry_splitter([{"a": 0}]),
        )
    ]
    assert sum(parts) == len(data)
    assert len(parts) > 5
