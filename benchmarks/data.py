"""Makes the logs that scripts/bench measures: seeded, in order of time, made once and kept.

20,000 accounts of very unequal activity, heavy-tailed row counts, 400 objects, 3,000
statements, 333,333 events a day.

    python scripts/bench_data.py parquet|csv FOLDER EVENTS
    python scripts/bench_data.py csvlog FOLDER EVENTS SOURCE_EVENTS

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
    from bench_pgaudit import write_csvlog

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


MAKERS = {"parquet": parquet, "csv": csv, "csvlog": csvlog}

if __name__ == "__main__":
    kind, folder, *sizes = sys.argv[1:]
    print(MAKERS[kind](Path(folder), *(int(size) for size in sizes)))
