"""Who is behind a connection of MongoDB: as long as it is open, in this file and in later ones."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from detector.core.settings import Settings
from detector.normalize.reader_state import ReaderState
from detector.readers.log_input import LocalFile
from detector.sources.mongodb import log

START = datetime(2024, 2, 6, 10, tzinfo=UTC)
LOGIN, REFUSED, ENDED, SLOW = 5286306, 5286307, 22944, 51803
READ = {
    "ns": "hr.person", "command": {"find": "person", "$db": "hr"}, "nreturned": 3,
    "remote": "10.1.2.3:51234", "isFromUserConnection": True, "cursorExhausted": True,
}  # fmt: skip


def entry(second: int, number: int, connection: int, **attributes: object) -> str:
    return json.dumps({
        "t": {"$date": (START + timedelta(seconds=second)).isoformat(timespec="milliseconds")},
        "s": "I", "c": "COMMAND", "id": number, "ctx": f"conn{connection}",
        "msg": "Slow query" if number == SLOW else "other", "attr": attributes,
    })  # fmt: skip


def login(second: int, connection: int, user: str) -> str:
    return entry(second, LOGIN, connection, user=user, client="10.1.2.3:51234")


def read(second: int, connection: int) -> str:
    return entry(second, SLOW, connection, **READ)


def ended(second: int, connection: int) -> str:
    return entry(second, ENDED, connection, remote="10.1.2.3:51234")


def told(path: Path, lines: list[str], tail: dict[str, str]) -> tuple[list[str], int, dict]:
    """(accounts of the reads, rejects, the tail) of a file that continues others."""
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    batches = list(log.read(LocalFile(path), Settings(), ReaderState(tail)))
    events = pl.concat([batch.events for batch in batches])
    reads = events.filter(pl.col("action") == "read").sort("timestamp")["account"].to_list()
    return reads, sum(batch.rejects.height for batch in batches), batches[-1].tail.sessions


@pytest.mark.parametrize("cut", [None, 2, 3, 4])
def test_a_user_does_not_outlive_its_connection(tmp_path, cut):
    """The server gives the number of a connection again after a restart: to somebody else."""
    lines = [
        login(0, 1, "alice"), read(1, 1), ended(2, 1), read(3, 1), login(4, 1, "bob"), read(5, 1),
    ]  # fmt: skip
    first, second = (lines, []) if cut is None else (lines[:cut], lines[cut:])
    reads, rejects, tail = told(tmp_path / "a.log", first, {})
    if second:
        more, some, tail = told(tmp_path / "b.log", second, tail)
        reads, rejects = reads + more, rejects + some
    assert (reads, rejects) == (["alice", "bob"], 1)
    assert tail == {"bob": "conn1"}


def test_of_a_connection_that_ended_nothing_is_handed_on(tmp_path):
    lines = [login(0, 1, "alice"), login(1, 2, "bob"), ended(2, 1)]
    assert told(tmp_path / "a.log", lines, {"carl": "conn3"})[2] == {
        "carl": "conn3",
        "bob": "conn2",
    }


def test_a_login_that_was_refused_makes_nobody_known(tmp_path):
    lines = [entry(0, REFUSED, 1, user="eve"), read(1, 1), login(2, 2, "bob"),
             entry(3, REFUSED, 2, user="eve"), read(4, 2)]  # fmt: skip
    assert told(tmp_path / "a.log", lines, {}) == (["bob"], 1, {"bob": "conn2"})


def test_of_too_many_connections_those_that_logged_in_last_are_handed_on(tmp_path, monkeypatch):
    monkeypatch.setattr(log, "_MAX_CONNECTIONS", 2)
    lines = [login(n, n, f"user{n}") for n in (1, 2, 3)] + [login(4, 1, "anew")]
    assert told(tmp_path / "a.log", lines, {})[2] == {"user3": "conn3", "anew": "conn1"}


def test_a_log_that_is_followed_knows_who_ended_too(tmp_path):
    tail = ReaderState()
    for number, line in enumerate([login(0, 1, "alice"), ended(1, 1), login(2, 2, "bob")]):
        path = tmp_path / f"{number}.log"
        path.write_text(line + "\n", encoding="utf-8")
        tail = list(log.follow(LocalFile(path), Settings(), tail))[-1].tail
    assert json.loads(tail.pending)["users"] == {"conn2": "bob"}


@pytest.mark.parametrize("name", ["held", "header", "shape", "seen", "sessions", "pending"])
def test_a_user_may_be_called_like_what_the_reader_keeps(tmp_path, name):
    """Who called himself ``held`` was once taken for it: the next file could not be read."""
    reads, _, tail = told(tmp_path / "a.log", [login(0, 1, name), read(1, 1)], {})
    more, rejects, _ = told(tmp_path / "b.log", [read(2, 1)], tail)
    assert (reads, more, rejects) == ([name], [name], 0)
