"""How the statements of an hour lie in it, from the minutes that have one (``HOURS.minutes``).

People work by screens and cases, with pauses between; a program that pages through a table asks on
and on, at even steps.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from detector.features.robust_stats import Floats, Integers

MINUTES = 60
#: Steps between minutes below which nothing can be said of how even they are.
MIN_STEPS = 5
THOUSANDTHS = 1000.0


def minute_pattern(masks: pl.Series) -> pl.DataFrame:
    """``minutes``, ``unbroken`` and ``even`` (in thousandths) of each distinct mask.

    ``unbroken`` is the longest run of minutes that each have a statement. ``even`` says how far the
    steps from one such minute to the next are alike, in standard deviations beyond what chance
    gives (Greenwood 1946, "The statistical study of infectious diseases": the sum of the squared
    shares of n intervals that n - 1 chance points cut has the mean 2/(n+1) and the variance
    4(n-1)/((n+1)^2 (n+2)(n+3))); 0 where they are no more even than chance, or too few.
    """
    distinct = masks.unique().sort()
    steps, span, squares, longest = _scan_minutes(distinct.to_numpy())
    n = np.maximum(steps, 1).astype(np.float64)
    greenwood = squares / np.maximum(span, 1) ** 2
    mean = 2 / (n + 1)
    deviation = np.sqrt(4 * (n - 1) / ((n + 1) ** 2 * (n + 2) * (n + 3)))
    beyond = np.fmax(mean - greenwood, 0.0) / np.where(n > 1, deviation, 1.0)
    # Whole numbers, whose sums do not depend on their order.
    even = np.rint(np.where(steps >= MIN_STEPS, beyond, 0.0) * THOUSANDTHS)
    return pl.DataFrame({"minutes": distinct, "unbroken": longest.astype(np.float64), "even": even})


def _scan_minutes(masks: Integers) -> tuple[Integers, Integers, Floats, Integers]:
    """Steps, minutes from first to last, sum of squared steps, and longest run, of each mask."""
    size = len(masks)
    steps, span, run, longest = (np.zeros(size, dtype=np.int64) for _ in range(4))
    squares = np.zeros(size)
    last = np.full(size, -1)
    for minute in range(MINUTES):
        on = (masks >> minute) & 1 == 1
        step = np.where(on & (last >= 0), minute - last, 0)
        steps += step > 0
        span += step
        squares += step * step
        last = np.where(on, minute, last)
        run = np.where(on, run + 1, 0)
        longest = np.maximum(longest, run)
    return steps, span, squares, longest
