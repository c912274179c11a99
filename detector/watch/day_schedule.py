"""Which days are to be scored, when they are over, and when they go into the ledger."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from detector.model.scoring import LOOKBACK_DAYS

#: A day is sealed when events have reached this many days beyond it.
GRACE: Final = timedelta(days=2)
#: A stamp further ahead of the wall clock than this is a wrong clock's.
MAX_CLOCK_SKEW: Final = timedelta(hours=26)


@dataclass(slots=True)
class DaySchedule:
    """``days_to_score`` days are to be scored, or scored anew; ``scored_days`` ones were at least
    once.
    """

    timezone: str
    days_to_score: set[date] = field(default_factory=set)
    scored_days: set[date] = field(default_factory=set)

    @classmethod
    def from_facts(cls, facts: Mapping[str, str], timezone: str) -> DaySchedule:
        """What the state kept."""
        days = {
            name: {date.fromisoformat(day) for day in json.loads(facts.get(name, "[]"))}
            for name in ("dirty", "scored")
        }
        return cls(timezone, days["dirty"], days["scored"])

    def facts(self) -> dict[str, str]:
        """For the state."""
        return {
            "dirty": json.dumps(sorted(day.isoformat() for day in self.days_to_score)),
            "scored": json.dumps(sorted(day.isoformat() for day in self.scored_days)),
        }

    def mark_dirty(self, days: Iterable[date]) -> None:
        """Events came in on ``days``. What is known of a day says how later days are scored."""
        for day in days:
            self.days_to_score.add(day)
            until = day + timedelta(days=LOOKBACK_DAYS)
            self.days_to_score.update(other for other in self.scored_days if day < other <= until)

    def mark_scored(self, days: Iterable[date]) -> None:
        """``days`` were scored."""
        found = set(days)
        self.days_to_score -= found
        self.scored_days |= found

    def local_day(self, moment: datetime) -> date:
        """The organisation's day."""
        return moment.astimezone(ZoneInfo(self.timezone)).date()

    def complete_days(self, low: datetime) -> list[date]:
        """The dirty days before that of ``low``, in order."""
        today = self.local_day(low)
        return sorted(day for day in self.days_to_score if day < today)

    def committable_days(self, open_days: Iterable[date], newest: datetime) -> list[date]:
        """Open days that events have left far enough behind, in order."""
        last = self.local_day(newest) - GRACE
        return sorted(day for day in open_days if day < last)


def latest_plausible(moments: Iterable[datetime], now: float) -> datetime | None:
    """The latest of event times that no wrong clock wrote."""
    limit = datetime.fromtimestamp(now, UTC) + MAX_CLOCK_SKEW
    return max((moment for moment in moments if moment <= limit), default=None)
