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
from detector.features.daily_matrix import Panel
from detector.features.peer_movement import PRIOR_MEMBERS, Peers
from detector.features.robust_stats import Floats, Integers

#: Days of the windows, the scored day with them.
MONTH: Final = 28
WEEK: Final = 7
#: Days of past below which peers are not known.
FEWEST_PAST: Final = 3
#: Hours in which offices are empty.
NIGHT: Final = np.isin(np.arange(SLOTS), (0, 1, 2, 3, 4, 5, 21, 22, 23))
#: Nobody's figures are nearer to each other than this (natural-log units).
LEAST: Final = 0.3
#: A figure that lies so many spreads above its peers' is as odd as can be; below them, none is odd.
MOST: Final = 8.0

#: What is summed over the windows: the measure, or None where it is told by the hours of activity.
FIGURES: Final = (
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
TOLD: Final = ("month_records", "month_statements", "month_hours", "month_clock", "week_records")
#: Of a row of the feature table: the excess of each figure over that of the peers, what is told, in
#: how far the row is ``accountable`` (0 of services that do what services do), and how many
#: accounts of the four weeks before the ``population`` has.
COLUMNS: Final = (
    *(f"{name}_excess" for name in FIGURES),
    *TOLD,
    *(f"{name}_of_peers" for name in TOLD),
    "accountable",
    "population",
)
#: Figures that add up what the panel has by day, and those of which the largest day counts.
_SUMS: Final = {
    "month_records": ("rows", MONTH),
    "month_statements": ("statements", MONTH),
    "month_unknown": ("unknown", MONTH),
    "month_tables": ("others", MONTH),
    "week_records": ("rows", WEEK),
    "week_statements": ("statements", WEEK),
}
_WEEKS: Final = {"week_records": "month_records", "week_statements": "month_statements"}
_LARGEST: Final = {"month_largest": "largest", "month_addresses": "addresses"}


@dataclass(frozen=True, slots=True)
class Population:
    """Of one day, by figure: what each account did ``before`` it within the window, plain; and the
    ``centre`` and ``spread`` of log1p of its peers' figures over whole windows that end the day
    before. Each (accounts,). ``clock`` says in which hours of the day it was active:
    (accounts, SLOTS). ``size`` is how many accounts were active in the month before.
    """

    before: dict[str, Floats]
    centre: dict[str, Floats]
    spread: dict[str, Floats]
    clock: NDArray[np.bool_]
    size: int

    @classmethod
    def of(cls, panel: Panel, day: date, peers: Peers, service: NDArray[np.bool_]) -> Population:
        """From the days before ``day``. ``service`` says who is no person: (accounts,)."""
        # A day on which nobody read anything is an outage of the log: all windows reach over it.
        past = np.flatnonzero(panel.active[:, : panel.place(day)].any(axis=(0, 2)))
        whole, _ = _sums(panel, past, 0)
        before, clock = _sums(panel, past, 1)
        logs = np.stack([np.log1p(whole[name]) for name in FIGURES], axis=1)
        logs[whole["month_days"] == 0] = np.nan
        centre, spread = _reference(logs, peers, service)
        if len(past) < FEWEST_PAST:
            centre[:] = np.inf  # nobody's past is known, so nobody is in excess
        elif len(past) < MONTH:
            centre += np.log1p(1 / len(past))  # today with them, the windows are a day longer
        for week, month in _WEEKS.items():
            # Who comes back from a week in which the whole group was away is usual by the month.
            share = np.log1p(np.expm1(centre[:, FIGURES.index(month)]) * WEEK / MONTH)
            at = FIGURES.index(week)
            centre[:, at] = np.fmax(centre[:, at], share)
        return cls(
            before,
            {name: centre[:, place] for place, name in enumerate(FIGURES)},
            {name: spread[:, place] for place, name in enumerate(FIGURES)},
            clock,
            int((whole["month_days"] > 0).sum()) if len(past) >= FEWEST_PAST else 0,
        )


def _sums(
    panel: Panel, past: Integers, without: int
) -> tuple[dict[str, Floats], NDArray[np.bool_]]:
    """Figures of windows of the last of the days ``past``, shorter by ``without`` days."""

    def days(length: int) -> Integers:
        return past[max(0, len(past) - length + without) :]

    found: dict[str, Floats] = {}
    for name, (measure, length) in _SUMS.items():
        found[name] = np.nansum(_plain(panel.logs[measure][:, days(length)]), axis=1)
    for name, measure in _LARGEST.items():
        found[name] = _plain(panel.logs[measure][:, days(MONTH)]).max(axis=1, initial=0.0)
    active = panel.active[:, days(MONTH)]
    off = panel.off[days(MONTH)]
    hours = active.sum(axis=2)
    clock: NDArray[np.bool_] = np.logical_or.reduce(active, axis=1)
    found |= {
        "month_days": (hours > 0).sum(axis=1).astype(np.float64),
        "month_hours": hours.sum(axis=1).astype(np.float64),
        "month_clock": clock.sum(axis=1).astype(np.float64),
        "month_night": active[:, :, NIGHT].sum(axis=(1, 2)).astype(np.float64),
        "month_off": hours[:, off].sum(axis=1).astype(np.float64),
    }
    return found, clock


def _plain(logs: Floats) -> Floats:
    """Whole numbers again, so that their sums do not depend on where a panel begins."""
    found: Floats = np.nan_to_num(np.round(np.expm1(logs)))
    return found


def _reference(logs: Floats, peers: Peers, service: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """By account and figure the median and the spread of its peers, drawn to those of its kind, and
    these to those of all: a lone colleague is no peer group.
    """
    everyone = _middle(logs)
    centre, spread = np.empty_like(logs), np.empty_like(logs)
    for kind in (False, True):
        here = service == kind
        of_kind = _drawn(logs[here], *everyone)
        for places in peers.places:
            mine = places[here[places]]
            if len(mine):
                centre[mine], spread[mine] = _drawn(logs[mine], *of_kind)
    return centre, spread


def _middle(logs: Floats) -> tuple[Floats, Floats]:
    """Median and spread of each figure; 0 and LEAST of nobody's."""
    middle = robust_stats.median(logs.T)
    apart = robust_stats.spread(logs.T, LEAST)
    return np.nan_to_num(middle), np.where(np.isnan(apart), LEAST, apart)


def _drawn(logs: Floats, centre: Floats, spread: Floats) -> tuple[Floats, Floats]:
    """Of some accounts, drawn to a prior as if that were PRIOR_MEMBERS."""
    number = robust_stats.counts(logs.T)
    middle, apart = _middle(logs)
    return (
        robust_stats.shrunk(number, middle, centre, PRIOR_MEMBERS),
        np.sqrt(robust_stats.shrunk(number, apart**2, spread**2, PRIOR_MEMBERS)),
    )


def today(
    known: Population, place: Integers, sums: dict[str, Floats], clock: Integers, *, off: bool
) -> dict[str, Floats]:
    """By column, the figures of some accounts with their day so far, at some of its hours.

    ``place`` are the accounts' places in ``known``, ``sums`` what they did so far that day by
    measure, ``clock`` in how many hours in which they had not been active before; each (cells,).
    <figure>_excess is how far log1p lies above the peers' median, in spreads, from 0 to MOST.
    """
    so_far = {name: sums[measure] for name, (measure, _) in _SUMS.items()}
    so_far |= {name: sums[measure] for name, measure in _LARGEST.items()}
    hours = sums["hours"]
    so_far |= {
        "month_days": np.ones_like(hours),
        "month_hours": hours,
        "month_clock": clock.astype(np.float64),
        "month_night": sums["night"],
        "month_off": hours if off else np.zeros_like(hours),
    }
    found = {}
    for name in FIGURES:
        before, now = known.before[name][place], np.nan_to_num(so_far[name])
        figure = np.fmax(before, now) if name in _LARGEST else before + now
        excess = (np.log1p(figure) - known.centre[name][place]) / known.spread[name][place]
        found[f"{name}_excess"] = np.clip(excess, 0.0, MOST)
        if name in TOLD:
            found[name] = figure
            found[f"{name}_of_peers"] = np.expm1(known.centre[name][place])
            found[f"{name}_of_peers"][~np.isfinite(found[f"{name}_of_peers"])] = np.nan
    return found
