"""The loop around a watcher: signals, models that change, health, and word of how it stands."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from types import FrameType
from typing import Any, Final

from detector.alerts import feature_drift
from detector.alerts.alert import Alert
from detector.core.errors import DetectorError
from detector.detection.pipeline import Pipeline
from detector.watch import status
from detector.watch.health import Health, log_alert
from detector.watch.systemd import notify
from detector.watch.watcher import Cycle, Watcher

#: Seconds between two looks for something to read while there is nothing.
IDLE_SECONDS: Final = 0.1
#: Seconds between two words of how it stands, and two looks at health and at the model.
STATUS_SECONDS: Final = 2.0
CHECK_SECONDS: Final = 5.0

#: Of one event of the service: its name, words for people, and figures.
Reporter = Callable[[str, str, Mapping[str, Any]], None]


@dataclass(frozen=True, slots=True)
class Reload:
    """What settings and model are now. ``apply`` puts into force what is not the judging's."""

    pipeline: Pipeline
    description: str
    apply: Callable[[], None]


@dataclass(slots=True)
class Service:
    """``reload`` reads settings, model and keys as they are now, and raises DetectorError where any
    of them cannot be used; ``model`` is the model's folder. ``on_alerts`` is told of new alerts,
    ``on_status`` of how it stands.
    """

    watcher: Watcher
    health: Health
    reload: Callable[[], Reload]
    model_folder: Path
    report: Reporter
    on_alerts: Callable[[Sequence[Alert]], None]
    on_status: Callable[[dict[str, Any]], None]
    stop: threading.Event = field(default_factory=threading.Event)
    reload_event: threading.Event = field(default_factory=threading.Event)
    _model_stamp: float = 0.0
    _status_time: float = 0.0
    _check_time: float = 0.0
    _events: int = 0
    _rate: float = 0.0
    _drift: str = ""
    _time_zone: status.TimeZoneCheck = field(default_factory=status.TimeZoneCheck)
    _drift_day: date | None = None
    _feature_shifts: set[tuple[str, str]] = field(default_factory=set)

    def run(self) -> None:
        """Until it is told to stop. Raises DetectorError, and sqlite3.Error."""
        self._model_stamp = _model_time(self.model_folder)
        self._status_time = time.monotonic()
        with _handle_signals(self.stop, self.reload_event):
            notify("READY=1", "STATUS=following")
            while not self.stop.is_set() and not self.watcher.is_over:
                done = self.watcher.run_cycle()
                self._after_cycle(done)
                if done.is_idle and not done.alerts:
                    self.stop.wait(IDLE_SECONDS)
            notify("STOPPING=1")
        words = self._finish()
        self._write_status(time.monotonic())
        self.report("stopped", words, {})

    def _finish(self) -> str:
        """The last of what cannot be read again; how it ended, in words."""
        while self.watcher.stop_streams():
            self._after_cycle(self.watcher.run_cycle())
        if self.stop.is_set():
            return "stopped; what was read is kept"
        self._emit_alerts(self.watcher.finish())
        self._check_health()
        return "standard input has ended; all of it is in the ledger"

    def _after_cycle(self, done: Cycle) -> None:
        self._events += done.events
        self._emit_alerts(done.alerts)
        for words in self.watcher.take_notices():
            self.report("log", words, {})
        now = time.monotonic()
        if now - self._status_time >= STATUS_SECONDS:
            self._write_status(now)
        if now - self._check_time >= CHECK_SECONDS or self.reload_event.is_set():
            self._check_time = now
            self._run_checks()

    def _emit_alerts(self, alerts: Sequence[Alert]) -> None:
        if alerts:
            self.on_alerts(alerts)

    def _write_status(self, now: float) -> None:
        self._rate = self._events / max(now - self._status_time, 1e-9)
        self._events, self._status_time = 0, now
        wrong = self.health.conditions.current
        found = status.snapshot(self.watcher, self._rate, time.time(), wrong)
        found["timezone_doubt"] = self._time_zone.doubt or None
        status.write(self.watcher.state.folder, found)
        self.on_status(found)
        words = f"{found['events_per_second']:g} events/s, {found['lag_bytes']} bytes behind"
        notify("WATCHDOG=1", f"STATUS={words}")

    def _run_checks(self) -> None:
        self._check_model()
        self._check_health()
        self._check_rate()
        if words := self._time_zone.check(self.watcher):
            self.report("timezone", words, {})
        self._check_features()

    def _check_features(self) -> None:
        """Once for each day that was scored: which features are not as in training."""
        newest = max(self.watcher.scorer.drift_counts, default=None)
        if newest == self._drift_day:
            return
        self._drift_day = newest
        judging = self.watcher.scorer.pipeline
        counts = list(self.watcher.scorer.drift_counts.values())
        moves = feature_drift.find_shifts(counts, judging.model, judging.families)
        moved = [each.to_dict() for each in moves]
        names = {(each.entity_kind, each.feature) for each in moves}
        if names - self._feature_shifts:
            words = " ".join(line.strip() for line in feature_drift.report_lines(moves))
            self.report("features", words, {"moved_features": moved})
        self._feature_shifts = names

    def _check_health(self) -> None:
        self._emit_alerts(raise_health_alerts(self.watcher, self.health, time.time()))

    def _check_model(self) -> None:
        """What is new is taken over once all of it was checked; what is bad is said, and changes
        nothing.
        """
        stamp = _model_time(self.model_folder)
        if stamp == self._model_stamp and not self.reload_event.is_set():
            return
        self.reload_event.clear()
        self._model_stamp = stamp
        kept = self.watcher.scorer.pipeline.model.id
        try:
            new = self.reload()
        except DetectorError as error:
            words = f"{error}; nothing was changed, model {kept} goes on"
            self.report("model", words, {"model": kept})
            return
        new.apply()
        self.watcher.scorer.use_pipeline(new.pipeline)
        own = self.health.model = new.pipeline.model.id
        words = f"model {own} goes on" if own == kept else f"model {own} in place of {kept}"
        self.report("model", f"{words}; {new.description}", {"model": own})

    def _check_rate(self) -> None:
        """Whether alerts come at another rate than was promised."""
        rate = status.recent_rate(self.watcher)
        words = rate.drift_warning()
        if words and words != self._drift:
            self.report("drift", words, rate.to_dict())
        self._drift = words


def raise_health_alerts(watcher: Watcher, health: Health, now: float) -> list[Alert]:
    """The alerts of what is newly wrong with logs, kept for the sinks."""
    known = {alert["id"] for alert in watcher.alerts}
    logs = watcher.logs
    found = health.check(logs, now)
    found += [
        log_alert(each.name, each.what, each.words, now, health.model, each.once)
        for each in health.conditions.new_conditions(
            logs,
            health.silent_after,
            watcher.tracker.unread_bytes(),
            watcher.tracker.denied_files,
            status.doubts(watcher, health.most_unknown),
        )
    ]
    found += health.new_account_alerts(watcher.new_accounts, now)
    new = [each for each in found if each["id"] not in known]
    if new:
        watcher.add_alerts(new)
    return new


def _model_time(model: Path) -> float:
    """When the model folder was written."""
    try:
        return (model / "model.json").stat().st_mtime
    except OSError:
        return 0.0


def heeded(stack: ExitStack) -> threading.Event:
    """SIGHUP from now on: set where the service is to read model and settings anew once it runs.

    The handler of before is back once ``stack`` ends.
    """
    hup = threading.Event()
    if threading.current_thread() is threading.main_thread():
        before = signal.signal(signal.SIGHUP, lambda *_: hup.set())
        stack.callback(signal.signal, signal.SIGHUP, before)
    return hup


@contextmanager
def _handle_signals(stop: threading.Event, hup: threading.Event) -> Iterator[None]:
    """SIGTERM and SIGINT stop; SIGHUP reads model and settings anew."""

    def ask(number: int, frame: FrameType | None) -> None:
        del frame
        (hup if number == signal.SIGHUP else stop).set()

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, ask)
              for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}  # fmt: skip
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
