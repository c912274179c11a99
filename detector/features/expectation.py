"""What an entity is expected to do on a day: its recent past beside its frozen level.

All in log1p. *Frozen* is learned once, in training (``levels``). *Own* is learned anew for each
day from the weeks before it, each past day held to a few spreads above the frozen level, so that
days of theft cannot raise what is expected (a stateless guard: it needs no memory of alerts), and
drawn to the frozen level. What a group, or the whole organisation, does more of on the same day is
taken out of the running sums of excess.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Final

import numpy as np
from numpy.typing import NDArray

from detector.features import robust_stats
from detector.features.aggregates import MEAN_LENGTH, MONTH_SUBJECTS
from detector.features.baselines import PRIOR_DAYS, baseline_aggregates
from detector.features.daily_matrix import DailyMatrix
from detector.features.peer_movement import PeerGroups
from detector.features.population import Population
from detector.features.robust_stats import Floats, Integers

#: Days of recent past that make the own level. Four weeks hold four of each weekday.
RECENT_DAYS = 28
#: Days that running sums reach back.
CUSUM_DAYS = 42
#: What was new, or came back, so many days ago or less is still remembered.
NOVELTY_DAYS = 14
#: A past day counts for at most this many spreads above the frozen centre.
MAX_SPREADS = 3.0
#: Measures whose excess is summed over days.
CUSUM_AGGREGATES = ("statements", "rows", "log_rows", "length", "departure")
#: Allowance of a CUSUM, in spreads a day (Page 1954). Each finds a shift of twice as much soonest:
#: 3, 2 and 1.4 times the usual, of a person whose days vary by half.
CUSUM_ALLOWANCES = {"fast": 1.0, "medium": 0.65, "slow": 0.35}
#: Variance of an honest level over months, in squared spreads, that no number of days averages
#: away; without it a long window would make every small drift significant.
DRIFT_VARIANCE = 0.05
#: Days of the windows of which the mean excess is asked.
WINDOW_DAYS = (3, 7, 14, 21, 42)
#: Entities times measures that are worked on at once: calls are dear, and so is memory.
BATCH_CELLS: Final = 30_000


@dataclass(frozen=True, slots=True)
class History:
    """The past of one kind of entity: its panel, frozen ``levels`` by column, and peers.

    ``logs`` are the panel's with the movement of each day taken out; ``excess`` has, by running
    measure, how far they lie above the frozen level in spreads: (entities, days), NaN where
    inactive. ``begins`` is the panel's column of the day from which each entity could be active,
    NaN where that is not known. ``service`` says which accounts are services, None of other kinds.
    """

    panel: DailyMatrix
    groups: list[str]
    levels: dict[str, Floats]
    peers: PeerGroups
    min_spread: float
    start_columns: Floats
    logs: dict[str, Floats]
    excess: dict[str, Floats]
    service: NDArray[np.bool_] | None = None

    @classmethod
    def from_matrix(
        cls,
        panel: DailyMatrix,
        levels: dict[str, Floats],
        groups: list[str],
        least: float,
        begins: Floats,
        service: NDArray[np.bool_] | None = None,
    ) -> History:
        """Computes the excess of all days of the panel."""
        peers = PeerGroups.from_groups(groups)
        logs: dict[str, Floats] = {}
        excess: dict[str, Floats] = {}
        for m in _known_aggregates(panel, levels):
            if m == MONTH_SUBJECTS:
                # It sums over four weeks: days that look back less far say nothing of it.
                logs[m] = np.full_like(panel.logs[m], np.nan)
                continue
            centre = np.where(
                panel.off[None, :],
                levels[f"{m}_off_centre"][:, None],
                levels[f"{m}_centre"][:, None],
            )
            residual = panel.logs[m] - centre
            if m == MEAN_LENGTH:
                residual = residual * completeness(
                    panel.logs["statements"], levels["statements_centre"]
                )
            moved = peers.movement(residual)
            if m not in CUSUM_AGGREGATES:
                # Half a day that the log missed must not lower what is usual.
                logs[m] = panel.logs[m] - np.fmin(moved, 0.0)
                continue
            logs[m] = residual + centre - moved
            excess[m] = (residual - moved) / levels[f"{m}_spread"][:, None]
        return cls(panel, groups, levels, peers, least, begins, logs, excess, service)

    def without_days(self) -> History:
        """Without its days: all that is asked of it where ``expectation`` of the day is at hand."""
        panel = replace(self.panel, logs={}, active=self.panel.active[:, :0].copy())
        return replace(self, panel=panel, logs={}, excess={})

    def population(self, day: date) -> Population | None:
        """How accounts stood among each other before ``day``; None of other kinds of entity."""
        if self.service is None:
            return None
        return Population.from_matrix(self.panel, day, self.peers, self.service)

    def expectation(self, day: date) -> dict[str, Floats]:
        """By column, what each entity is expected to do on ``day``, and its running sums before it.

        <measure>_centre, _spread, and for running measures <measure>_<speed>_before, the sums and
        days of WINDOWS that end with it, without it, and _month_before.
        """
        at = self.panel.column(day)
        found: dict[str, Floats] = {}
        recent = self.panel.same_kind_days(day, max(0, at - RECENT_DAYS), at)
        entities = len(self.panel.entities)
        for some in batches(list(self.logs), entities):
            found |= self._own_levels(some, recent, off=bool(self.panel.off[at]))
        for some in batches(CUSUM_AGGREGATES, entities):
            found |= self._running_sums(some, at)
        start = max(0, at - CUSUM_DAYS)
        seen = self.panel.active_days()[:, start:at]
        found["past_days"] = seen.sum(axis=1).astype(np.float64)
        # A day on which nobody read anything is an outage of the log, or a holiday: nobody's rest.
        open_days = seen.any(axis=0)
        place = np.clip(np.nan_to_num(self.start_columns) - start, 0, at - start).astype(np.int64)
        idle = _idle_days(seen[:, open_days], np.insert(open_days.cumsum(), 0, 0)[place])
        known = (self.levels["days"] > 0) | ~np.isnan(self.start_columns)
        return found | {name: np.where(known, days, np.nan) for name, days in idle.items()}

    def _own_levels(
        self, names: Sequence[str], recent: Integers, *, off: bool
    ) -> dict[str, Floats]:
        frozen = np.stack([self.levels[f"{m}_off_centre" if off else f"{m}_centre"] for m in names])
        apart = np.stack([self.levels[f"{m}_spread"] for m in names])
        logs = np.stack([self.logs[m][:, recent] for m in names])
        most = (frozen + MAX_SPREADS * apart)[..., None]
        past = np.where(np.isnan(logs), np.nan, np.fmin(logs, most))
        days = robust_stats.counts(past)
        own = robust_stats.spread(past, self.min_spread)
        found = {
            "centre": robust_stats.shrink(
                days, robust_stats.huber_mean(past, own), frozen, PRIOR_DAYS
            ),
            "spread": np.sqrt(robust_stats.shrink(days, own**2, apart**2, PRIOR_DAYS)),
            "frozen_centre": frozen,
            "frozen_spread": apart,
        }
        return {f"{m}_{name}": found[name][at] for at, m in enumerate(names) for name in found}

    def _running_sums(self, names: Sequence[str], at: int) -> dict[str, Floats]:
        start = max(0, at - CUSUM_DAYS)
        past = np.stack(
            [np.clip(self.excess[m][:, start:at], -MAX_SPREADS, MAX_SPREADS) for m in names]
        )
        here = ~np.isnan(past)
        allowance = np.array(list(CUSUM_ALLOWANCES.values()))[:, None, None]
        total = np.zeros((len(CUSUM_ALLOWANCES), *past.shape[:2]))
        for day in range(past.shape[-1]):
            # A day without work neither adds nor forgives.
            more = np.fmax(total + past[..., day] - allowance, 0.0)
            total = np.where(here[..., day], more, total)
        found = {f"{speed}_before": total[place] for place, speed in enumerate(CUSUM_ALLOWANCES)}
        for days in WINDOW_DAYS:
            first = max(0, past.shape[-1] - days + 1)
            found[f"window_{days}"] = np.nansum(past[..., first:], axis=-1)
            found[f"window_{days}_days"] = here[..., first:].sum(axis=-1).astype(np.float64)
        floor, centre, apart = (
            np.stack([self.levels[f"{m}_{level}"] for m in names])
            for level in ("floor", "centre", "spread")
        )
        found["floor_raised"] = (centre - floor) / apart
        found["month_before"] = np.nansum(past[..., -RECENT_DAYS + 1 :], axis=-1)
        found["month_days"] = here[..., -RECENT_DAYS + 1 :].sum(axis=-1).astype(np.float64)
        return {
            f"{m}_{name}": found[name][place] for place, m in enumerate(names) for name in found
        }


def batches(measures: Sequence[str], entities: int) -> Iterator[Sequence[str]]:
    """Measures by the handful: of few entities many at once, of many one by one."""
    many = max(1, BATCH_CELLS // max(1, entities))
    return (measures[first : first + many] for first in range(0, len(measures), many))


def _known_aggregates(panel: DailyMatrix, levels: dict[str, Floats]) -> list[str]:
    """What is measured, and has levels."""
    return [m for m in baseline_aggregates(levels) if m in panel.logs]


def completeness(statements: Floats, usual: Floats) -> Floats:
    """How far a mean over the statements of a day (so far) is worth a full day's: up to 1.

    Both in log1p: (entities, columns) and (entities,). It is the share of a full day that they
    are, so that a mean's excess grows as a sum's does: the first list of a day says little.
    """
    share = np.expm1(statements) / np.fmax(np.expm1(usual), 1.0)[:, None]
    found: Floats = np.clip(share, 0.0, 1.0)
    return found


def _idle_days(seen: np.ndarray, begins: Integers) -> dict[str, Floats]:
    """Days without activity before today, and in the longest such gap that ended lately.

    ``seen`` says on which of the days before today each entity was active, (entities, days);
    ``begins`` is the first on which it could be; who was seen before could be on that day.
    """
    days = seen.shape[1]
    place = np.where(seen, np.arange(days)[None, :], -1)
    first = np.where(seen, place, days).min(axis=1, initial=days)
    start = np.minimum(first, begins)[:, None] - 1
    last = np.maximum.accumulate(np.concatenate([start, place], axis=1), axis=1)
    gaps = np.where(seen, np.arange(days)[None, :] - last[:, :-1] - 1, 0)
    idle = days - 1 - last[:, -1]
    lately = gaps[:, -NOVELTY_DAYS:].max(axis=1, initial=0)
    return {
        "idle_so_far": idle.astype(np.float64),
        "idle_lately_days": np.maximum(idle, lately).astype(np.float64),
    }
