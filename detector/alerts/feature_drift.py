"""Which features of unseen days are not distributed as in training, and what that may mean.

Each feature's calibration holds the quantiles of training. The share of entity-days beyond each of
them is compared with training's own: the largest difference is the two-sample statistic of
Kolmogorov and Smirnov. Days of one entity are alike, so entities count as the sample, not days.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

import numpy as np
import polars as pl

from detector.core.formatting import percentage
from detector.features.feature import Family
from detector.model.calibration import Calibration
from detector.model.model import Model
from detector.model.scoring import day_ends

#: Days below which a week's own rhythm explains anything.
MIN_DAYS: Final = 5
#: Quantiles of training that are compared.
QUANTILES: Final = tuple(n / 20 for n in range(1, 20))
#: A movement is told when chance gives it one time in a hundred, of all features together,
MAX_P_VALUE: Final = 0.01
#: and so large a share of days lies elsewhere: a small one is true and means little.
MIN_DISTANCE: Final = 0.15
#: Scores are rounded.
ROUNDING_TOLERANCE: Final = 1e-6
#: Features that are told on a screen.
MAX_SHOWN: Final = 8
COUNTS_SCHEMA: Final = pl.Schema(
    {
        "entity_kind": pl.String(), "feature": pl.String(), "quantile": pl.Int64(),
        "day": pl.Date(), "beyond": pl.Int64(), "days": pl.Int64(), "entities": pl.Int64(),
    }
)  # fmt: skip
#: What a movement of some features may mean; of families otherwise.
FEATURE_HINTS: Final = {
    "strange_hours": "a time zone that is not the people's, or new working hours?",
    "strange_lately": "a time zone that is not the people's, or new working hours?",
    "new_applications": "a roll-out of an application?",
    "new_objects": "a roll-out of an application, or new tables?",
    "foreign_networks": "sites renumbered, or work from home?",
    "new_networks": "sites renumbered, or work from home?",
    "new_addresses": "sites renumbered, or new devices?",
    "idle_days": "holidays, or a hole in the log?",
    "idle_lately": "holidays, or a hole in the log?",
}
FAMILY_HINTS: Final = {
    "volume": "more or less work than in training, or a season?",
    "running": "a level that shifted since training?",
    "breadth": "a roll-out of an application?",
    "exports": "a new report, or a job that exports?",
}
#: Features that most days do not have: their calibration knows the days that have them, and cannot
#: say how many these are.
SPARSE_FEATURES: Final = frozenset(
    {"exports_vs_own", "unknown_vs_own", "subjects_vs_own", "month_subjects_vs_own"}
)
ADVICE: Final = "if it is benign, train again on recent days"


@dataclass(frozen=True, slots=True)
class Shift:
    """A feature of one kind of entity that moved.

    ``before`` and ``now`` are the shares of entity-days at or beyond the quantile that shows it
    best; ``distance`` is their difference, ``p`` the p-value for one feature alone.
    """

    entity_kind: str
    feature: str
    meaning: str
    training_share: float
    current_share: float
    p_value: float
    hint: str

    @property
    def distance(self) -> float:
        """The effect: which share of the days lies elsewhere."""
        return abs(self.current_share - self.training_share)

    def to_text(self) -> str:
        """For people."""
        way = "higher" if self.current_share > self.training_share else "lower"
        return (
            f"{self.entity_kind.replace('_', ' ')}s, {self.feature} ({self.meaning}): {way}; "
            f"{percentage(self.current_share)} of days lie where "
            f"{percentage(self.training_share)} of training's did: "
            f"{self.hint}"
        )

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "entity_kind": self.entity_kind,
            "feature": self.feature,
            "direction": "higher" if self.current_share > self.training_share else "lower",
            "share_in_training": round(self.training_share, 6),
            "share_now": round(self.current_share, 6),
            "distance": round(self.distance, 6),
            "p": self.p_value,
            "hint": self.hint,
        }


def exceedance_counts(scored: pl.DataFrame, model: Model) -> pl.DataFrame:
    """COUNTS: of judged hours, at the end of each unseen day, how many lie at or beyond quantiles.

    ``scored`` has ``<feature>_surprise``, which rises with the feature.
    """
    if scored.is_empty():
        return COUNTS_SCHEMA.to_frame()
    ends = day_ends(scored.filter(pl.col("day") > model.last_day))
    rows: list[tuple[Any, ...]] = []
    for (kind, day), part in ends.group_by("entity_kind", "day"):
        judge = model.kind_models.get(str(kind))
        if judge is None:
            continue
        for name, tail in zip(
            judge.ensemble.feature_names, judge.ensemble.calibrations, strict=True
        ):
            if name in SPARSE_FEATURES:
                continue
            told = part[f"{name}_surprise"].to_numpy()
            for at, (least, _) in enumerate(_quantile_edges(tail)):
                beyond = int((told >= least).sum())
                rows.append((kind, name, at, day, beyond, len(part), part["entity"].n_unique()))
    return pl.DataFrame(rows, schema=COUNTS_SCHEMA, orient="row")


def _quantile_edges(tail: Calibration) -> list[tuple[float, float]]:
    """Of some quantiles of training: the surprise from which a day is beyond, and their share."""
    shares = np.unique(np.asarray(tail.shares))
    at = np.unique(np.abs(shares[:, None] - np.asarray(QUANTILES)[None, :]).argmin(axis=0))
    inside = [
        (-math.log10(each) - ROUNDING_TOLERANCE, float(each)) for each in shares[at] if each < 1
    ]
    # Beyond where the tail begins lies what hardly ever was seen. Share 1: nothing ever was.
    rare = [(-math.log10(tail.start_share) + ROUNDING_TOLERANCE, tail.start_share)]
    return inside + [edge for edge in rare if tail.start_share < 1]


def find_shifts(
    counts: Sequence[pl.DataFrame], model: Model, families: Sequence[Family]
) -> list[Shift]:
    """The features that moved, the furthest first; none where too few unseen days were scored."""
    whole = pl.concat([COUNTS_SCHEMA.to_frame(), *counts])
    if whole["day"].n_unique() < MIN_DAYS:
        return []
    sums = whole.group_by("entity_kind", "feature", "quantile").agg(
        pl.col("beyond", "days").sum(), pl.col("entities").max()
    )
    features = {each.name: (each, family) for family in families for each in family.features}
    parts = sums.partition_by("entity_kind", "feature", as_dict=True)
    found = []
    for (kind, name), part in parts.items():
        feature, family = features[name]
        before, now, p = _largest_difference(part, model, str(kind), str(name))
        if p * len(parts) <= MAX_P_VALUE and abs(now - before) >= MIN_DISTANCE:
            hint = FEATURE_HINTS.get(feature.name) or FAMILY_HINTS.get(family.name, ADVICE)
            found.append(Shift(str(kind), feature.name, feature.meaning, before, now, p, hint))
    return sorted(found, key=lambda each: (-each.distance, each.entity_kind, each.feature))


def _largest_difference(
    part: pl.DataFrame, model: Model, kind: str, feature: str
) -> tuple[float, float, float]:
    """Shares in training and now, where they differ most, and the p-value of so large a one."""
    from scipy.special import kolmogorov

    voices = model.kind_models[kind].ensemble
    edges = _quantile_edges(voices.calibrations[voices.feature_names.index(feature)])
    pairs = [
        (edges[at][1], beyond / days)
        for at, beyond, days in part.select("quantile", "beyond", "days").iter_rows()
    ]
    before, now = max(pairs, key=lambda pair: (abs(pair[1] - pair[0]), pair))
    # Training and these days have about the same entities: two samples of that size.
    size = part["entities"].max()
    assert isinstance(size, int)
    return before, now, float(kolmogorov(abs(now - before) * math.sqrt(size / 2)))


def report_lines(found: Sequence[Shift]) -> list[str]:
    """Lines for people; none where nothing moved."""
    if not found:
        return []
    more = f", the first {MAX_SHOWN}" if len(found) > MAX_SHOWN else ""
    head = f"features of the days after training are not as they were in it{more}; {ADVICE}:"
    return [head, *(f"  {each.to_text()}" for each in found[:MAX_SHOWN])]


def latest_counts(counts: dict[date, pl.DataFrame], most: int) -> dict[date, pl.DataFrame]:
    """The counts of the latest days."""
    return {day: counts[day] for day in sorted(counts)[-most:]}
