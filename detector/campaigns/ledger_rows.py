"""What a thief does, hour by hour, and how it would have looked in the ledger.

The ledger's tables merge, so a campaign is one more part of the log: its acts are folded like
events and added to what honest people did.
"""

from __future__ import annotations

import zlib
from datetime import date, datetime
from typing import Final

import numpy as np
import polars as pl

from detector.core.schema import HOURLY_SUMS, SUBJECT, TIMESTAMP, TOUCHED_VALUES, Schema, empty
from detector.ledger import distinct_sketch
from detector.ledger.aggregate import LOG_SCALE, merge_hourly_sums, merge_touched_values

#: One account's statements of one kind in one hour. ``rows`` are records taken, ``log_rows`` the
#: sum of log1p(rows) over the statements (natural logs), ``lists`` and ``log_list_rows`` see HOURS,
#: ``largest`` the largest single result.
#: ``known`` says whether the log tells the rows. ``rows`` may be taken by statements that somebody
#: made anyway: then ``statements`` is 0. ``minutes`` see HOURS.
CAMPAIGN_ROWS: Final[Schema] = {
    "account": pl.String(),
    "day": pl.Date(),
    "hour": TIMESTAMP,
    "action": pl.String(),
    "client_address": pl.String(),
    "application": pl.String(),
    "object": pl.String(),
    "statements": pl.Int64(),
    "rows": pl.Int64(),
    "log_rows": pl.Float64(),
    "lists": pl.Int64(),
    "log_list_rows": pl.Float64(),
    "largest": pl.Int64(),
    "bytes": pl.Int64(),
    "minutes": pl.Int64(),
    "known": pl.Boolean(),
}

VALUE_DIMENSIONS: Final = ("client_address", "application", "object")


def hourly_sums(acts: pl.DataFrame) -> pl.DataFrame:
    """HOURS of ACTS."""
    told = pl.when("known")
    return acts.select(
        "hour",
        "account",
        "action",
        "statements",
        told.then("rows").otherwise(0).alias("rows"),
        told.then(0).otherwise("statements").alias("unknown_rows"),
        told.then("largest").otherwise(None).alias("largest"),
        *(
            told.then((pl.col(name) * LOG_SCALE).round().cast(pl.Int64)).otherwise(0).alias(name)
            for name in ("log_rows", "log_list_rows")
        ),
        *(told.then(name).otherwise(0).alias(name) for name in ("lists", "bytes")),
        pl.lit(0, pl.Int64).alias("failures"),
        "minutes",
    ).select(pl.col(name).cast(kind) for name, kind in HOURLY_SUMS.items())


def touched_values(acts: pl.DataFrame) -> pl.DataFrame:
    """TOUCHED of ACTS, of the dimensions in VALUES."""
    pieces = [
        acts.filter(pl.col(dimension).is_not_null()).select(
            "day",
            "account",
            pl.lit(dimension).alias("dimension"),
            pl.col(dimension).alias("value"),
            "statements",
            pl.when("known").then("rows").otherwise(0).alias("rows"),
            pl.col("hour").alias("first_hour"),
        )
        for dimension in VALUE_DIMENSIONS
    ]
    return pl.concat(pieces).select(
        pl.col(name).cast(kind) for name, kind in TOUCHED_VALUES.items()
    )


def subject_values(acts: pl.DataFrame, honest_touched: pl.DataFrame) -> pl.DataFrame:
    """TOUCHED of whose records are taken: of as many people as records, none read before.

    Only of accounts of which the log says whose records they read.
    """
    told = honest_touched.filter(pl.col("dimension") == SUBJECT)["account"].unique()
    taken = acts.filter("known", pl.col("rows") > 0, pl.col("account").is_in(told.implode()))
    days = taken.sort("hour").group_by("day", "account", maintain_order=True).agg("hour", "rows")
    return pl.concat([empty(TOUCHED_VALUES), *(_new_subjects(*row) for row in days.iter_rows())])


def _new_subjects(day: date, account: str, hours: list[datetime], rows: list[int]) -> pl.DataFrame:
    """TOUCHED of an account that reads so many people's records in ``hours`` of a day."""
    random = np.random.default_rng([zlib.crc32(account.encode()), day.toordinal()])
    draws = [distinct_sketch.draw(each, random) for each in rows]
    hashes = np.concatenate(draws)
    at = np.repeat(np.arange(len(hours)), [len(each) for each in draws])
    stay = distinct_sketch.sketch_mask(hashes, at)
    values = pl.DataFrame({"value": distinct_sketch.encode(hashes[stay])})
    named = values.with_columns(
        pl.Series("first_hour", hours, dtype=TIMESTAMP).gather(at[stay]),
        day=pl.lit(day), account=pl.lit(account), dimension=pl.lit(SUBJECT), statements=0, rows=0,
    )  # fmt: skip
    return named.select(pl.col(name).cast(kind) for name, kind in TOUCHED_VALUES.items())


def add_campaign(
    honest_hours: pl.DataFrame, honest_touched: pl.DataFrame, acts: pl.DataFrame
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """HOURS and TOUCHED with the acts in them, sorted as the ledger gives them."""
    keys = ["hour", "account", "action"]
    names = ["day", "account", "dimension", "value"]
    return (
        merge_hourly_sums(pl.concat([honest_hours, hourly_sums(acts)])).sort(keys),
        merge_touched_values(
            pl.concat([honest_touched, touched_values(acts), subject_values(acts, honest_touched)])
        ).sort(names),
    )
