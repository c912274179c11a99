"""What a session said last, carried from row to row and from block to block."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeVar

import polars as pl

Value = TypeVar("Value")


def carry_forward(
    frame: pl.DataFrame, key: str, said: pl.Expr, known: Mapping[str, str]
) -> tuple[pl.Series, list[tuple[str, str]]]:
    """What each row's ``key`` (a column) said last, up to the row; and what each key said last.

    ``said`` is null where a row says nothing; ``known`` is what was said before ``frame``, which
    is in the order of the log. The first is a String Series; the second has only keys that spoke.
    """
    before = pl.DataFrame(
        {key: list(known), "_before": list(known.values())},
        schema={key: pl.String, "_before": pl.String},
    )
    frame = frame.select(key, said.alias("_said"))
    frame = frame.join(before, on=key, how="left", maintain_order="left")
    filled = pl.col("_said").forward_fill().over(key).fill_null(pl.col("_before"))
    spoke = frame.filter(pl.col("_said").is_not_null()).unique(
        key, keep="last", maintain_order=True
    )
    return frame.select(filled).to_series(), spoke.select(key, "_said").rows()


def remember(known: dict[str, Value], told: Iterable[tuple[str, Value]], most: int) -> None:
    """Adds what was told to ``known`` as the newest, and forgets the oldest beyond ``most``."""
    for name, value in told:
        known.pop(name, None)
        known[name] = value
    while len(known) > most:
        known.pop(next(iter(known)))
