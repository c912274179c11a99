"""How an account stands among the others of its group and kind, in absolute amounts.

What is asked elsewhere is how an account *changed*: that is blind to what was there before
training, and to whom it never saw. Here nothing of the account's own past is usual: its last four
weeks, the day so far with them, stand beside those of its peers over the four weeks before, so that
nobody is excused for having done it long. Only services are: what they do is what they were made
for, and counts as far as it is more than their own lowest month in training.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Final

import numpy as np
from numpy.typing import NDArray

from detector.features import robust_stats
from detector.features.aggregates import SLOTS
from detector.features.daily_matrix import DailyMatrix
from detector.features.peer_movement import PRIOR_MEMBERS, PeerGroups
from detector.features.robust_stats import Floats, Integers

#: Days of the windows, the scored day with them.
MONTH_DAYS: Final = 28
WEEK_DAYS: Final = 7
#: Days of past below which peers are not known.
MIN_PAST_DAYS: Final = 3
#: Hours in which offices are empty.
NIGHT_SLOTS: Final = np.isin(np.arange(SLOTS), (0, 1, 2, 3, 4, 5, 21, 22, 23))
#: Nobody's figures are nearer to each other than this (natural-log units).
MIN_SPREAD: Final = 0.3
#: A figure that lies so many spreads above its peers' is as odd as can be; below them, none is odd.
MAX_EXCESS: Final = 8.0

#: What is summed over the windows: the measure, or None where it is told by the hours of activity.
FIGURE_NAMES: Final = (
    "month_records",
    "month_statements",
    "month_largest",
    "month_days",
    "month_hours",
    "month_clock",
    "month_night",
    "month_off",
    "month_tables",
    "month_addresses",
    "month_unknown",
    "week_records",
    "week_statements",
)
#: Columns of the figures that are told to people: the account's own, and its peers' median.
REPORTED_FIGURES: Final = (
    "month_records",
    "month_statements",
    "month_hours",
    "month_clock",
    "week_records",
)
#: Of a row of the feature table: the excess of each figure over that of the peers, what is told, in
#: how far the row is ``accountable`` (0 of services that do what services do), and how many
#: accounts of the four weeks before the ``population`` has.
FIGURE_COLUMNS: Final = (
    *(f"{name}_excess" for name in FIGURE_NAMES),
    *REPORTED_FIGURES,
    *(f"{name}_of_peers" for name in REPORTED_FIGURES),
    "accountable",
    "population",
)
#: Figures that add up what the panel has by day, and those of which the largest day counts.
_SUM_WINDOWS: Final = {
    "month_records": ("rows", MONTH_DAYS),
    "month_statements": ("statements", MONTH_DAYS),
    "month_unknown": ("unknown", MONTH_DAYS),
    "month_tables": ("others", MONTH_DAYS),
    "week_records": ("rows", WEEK_DAYS),
    "week_statements": ("statements", WEEK_DAYS),
}
_MONTH_OF_WEEK: Final = {"week_records": "month_records", "week_statements": "month_statements"}
_MAX_FIGURES: Final = {"month_largest": "largest", "month_addresses": "addresses"}


@dataclass(frozen=True, slots=True)
class Population:
    """Of one day, by figure: what each account did ``before`` it within the window, plain; and the
    ``centre`` and ``spread`` of log1p of its peers' figures over whole windows that end the day
    before. Each (accounts,). ``clock`` says in which hours of the day it was active:
    (accounts, SLOTS). ``size`` is how many accounts were active in the month before.
    """

    prior_figures: dict[str, Floats]
    centre: dict[str, Floats]
    spread: dict[str, Floats]
    clock: NDArray[np.bool_]
    size: int

    @classmethod
    def from_matrix(
        cls, panel: DailyMatrix, day: date, peers: PeerGroups, service: NDArray[np.bool_]
    ) -> Population:
        """From the days before ``day``. ``service`` says who is no person: (accounts,)."""
        # A day on which nobody read anything is an outage of the log: all windows reach over it.
        past = np.flatnonzero(panel.active[:, : panel.column(day)].any(axis=(0, 2)))
        whole, _ = _window_figures(panel, past, 0)
        before, clock = _window_figures(panel, past, 1)
        logs = np.stack([np.log1p(whole[name]) for name in FIGURE_NAMES], axis=1)
        logs[whole["month_days"] == 0] = np.nan
        centre, spread = _peer_reference(logs, peers, service)
        if len(past) < MIN_PAST_DAYS:
            centre[:] = np.inf  # nobody's past is known, so nobody is in excess
        elif len(past) < MONTH_DAYS:
            centre += np.log1p(1 / len(past))  # today with them, the windows are a day longer
        for week, month in _MONTH_OF_WEEK.items():
            # Who comes back from a week in which the whole group was away is usual by the month.
            share = np.log1p(
                np.expm1(centre[:, FIGURE_NAMES.index(month)]) * WEEK_DAYS / MONTH_DAYS
            )
            at = FIGURE_NAMES.index(week)
            centre[:, at] = np.fmax(centre[:, at], share)
        return cls(
            before,
            {name: centre[:, place] for place, name in enumerate(FIGURE_NAMES)},
            {name: spread[:, place] for place, name in enumerate(FIGURE_NAMES)},
            clock,
            int((whole["month_days"] > 0).sum()) if len(past) >= MIN_PAST_DAYS else 0,
        )


def _window_figures(
    panel: DailyMatrix, past: Integers, without: int
) -> tuple[dict[str, Floats], NDArray[np.bool_]]:
    """Figures of windows of the last of the days ``past``, shorter by ``without`` days."""

    def days(length: int) -> Integers:
        return past[max(0, len(past) - length + without) :]

    found: dict[str, Floats] = {}
    for name, (measure, length) in _SUM_WINDOWS.items():
        found[name] = np.nansum(_to_counts(panel.logs[measure][:, days(length)]), axis=1)
    for name, measure in _MAX_FIGURES.items():
        found[name] = _to_counts(panel.logs[measure][:, days(MONTH_DAYS)]).max(axis=1, initial=0.0)
    active = panel.active[:, days(MONTH_DAYS)]
    off = panel.off[days(MONTH_DAYS)]
    hours = active.sum(axis=2)
    clock: NDArray[np.bool_] = np.logical_or.reduce(active, axis=1)
    found |= {
        "month_days": (hours > 0).sum(axis=1).astype(np.float64),
        "month_hours": hours.sum(axis=1).astype(np.float64),
        "month_clock": clock.sum(axis=1).astype(np.float64),
        "month_night": active[:, :, NIGHT_SLOTS].sum(axis=(1, 2)).astype(np.float64),
        "month_off": hours[:, off].sum(axis=1).astype(np.float64),
    }
    return found, clock


def _to_counts(logs: Floats) -> Floats:
    """Whole numbers again, so that their sums do not depend on where a panel begins."""
    found: Floats = np.nan_to_num(np.round(np.expm1(logs)))
    return found


def _peer_reference(
    logs: Floats, peers: PeerGroups, service: NDArray[np.bool_]
) -> tuple[Floats, Floats]:
    """By account and figure the median and the spread of its peers, drawn to those of its kind, and
    these to those of all: a lone colleague is no peer group.
    """
    everyone = _median_and_spread(logs)
    centre, spread = np.empty_like(logs), np.empty_like(logs)
    for kind in (False, True):
        here = service == kind
        of_kind = _shrink(logs[here], *everyone)
        for places in peers.members:
            mine = places[here[places]]
            if len(mine):
                centre[mine], spread[mine] = _shrink(logs[mine], *of_kind)
    return centre, spread


def _median_and_spread(logs: Floats) -> tuple[Floats, Floats]:
    """Median and spread of each figure; 0 and LEAST of nobody's."""
    middle = robust_stats.median(logs.T)
    apart = robust_stats.spread(logs.T, MIN_SPREAD)
    return np.nan_to_num(middle), np.where(np.isnan(apart), MIN_SPREAD, apart)


def _shrink(logs: Floats, centre: Floats, spread: Floats) -> tuple[Floats, Floats]:
    """Of some accounts, drawn to a prior as if that were PRIOR_MEMBERS."""
    number = robust_stats.counts(logs.T)
    middle, apart = _median_and_spread(logs)
    return (
        robust_stats.shrink(number, middle, centre, PRIOR_MEMBERS),
        np.sqrt(robust_stats.shrink(number, apart**2, spread**2, PRIOR_MEMBERS)),
    )


def day_figures(
    known: Population, place: Integers, sums: dict[str, Floats], clock: Integers, *, off: bool
) -> dict[str, Floats]:
    """By column, the figures of some accounts with their day so far, at some of its hours.

    ``place`` are the accounts' places in ``known``, ``sums`` what they did so far that day by
    measure, ``clock`` in how many hours in which they had not been active before; each (cells,).
    <figure>_excess is how far log1p lies above the peers' median, in spreads, from 0 to MOST.
    """
    so_far = {name: sums[measure] for name, (measure, _) in _SUM_WINDOWS.items()}
    so_far |= {name: sums[measure] for name, measure in _MAX_FIGURES.items()}
    hours = sums["hours"]
    so_far |= {
        "month_days": np.ones_like(hours),
        "month_hours": hours,
        "month_clock": clock.astype(np.float64),
        "month_night": sums["night"],
        "month_off": hours if off else np.zeros_like(hours),
    }
    found = {}
    for name in FIGURE_NAMES:
        before, now = known.prior_figures[name][place], np.nan_to_num(so_far[name])
        figure = np.fmax(before, now) if name in _MAX_FIGURES else before + now
        excess = (np.log1p(figure) - known.centre[name][place]) / known.spread[name][place]
        found[f"{name}_excess"] = np.clip(excess, 0.0, MAX_EXCESS)
        if name in REPORTED_FIGURES:
            found[name] = figure
            found[f"{name}_of_peers"] = np.expm1(known.centre[name][place])
            found[f"{name}_of_peers"][~np.isfinite(found[f"{name}_of_peers"])] = np.nan
    return found
