"""What a feature is: a frozen value with an expression, a unit, a meaning and a sentence."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import polars as pl

from detector.features.expectation import CUSUM_AGGREGATES

#: One row of the feature table, by column name.
FigureRow: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Feature:
    """One number about an entity at the end of an hour; higher is odder.

    ``expression`` is computed over the columns that ``features.build_table`` lists and may be null
    (the log does not say). ``describe`` tells a person what was seen, from the row's figures. What
    is ``is_rare`` few logs can show: a model of others is made as if there were no such feature.
    One that tells of an amount may support an alert ``is_sufficient``; what is only new, or a
    running sum, whose far tail few days of training show, may not.
    """

    name: str
    unit: str
    meaning: str
    expression: pl.Expr
    describe: Callable[[FigureRow], str]
    is_rare: bool = False
    is_sufficient: bool = False


@dataclass(frozen=True, slots=True)
class Family:
    """Features that show the same kind of change."""

    name: str
    features: tuple[Feature, ...]


def available_families(families: Sequence[Family], names: Collection[str]) -> tuple[Family, ...]:
    """``families`` without rare features that are not among ``names``."""
    return tuple(
        replace(
            family,
            features=tuple(
                each for each in family.features if not each.is_rare or each.name in names
            ),
        )
        for family in families
    )


def z_score(measure: str) -> pl.Expr:
    """How far the day so far lies above the own usual full day, in spreads.

    In log1p, since what people read in a day is log-normal to a good approximation and a theft
    multiplies. What the group does more of on that day is taken out.
    """
    moved = pl.col(f"{measure}_moved") if measure in CUSUM_AGGREGATES else pl.lit(0.0)
    return (pl.col(f"{measure}_log") - pl.col(f"{measure}_centre") - moved) / pl.col(
        f"{measure}_spread"
    )


def to_count(measure: str, level: str) -> pl.Expr:
    """A level of log1p as a plain count."""
    return pl.col(f"{measure}_{level}").exp().sub(1).clip(0)
