"""Calibration: from a number to how rarely an honest account-day is as odd.

Below a high quantile the p-value is the share of honest days at least as odd. Above it the
excesses are taken as exponential, the limit of Pickands (1975) and Balkema and de Haan (1974)
with shape 0, so that a number far beyond all training still has a finite surprise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Where the exponential tail takes over.
TAIL_QUANTILE = 0.98
#: Points kept of the empirical part.
MAX_KNOTS = 256
#: Fewer excesses than this say little of a tail; the quantile is lowered until there are so many.
MIN_EXCESSES = 20


@dataclass(frozen=True, slots=True)
class Calibration:
    """Upper tail of a sample.

    ``values`` ascending with ``shares``, the share of the sample at least as large;
    beyond ``start`` the share ``start_share`` falls by a factor e per ``scale``.
    """

    values: tuple[float, ...]
    shares: tuple[float, ...]
    start: float
    start_share: float
    scale: float

    def surprise(self, numbers: NDArray[np.float64]) -> NDArray[np.float64]:
        """-log10 of the p-value, elementwise; 0 for NaN (nothing seen, nothing odd)."""
        values = np.asarray(self.values)
        shares = np.asarray(self.shares)
        known = np.nan_to_num(numbers, nan=-np.inf)
        # The largest stored value not above the number: rounding errs towards less surprise.
        at = np.searchsorted(values, known, side="right") - 1
        inside = np.where(at >= 0, shares[np.maximum(at, 0)], 1.0)
        far = np.maximum(known - self.start, 0.0) / self.scale
        beyond = -np.log10(self.start_share) + far * np.log10(np.e)
        # + 0.0 turns -0.0 into 0.0.
        return np.where(known > self.start, beyond, -np.log10(inside)) + 0.0

    def number_at(self, surprise: float) -> float:
        """The number whose surprise is ``surprise``, in the tail."""
        above = (surprise + math.log10(self.start_share)) * math.log(10)
        return self.start + above * self.scale

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "values": list(self.values),
            "shares": list(self.shares),
            "start": self.start,
            "start_share": self.start_share,
            "scale": self.scale,
        }

    @staticmethod
    def from_json(raw: dict[str, Any]) -> Calibration:
        """The tail again. Raises KeyError, TypeError or ValueError on anything else."""
        tail = Calibration(
            tuple(float(v) for v in raw["values"]),
            tuple(float(v) for v in raw["shares"]),
            float(raw["start"]),
            float(raw["start_share"]),
            float(raw["scale"]),
        )
        values = np.array([*tail.values, tail.start, tail.scale])
        shares = np.array([*tail.shares, tail.start_share])
        whole = len(tail.values) == len(tail.shares) > 0 and bool(np.isfinite(values).all())
        rising = list(tail.values) == sorted(tail.values) and tail.scale > 0
        if not (whole and rising and bool(((shares > 0) & (shares <= 1)).all())):
            raise ValueError("a tail is none")
        return tail


def fit(sample: NDArray[np.float64], least_scale: float) -> Calibration:
    """The tail of ``sample`` (any shape of NaN-free or NaN-holding numbers; NaN is left out).

    ``least_scale``, in the sample's unit, keeps a number that never varied in training (no new
    address, ever) from making the first change infinitely surprising.
    """
    known = np.sort(sample[np.isfinite(sample)])
    n = len(known)
    if n == 0:
        # Never seen in training, such as unknown rows in a log that gives all of them.
        return Calibration((0.0,), (1.0,), 0.0, 1.0, 1.0)
    quantile = max(0.5, min(TAIL_QUANTILE, 1 - MIN_EXCESSES / n)) if n > MIN_EXCESSES else 0.5
    start = float(known[int(quantile * (n - 1))])
    above = known[known > start]
    # One pseudo-day at least as odd as all: an unseen value is rare, never impossible.
    start_share = (len(above) + 1) / (n + 1)
    spread = float(np.quantile(known, 0.75) - np.quantile(known, 0.25))
    scale = float(np.mean(above - start)) if len(above) else spread
    scale = max(scale, 0.1 * spread, least_scale)
    values = np.unique(np.quantile(known, np.linspace(0, quantile, MAX_KNOTS), method="lower"))
    shares = (n - np.searchsorted(known, values, side="left") + 1) / (n + 1)
    return Calibration(
        tuple(values.tolist()), tuple(np.minimum(shares, 1.0).tolist()), start, start_share, scale
    )
