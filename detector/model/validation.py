"""What the frames of a model must be, held to it when they are read.

A checksum tells damage, not intent: whoever can write the folder can mend it. So each frame is
also held to its columns, its keys and the numbers that scoring can work with.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import polars as pl

from detector.core.schema import Schema
from detector.features.active_hours import HOUR_SCHEMA
from detector.features.aggregates import ALL_AGGREGATES, ENTITY_KINDS, SLOTS, SUBJECT_COLUMNS
from detector.features.baselines import ENTITY_LEVELS, PEER_LEVELS
from detector.features.novelty import KNOWN_SCHEMA, USAGE_SCHEMA
from detector.features.peer_groups import GROUPS_SCHEMA
from detector.model import boosted_trees, isolation_forest
from detector.model.entity_bias import BIAS_SCHEMA, MAX_SURPRISE


@dataclass(frozen=True, slots=True)
class FrameRules:
    """``schema``, and what tells rows apart: ``key``, of which ``nullable`` alone may be null.

    Nothing else is null, and ``conditions`` are true of each row.
    """

    schema: Schema
    key: tuple[str, ...] = ()
    nullable: tuple[str, ...] = ()
    conditions: tuple[pl.Expr, ...] = ()


def _column_names(levels: Iterable[str], measures: Sequence[str]) -> tuple[str, ...]:
    return tuple(f"{measure}_{level}" for measure in measures for level in levels)


def _number_rules(columns: Iterable[str]) -> tuple[pl.Expr, ...]:
    """A kind of entity has a measure or has it not: those with a NaN would be deaf to it."""
    return tuple(
        pl.col(name).is_finite() | pl.col(name).is_nan().all().over("entity_kind")
        for name in columns
    )


def _positive_rules(columns: Iterable[str]) -> tuple[pl.Expr, ...]:
    """Spreads, by which is divided."""
    return tuple(pl.col(name).is_nan() | (pl.col(name) > 0) for name in columns)


_KIND_RULE: Final = pl.col("entity_kind").is_in(list(ENTITY_KINDS))
#: SLOTS itself counts the days there were.
_HOUR_RULES: Final = (pl.col("slot").is_between(0, SLOTS), pl.col("days") >= 0)


def _level_rules(measures: Sequence[str]) -> FrameRules:
    return FrameRules(
        {
            "entity": pl.String(),
            "group": pl.String(),
            "days": pl.Int64(),
            "first_day": pl.Date(),
            "last_day": pl.Date(),
            **{name: pl.Float64() for name in _column_names(ENTITY_LEVELS, measures)},
            "entity_kind": pl.String(),
        },
        ("entity_kind", "entity"),
        conditions=(
            _KIND_RULE,
            pl.col("days") > 0,
            pl.col("first_day") <= pl.col("last_day"),
            pl.col("statements_centre").is_finite(),
            pl.col("rows_centre").is_finite(),
            *_number_rules(_column_names(ENTITY_LEVELS, measures)),
            *_positive_rules(_column_names(["spread"], measures)),
        ),
    )


def _peer_rules(measures: Sequence[str]) -> FrameRules:
    return FrameRules(
        {
            "group": pl.String(),
            "entities": pl.Int64(),
            **{name: pl.Float64() for name in _column_names(PEER_LEVELS, measures)},
            "entity_kind": pl.String(),
        },
        ("entity_kind", "group"),
        nullable=("group",),
        conditions=(
            _KIND_RULE,
            # Of each kind there are the peers that stand in for a group not learned.
            pl.col("entity_kind").n_unique() == len(ENTITY_KINDS),
            pl.col("group").is_null().any().over("entity_kind"),
            pl.col("entities") >= 0,
            *_number_rules(_column_names(PEER_LEVELS, measures)),
            *_positive_rules(_column_names(["group_spread", "group_within"], measures)),
        ),
    )


FRAME_RULES: Final[Mapping[str, FrameRules]] = {
    "levels": _level_rules(ALL_AGGREGATES),
    "peers": _peer_rules(ALL_AGGREGATES),
    "seen": FrameRules(HOUR_SCHEMA, ("entity", "off", "slot"), conditions=_HOUR_RULES),
    "habits": FrameRules(
        HOUR_SCHEMA,
        ("entity", "off", "slot"),
        nullable=("entity",),
        conditions=(*_HOUR_RULES, pl.col("entity").is_null().any()),
    ),
    "known": FrameRules(KNOWN_SCHEMA, ("account", "dimension", "value")),
    "used": FrameRules(
        USAGE_SCHEMA, ("group", "dimension", "value"), conditions=(pl.col("members") >= 0,)
    ),
    "groups": FrameRules(GROUPS_SCHEMA, ("account",)),
    "forests": FrameRules(
        {**isolation_forest.NODE_SCHEMA, "entity_kind": pl.String()}, conditions=(_KIND_RULE,)
    ),
    "trees": FrameRules(
        {**boosted_trees.NODE_SCHEMA, "entity_kind": pl.String()}, conditions=(_KIND_RULE,)
    ),
    "oddness": FrameRules(
        {**BIAS_SCHEMA, "entity_kind": pl.String()},
        ("entity_kind", "entity"),
        # Nothing is usual beyond what a day may count.
        conditions=(_KIND_RULE, pl.col("usual").is_between(-MAX_SURPRISE, MAX_SURPRISE)),
    ),
}
#: Of a log that says whose records were read.
SUBJECT_FRAME_RULES: Final[Mapping[str, FrameRules]] = {
    "levels": _level_rules((*ALL_AGGREGATES, *SUBJECT_COLUMNS)),
    "peers": _peer_rules((*ALL_AGGREGATES, *SUBJECT_COLUMNS)),
}


def validate(name: str, frame: pl.DataFrame) -> pl.DataFrame:
    """The frame called ``name``, its columns in order. Raises ValueError where it is no such."""
    more = any(column.startswith(SUBJECT_COLUMNS) for column in frame.columns)
    wanted = SUBJECT_FRAME_RULES.get(name, FRAME_RULES[name]) if more else FRAME_RULES[name]
    got = dict(frame.schema)
    differing = sorted(
        column for column in {*got, *wanted.schema} if got.get(column) != wanted.schema.get(column)
    )
    if differing:
        raise ValueError(
            f"{name}.parquet has other columns than it should: {_name_list(differing)}"
        )
    frame = frame.select(*wanted.schema)
    nulls = frame.drop(wanted.nullable).null_count().row(0, named=True)
    if lacking := [column for column, count in nulls.items() if count]:
        raise ValueError(f"{name}.parquet lacks values in {_name_list(lacking)}")
    if wanted.key and frame.select(pl.struct(wanted.key).is_duplicated().any()).item():
        raise ValueError(f"{name}.parquet has rows of one {' and '.join(wanted.key)} twice")
    for held in wanted.conditions:
        if not frame.select(held.all()).item():
            column = held.meta.root_names()[0]
            raise ValueError(f"{name}.parquet holds values that cannot be in {column}")
    return frame


def _name_list(columns: list[str], most: int = 3) -> str:
    more = ", ..." if len(columns) > most else ""
    return ", ".join(columns[:most]) + more
