"""Which kinds of entity have a feature: those that have every figure its expression is made of.

The figures of a kind are not listed here a second time. A tiny ledger goes through the code that
sums it up for each kind; a measure that comes out empty is one that the kind does not have.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

import polars as pl

from detector import registry
from detector.core.schema import HOURLY_SUMS, SUBJECT, TOUCHED_VALUES
from detector.core.settings import Settings
from detector.features import aggregates, population
from detector.features.account_signals import SIGNAL_COLUMNS
from detector.features.aggregate_columns import LIST_COLUMNS
from detector.features.aggregates import ACCOUNT, ADDRESS, ENTITY_KINDS, GROUP, OBJECT
from detector.features.feature import Feature

HOUR: Final = datetime(2026, 11, 2, 9, tzinfo=UTC)
#: Columns of the feature table that are made for accounts and for nobody else.
OF_ACCOUNTS: Final = frozenset({*SIGNAL_COLUMNS, *population.FIGURE_COLUMNS})


def kinds() -> dict[str, tuple[str, ...]]:
    """Each feature's kinds of entity, by its name."""
    owned = _measures()
    return {
        each.name: tuple(kind for kind in ENTITY_KINDS if _has(kind, owned[kind], each))
        for family in registry.families()
        for each in family.features
    }


def _has(kind: str, owned: frozenset[str], feature: Feature) -> bool:
    for column in feature.expression.meta.root_names():
        if column in OF_ACCOUNTS and kind != ACCOUNT:
            return False
        measure = _measure_of(column)
        if column not in OF_ACCOUNTS and measure and measure not in owned:
            return False
    return True


def _measure_of(column: str) -> str | None:
    """The measure that a column such as ``rows_centre`` is about, None if about no measure."""
    known = (*aggregates.ALL_AGGREGATES, *aggregates.SUBJECT_COLUMNS)
    of = [name for name in known if column == name or column.startswith(f"{name}_")]
    return max(of, key=len, default=None)


def _measures() -> dict[str, frozenset[str]]:
    """The measures that each kind of entity has."""
    settings = Settings()
    hours, touched = _hours(), _touched()
    accounts = aggregates.hourly_by_account(hours, touched, settings)
    groups = pl.DataFrame({"account": ["eve", "bob"], "group": ["desk", "desk"]})
    # How far members lie above their own usual day is known before groups are summed up.
    members = accounts.with_columns(departure=pl.lit(1.0))
    frames = {
        ACCOUNT: accounts,
        GROUP: aggregates.hourly_by_group(members, groups),
        ADDRESS: aggregates.hourly_by_value(touched, ADDRESS, settings),
        OBJECT: aggregates.hourly_by_value(touched, OBJECT, settings),
    }
    return {kind: _filled(frame) for kind, frame in frames.items()}


def _filled(frame: pl.DataFrame) -> frozenset[str]:
    found = {name for name in frame.columns if frame[name].null_count() < len(frame)}
    if set(LIST_COLUMNS) <= found:
        found.add(aggregates.MEAN_LENGTH)
    return frozenset(found)


def _hours() -> pl.DataFrame:
    row = {name: 1 for name, kind in HOURLY_SUMS.items() if kind == pl.Int64()}
    rows = [{**row, "hour": HOUR, "account": who, "action": "read"} for who in ("eve", "bob")]
    return pl.DataFrame(rows, schema=HOURLY_SUMS)


def _touched() -> pl.DataFrame:
    values = {OBJECT: "person", ADDRESS: "192.0.2.1", "application": "desk", SUBJECT: "0" * 16}
    rows = [
        {"day": HOUR.date(), "account": who, "dimension": dimension, "value": value,
         "statements": 1, "rows": 1, "first_hour": HOUR}
        for who in ("eve", "bob")
        for dimension, value in values.items()
    ]  # fmt: skip
    return pl.DataFrame(rows, schema=TOUCHED_VALUES)
