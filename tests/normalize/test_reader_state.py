"""What reading a log leaves open: named fields, each of which says whether it is pseudonymized."""

import json
from dataclasses import fields, replace

import pytest

from detector.core.settings import Settings
from detector.normalize import pseudonymize
from detector.normalize.reader_state import PSEUDONYMIZED, ReaderState
from detector.normalize.source import FollowReader, Source, empty_batch
from detector.privacy.pseudonyms import Pseudonyms, is_pseudonym
from detector.readers.blocks import last_line_end
from detector.readers.log_input import HeldBytes
from detector.watch import log_position
from detector.watch.log_position import Log

#: A value for every field that tells itself from all others; each may hold a name.
FULL = ReaderState({"eve": "conn7"}, "of eve", "header", "shape", 5)
KEY = bytes(range(64))


def test_every_field_says_whether_it_is_pseudonymized():
    assert {each.name: each.metadata[PSEUDONYMIZED] for each in fields(ReaderState)} == {
        "sessions": "keys",
        "pending": "whole",
        "header": "no",
        "shape": "no",
        "sample_size": "no",
    }
    assert all(
        getattr(FULL, each.name) != getattr(ReaderState(), each.name) for each in fields(FULL)
    )


def test_names_are_mapped_where_a_field_says_so_and_nowhere_else():
    made = FULL.map_names(str.upper, lambda text: text[::-1])
    assert made == ReaderState({"EVE": "conn7"}, "eve fo", "header", "shape", 5)
    assert ReaderState().map_names(str.upper, lambda _: "x") == ReaderState()


def test_what_goes_to_disk_and_what_comes_back_is_the_same():
    for state in (FULL, ReaderState(), ReaderState({"sessions": "1", "pending": "2"})):
        assert ReaderState.from_dict(json.loads(json.dumps(state.to_dict()))) == state
        log = Log(1, "/a", 2, 3, "csv", "growing", tail=state)
        assert log_position.decode(log_position.encode(log)) == log


def test_a_state_of_before_is_read():
    before = {"held": "of eve", "header": "h", "shape": "s", "seen": "5", "eve": "conn7"}
    assert ReaderState.from_dict(before) == ReaderState({"eve": "conn7"}, "of eve", "h", "s", 5)
    assert ReaderState.from_dict({"sessions": "7"}) == ReaderState({"sessions": "7"})


@pytest.mark.parametrize("raw", [{"sessions": {}, "held": 1}, {"sessions": 1}, {"seen": "many"}])
def test_a_state_that_says_something_else_is_none(raw):
    with pytest.raises((TypeError, ValueError)):
        ReaderState.from_dict(raw)


def test_the_next_file_gets_sessions_only_and_what_it_says_itself_wins():
    assert FULL.for_next_file() == ReaderState({"eve": "conn7"})
    assert FULL.without_pending() == replace(FULL, pending="")
    after = FULL.after(ReaderState({"eve": "conn1", "bob": "conn2"}, "other", "other"))
    assert after == replace(FULL, sessions={"eve": "conn7", "bob": "conn2"})


@pytest.mark.parametrize("name", ["held", "header", "shape", "seen", "pending", "sessions"])
def test_pseudonyms_cover_what_is_kept_and_the_reader_gets_it_back(name):
    """Whatever a person is called: once a user ``held`` was taken for what is held back."""
    got = []
    full = replace(FULL, sessions={name: "conn7"})

    def read(log, settings, tail):
        del log, settings
        got.append(tail)
        yield empty_batch(full)

    def close(settings, tail):
        del settings
        got.append(tail)
        return empty_batch(full)

    follow = FollowReader(last_line_end, read, close)
    plain = Source("a", "", lambda *_: True, read, lambda *_: {}, follow_reader=follow)
    source = pseudonymize.wrap_source(plain, Pseudonyms.from_key(KEY))
    for given in (source.read, source.follow_reader.read):
        (batch,) = given(HeldBytes(b""), Settings(), ReaderState())
        assert is_pseudonym(batch.tail.pending)
        assert [is_pseudonym(each) for each in batch.tail.sessions] == [True]
        assert list(batch.tail.sessions.values()) == ["conn7"]
        assert "eve" not in json.dumps(batch.tail.to_dict())
        list(given(HeldBytes(b""), Settings(), batch.tail))
        assert got[-1] == full
        assert source.follow_reader.close(Settings(), batch.tail).tail.header == "header"
        assert got[-1] == full
