"""Days of the calendar, one after the other."""

from __future__ import annotations

from datetime import date, timedelta


def days_between(first: date, last: date) -> list[date]:
    """The days from ``first`` to ``last``, both included; none where ``last`` is before."""
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]
