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
from detector.detection.pipeline import Judging
from detector.watch import status
from detector.watch.health import Health, alert
from detector.watch.systemd import notify
from detector.watch.watcher import Cycle, Watcher

#: Seconds between two looks for something to read while there is nothing.
PAUSE: Final = 0.1
#: Seconds between two words of how it stands, and two looks at health and at the model.
TELL: Final = 2.0
CHECK: Final = 5.0

#: Of one event of the service: its name, words for people, and figures.
Say = Callable[[str, str, Mapping[str, Any]], None]


@dataclass(frozen=True, slots=True)
class Renewed:
    """What settings and model are now. ``take`` puts into force what is not the judging's."""

    judging: Judging
    words: str
    take: Callable[[], None]


@dataclass(slots=True)
class Service:
    """``reload`` reads settings, model and keys as they are now, and raises DetectorError where any
    of them cannot be used; ``model`` is the model's folder. ``rang`` is told of new alerts,
    ``told`` of how it stands.
    """

    watcher: Watcher
    health: Health
    reload: Callable[[], Renewed]
    model: Path
    say: Say
    rang: Callable[[Sequence[Alert]], None]
    told: Callable[[dict[str, Any]], None]
    stop: threading.Event = field(default_factory=threading.Event)
    hup: threading.Event = field(default_factory=threading.Event)
    _seen: float = 0.0
    _told_at: float = 0.0
    _checked: float = 0.0
    _events: int = 0
    _rate: float = 0.0
    _drift: str = ""
    _zone: status.Zone = field(default_factory=status.Zone)
    _counted: date | None = None
    _moved: set[tuple[str, str]] = field(default_factory=set)

    def run(self) -> None:
        """Until it is told to stop. Raises DetectorError, and sqlite3.Error."""
        self._seen = _stamp(self.model)
        self._told_at = time.monotonic()
        with _signals(self.stop, self.hup):
            notify("READY=1", "STATUS=following")
            while not self.stop.is_set() and not self.watcher.shelf.is_over:
                done = self.watcher.cycle()
                self._after(done)
                if done.idle and not done.alerts:
                    self.stop.wait(PAUSE)
            notify("STOPPING=1")
        words = self._end()
        self._tell(time.monotonic())
        self.say("stopped", words, {})

    def _end(self) -> str:
        """The last of what cannot be read again; how it ended, in words."""
        shelf = self.watcher.shelf
        shelf.streams.stop()
        while any(log.form == "pipe" for log in shelf.open_logs()):
            self._after(self.watcher.cycle())
        if self.stop.is_set():
            return "stopped; what was read is kept"
        self._ring(self.watcher.finish())
        self._look_at_health()
        return "standard input has ended; all of it is in the ledger"

    def _after(self, done: Cycle) -> None:
        self._events += done.events
        self._ring(done.alerts)
        for words in self.watcher.shelf.said:
            self.say("log", words, {})
        self.watcher.shelf.said.clear()
        now = time.monotonic()
        if now - self._told_at >= TELL:
            self._tell(now)
        if now - self._checked >= CHECK or self.hup.is_set():
            self._checked = now
            self._look_after()

    def _ring(self, alerts: Sequence[Alert]) -> None:
        if alerts:
            self.rang(alerts)

    def _tell(self, now: float) -> None:
        self._rate = self._events / max(now - self._told_at, 1e-9)
        self._events, self._told_at = 0, now
        wrong = self.health.conditions.now
        found = status.standing(self.watcher, self._rate, time.time(), wrong)
        found["timezone_doubt"] = self._zone.words or None
        status.write(self.watcher.state.folder, found)
        self.told(found)
        words = f"{found['events_per_second']:g} events/s, {found['lag_bytes']} bytes behind"
        notify("WATCHDOG=1", f"STATUS={words}")

    def _look_after(self) -> None:
        self._look_at_model()
        self._look_at_health()
        self._look_at_rate()
        if words := self._zone.look(self.watcher):
            self.say("timezone", words, {})
        self._look_at_features()

    def _look_at_features(self) -> None:
        """Once for each day that was scored: which features are not as in training."""
        newest = max(self.watcher.counts, default=None)
        if newest == self._counted:
            return
        self._counted = newest
        judging = self.watcher.judging
        counts = list(self.watcher.counts.values())
        moves = feature_drift.movements(counts, judging.model, judging.families)
        moved = [each.plain() for each in moves]
        names = {(each.entity_kind, each.feature) for each in moves}
        if names - self._moved:
            words = " ".join(line.strip() for line in feature_drift.words(moves))
            self.say("features", words, {"moved_features": moved})
        self._moved = names

    def _look_at_health(self) -> None:
        self._ring(tell_health(self.watcher, self.health, time.time()))

    def _look_at_model(self) -> None:
        """What is new is taken over once all of it was checked; what is bad is said, and changes
        nothing.
        """
        stamp = _stamp(self.model)
        if stamp == self._seen and not self.hup.is_set():
            return
        self.hup.clear()
        self._seen = stamp
        kept = self.watcher.judging.model.id
        try:
            new = self.reload()
        except DetectorError as error:
            words = f"{error}; nothing was changed, model {kept} goes on"
            self.say("model", words, {"model": kept})
            return
        new.take()
        self.watcher.judge_by(new.judging)
        own = self.health.model = new.judging.model.id
        words = f"model {own} goes on" if own == kept else f"model {own} in place of {kept}"
        self.say("model", f"{words}; {new.words}", {"model": own})

    def _look_at_rate(self) -> None:
        """Whether alerts come at another rate than was promised."""
        rate = status.rate(self.watcher)
        words = rate.drift()
        if words and words != self._drift:
            self.say("drift", words, rate.plain())
        self._drift = words


def tell_health(watcher: Watcher, health: Health, now: float) -> list[Alert]:
    """The alerts of what is newly wrong with logs, kept for the sinks."""
    known = {alert["id"] for alert in watcher.raised}
    logs = watcher.shelf.logs.values()
    found = health.check(logs, now)
    found += [
        alert(each.name, each.what, each.words, now, health.model, each.once)
        for each in health.conditions.new(
            logs,
            health.silent_after,
            status.behind(watcher),
            watcher.shelf.denied,
            status.doubts(watcher, health.most_unknown),
        )
    ]
    found += health.newcomers(watcher.newcomers, now)
    new = [each for each in found if each["id"] not in known]
    if new:
        watcher.tell(new)
    return new


def _stamp(model: Path) -> float:
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
def _signals(stop: threading.Event, hup: threading.Event) -> Iterator[None]:
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
