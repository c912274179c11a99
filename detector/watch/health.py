"""What keeps a log from being judged, told as an alert: it must not pass for quiet."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from detector.alerts.alert import CREATE, Alert
from detector.core.formatting import readable
from detector.core.settings import HEALTH
from detector.delivery.alert_fields import LOG
from detector.ledger.data_quality import FEW, Counts, rejected
from detector.watch.day_schedule import AHEAD
from detector.watch.log_conditions import Conditions
from detector.watch.log_position import Log
from detector.watch.new_accounts import Newcomers

#: Events over which the share without row counts is taken.
WINDOW: Final = 500
#: A log has lost its row counts when so large a share lacks them, after a share at most so small.
LOST: Final = 0.5
KEPT: Final = 0.1


@dataclass(slots=True)
class Health:
    """Looks at all logs now and then. A condition is told once, and again after it was over.

    ``silent_after`` seconds without an event, a log that had some is silent; 0 is never.
    """

    silent_after: float
    model: str
    most_rejects: float = HEALTH["most_rejects"]
    most_new: float = HEALTH["most_new_accounts"]
    most_unknown: float = HEALTH["most_unknown"]
    conditions: Conditions = field(default_factory=Conditions)
    _moved: dict[int, tuple[int, float]] = field(default_factory=dict)
    _counts: dict[int, tuple[int, int]] = field(default_factory=dict)
    _records: dict[int, Counts] = field(default_factory=dict)
    _told: set[tuple[int, str]] = field(default_factory=set)

    def check(self, logs: Iterable[Log], now: float) -> list[Alert]:
        """Alerts of conditions that are new."""
        found = []
        for log in logs:
            for what, words in (
                ("silent", self._silence(log, now)),
                ("clock", _clock(log, now)),
                ("row counts", self._row_counts(log)),
                # Why a log is left out says what of it was lost too.
                ("lost", "" if log.stage == "left out" else _loss(log)),
                ("rejects", self._rejects(log)),
                ("left out", log.reason if log.stage == "left out" else ""),
            ):
                if words is None:
                    continue
                key = (log.id, what)
                if not words:
                    self._told.discard(key)
                elif key not in self._told:
                    self._told.add(key)
                    # What is over is told once, also by the watchers after this one.
                    once = {
                        "lost": f"{log.id} {log.lost}",
                        "rejects": f"{log.id} {log.last and log.last.date()}",
                        "left out": f"{log.id} {log.reason}",
                    }.get(what, "")
                    found.append(alert(log.path, what, words, now, self.model, once))
        return found

    def newcomers(self, found: Newcomers, now: float) -> list[Alert]:
        """The alert of many names that nobody knows, once a day."""
        key = (-1, f"newcomers {found.day}")
        words = "" if key in self._told else found.words(self.most_new)
        if not words:
            return []
        self._told.add(key)
        return [alert("all logs", "newcomers", words, now, self.model, str(found.day))]

    def _rejects(self, log: Log) -> str | None:
        """None where too little was read since to say."""
        before = self._records.setdefault(log.id, Counts())
        since = Counts(log.events - before.events, log.rejects - before.rejects)
        if since.rejects < FEW and since.events + since.rejects < WINDOW:
            return None
        self._records[log.id] = Counts(log.events, log.rejects)
        return rejected(since, before, self.most_rejects)

    def _silence(self, log: Log, now: float) -> str:
        events, since = self._moved.get(log.id, (-1, now))
        if events != log.events:
            self._moved[log.id] = (log.events, now)
            return ""
        if not self.silent_after or not log.events or now - since < self.silent_after:
            return ""
        if log.stage != "open":
            return ""
        return f"no event for {(now - since) / 60:.0f} minutes; the last was of {_shown(log.last)}"

    def _row_counts(self, log: Log) -> str | None:
        """None where too little was read since to say."""
        events, unknown = self._counts.setdefault(log.id, (log.events, log.unknown))
        if log.events - events < WINDOW:
            return None
        self._counts[log.id] = (log.events, log.unknown)
        share = (log.unknown - unknown) / (log.events - events)
        before = unknown / events if events else 0.0
        risen = events > 0 and share - before > self.most_unknown and share < LOST
        if risen or (share >= LOST and before <= KEPT):
            return (
                f"{share:.0%} of its latest {log.events - events:,} events lack the number of "
                f"rows, of those before {before:.0%}: thefts by size will not be seen"
            )
        return "" if share < LOST and not risen else None


def _loss(log: Log) -> str:
    if not log.lost:
        return ""
    return f"{log.reason}; the last event before that was of {_shown(log.last)}"


def _clock(log: Log, now: float) -> str:
    limit = datetime.fromtimestamp(now, UTC) + AHEAD
    if log.last is None or log.last <= limit:
        return ""
    return f"events of {_shown(log.last)} lie in the future: the clock of who writes it is wrong"


def _shown(moment: datetime | None) -> str:
    return "never" if moment is None else f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def alert(name: str, what: str, words: str, now: float, model: str, once: str = "") -> Alert:
    """An alert of kind ``log``, with every key that others have.

    The same ``once`` gives the same id, whenever that is; without it, each minute has its own.
    """
    moment = datetime.fromtimestamp(now, UTC)
    at = f"{moment:%Y-%m-%dT%H:%M:%SZ}"
    name = readable(name)
    told = f"{LOG}\0{name}\0{what}\0{once or f'{moment:%Y-%m-%dT%H:%M}'}"
    own = hashlib.sha256(told.encode()).hexdigest()[:20]
    nothing: dict[str, Any] = dict.fromkeys(
        ("rows", "records_out", "statements", "group_largest_rows"), 0
    )
    nothing |= {name: [] for name in ("top_objects", "top_client_addresses", "top_accounts")}
    return {
        **nothing,
        "id": own,
        "activity": CREATE,
        "alert": own,
        "began": at,
        "triggers": [],
        "incident": own,
        "related": [],
        "verdicts": [],
        "time": at,
        "raised": at,
        "date": f"{moment:%Y-%m-%d}",
        "entity_kind": LOG,
        "entity": name,
        "group": "all logs",
        "severity": "medium",
        "techniques": [],
        "surprise": 0.0,
        "threshold": 0.0,
        "expected_rows": 0.0,
        "since": f"{moment:%Y-%m-%d}",
        "pace": 0.0,
        "table_gone_in_days": None,
        "unknown_rows_statements": None,
        "new_client_addresses": None,
        "new_objects": None,
        "reasons": [words],
        "features": {},
        "model": model,
    }
