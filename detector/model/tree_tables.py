"""Trees as plain numbers: how they are kept, and what they must be when they are read."""

from __future__ import annotations

from typing import Final

import polars as pl
import polars.selectors as cs

from detector.core.schema import Schema

#: ``left`` and ``right`` are places within the tree, 0 in a leaf. A point goes right where its
#: ``feature`` is above ``threshold``. What a leaf says is a column beside these.
SPLIT_SCHEMA: Final[Schema] = {
    "tree": pl.Int32(),
    "feature": pl.Int32(),
    "threshold": pl.Float64(),
    "left": pl.Int32(),
    "right": pl.Int32(),
}


def validate(nodes: pl.DataFrame, schema: Schema, columns: int, most_leaves: int) -> pl.DataFrame:
    """Stored trees of a ``schema`` (SPLITS, and numbers) that look at so many ``columns``.

    Raises ValueError where they lead nowhere, or in a circle.
    """
    if dict(nodes.schema) != dict(schema):
        raise ValueError("the trees have other columns")
    numbers = nodes.select(cs.float().is_finite().all())
    if sum(nodes.null_count().row(0)) or not all(numbers.row(0)):
        raise ValueError("the trees hold numbers that are none")
    place = pl.int_range(pl.len()).over("tree")
    inner = pl.col("left") > 0
    lost = nodes.select(
        (
            inner
            & (
                (pl.col("left") <= place)
                | (pl.col("right") <= place)
                | (pl.max_horizontal("left", "right") >= pl.len().over("tree"))
                | ~pl.col("feature").is_between(0, columns - 1)
            )
        ).any()
    ).item()
    if lost:
        raise ValueError("the trees lead nowhere")
    leaves = nodes.filter(~inner).group_by("tree").len()["len"]
    if (leaves > most_leaves).any():
        raise ValueError(f"a tree has more than {most_leaves} leaves")
    return nodes
