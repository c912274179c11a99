"""What a feature is: a frozen value with an expression, a unit, a meaning and a sentence."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import polars as pl

#: One row of the feature table, by column name.
Figures: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Feature:
    """One number about an account at the end of an hour; higher is odder.

    ``expression`` is computed over the columns that ``features.table`` lists and may be null
    (the log does not say). ``says`` tells a person what was seen, from the row's figures.
    """

    name: str
    unit: str
    meaning: str
    expression: pl.Expr
    says: Callable[[Figures], str]


@dataclass(frozen=True, slots=True)
class Family:
    """Features that show the same kind of change."""

    name: str
    features: tuple[Feature, ...]


def standardised(measure: str) -> pl.Expr:
    """How far the day so far lies above the account's own usual full day, in spreads.

    Measured in log1p, since what people read in a day is log-normal to a good approximation
    and a theft multiplies.
    """
    return (pl.col(measure).log1p() - pl.col(f"{measure}_centre")) / pl.col(f"{measure}_spread")
