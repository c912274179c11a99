"""A sustained shift: days of the past week and month against the frozen baseline.

The frozen baseline was learned once, in training, so a slow ramp cannot teach it.
"""

import polars as pl

from detector.features.feature import Family, Feature, Figures
from detector.phrases import count

#: Variance of a person's honest level over months, in squared spreads, that no number of days
#: averages away; without it a long window would make every small drift significant.
DRIFT = 0.05
#: Fewer active days than this are no sustained shift.
FEWEST = 3


def _shift(measure: str, window: str, phrase: str) -> Feature:
    mean = pl.col(f"{measure}_{window}_excess")
    days = pl.col(f"{measure}_{window}_days")
    error = (1 / days + 1 / pl.col("frozen_days").clip(1) + DRIFT).sqrt()

    def says(row: Figures) -> str:
        return (
            f"{phrase} above its level in training on most of its last "
            f"{count(row[f'{measure}_{window}_days'])} active days "
            f"(usual then {count(row[f'{measure}_frozen_usual'])} a day)"
        )

    return Feature(
        f"{measure}_{window}_shift",
        "standard errors",
        f"mean excess of {measure} over the frozen baseline in the past {window}",
        pl.when(days >= FEWEST).then(mean / error),
        says,
    )


FAMILY = Family(
    "month",
    (
        _shift("rows", "month", "records read"),
        _shift("statements", "month", "statements"),
        _shift("rows", "week", "records read"),
        _shift("statements", "week", "statements"),
    ),
)
