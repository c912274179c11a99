"""What keeps a log from being judged, told as an alert: it must not pass for quiet."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from detector.alerts.alert import CREATE, Alert
from detector.core.formatting import path_text
from detector.core.settings import HEALTH_DEFAULTS
from detector.delivery.alert_fields import LOG
from detector.ledger.data_quality import MIN_COUNT, Counts, reject_rise_warning
from detector.watch.day_schedule import MAX_CLOCK_SKEW
from detector.watch.log_conditions import LogConditions
from detector.watch.log_position import Log
from detector.watch.new_accounts import NewAccounts

#: Events over which the share without row counts is taken.
MIN_EVENTS: Final = 500
#: A log has lost its row counts when so large a share lacks them, after a share at most so small.
LOST_SHARE: Final = 0.5
MAX_EARLIER_SHARE: Final = 0.1


@dataclass(slots=True)
class Health:
    """Looks at all logs now and then. A condition is told once, and again after it was over.

    ``silent_after`` seconds without an event, a log that had some is silent; 0 is never.
    """

    silent_after: float
    model: str
    most_rejects: float = HEALTH_DEFAULTS["most_rejects"]
    most_new: float = HEALTH_DEFAULTS["most_new_accounts"]
    most_unknown: float = HEALTH_DEFAULTS["most_unknown"]
    conditions: LogConditions = field(default_factory=LogConditions)
    _last_progress: dict[int, tuple[int, float]] = field(default_factory=dict)
    _unknown_counts: dict[int, tuple[int, int]] = field(default_factory=dict)
    _reject_counts: dict[int, Counts] = field(default_factory=dict)
    _reported: set[tuple[int, str]] = field(default_factory=set)

    def check(self, logs: Iterable[Log], now: float) -> list[Alert]:
        """Alerts of conditions that are new."""
        found = []
        for log in logs:
            for what, words in (
                ("silent", self._silence(log, now)),
                ("clock", _clock_error(log, now)),
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
                    self._reported.discard(key)
                elif key not in self._reported:
                    self._reported.add(key)
                    # What is over is told once, also by the watchers after this one.
                    once = {
                        "lost": f"{log.id} {log.lost}",
                        "rejects": f"{log.id} {log.last and log.last.date()}",
                        "left out": f"{log.id} {log.reason}",
                    }.get(what, "")
                    found.append(log_alert(log.path, what, words, now, self.model, once))
        return found

    def new_account_alerts(self, found: NewAccounts, now: float) -> list[Alert]:
        """The alert of many names that nobody knows, once a day."""
        key = (-1, f"newcomers {found.day}")
        words = "" if key in self._reported else found.warning(self.most_new)
        if not words:
            return []
        self._reported.add(key)
        return [log_alert("all logs", "newcomers", words, now, self.model, str(found.day))]

    def _rejects(self, log: Log) -> str | None:
        """None where too little was read since to say."""
        before = self._reject_counts.setdefault(log.id, Counts())
        since = Counts(log.events - before.events, log.rejects - before.rejects)
        if since.rejects < MIN_COUNT and since.events + since.rejects < MIN_EVENTS:
            return None
        self._reject_counts[log.id] = Counts(log.events, log.rejects)
        return reject_rise_warning(since, before, self.most_rejects)

    def _silence(self, log: Log, now: float) -> str:
        events, since = self._last_progress.get(log.id, (-1, now))
        if events != log.events:
            self._last_progress[log.id] = (log.events, now)
            return ""
        if not self.silent_after or not log.events or now - since < self.silent_after:
            return ""
        if log.stage != "open":
            return ""
        return (
            f"no event for {(now - since) / 60:.0f} minutes; the last was of "
            f"{_format_time(log.last)}"
        )

    def _row_counts(self, log: Log) -> str | None:
        """None where too little was read since to say."""
        events, unknown = self._unknown_counts.setdefault(log.id, (log.events, log.unknown))
        if log.events - events < MIN_EVENTS:
            return None
        self._unknown_counts[log.id] = (log.events, log.unknown)
        share = (log.unknown - unknown) / (log.events - events)
        before = unknown / events if events else 0.0
        risen = events > 0 and share - before > self.most_unknown and share < LOST_SHARE
        if risen or (share >= LOST_SHARE and before <= MAX_EARLIER_SHARE):
            return (
                f"{share:.0%} of its latest {log.events - events:,} events lack the number of "
                f"rows, of those before {before:.0%}: thefts by size will not be seen"
            )
        return "" if share < LOST_SHARE and not risen else None


def _loss(log: Log) -> str:
    if not log.lost:
        return ""
    return f"{log.reason}; the last event before that was of {_format_time(log.last)}"


def _clock_error(log: Log, now: float) -> str:
    limit = datetime.fromtimestamp(now, UTC) + MAX_CLOCK_SKEW
    if log.last is None or log.last <= limit:
        return ""
    return (
        f"events of {_format_time(log.last)} lie in the future: the clock of who writes it is wrong"
    )


def _format_time(moment: datetime | None) -> str:
    return "never" if moment is None else f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def _log_alert_id(name: str, what: str, once: str) -> str:
    return hashlib.sha256(f"{LOG}\0{name}\0{what}\0{once}".encode()).hexdigest()[:20]


def log_alert(name: str, what: str, words: str, now: float, model: str, once: str = "") -> Alert:
    """An alert of kind ``log``, with every key that others have.

    The same ``once`` gives the same id, whenever that is; without it, each minute has its own.
    """
    moment = datetime.fromtimestamp(now, UTC)
    at, day, name = f"{moment:%Y-%m-%dT%H:%M:%SZ}", f"{moment:%Y-%m-%d}", path_text(name)
    own = _log_alert_id(name, what, once or f"{moment:%Y-%m-%dT%H:%M}")
    return {
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
        "date": day,
        "entity_kind": LOG,
        "entity": name,
        "group": "all logs",
        "severity": "medium",
        "techniques": [],
        "surprise": 0.0,
        "threshold": 0.0,
        "rows": 0,
        "expected_rows": 0.0,
        "group_largest_rows": 0,
        "since": day,
        "records_out": 0,
        "pace": 0.0,
        "table_gone_in_days": None,
        "statements": 0,
        "unknown_rows_statements": None,
        "top_objects": [],
        "top_client_addresses": [],
        "top_accounts": [],
        "new_client_addresses": None,
        "new_objects": None,
        "reasons": [words],
        "features": {},
        "model": model,
    }
