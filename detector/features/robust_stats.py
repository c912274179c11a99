"""Order statistics of arrays with gaps (NaN), by sorting: faster than numpy's nan-functions."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Integers: TypeAlias = NDArray[np.int64]

#: Makes the median absolute deviation a standard deviation under normality.
MAD_FACTOR = 1.4826
#: A value counts for at most this many spreads beyond the median in ``huber_mean``.
MAX_SPREADS = 2.0
#: Distance of the 90th percentile from the median under normality, in standard deviations.
Q90_DISTANCE = 1.2816


def quantiles(values: Floats, *shares: float) -> list[Floats]:
    """Each quantile along the last axis, between neighbours linearly; NaN where all are NaN."""
    if values.shape[-1] == 0:
        return [np.full(values.shape[:-1], np.nan) for _ in shares]
    ordered = np.sort(values, axis=-1)
    last = np.maximum(counts(values) - 1, 0)
    found = []
    for share in shares:
        place = share * last
        low = np.floor(place).astype(np.int64)
        high = np.minimum(low + 1, last)
        below = np.take_along_axis(ordered, low[..., None], axis=-1)[..., 0]
        above = np.take_along_axis(ordered, high[..., None], axis=-1)[..., 0]
        found.append(below + (place - low) * (above - below))
    return found


def median(values: Floats) -> Floats:
    """The median along the last axis; NaN where all are NaN."""
    return quantiles(values, 0.5)[0]


def spread(values: Floats, floor: float) -> Floats:
    """Robust upper spread along the last axis, at least ``floor``.

    MAD, or the 90th percentile's distance where MAD is blind to it: many measures are 0 on most
    days (work at night); their MAD is 0 and says nothing.
    """
    middle, high = quantiles(values, 0.5, 0.9)
    deviation = median(np.abs(values - middle[..., None])) * MAD_FACTOR
    return np.fmax(np.fmax(deviation, (high - middle) / Q90_DISTANCE), floor)


def huber_mean(values: Floats, apart: Floats) -> Floats:
    """The mean along the last axis, each value held to HELD_TO spreads ``apart`` of the median.

    One step of Huber's estimator (1964): nearly as sure of the level as a mean is (a median needs
    half as many days again), and hardly more moved by a few wild days than a median.
    """
    middle = median(values)
    reach = MAX_SPREADS * apart[..., None]
    held = np.clip(values - middle[..., None], -reach, reach)
    known = np.maximum(counts(values), 1)
    found: Floats = middle + np.nansum(held, axis=-1) / known
    return found


def counts(values: Floats) -> Integers:
    """How many are not NaN, along the last axis."""
    found: Integers = (~np.isnan(values)).sum(axis=-1)
    return found


def group_members(codes: Integers, groups: int) -> list[Integers]:
    """The places of each group's members, by code."""
    order = np.argsort(codes, kind="stable")
    ends = np.cumsum(np.bincount(codes, minlength=groups))
    return np.split(order, ends[:-1]) if groups else []


def group_medians(values: Floats, groups: list[Integers]) -> tuple[Floats, Integers]:
    """Each group's median and size: (groups, columns) twice, of (entities, columns)."""
    medians = np.full((len(groups), values.shape[1]), np.nan)
    sizes = np.zeros((len(groups), values.shape[1]), dtype=np.int64)
    for code, places in enumerate(groups):
        if len(places):
            mine = values[places].T
            medians[code], sizes[code] = median(mine), counts(mine)
    return medians, sizes


def shrink(count: Floats | Integers, own: Floats, prior: Floats, weight: float) -> Floats:
    """``own``, known from ``count`` days, drawn towards a prior that weighs ``weight`` days."""
    n = np.where(np.isnan(own), 0, count)
    found: Floats = (n * np.nan_to_num(own) + weight * prior) / (n + weight)
    return found
