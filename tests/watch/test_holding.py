"""What a stopped watcher has and the ledger has not is counted by nobody else meanwhile."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from watched import Kit, append, as_lines, counted, events_on

from detector import registry
from detector.core.errors import LedgerError
from detector.ledger import lease
from detector.ledger.ingest import IngestResult, ingest
from detector.ledger.store import Ledger
from detector.normalize.format_detection import detect
from detector.readers.log_input import LocalFile
from detector.watch.ledger_lease import LedgerLease
from detector.watch.log_position import Log

ROOT = Path(__file__).parents[2]
SOME = events_on(datetime(2024, 2, 5, 8, tzinfo=UTC), 300, timedelta(minutes=9))
PATIENCE = 120


pytestmark = pytest.mark.usefixtures("unscored")


def score(kit: Kit) -> IngestResult:
    """What ``score`` does first, with the same logs and ledger."""
    found, _ = detect([LocalFile(kit.logs / "a.ndjson")], registry.sources(), kit.settings)
    ledger = Ledger.open(kit.folder / "ledger", "UTC")
    return ingest(found, ledger, kit.settings, lambda *_: None)


def watch(kit: Kit, *, to_the_end: bool, settle: float = 0.0) -> None:
    """A watcher that reads all there is and stops as the command does."""
    with kit.watching(settle=settle) as watcher:
        holding = LedgerLease(watcher.ledger, watcher.state)
        holding.save()
        if to_the_end:
            watcher.finish()
        else:
            while not watcher.run_cycle().is_idle:
                pass
        holding.release()


def refusal(kit: Kit) -> str:
    with pytest.raises(LedgerError) as error:
        score(kit)
    text = str(error.value)
    assert "\n" not in text
    return text


def test_days_that_a_stopped_watcher_has_keep_others_out(kit: Kit) -> None:
    append(kit.logs / "a.ndjson", as_lines(SOME))
    watch(kit, to_the_end=False)
    words = refusal(kit)
    assert f"the watcher of state {kit.folder / 'state'} has days of 2024-02-05 to 2024-02" in words
    assert f"detector watch LOG --once --state {kit.folder / 'state'}" in words
    assert f"if that state is gone, delete {kit.folder / 'ledger' / 'watched.json'}" in words
    watch(kit, to_the_end=True)
    assert [file.state for file in score(kit).files] == ["known"]


def test_what_a_killed_watcher_has_keeps_others_out_from_the_first_event_on(kit: Kit) -> None:
    append(kit.logs / "a.ndjson", as_lines(SOME))
    with kit.watching() as watcher:
        LedgerLease(watcher.ledger, watcher.state).save()
        watcher.run_cycle()
    assert "not in the ledger yet" in refusal(kit)


def test_another_state_on_the_same_ledger_is_refused(kit: Kit) -> None:
    append(kit.logs / "a.ndjson", as_lines(SOME))
    watch(kit, to_the_end=False)
    ledger = Ledger.open(kit.folder / "ledger", "UTC")
    with pytest.raises(LedgerError, match="would count twice"), ledger.write_lock("another"):
        pass
    own = lease.load(ledger.path)
    assert own is not None
    with ledger.write_lock(own.state):
        pass


def test_a_log_that_is_not_at_its_end_keeps_others_out_when_its_days_are_in(kit: Kit) -> None:
    append(kit.logs / "a.ndjson", as_lines(SOME))
    with kit.watching() as watcher:
        holding = LedgerLease(watcher.ledger, watcher.state)
        while not watcher.run_cycle().is_idle:
            pass
        watcher.commits.commit(sorted(watcher.open_days.parts))
        assert not watcher.open_days.parts
        holding.release()
    assert "has logs that it read and that the ledger does not know yet" in refusal(kit)
    watch(kit, to_the_end=True)
    assert [file.state for file in score(kit).files] == ["known"]


def test_a_log_that_grew_after_its_end_keeps_others_out_again(kit: Kit) -> None:
    append(kit.logs / "a.ndjson", as_lines(SOME[:100]))
    watch(kit, to_the_end=True)
    append(kit.logs / "a.ndjson", as_lines(SOME[100:]))
    watch(kit, to_the_end=False)
    assert "would count twice" in refusal(kit)
    watch(kit, to_the_end=True)
    assert [file.state for file in score(kit).files] == ["known"]
    with kit.watching() as watcher:
        assert counted(watcher) == SOME.height


def test_a_watcher_that_read_nothing_keeps_nobody_out(kit: Kit) -> None:
    watch(kit, to_the_end=False)
    append(kit.logs / "a.ndjson", as_lines(SOME))
    assert score(kit).events == SOME.height


def test_a_damaged_hold_is_named(kit: Kit) -> None:
    append(kit.logs / "a.ndjson", as_lines(SOME))
    watch(kit, to_the_end=False)
    path = kit.folder / "ledger" / lease.FILE_NAME
    good = json.loads(path.read_text(encoding="utf-8"))
    for bad in ("", "{}", json.dumps({**good, "days": ["soon"]})):
        path.write_text(bad, encoding="utf-8")
        words = refusal(kit)
        assert str(path) in words
        assert "delete" in words


def command(folder: Path, name: str, *more: str) -> list[str]:
    return [
        sys.executable, "-c", "from detector.cli.main import run; run()", name,
        str(folder / "logs"), "--ledger", str(folder / "ledger"),
        "--model", str(ROOT / "models" / "agency"),
        "--settings", str(ROOT / "data" / "sample" / "agency" / "detector.toml"), *more,
    ]  # fmt: skip


def run(folder: Path, name: str, *more: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        command(folder, name, *more), cwd=folder, capture_output=True, text=True, check=False,
        timeout=PATIENCE,
    )  # fmt: skip


@pytest.mark.slow
def test_the_commands_refuse_and_say_how_to_mend(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "a.ndjson"
    append(log, as_lines(SOME))
    os.utime(log, (1.7e9, 1.7e9))
    with subprocess.Popen(
        command(tmp_path, "watch"), cwd=tmp_path, stderr=subprocess.DEVNULL
    ) as process:
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            with suppress(OSError, ValueError):
                if (
                    json.loads((tmp_path / "state/status.json").read_text(encoding="utf-8"))[
                        "events"
                    ]
                    == SOME.height
                ):
                    break
            time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
    refused = [run(tmp_path, "score"), run(tmp_path, "watch", "--once", "--state", "other")]
    for done in refused:
        assert done.returncode == 1
        assert "Traceback" not in done.stderr
        assert "would count twice" in done.stderr.splitlines()[-1]
    assert run(tmp_path, "watch", "--once").returncode == 0
    done = run(tmp_path, "score")
    assert done.returncode == 0, done.stderr
    assert "1 file known" in done.stderr
    hours = Ledger.open(tmp_path / "ledger", None).hours()
    assert int(hours["statements"].sum()) == SOME.height


READ = Log(1, "a.ndjson", 1, 1, "ndjson", "growing", position=90, events=3)


@pytest.mark.parametrize(
    ("log", "owes"),
    [
        (READ, True),
        (replace(READ, listed=True), False),
        (replace(READ, stage="ended", unhashed=True), True),
        (replace(READ, stage="ended", content="1f"), True),
        (replace(READ, stage="ended", content="1f", listed=True), False),
        # Without a hash, the ledger cannot name it, now or ever.
        (replace(READ, stage="ended"), False),
        (replace(READ, stage="copy"), False),
        (replace(READ, form="pipe"), False),
        (replace(READ, events=0), False),
    ],
    ids=lambda part: part if isinstance(part, bool) else f"{part.stage} {part.form}",
)
def test_a_log_that_the_ledger_does_not_name_yet_keeps_others_out_even_once_it_has_ended(
    tmp_path: Path, log: Log, owes: bool
) -> None:
    """Batch would take it for new, though all of its days are in the ledger."""
    ledger = Ledger.open(tmp_path / "ledger", "UTC")
    state = SimpleNamespace(
        logs=lambda: [log], facts=lambda: {"id": "mine"}, days=list, folder=tmp_path / "state"
    )
    LedgerLease(ledger, state).release()
    held = lease.load(ledger.path)
    assert (held and held.logs) == (1 if owes else None)
