"""How large a theft is, how long it lasts, and how it is spread over its days."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: Sigma of the logarithm of one day of a theft beside the next.
UNEVEN = 0.2
#: How much more is taken on the last day than on the first, by the logarithm.
TILT = (0.5, 2.0)
#: Share of the days on which a thief who comes and goes is there.
ON = (0.3, 0.8)
EVEN, GROWS, FADES, ON_AND_OFF = range(4)


def between(low: float, high: float, random: np.random.Generator) -> float:
    """A number from ``low`` to ``high``, each factor as likely as another."""
    return float(np.exp(random.uniform(np.log(low), np.log(high))))


def days(low: int, high: int, random: np.random.Generator) -> int:
    """So many days, ``low`` to ``high`` (both included)."""
    return int(random.integers(low, high + 1))


def even(count: int, random: np.random.Generator) -> NDArray[np.float64]:
    """By day: weights of mean 1, no day quite like another."""
    weight = np.exp(UNEVEN * random.normal(size=count))
    return weight / weight.mean()


def any_shape(count: int, random: np.random.Generator) -> NDArray[np.float64]:
    """By day: weights of a theft that stays as it is, grows, fades, or comes and goes. Their mean
    is 1, where they are not 0.
    """
    weight, shape = even(count, random), int(random.integers(4))
    tilt = np.linspace(-0.5, 0.5, count) * random.uniform(*TILT)
    if shape == GROWS:
        weight *= np.exp(tilt)
    elif shape == FADES:
        weight *= np.exp(-tilt)
    elif shape == ON_AND_OFF:
        weight *= random.random(count) < random.uniform(*ON)
    on = weight > 0
    return weight / weight[on].mean() if on.any() else even(count, random)
