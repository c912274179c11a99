"""What an entity is expected to do on a day: its recent past beside its frozen level.

All in log1p. *Frozen* is learned once, in training (``levels``). *Own* is learned anew for each day
from the weeks before it, each past day held to a few spreads above the frozen level, so that days of
theft cannot raise what is expected (a stateless guard: it needs no memory of alerts), and drawn to
the frozen level. What a group, or the whole organisation, does more of on the same day is taken out
of the running sums of excess.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np

from detector.features import robust
from detector.features.levels import FLOOR, PRIOR_DAYS
from detector.features.measures import ALL
from detector.features.panel import Panel
from detector.features.robust import Floats, Integers

#: Days of recent past that make the own level. Four weeks hold four of each weekday.
RECENT = 28
#: Days that running sums reach back.
REACH = 42
#: A past day counts for at most this many spreads above the frozen centre.
CLIP = 3.0
#: Measures whose excess is summed over days.
RUNNING = ("statements", "rows", "log_rows", "length")
#: Allowance of a CUSUM, in spreads a day (Page 1954): a fast one for what is loud, a slow one for
#: what is small and lasts.
SPEEDS = {"fast": 1.0, "slow": 0.35}
#: A group's movement is drawn towards the organisation's as if that were so many members.
PRIOR_MEMBERS = 5


@dataclass(frozen=True, slots=True)
class Peers:
    """``codes`` gives each entity's group, ``places`` each group's entities."""

    codes: Integers
    places: list[Integers]

    @classmethod
    def of(cls, groups: list[str]) -> Peers:
        """From the group of each entity."""
        names = sorted(set(groups))
        codes = np.searchsorted(names, groups).astype(np.int64)
        return cls(codes, robust.members(codes, len(names)))

    def movement(self, residuals: Floats) -> Floats:
        """By entity and column: the median of its group's residuals, drawn to everyone's."""
        if not len(residuals):
            return residuals
        everyone = np.nan_to_num(robust.median(residuals.T))
        medians, sizes = robust.by_group(residuals, self.places)
        drawn = robust.shrunk(sizes, medians, everyone[None, :], PRIOR_MEMBERS)
        found: Floats = drawn[self.codes]
        return found


@dataclass(frozen=True, slots=True)
class History:
    """The past of one kind of entity: its panel, frozen ``levels`` by column, and peers.

    ``excess`` has, by running measure, each day's excess over the frozen level in spreads with the
    movement of the day taken out: (entities, days), NaN where inactive.
    """

    panel: Panel
    groups: list[str]
    levels: dict[str, Floats]
    peers: Peers
    excess: dict[str, Floats]

    @classmethod
    def of(cls, panel: Panel, levels: dict[str, Floats], groups: list[str]) -> History:
        """Computes the excess of all days of the panel."""
        peers = Peers.of(groups)
        excess = {}
        for m in RUNNING:
            centre = np.where(
                panel.off[None, :], levels[f"{m}_off_centre"][:, None], levels[f"{m}_centre"][:, None]
            )
            residual = panel.logs[m] - centre
            excess[m] = (residual - peers.movement(residual)) / levels[f"{m}_spread"][:, None]
        return cls(panel, groups, levels, peers, excess)

    def expected(self, day: date) -> dict[str, Floats]:
        """By column, what each entity is expected to do on ``day``, and its running sums before it.

        <measure>_centre, _spread, _past, and for running measures <measure>_<speed>_before,
        _floor_before and _floor_days.
        """
        at = self.panel.place(day)
        found: dict[str, Floats] = {}
        recent = self.panel.weekdays_like(day, max(0, at - RECENT), at)
        for m in ALL:
            found |= self._own(m, recent, off=bool(self.panel.off[at]))
        for m in RUNNING:
            found |= self._running(m, at)
        seen = self.panel.active[:, max(0, at - REACH) : at].any(axis=2)
        idle = np.where(seen.any(axis=1), seen[:, ::-1].argmax(axis=1), seen.shape[1])
        found["idle_days"] = idle.astype(np.float64)
        found["past_days"] = seen.sum(axis=1).astype(np.float64)
        return found

    def _own(self, m: str, recent: Integers, *, off: bool) -> dict[str, Floats]:
        frozen = self.levels[f"{m}_off_centre" if off else f"{m}_centre"]
        apart = self.levels[f"{m}_spread"]
        past = np.fmin(self.panel.logs[m][:, recent], (frozen + CLIP * apart)[:, None])
        past[np.isnan(self.panel.logs[m][:, recent])] = np.nan
        days = robust.counts(past)
        own = robust.spread(past, FLOOR)
        return {
            f"{m}_centre": robust.shrunk(days, robust.median(past), frozen, PRIOR_DAYS),
            f"{m}_spread": np.sqrt(robust.shrunk(days, own**2, apart**2, PRIOR_DAYS)),
            f"{m}_frozen_centre": frozen,
            f"{m}_frozen_spread": apart,
        }

    def _running(self, m: str, at: int) -> dict[str, Floats]:
        start = max(0, at - REACH)
        past = np.clip(self.excess[m][:, start:at], -CLIP, CLIP)
        found: dict[str, Floats] = {}
        for speed, allowance in SPEEDS.items():
            total = np.zeros(len(past))
            for column in past.T:
                # A day without work neither adds nor forgives.
                total = np.where(np.isnan(column), total, np.fmax(total + column - allowance, 0.0))
            found[f"{m}_{speed}_before"] = total
        frozen = self.levels[f"{m}_centre"]
        raised = (frozen - self.levels[f"{m}_floor"]) / self.levels[f"{m}_spread"]
        known = ~np.isnan(past[:, -RECENT + 1 :])
        found[f"{m}_floor_raised"] = raised
        found[f"{m}_month_before"] = np.nansum(past[:, -RECENT + 1 :], axis=1)
        found[f"{m}_month_days"] = known.sum(axis=1).astype(np.float64)
        return found
