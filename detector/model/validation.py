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
from detector.features.active_hours import SEEN
from detector.features.aggregates import ALL, KINDS, SLOTS, SUBJECTS
from detector.features.baselines import ENTITY, PEERS
from detector.features.novelty import KNOWN, USED
from detector.features.peer_groups import GROUPS
from detector.model import boosted_trees, isolation_forest
from detector.model.entity_bias import MOST, USUAL


@dataclass(frozen=True, slots=True)
class Frame:
    """``schema``, and what tells rows apart: ``key``, of which ``open`` alone may be null.

    Nothing else is null, and ``holds`` are true of each row.
    """

    schema: Schema
    key: tuple[str, ...] = ()
    open: tuple[str, ...] = ()
    holds: tuple[pl.Expr, ...] = ()


def _columns(levels: Iterable[str], measures: Sequence[str]) -> tuple[str, ...]:
    return tuple(f"{measure}_{level}" for measure in measures for level in levels)


def _numbers(columns: Iterable[str]) -> tuple[pl.Expr, ...]:
    """A kind of entity has a measure or has it not: those with a NaN would be deaf to it."""
    return tuple(
        pl.col(name).is_finite() | pl.col(name).is_nan().all().over("entity_kind")
        for name in columns
    )


def _positive(columns: Iterable[str]) -> tuple[pl.Expr, ...]:
    """Spreads, by which is divided."""
    return tuple(pl.col(name).is_nan() | (pl.col(name) > 0) for name in columns)


_KIND: Final = pl.col("entity_kind").is_in(list(KINDS))
#: SLOTS itself counts the days there were.
_HOURS: Final = (pl.col("slot").is_between(0, SLOTS), pl.col("days") >= 0)


def _levels(measures: Sequence[str]) -> Frame:
    return Frame(
        {
            "entity": pl.String(),
            "group": pl.String(),
            "days": pl.Int64(),
            "first_day": pl.Date(),
            "last_day": pl.Date(),
            **{name: pl.Float64() for name in _columns(ENTITY, measures)},
            "entity_kind": pl.String(),
        },
        ("entity_kind", "entity"),
        holds=(
            _KIND,
            pl.col("days") > 0,
            pl.col("first_day") <= pl.col("last_day"),
            pl.col("statements_centre").is_finite(),
            pl.col("rows_centre").is_finite(),
            *_numbers(_columns(ENTITY, measures)),
            *_positive(_columns(["spread"], measures)),
        ),
    )


def _peers(measures: Sequence[str]) -> Frame:
    return Frame(
        {
            "group": pl.String(),
            "entities": pl.Int64(),
            **{name: pl.Float64() for name in _columns(PEERS, measures)},
            "entity_kind": pl.String(),
        },
        ("entity_kind", "group"),
        open=("group",),
        holds=(
            _KIND,
            # Of each kind there are the peers that stand in for a group not learned.
            pl.col("entity_kind").n_unique() == len(KINDS),
            pl.col("group").is_null().any().over("entity_kind"),
            pl.col("entities") >= 0,
            *_numbers(_columns(PEERS, measures)),
            *_positive(_columns(["group_spread", "group_within"], measures)),
        ),
    )


FRAMES: Final[Mapping[str, Frame]] = {
    "levels": _levels(ALL),
    "peers": _peers(ALL),
    "seen": Frame(SEEN, ("entity", "off", "slot"), holds=_HOURS),
    "habits": Frame(
        SEEN,
        ("entity", "off", "slot"),
        open=("entity",),
        holds=(*_HOURS, pl.col("entity").is_null().any()),
    ),
    "known": Frame(KNOWN, ("account", "dimension", "value")),
    "used": Frame(USED, ("group", "dimension", "value"), holds=(pl.col("members") >= 0,)),
    "groups": Frame(GROUPS, ("account",)),
    "forests": Frame({**isolation_forest.NODES, "entity_kind": pl.String()}, holds=(_KIND,)),
    "trees": Frame({**boosted_trees.NODES, "entity_kind": pl.String()}, holds=(_KIND,)),
    "oddness": Frame(
        {**USUAL, "entity_kind": pl.String()},
        ("entity_kind", "entity"),
        # Nothing is usual beyond what a day may count.
        holds=(_KIND, pl.col("usual").is_between(-MOST, MOST)),
    ),
}
#: Of a log that says whose records were read.
WITH_SUBJECTS: Final[Mapping[str, Frame]] = {
    "levels": _levels((*ALL, *SUBJECTS)),
    "peers": _peers((*ALL, *SUBJECTS)),
}


def checked(name: str, frame: pl.DataFrame) -> pl.DataFrame:
    """The frame called ``name``, its columns in order. Raises ValueError where it is no such."""
    more = any(column.startswith(SUBJECTS) for column in frame.columns)
    wanted = WITH_SUBJECTS.get(name, FRAMES[name]) if more else FRAMES[name]
    got = dict(frame.schema)
    differing = sorted(
        column for column in {*got, *wanted.schema} if got.get(column) != wanted.schema.get(column)
    )
    if differing:
        raise ValueError(f"{name}.parquet has other columns than it should: {_some(differing)}")
    frame = frame.select(*wanted.schema)
    nulls = frame.drop(wanted.open).null_count().row(0, named=True)
    if lacking := [column for column, count in nulls.items() if count]:
        raise ValueError(f"{name}.parquet lacks values in {_some(lacking)}")
    if wanted.key and frame.select(pl.struct(wanted.key).is_duplicated().any()).item():
        raise ValueError(f"{name}.parquet has rows of one {' and '.join(wanted.key)} twice")
    for held in wanted.holds:
        if not frame.select(held.all()).item():
            column = held.meta.root_names()[0]
            raise ValueError(f"{name}.parquet holds values that cannot be in {column}")
    return frame


def _some(columns: list[str], most: int = 3) -> str:
    more = ", ..." if len(columns) > most else ""
    return ", ".join(columns[:most]) + more
