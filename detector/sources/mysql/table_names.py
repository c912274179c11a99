"""What MySQL's logs, and those of its relatives, have in common."""

from __future__ import annotations

import polars as pl


def with_objects(frame: pl.DataFrame) -> pl.DataFrame:
    """Adds ``object`` and ``other_objects``, as ``database.table``.

    From ``tables``, as the statement names them; ``database`` is that of the session.
    """
    distinct = frame.select("database", "tables").unique()
    named = [_qualified_names(database, tables) for database, tables in distinct.iter_rows()]
    distinct = distinct.with_columns(
        pl.Series("object", [names[0] if names else None for names in named], pl.String),
        pl.Series("other_objects", [names[1:] or None for names in named], pl.List(pl.String)),
    )
    key = ["database", "tables"]
    return frame.join(distinct, on=key, how="left", maintain_order="left", nulls_equal=True)


def _qualified_names(database: str | None, tables: list[str] | None) -> list[str]:
    """Names with their database; DUAL is no table."""
    names = (name for name in tables or [] if name.lower() != "dual")
    full = (f"{database}.{name}" if database and "." not in name else name for name in names)
    return list(dict.fromkeys(full))
