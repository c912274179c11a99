"""A watcher over a test's folder, a batch run over the same logs, and what both agree in."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import polars as pl
import pytest

from detector import registry
from detector.alerts.alert import Alert
from detector.alerts.episode_history import EpisodeHistory
from detector.core.schema import DIMENSIONS
from detector.core.settings import Settings
from detector.detection.batch import MAX_ACCOUNTS, score_by_week
from detector.detection.pipeline import Pipeline
from detector.ledger.ingest import ingest
from detector.ledger.store import Ledger
from detector.model.model import Model
from detector.normalize.format_detection import detect
from detector.readers.log_input import LocalFile
from detector.watch.day_scoring import DayScorer
from detector.watch.deduplication import LedgerContents
from detector.watch.log_tracker import LogTracker
from detector.watch.new_files import FileSearch, UnknownFiles
from detector.watch.state import State
from detector.watch.stream_inputs import StreamInput, Streams
from detector.watch.watcher import Watcher

FAMILIES = registry.families()
#: Long after anything that tests write: no day of theirs is today's.
LATER = datetime(2031, 1, 1, tzinfo=UTC).timestamp()


class Clock:
    """A wall clock that goes when it is told."""

    def __init__(self, now: float = LATER) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@dataclass(frozen=True, repr=False)
class Kit:
    """What watchers of a test share; ``folder`` holds state, ledger, out and logs."""

    folder: Path
    model: Model
    settings: Settings
    clock: Clock
    steady: Clock | None = None

    def __repr__(self) -> str:
        return f"Kit({self.folder})"

    @property
    def logs(self) -> Path:
        return self.folder / "logs"

    def clear(self) -> None:
        """As if nothing had been watched or scored: examples of one test share the folder."""
        for part in ("state", "ledger", "logs", "batch", "out"):
            shutil.rmtree(self.folder / part, ignore_errors=True)
        self.logs.mkdir()

    @contextmanager
    def watching(
        self,
        *arguments: str,
        settle: float = 0.0,
        source: str | None = None,
        inlets: Sequence[StreamInput] = (),
    ) -> Iterator[Watcher]:
        with State.open(self.folder / "state") as state:
            ledger = Ledger.open(self.folder / "ledger", self.settings.timezone)
            known = {log.id: log for log in state.logs()}
            before = LedgerContents(ledger.parts(), known, self.settings)
            files = list(arguments) if arguments or inlets else [str(self.logs)]
            looks = FileSearch(files, registry.sources(), self.settings, source, settle)
            shelf = LogTracker(looks, known, UnknownFiles(before), Streams(inlets))
            judging = Pipeline(self.model, None, self.settings, FAMILIES)
            with ledger.write_lock(state.facts()["id"]):
                watcher = Watcher(
                    state, ledger, judging, shelf, self.folder / "out", ("sink",), self.clock, 0.0,
                    self.steady or self.clock,
                )  # fmt: skip
                yield watcher
            watcher.close()
            shelf.close()


@dataclass(frozen=True)
class Outcome:
    """All that batch and watch must agree in."""

    hours: pl.DataFrame
    touched: pl.DataFrame
    rejects: list[tuple[int | None, str]]
    scores: pl.DataFrame
    alerts: list[Alert]

    def demand(self, other: Outcome) -> None:
        assert self.hours.equals(other.hours)
        assert self.touched.equals(other.touched)
        assert self.rejects == other.rejects
        assert self.scores.equals(other.scores)
        assert self.alerts == other.alerts


def _whole(tables: object, days: Sequence) -> tuple[pl.DataFrame, pl.DataFrame]:
    if not days:
        return pl.DataFrame(), pl.DataFrame()
    return tables.hours(days[0], days[-1]), tables.touched(days[0], days[-1], DIMENSIONS)


def _reasons(rejects: pl.DataFrame) -> list[tuple[int | None, str]]:
    return sorted(rejects.select("line", "reason").rows(), key=repr)


def of_batch(kit: Kit, files: Sequence[Path]) -> Outcome:
    """One ``score`` over the files."""
    folder = kit.folder / "batch"
    ledger = Ledger.open(folder, kit.settings.timezone)
    found, _ = detect(list(map(LocalFile, files)), registry.sources(), kit.settings)
    done = ingest(found, ledger, kit.settings, lambda *_: None)
    memory = EpisodeHistory.restore([], [], kit.settings.timezone)
    pipeline = Pipeline(kit.model, None, kit.settings, FAMILIES, history=memory)
    scored = list(score_by_week(pipeline, ledger, done.days, MAX_ACCOUNTS))
    alerts = memory.join_messages([alert for some in scored for alert in some.alerts], done.days)
    return Outcome(
        *_whole(ledger, ledger.days()),
        _reasons(ledger.rejects(done.part_ids).collect()),
        pl.concat([some.scores for some in scored]),
        in_order(alerts),
    )


def in_order(alerts: Iterable[Alert]) -> list[Alert]:
    """By time, whoever raised them."""
    order = ("time", "entity_kind", "entity", "id")
    return sorted(alerts, key=lambda alert: [alert[key] for key in order])


def of_watch(kit: Kit) -> Outcome:
    """What watchers left behind: from their files alone."""
    ledger = Ledger.open(kit.folder / "ledger", None)
    parts = [part.id for part in ledger.parts()]
    files = sorted((kit.folder / "out" / "scores").glob("*.parquet"))
    with State.open(kit.folder / "state") as state:
        assert not state.sums()
        alerts = state.outbox().alerts()
    return Outcome(
        *_whole(ledger, ledger.days()),
        _reasons(ledger.rejects(parts).collect()),
        pl.concat([pl.read_parquet(file) for file in files]),
        in_order({key: each for key, each in alert.items() if key != "raised"} for alert in alerts),
    )


def events_on(first: datetime, count: int, step: timedelta) -> pl.DataFrame:
    """``count`` reads of one record each by three people, every ``step``."""
    return pl.DataFrame(
        {
            "timestamp": [first + n * step for n in range(count)],
            "account": [("ann", "bob", "cy")[n % 3] for n in range(count)],
            "client_address": [f"10.0.0.{n % 5}" for n in range(count)],
            "object": [("person", "claim")[n % 2] for n in range(count)],
            "action": ["read"] * count,
            "rows": list(range(count)),
        }
    )


def morning(first: int, then: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """So many events from eight o'clock on, and so many from nine on."""
    return (
        events_on(datetime(2024, 3, 4, 8, tzinfo=UTC), first, timedelta(seconds=7)),
        events_on(datetime(2024, 3, 4, 9, tzinfo=UTC), then, timedelta(seconds=5)),
    )


def as_lines(events: pl.DataFrame) -> bytes:
    """NDJSON."""
    return events.write_ndjson().encode()


def as_csv(events: pl.DataFrame) -> bytes:
    """CSV with quotes and line breaks in it."""
    named = events.with_columns(account=pl.col("account") + '\n"x", y')
    return named.write_csv().encode()


def statements(tables: pl.DataFrame) -> int:
    return int(tables["statements"].sum())


def counted(watcher: Watcher) -> int:
    """Events in the ledger and the open days."""
    days = watcher.ledger_view.days()
    return statements(watcher.ledger_view.hours(days[0], days[-1])) if days else 0


def append(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        file.write(data)


def counting_kit(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Kit:
    """Where a test is about following alone: nothing is scored, and no model is trained."""
    monkeypatch.setattr(DayScorer, "score_complete", lambda *_, **__: [])
    monkeypatch.setattr(DayScorer, "score_running", lambda *_: [])
    (folder / "logs").mkdir()
    return Kit(folder, _model_that_scores_nothing(), Settings(), Clock())


def _model_that_scores_nothing() -> SimpleNamespace:
    """What a watcher asks of a model beside scores."""
    nobody = pl.DataFrame(schema={"entity_kind": pl.String, "rows_centre": pl.Float64})
    groups = pl.DataFrame(schema={"account": pl.String, "group": pl.String})
    learned = SimpleNamespace(levels=nobody, groups=groups)
    trained = date(2024, 3, 1)
    return SimpleNamespace(id="none", baselines=learned, last_day=trained, alerts_per_day=1.0)
