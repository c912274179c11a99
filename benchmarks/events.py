"""Makes the logs that are measured: seeded, in order of time, made once and kept.

20,000 accounts of very unequal activity, heavy-tailed row counts, 400 objects, 3,000
statements, 333,333 events a day. *csvlog* is what PostgreSQL 15 with pgaudit would have written
of them: for measuring how fast it is read; not a real log.

    python -m benchmarks.events parquet|csv FOLDER EVENTS
    python -m benchmarks.events csvlog FOLDER EVENTS SOURCE_EVENTS

Prints the path of the log.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

ACCOUNTS = 20_000
OBJECTS = 400
STATEMENTS = 3_000
PER_DAY = 333_333
BLOCK = 500_000
START_US = 1_704_067_200 * 1_000_000
DAY_US = 86_400 * 1_000_000
SEED = 20240206


def names(pattern: str, count: int) -> pl.Series:
    return pl.Series([pattern.format(number) for number in range(count)])


ACCOUNT_NAMES = names("agent{:05d}", ACCOUNTS)
OBJECT_NAMES = names("public.table_{:03d}", OBJECTS)
STATEMENT_NAMES = pl.Series([f"{i * 2654435761 % 2**64:016x}" for i in range(STATEMENTS)])
ADDRESSES = pl.Series([f"10.{i % 256}.{i // 256 % 256}.{i % 199}" for i in range(25_000)])
APPLICATIONS = pl.Series(["crm", "psql", "batch", "report", "web"])
DATABASES = pl.Series(["hr", "crm"])
ACTIONS = pl.Series(["read", "read", "read", "write", "export"])


def block(first: int, count: int, per_day: int = PER_DAY, seed: int = SEED) -> pl.DataFrame:
    """Events ``first`` to ``first + count`` of the log: the same, whatever else is made."""
    dice = np.random.default_rng([seed, first])
    low = START_US + first * DAY_US // per_day
    high = START_US + (first + count) * DAY_US // per_day
    account = (dice.pareto(0.7, count) * 20).astype(np.int64) % ACCOUNTS
    moved = (dice.random(count) < 0.05) * dice.integers(0, 5000, count)
    table = (account + (dice.pareto(1, count) * 3).astype(np.int64)) % OBJECTS
    statement = (account * 7 + (dice.pareto(1, count) * 5).astype(np.int64)) % STATEMENTS
    return pl.DataFrame(
        {
            "timestamp": pl.Series(np.sort(dice.integers(low, high, count))).cast(
                pl.Datetime("us", "UTC")
            ),
            "account": ACCOUNT_NAMES[account],
            "client_address": ADDRESSES[(account + moved) % 25_000],
            "application": APPLICATIONS[account % 5],
            "database": DATABASES[account % 2],
            "object": OBJECT_NAMES[table],
            "action": ACTIONS[dice.integers(0, 5, count)],
            "rows": dice.lognormal(1.5, 1.8, count).astype(np.int64),
            "bytes": dice.lognormal(6, 1.8, count).astype(np.int64),
            "duration_ms": dice.lognormal(1, 1, count).round(3),
            "statement": STATEMENT_NAMES[statement],
            "success": dice.random(count) > 0.01,
        }
    )


def parquet(folder: Path, events: int) -> Path:
    """The first ``events`` of the log as Parquet."""
    path = folder / f"events-{events}.parquet"
    if path.exists():
        return path
    scratch = path.with_suffix(".tmp")
    writer = None
    for first in range(0, events, BLOCK):
        table = block(first, min(BLOCK, events - first)).to_arrow(
            compat_level=pl.CompatLevel.oldest()
        )
        table = table.cast(
            pa.schema([(f.name, pa.string() if f.type == pa.large_string() else f.type)
                       for f in table.schema])
        )  # fmt: skip
        writer = writer or pq.ParquetWriter(scratch, table.schema, compression="zstd")
        writer.write_table(table)
    if writer is not None:
        writer.close()
    scratch.replace(path)
    return path


def csv(folder: Path, events: int) -> Path:
    """The same log as CSV."""
    path = folder / f"events-{events}.csv"
    if path.exists():
        return path
    scratch = path.with_suffix(".tmp")
    with scratch.open("wb") as file:
        for first in range(0, events, BLOCK):
            frame = block(first, min(BLOCK, events - first))
            frame.write_csv(
                file,
                include_header=first == 0,
                datetime_format="%Y-%m-%dT%H:%M:%S%.6fZ",
            )
    scratch.replace(path)
    return path


def csvlog(folder: Path, events: int, source_events: int) -> Path:
    """The first ``events`` of the log as pgaudit's csvlog."""
    path = folder / f"pgaudit-{events}.csv"
    if path.exists():
        return path
    plain = parquet(folder, source_events)
    scratch, full = path.with_suffix(".tmp"), folder / "pgaudit-events.parquet"
    none = pl.lit(None, dtype=pl.List(pl.String)).alias("other_objects")
    pl.scan_parquet(plain).head(events).with_columns(none).sink_parquet(full)
    write_csvlog(full, scratch, events)
    full.unlink()
    scratch.replace(path)
    return path


def write_csvlog(events_parquet: Path, out: Path, n: int) -> int:
    """Writes the first ``n`` events, ordered by time; returns the number of lines.

    One line per relation (the event's object and its other objects). Two thirds of the texts
    hold commas and are quoted, one in sixteen holds quotes and a newline; each has its own
    literals. Each account has one session a day. Needs the columns of ``schema.EVENTS``.
    """
    source = pl.scan_parquet(events_parquet).head(n)
    lines = 0
    with out.open("wb") as file:
        for start in range(0, n, BLOCK):
            frame = source.slice(start, min(BLOCK, n - start)).collect()
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


MAKERS = {"parquet": parquet, "csv": csv, "csvlog": csvlog}

if __name__ == "__main__":
    kind, folder, *sizes = sys.argv[1:]
    print(MAKERS[kind](Path(folder), *(int(size) for size in sizes)))
