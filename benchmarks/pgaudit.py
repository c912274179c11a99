"""Writes events as the csvlog that PostgreSQL 15 with pgaudit would have written of them.

For measuring how fast csvlog is read; not a real log. Usage:

    python scripts/bench_pgaudit.py EVENTS.parquet OUT.csv N
"""

from __future__ import annotations

import sys
from pathlib import Path

import polars as pl

BATCH = 500_000


def write_csvlog(events_parquet: Path, out: Path, n: int) -> int:
    """Writes the first ``n`` events, ordered by time; returns the number of lines.

    One line per relation (the event's object and its other objects). Two thirds of the texts
    hold commas and are quoted, one in sixteen holds quotes and a newline; each has its own
    literals. Each account has one session a day. Needs the columns of ``schema.EVENTS``.
    """
    source = pl.scan_parquet(events_parquet).head(n)
    lines = 0
    with out.open("wb") as file:
        for start in range(0, n, BATCH):
            frame = source.slice(start, min(BATCH, n - start)).collect()
            if frame.is_empty():
                break
            frame = frame.sort("timestamp", maintain_order=True)
            written = _lines(frame.with_row_index("number", offset=start))
            file.write("\n".join(written.to_list()).encode() + b"\n")
            lines += written.len()
    return lines


def _lines(events: pl.DataFrame) -> pl.Series:
    number = pl.col("number").cast(pl.Int64)
    text = [pl.col(name).cast(pl.String).fill_null("") for name in _TEXT]
    frame = events.with_columns(
        *text,
        pl.col("object").cast(pl.String).fill_null(""),
        pl.col("rows").fill_null(0),
        _others(events).alias("other_objects"),
        (
            pl.col("account").hash(seed=7).mod(10**8).cast(pl.String)
            + "."
            + pl.col("timestamp").dt.epoch("d").cast(pl.String)
        ).alias("session"),
    )
    relations = pl.concat_list(pl.concat_list("object"), "other_objects")
    frame = frame.with_columns(relations.alias("relation")).with_columns(
        _message_text(number).alias("sql"),
        pl.col("timestamp").dt.strftime("%Y-%m-%d %H:%M:%S%.3f UTC").alias("time"),
    )
    frame = frame.explode("relation", empty_as_null=True, keep_nulls=True)
    kind = pl.when(pl.col("relation") == "").then(pl.lit("")).otherwise(pl.lit("TABLE"))
    line = pl.format(
        '{},"{}","{}",4242,"{}:40000",{},{},"SELECT",{},3/1,0,LOG,00000,'
        '"AUDIT: SESSION,{},1,READ,SELECT,{},{},{},<none>,{}"'
        ',,,,,,,,,"{}","client backend",,123456789',
        "time",
        "account",
        "database",
        "client_address",
        "session",
        number,
        "time",
        number + 1,
        kind,
        "relation",
        "sql",
        "rows",
        "application",
    )
    return frame.select(line.alias("line"))["line"]


_TEXT = ("account", "database", "client_address", "application", "statement")


def _others(events: pl.DataFrame) -> pl.Expr:
    if events.schema["other_objects"].base_type() is pl.List:
        return pl.col("other_objects").cast(pl.List(pl.String)).fill_null([])
    return pl.lit([], dtype=pl.List(pl.String))


def _message_text(number: pl.Expr) -> pl.Expr:
    """The statement as it stands in the message, in the field of csvlog: quotes doubled twice."""
    name = pl.when(pl.col("object") == "").then(pl.lit("person")).otherwise(pl.col("object"))
    column = "c_" + pl.col("statement").str.head(6)
    plain = pl.format("SELECT * FROM {} WHERE {} = {}", name, column, number)
    listed = pl.format('""SELECT id, name, {} FROM {} WHERE id = {}""', column, name, number)
    nested = pl.format(
        '""SELECT id, """"name""""\n  FROM {} WHERE {} = \'x, {}\'""', name, column, number
    )
    return (
        pl.when(number % 16 == 0).then(nested).when(number % 3 == 0).then(plain).otherwise(listed)
    )


if __name__ == "__main__":
    print(write_csvlog(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])))
