"""Peers, and what they do more or less of on the same day."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from detector.features import robust_stats
from detector.features.robust_stats import Floats, Integers

#: A group's movement is drawn towards the organisation's, and that towards none, as if by so many
#: members.
PRIOR_MEMBERS = 5


@dataclass(frozen=True, slots=True)
class PeerGroups:
    """``codes`` gives each entity's group, ``members`` each group's entities."""

    codes: Integers
    members: list[Integers]

    @classmethod
    def from_groups(cls, groups: list[str]) -> PeerGroups:
        """From the group of each entity."""
        names = sorted(set(groups))
        codes = np.searchsorted(names, groups).astype(np.int64)
        return cls(codes, robust_stats.group_members(codes, len(names)))

    def movement(self, residuals: Floats) -> Floats:
        """By entity and column: the median of its group's residuals, drawn to everyone's."""
        if not len(residuals):
            return residuals
        present = robust_stats.counts(residuals.T)
        everyone = (
            np.nan_to_num(robust_stats.median(residuals.T)) * present / (present + PRIOR_MEMBERS)
        )
        medians, sizes = robust_stats.group_medians(residuals, self.members)
        drawn = robust_stats.shrink(sizes, medians, everyone[None, :], PRIOR_MEMBERS)
        found: Floats = drawn[self.codes]
        return found
