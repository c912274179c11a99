"""What a watcher reads and what ``score`` takes in: the same statements count once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from watched import Kit, append, as_lines, counting_kit, events_on, statements

from detector import registry
from detector.ledger.ingest import ingest
from detector.ledger.store import Ledger
from detector.readers.log_input import LocalFile
from detector.watch import duplicate_statements, status

START = datetime(2024, 3, 4, 8, tzinfo=UTC)


@pytest.fixture
def kit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kit:
    return counting_kit(tmp_path, monkeypatch)


def score(kit: Kit, path: Path) -> str:
    ledger = Ledger.open(kit.folder / "ledger", "UTC")
    files = [(LocalFile(path), registry.sources()["ndjson"])]
    return ingest(files, ledger, kit.settings, lambda *_: None).files[0].warning


def total(kit: Kit) -> int:
    return statements(Ledger.open(kit.folder / "ledger", "UTC").hours())


def test_a_log_that_grew_after_watch_once_counts_once_in_score(kit: Kit) -> None:
    path = kit.logs / "audit.ndjson"
    bad = b'{"timestamp": "never"}\n'
    append(path, as_lines(events_on(START, 400, timedelta(seconds=30))) + bad)
    with kit.watching() as watcher:
        watcher.finish()
    assert total(kit) == 400
    later = START + timedelta(seconds=30 * 400)
    append(path, as_lines(events_on(later, 100, timedelta(seconds=30))) + bad)
    assert "detector watch read its beginning: 400 statements" in score(kit, path)
    assert total(kit) == 500
    append(path, as_lines(events_on(later + timedelta(hours=5), 50, timedelta(seconds=30))))
    assert "400 statements" in score(kit, path)
    assert total(kit) == 550
    assert score(kit, path) == ""
    ledger = Ledger.open(kit.folder / "ledger", "UTC")
    assert ledger.rejects([part.id for part in ledger.parts()]).collect().height == 2


def test_score_then_watch_then_score(kit: Kit) -> None:
    path = kit.logs / "audit.ndjson"
    spans = [as_lines(events_on(START + timedelta(hours=n), 60, timedelta(seconds=50)))
             for n in range(3)]  # fmt: skip
    append(path, spans[0])
    score(kit, path)
    append(path, spans[1])
    with kit.watching() as watcher:
        watcher.finish()
    assert total(kit) == 120
    append(path, spans[2])
    score(kit, path)
    assert total(kit) == 180
    hours = Ledger.open(kit.folder / "ledger", "UTC").hours()
    assert (
        hours.group_by("hour").agg(pl.col("statements").sum())["statements"].to_list() == [60] * 3
    )


def people(first: int, last: int, account: str = "p") -> bytes:
    """Hours of five people who read two hundred times an hour."""
    events = pl.concat(
        events_on(START + timedelta(hours=n), 200, timedelta(seconds=17))
        for n in range(first, last)
    )
    named = pl.int_range(events.height) * 7919 % 5
    return as_lines(events.with_columns(account=pl.lit(account) + named.cast(pl.String)))


@pytest.mark.parametrize("whole", [False, True])
def test_dumps_that_overlap_count_once_and_that_is_told(kit: Kit, whole: bool) -> None:  # noqa: FBT001
    def put(name: str, data: bytes) -> None:
        if whole:
            pl.read_ndjson(data).write_parquet(kit.logs / f"{name}.parquet")
        else:
            append(kit.logs / f"{name}.ndjson", data)

    put("first", people(0, 12))
    with kit.watching() as watcher:
        watcher.finish()
        put("other", people(4, 12, "q"))  # of the same hours, by others
        put("second", people(6, 20))
        watcher.finish()
        counts = {Path(log.path).stem: log.events for log in watcher.tracker.logs.values()}
        told = {Path(c.name).stem: c.words for c in status.doubts(watcher, 0.2)}
    assert total(kit) == 200 * (20 + 8)
    assert counts == {"first": 2400, "other": 1600, "second": 1600}
    assert told.keys() == {"second"}
    assert "1,200 statements of it were counted before" in told["second"]


def test_two_dumps_that_come_at_once_count_once(kit: Kit) -> None:
    for name, first, last in (("a", 0, 12), ("b", 6, 20)):
        append(kit.logs / f"{name}.ndjson", people(first, last))
        pl.read_ndjson(people(first + 30, last + 30)).write_parquet(kit.logs / f"{name}.parquet")
    with kit.watching() as watcher:
        watcher.finish()
    assert total(kit) == 2 * 20 * 200


def test_what_cannot_be_told_is_told(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of hours that are read in many pieces, none is whole in one."""
    monkeypatch.setattr(duplicate_statements, "MIN_UNCLEAR_SUMS", 3)
    monkeypatch.setattr(duplicate_statements, "MIN_SUMS", 3)
    append(kit.logs / "first.ndjson", people(0, 1))
    with kit.watching() as watcher:
        watcher.finish()
        again = pl.read_ndjson(people(0, 1))[20:150]
        append(kit.logs / "second.ndjson", as_lines(again.select(reversed(again.columns))))
        watcher.finish()
        (told,) = status.doubts(watcher, 0.2)
    assert "cannot be told" in told.words


def test_a_live_log_beside_another_is_not_taken_for_it(kit: Kit) -> None:
    lines = [people(0, 4), people(0, 4, "q")]
    with kit.watching() as watcher:
        for nth in range(4):
            for name, data in zip("ab", lines, strict=True):
                rows = data.splitlines(keepends=True)[200 * nth : 200 * (nth + 1)]
                append(kit.logs / f"{name}.ndjson", b"".join(rows))
                watcher.run_cycle()
        watcher.finish()
        assert status.doubts(watcher, 0.2) == []
    assert total(kit) == 1600
