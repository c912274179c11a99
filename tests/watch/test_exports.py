"""Exports with an entry a line are followed while they grow; other forms are read once complete."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from watched import Kit, append, counted

from detector.normalize.statement_merge import StatementMerger

DATA = Path(__file__).parents[1] / "data"
#: Never long ago enough.
SETTLE = 1e12


def entry(minute: int, **more: object) -> dict[str, object]:
    """A record that somebody opened."""
    time = datetime(2024, 3, 4, 10, minute, tzinfo=UTC).isoformat()
    return {"time": time, "user": "alice", "person_id": str(minute), "operation": "view", **more}


def line(minute: int, **more: object) -> bytes:
    return json.dumps(entry(minute, **more)).encode() + b"\n"


@pytest.fixture
def log(kit: Kit) -> Path:
    return kit.logs / "views.ndjson"


def statements(watcher) -> int:
    while not watcher.run_cycle().is_idle:
        pass
    return counted(watcher)


def test_lines_count_while_the_file_is_written(kit: Kit, log: Path) -> None:
    append(log, line(1) + line(2) + line(3)[:-9])
    with kit.watching(settle=SETTLE) as watcher:
        assert statements(watcher) == 2
        append(log, line(3)[-9:] + line(4))
        assert statements(watcher) == 4
    append(log, line(5))
    with kit.watching(settle=SETTLE) as watcher:
        assert statements(watcher) == 5
        assert [each.form for each in watcher.tracker.logs.values()] == ["growing"]


def test_a_whole_object_needs_no_newline_and_what_follows_stands_on_the_next_line(
    kit: Kit, log: Path
) -> None:
    append(log, line(1) + line(2)[:-1])
    with kit.watching(settle=SETTLE) as watcher:
        assert statements(watcher) == 2
        append(log, b"\n" + b"no json\n" + line(4))
        assert statements(watcher) == 3
        watcher.finish()
        rejects = watcher.ledger.rejects([part.id for part in watcher.ledger.parts()]).collect()
    assert rejects.select("line", "reason").rows() == [(3, "is not valid JSON")]


def test_keys_that_come_later_are_known_from_then_on(kit: Kit, log: Path) -> None:
    append(log, line(1) + line(2))
    with kit.watching(settle=SETTLE) as watcher:
        assert statements(watcher) == 2
        append(log, line(3, ip="10.0.0.7"))
        assert statements(watcher) == 3
        touched = [each.touched for sums in watcher.open_days.parts.values() for each in sums]
    addresses = {
        value
        for each in touched
        for dimension, value in each.select("dimension", "value").rows()
        if dimension == "client_address"
    }
    assert addresses == {"10.0.0.7"}


def test_files_of_one_folder_are_followed_side_by_side(kit: Kit, log: Path) -> None:
    other = log.with_name("others.ndjson")
    append(log, line(1))
    append(other, line(2))
    with kit.watching(settle=SETTLE) as watcher:
        assert statements(watcher) == 2
        append(log, line(3))
        append(other, line(4))
        assert statements(watcher) == 4


def granted(second: int, request: str, index: str) -> bytes:
    """An entry of Elasticsearch's audit log: of each request there are several."""
    entry = {
        "type": "audit", "timestamp": f"2024-03-04T10:{second // 60:02}:{second % 60:02},000+0000",
        "event.type": "transport", "event.action": "access_granted", "user.name": "alice",
        "origin.type": "rest", "origin.address": "10.0.0.7:50000", "request.id": request,
        "action": "indices:data/read/search", "indices": [index],
    }  # fmt: skip
    return json.dumps(entry).encode() + b"\n"


def test_a_statement_of_several_entries_counts_once_when_the_log_has_gone_on_for_a_minute(
    kit: Kit, log: Path
) -> None:
    append(log, granted(0, "one", "person"))
    with kit.watching(settle=SETTLE) as watcher:
        assert statements(watcher) == 0
    append(log, granted(1, "two", "claim") + granted(60, "one", "address"))
    with kit.watching(settle=SETTLE) as watcher:
        assert statements(watcher) == 0
        append(log, granted(121, "three", "person"))
        assert statements(watcher) == 2
        touched = [each.touched for sums in watcher.open_days.parts.values() for each in sums]
        objects = {
            value: int(count)
            for each in touched
            for dimension, value, count in each.select("dimension", "value", "statements").rows()
            if dimension == "object"
        }
        assert objects == {"person": 1, "address": 1, "claim": 1}
        # Of a request of the same name, much later, nothing is left to be joined with.
        append(log, granted(122, "one", "person") + granted(183, "four", "person"))
        assert statements(watcher) == 4


def test_what_is_held_back_has_no_literal(kit: Kit, log: Path) -> None:
    entry = {
        "event_time": "2024-03-04 10:00:00.000000", "action_id": "SL", "succeeded": "true",
        "server_principal_name": "alice", "session_id": 7, "object_name": "person",
        "statement": "select * from person where name = 'SECRET-4711'", "sequence_number": 1,
    }  # fmt: skip
    append(log, json.dumps(entry).encode() + b"\n")
    with kit.watching(settle=SETTLE) as watcher:
        assert statements(watcher) == 0
        (followed,) = watcher.tracker.logs.values()
    held = str(StatementMerger.decode(followed.tail.pending).pending.rows())
    assert "alice" in held
    assert "SECRET" not in held


@pytest.mark.parametrize(
    "data",
    [
        json.dumps([entry(1), entry(2)], indent=1).encode(),
        b"time,user,person_id\n2024-03-04T10:00:00Z,alice,1\n2024-03-04T10:01:00Z,alice,2\n",
        (DATA / "cloudtrail_s3" / "trail.json").read_bytes(),
    ],
    ids=["array", "csv", "under a key"],
)
def test_other_forms_wait_until_they_are_complete(kit: Kit, log: Path, data: bytes) -> None:
    append(log, data)
    with kit.watching(settle=SETTLE) as watcher:
        assert statements(watcher) == 0
    with kit.watching(settle=0) as watcher:
        assert statements(watcher) > 0
        assert [each.form for each in watcher.tracker.logs.values()] == ["whole"]
