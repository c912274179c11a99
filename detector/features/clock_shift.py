"""By how many hours the day of the whole organisation stands elsewhere than in training.

Where the clocks change and the log's zone does not follow, or an office begins an hour earlier in
summer, everyone is active at hours that were strange. That is the organisation's movement and no
sign of theft. It is told from all accounts together: most of them must have moved, by the same
hour, so that a few thieves cannot. All they would gain is the hour beside their own.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from detector.features.aggregates import SLOTS
from detector.features.daily_matrix import DailyMatrix
from detector.features.robust_stats import Floats, Integers

#: Hours by which a day may stand elsewhere: -1 is an hour earlier.
SHIFTS: Final = (-1, 1)
#: A move explains the hours of a day when it leaves at most this share of the squared difference:
#: where some moved and some did not, two thirds must have.
MAX_RESIDUAL_SHARE: Final = 0.25
#: And what it explains is as much as so many accounts in one hour.
MIN_MOVED_ACCOUNTS: Final = 10.0
#: As many come to work as on most days, within these factors.
MIN_ATTENDANCE: Final = 0.5
MAX_ATTENDANCE: Final = 1.5
#: The hours of a day but the 25th, which one day in the year has.
HOURS: Final = SLOTS - 1
#: Past days whose number of people says how many come.
REFERENCE_DAYS: Final = 10


def training_profile(habits: pl.DataFrame) -> Floats:
    """The share of the organisation's activity in each hour, in training: (off or not, HOURS).

    ``habits`` is SEEN of groups; that of all accounts is used.
    """
    found = np.zeros((2, HOURS))
    everyone = habits.filter(pl.col("entity").is_null(), pl.col("slot") < HOURS)
    at = everyone["off"].cast(pl.Int64).to_numpy(), everyone["slot"].to_numpy()
    found[at] = everyone["days"].to_numpy()
    total = found.sum(axis=1, keepdims=True)
    shares: Floats = np.divide(found, total, out=np.zeros_like(found), where=total > 0)
    return shares


def hourly_counts(panel: DailyMatrix) -> Floats:
    """How many accounts are active in each hour of each day: (days, HOURS)."""
    found: Floats = panel.active[:, :, :HOURS].sum(axis=0).astype(np.float64)
    return found


def expected_counts(profiles: Floats, counts: Floats, off: NDArray[np.bool_], at: int) -> Floats:
    """How many accounts are active in each hour of the day at a place, if it is as in training.

    ``profiles`` see ``training_profile``, ``counts`` see ``hourly_counts``, ``off`` see
    ``DailyMatrix``. As many as on most days of its kind before it; zeros where there is none.
    """
    like = np.flatnonzero(off[:at] == off[at])
    total = counts[like].sum(axis=1)
    total = total[total > 0][-REFERENCE_DAYS:]
    many = float(np.median(total)) if len(total) else 0.0
    found: Floats = profiles[int(off[at])] * many
    return found


def hourly_shifts(counts: Floats, usual_counts: Floats) -> Integers:
    """By how many hours the day stands elsewhere, as seen at the end of each hour: (HOURS,).

    ``counts`` are the accounts active in each hour of the day, ``usual_counts`` is
    ``expected_counts``. 0 where neither an hour earlier nor an hour later is clearly nearer than no
    move.
    """
    still = ((counts - usual_counts) ** 2).cumsum()
    found = np.zeros(HOURS, dtype=np.int64)
    nearest = still * MAX_RESIDUAL_SHARE
    for move in SHIFTS:
        moved = np.roll(usual_counts, move)
        left = _residual(counts, moved)
        clear = (left <= nearest) & (still - left >= MIN_MOVED_ACCOUNTS**2)
        found, nearest = np.where(clear, move, found), np.where(clear, left, nearest)
    return found


def _residual(counts: Floats, moved: Floats) -> Floats:
    """The squared difference so far, where as many came as to leave the least of it."""
    so_far = moved.cumsum()
    scale = np.divide(counts.cumsum(), so_far, out=np.ones(HOURS), where=so_far > 0)
    each = (
        counts[None, :] - np.clip(scale, MIN_ATTENDANCE, MAX_ATTENDANCE)[:, None] * moved[None, :]
    ) ** 2
    found: Floats = each.cumsum(axis=1).diagonal()
    return found


def daily_shifts(profiles: Floats, panel: DailyMatrix) -> tuple[Integers, Floats]:
    """Of each day of the panel, the move of the whole day: (days,), and ``expected_counts`` of it.

    A day on which few are at work tells nothing: what the days before it told goes on.
    """
    counts = hourly_counts(panel)
    found = np.zeros(len(panel.days), dtype=np.int64)
    theirs = np.zeros_like(counts)
    known = 0
    for at in range(len(panel.days)):
        theirs[at] = expected_counts(profiles, counts, panel.off, at)
        if _is_conclusive(counts[at], theirs[at]):
            known = int(hourly_shifts(counts[at], theirs[at])[-1])
        found[at] = known
    return found, theirs


def _is_conclusive(counts: Floats, usual_counts: Floats) -> bool:
    """Whether so many were at work, and a move would show so much, that none is news too."""
    enough = counts.sum() >= MIN_ATTENDANCE * usual_counts.sum()
    shows = min(((usual_counts - np.roll(usual_counts, move)) ** 2).sum() for move in SHIFTS)
    return bool(enough and shows >= 2 * MIN_MOVED_ACCOUNTS**2)
