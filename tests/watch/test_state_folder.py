"""The state folder: one watcher at a time, and nothing that was altered is used."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from watched import LATER, Kit, append, as_csv, as_lines, counted, events_on

from detector.core.errors import LedgerError, StateError
from detector.delivery.outbox.schema import FILE
from detector.watch import commit
from detector.watch.day_scoring import DayScorer
from detector.watch.health import log_alert
from detector.watch.ledger_commits import LedgerCommits
from detector.watch.state import State

SOME = events_on(datetime(2024, 3, 4, 8, tzinfo=UTC), 300, timedelta(minutes=17))


pytestmark = pytest.mark.usefixtures("unscored")


@pytest.fixture
def used(kit: Kit) -> Kit:
    """A state with logs, sums, rejects, facts and an alert."""
    append(kit.logs / "a.ndjson", as_lines(SOME) + b"no json\n")
    with kit.watching() as watcher:
        while not watcher.run_cycle().is_idle:
            pass
        watcher.add_alerts([log_alert("a.ndjson", "silent", "no event", LATER, "m")])
    return kit


def refused(folder: Path) -> str:
    with pytest.raises(StateError) as error:
        said(folder)
    text = str(error.value)
    assert "\n" not in text
    assert str(folder) in text
    return text


def test_a_second_watcher_is_refused_in_one_line(used: Kit) -> None:
    with used.watching():
        words = refused(used.folder / "state")
    assert "another detector watch has this state" in words


def test_a_watcher_in_another_process_is_noticed(used: Kit) -> None:
    code = f"""
from pathlib import Path
from detector.watch.health import log_alert
from detector.watch.state import State
from detector.core.errors import StateError
try:
    State.open(Path({str(used.folder / "state")!r}))
except StateError as error:
    print(error)
"""
    with used.watching():
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=False
        )
    assert "another detector watch" in done.stdout


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE watch_facts SET value = value || ' ' WHERE key = 'dirty'",
        "UPDATE watch_logs SET body = replace(body, '\"position\": ', '\"position\": 1')",
        "UPDATE watch_sums SET day = '2024-03-05'",
        "UPDATE watch_sums SET hours = touched",
        "UPDATE watch_rejects SET body = x'00'",
        "UPDATE alerts SET body = replace(body, '2031', '2030')",
        "UPDATE alerts SET body = ''",
        "UPDATE alerts SET id = 'x'",
    ],
)
def test_what_was_altered_is_named_and_not_used(used: Kit, change: str) -> None:
    with closing(sqlite3.connect(used.folder / "state" / FILE)) as database, database:
        database.execute(change)
    assert "was altered" in refused(used.folder / "state")


def test_a_database_that_was_overwritten_anywhere_is_refused_or_says_the_same(used: Kit) -> None:
    folder = used.folder / "state"
    path = folder / FILE
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    good = path.read_bytes()
    wanted = said(folder)
    refusals = 0
    for place in [*range(0, 100, 16), *range(100, len(good), 1499)]:
        path.write_bytes(good[:place] + b"\xa5" * 64 + good[place + 64 :])
        try:
            assert said(folder) == wanted
        except StateError:
            refusals += 1
    assert refusals > 10


def said(folder: Path) -> object:
    with State.open(folder) as state:
        return (
            state.facts(), state.logs(), state.rejects().rows(), state.alerts(),
            [(each.seq, each.hours.rows(), each.touched.rows()) for each in state.sums()],
        )  # fmt: skip


def test_a_log_of_the_database_that_was_cut_loses_nothing_that_was_on_disk(used: Kit) -> None:
    """SQLite's own checksums end its WAL at the first frame that is not whole: what is missing is
    read from the logs again.
    """
    path = used.folder / "state" / FILE
    append(used.logs / "a.ndjson", as_lines(SOME))
    wal = path.with_name(f"{FILE}-wal")
    with used.watching() as watcher:
        while not watcher.run_cycle().is_idle:
            pass
        kept = wal.read_bytes()
        base = path.read_bytes()
    path.write_bytes(base)
    wal.write_bytes(kept[: len(kept) - 5000])
    path.with_name(f"{FILE}-shm").unlink(missing_ok=True)
    with used.watching() as watcher:
        while not watcher.run_cycle().is_idle:
            pass
        assert counted(watcher) == 2 * SOME.height


def test_a_newer_state_is_refused(used: Kit) -> None:
    from detector.watch.state import save_facts

    with State.open(used.folder / "state") as state, state.transaction() as rows:
        save_facts(rows, {"version": "2"})
    assert "update detector" in refused(used.folder / "state")


def test_another_program_s_database_is_refused(tmp_path: Path) -> None:
    tmp_path.joinpath("state").mkdir()
    with closing(sqlite3.connect(tmp_path / "state" / FILE)) as database, database:
        database.execute("CREATE TABLE theirs (a)")
    assert "another program's" in refused(tmp_path / "state")


@pytest.mark.parametrize("when", ["before the manifest", "after the manifest"])
def test_a_kill_while_days_go_into_the_ledger_doubles_nothing(
    kit: Kit, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    append(kit.logs / "a.csv", as_csv(SOME))

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    if when == "before the manifest":
        monkeypatch.setattr("detector.ledger.store.Ledger.commit", killed)
    else:
        monkeypatch.setattr(LedgerCommits, "_drop_committed", killed)
    with pytest.raises(KeyboardInterrupt), kit.watching() as watcher:
        watcher.finish()
    monkeypatch.undo()
    monkeypatch.setattr(DayScorer, "score_complete", lambda *_, **__: [])
    with kit.watching() as watcher:
        assert counted(watcher) == SOME.height
        watcher.finish()
        assert counted(watcher) == SOME.height
        assert not watcher.open_days.parts


def test_sealed_parts_bear_the_state_s_name_and_number() -> None:
    ids = {commit.part_id(state, number) for state in ("a", "b") for number in (0, 1)}
    assert len(ids) == 4


def test_batch_is_kept_out_of_a_ledger_that_is_watched(used: Kit) -> None:
    refusal = pytest.raises(LedgerError, match="another detector")
    with used.watching() as watcher, refusal, watcher.ledger.write_lock():
        pass
