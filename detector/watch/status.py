"""How a watcher stands, as a small file beside its state: for ``detector status`` and metrics."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

from detector.alerts.alert import CREATE
from detector.alerts.alert_rate import Rate
from detector.core import files
from detector.core.errors import StateError
from detector.detection import new_accounts
from detector.features import timezone_check
from detector.watch.log_conditions import ALL_LOGS, Condition
from detector.watch.watcher import Watcher

FILE: Final = "status.json"
#: Days over which the rate of alerts is held against the budget.
RATE_DAYS: Final = timedelta(days=14)


def doubts(watcher: Watcher, most_unknown: float) -> list[Condition]:
    """What is doubtful of that which was read, and what was to come and did not."""
    late = bool(watcher.batch_reader.backlog)
    wrong = watcher.places.conditions(watcher.wall_clock(), most_unknown, behind=late)
    wrong += watcher.duplicate_filter.conditions.values()
    return wrong + [
        Condition(ALL_LOGS, "folded", new_accounts.warning_text(number, day), str(day))
        for day, number in watcher.scorer.folded.items()
    ]


def recent_rate(watcher: Watcher) -> Rate:
    """Of the latest scored days, as far as they are after the training."""
    scored = watcher.schedule.scored_days
    since = max(scored, default=date.max) - RATE_DAYS
    model = watcher.scorer.pipeline.model
    days = [day for day in scored if day > since]
    return Rate.from_alerts(watcher.alerts, days, model.last_day, model.alerts_per_day)


@dataclass(slots=True)
class TimeZoneCheck:
    """Whether the time zone that is set is doubtful, as of the latest scored day."""

    doubt: str = ""
    _day: date | None = None

    def check(self, watcher: Watcher) -> str:
        """What to say that was not said before. Looks once for each day that was scored."""
        day = max(watcher.schedule.scored_days, default=None)
        if day is None or day == self._day:
            return ""
        self._day = day
        activity = watcher.ledger_view.activity(
            day - timedelta(days=timezone_check.LOOKBACK_DAYS), day
        )
        settings = watcher.scorer.pipeline.settings
        words = timezone_check.activity_warning(activity, settings.timezone, settings.log_timezone)
        before, self.doubt = self.doubt, words
        return words if words != before else ""


def snapshot(
    watcher: Watcher, pace: float, now: float, wrong: Sequence[Condition] = ()
) -> dict[str, Any]:
    """As plain JSON: what is followed, how far, and how fast, and what is ``wrong``."""
    contents = watcher.tracker.contents
    logs = [
        {
            "path": log.path,
            "source": log.source,
            "events": log.events,
            "rejects": log.rejects,
            "last_event": log.last.isoformat() if log.last else None,
            "lag_bytes": contents.unread_bytes(log),
            "lag_messages": contents.unread_messages(log),
        }
        for log in watcher.tracker.open_logs()
    ]
    return {
        "pid": os.getpid(),
        "time": now,
        "events": sum(log.events for log in watcher.tracker.logs.values()),
        "rejects": sum(log.rejects for log in watcher.tracker.logs.values()),
        "events_per_second": round(pace, 1),
        "last_event": watcher.newest_event.isoformat() if watcher.newest_event else None,
        "lag_bytes": sum(log["lag_bytes"] for log in logs if isinstance(log["lag_bytes"], int)),
        "logs": logs,
        "left_out": {
            log.path: log.reason for log in watcher.tracker.logs.values() if log.stage == "left out"
        },
        "wrong": [each._asdict() for each in wrong],
        "open_days": [day.isoformat() for day in sorted(watcher.open_days.parts)],
        "days_to_score": len(watcher.schedule.days_to_score),
        "alerts": sum(alert["activity"] == CREATE for alert in watcher.alerts),
        "updates": sum(alert["activity"] != CREATE for alert in watcher.alerts),
        "going_on": watcher.open_episodes,
        "not_judged": watcher.scorer.unscored_accounts,
        "model": watcher.scorer.pipeline.model.id,
        "model_last_day": watcher.scorer.pipeline.model.last_day.isoformat(),
        **recent_rate(watcher).to_dict(),
    }


def write(folder: Path, found: dict[str, Any]) -> None:
    """The whole file or the old one. Raises StateError."""
    try:
        files.write_atomically(folder / FILE, json.dumps(found).encode())
    except OSError as error:
        hint = "free space there, and start again: nothing is lost"
        raise StateError.not_written(error, folder, hint) from error


def load(folder: Path) -> dict[str, Any]:
    """What the watcher of a folder said last. Raises StateError."""
    path = folder / FILE
    hint = "delete it: a running watcher writes it anew"
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        mend = "detector watch makes one"
        raise StateError("no watcher was here", where=folder, hint=mend) from None
    except (OSError, ValueError) as error:
        raise StateError(f"cannot be read ({error})", where=path, hint=hint) from error
    if not isinstance(found, dict):
        raise StateError("damaged: it is no JSON object", where=path, hint=hint)
    return found
