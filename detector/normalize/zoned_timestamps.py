"""PostgreSQL's log times, such as ``2024-02-05 10:00:00.123 CET``, as UTC.

The zone's name follows the server's ``log_timezone`` and is an abbreviation where the zone has
one, else a number (https://www.postgresql.org/docs/current/runtime-config-logging.html).
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

import polars as pl

from detector.core.schema import TIMESTAMP

NAIVE: Final = pl.Datetime("us")
EARLIEST: Final = datetime(1990, 1, 1, tzinfo=UTC)
MAX_FUTURE: Final = timedelta(days=2)

#: Hours east of UTC of the abbreviations that mean one thing wherever the time zone database
#: uses them today. CST, IST, PST and CDT mean several and are left out on purpose; so is BST,
#: which was Bangladesh's too.
ABBREVIATIONS: Final = {
    "UTC": 0,
    "GMT": 0,
    "Z": 0,
    "UCT": 0,
    "WET": 0,
    "WEST": 1,
    "CET": 1,
    "CEST": 2,
    "MET": 1,
    "MEST": 2,
    "EET": 2,
    "EEST": 3,
    "MSK": 3,
    "IDT": 3,
    "WAT": 1,
    "CAT": 2,
    "SAST": 2,
    "EAT": 3,
    "PKT": 5,
    "WIB": 7,
    "WITA": 8,
    "WIT": 9,
    "HKT": 8,
    "JST": 9,
    "KST": 9,
    "AWST": 8,
    "ACST": 9.5,
    "ACDT": 10.5,
    "AEST": 10,
    "AEDT": 11,
    "NZST": 12,
    "NZDT": 13,
    "NST": -3.5,
    "NDT": -2.5,
    "AST": -4,
    "ADT": -3,
    "EST": -5,
    "EDT": -4,
    "MST": -7,
    "MDT": -6,
    "PDT": -7,
    "AKST": -9,
    "AKDT": -8,
    "HST": -10,
    "HDT": -9,
    "SST": -11,
}
_UTC_OFFSET: Final = re.compile(r"([+-])(\d\d):?([0-5]\d)?(?::?([0-5]\d))?")


def with_timestamp(frame: pl.DataFrame, zone: str) -> pl.DataFrame:
    """``frame`` with ``timestamp`` (UTC) from ``log_time``, and ``undated``: the reason, or null.

    ``zone`` is the IANA zone that the setting log_timezone names.
    """
    parts = pl.col("log_time").str.splitn(" ", 3).struct
    frame = frame.with_columns(
        (parts[0] + "T" + parts[1])
        .str.to_datetime("%Y-%m-%dT%H:%M:%S%.f", time_unit="us", strict=False)
        .alias("_naive"),
        parts[2].fill_null("").alias("_zone"),
    )
    names = frame["_zone"].unique().to_list()
    moments = [_zone_instants(name, zone) for name in names]
    moment = pl.coalesce(*moments) if moments else pl.lit(None, TIMESTAMP)
    frame = frame.with_columns(moment.cast(TIMESTAMP).alias("timestamp"))
    latest = datetime.now(UTC) + MAX_FUTURE
    reason = (
        pl.when(pl.col("_naive").is_null())
        .then(pl.lit("no readable time at its start"))
        .when(pl.col("timestamp").is_null())
        .then(pl.lit("its time zone can be read in several ways; set log_timezone to the server's"))
        .when(pl.col("timestamp") < EARLIEST)
        .then(pl.lit("dated before 1990"))
        .when(pl.col("timestamp") > latest)
        .then(pl.lit("dated in the future"))
    )
    return frame.with_columns(reason.alias("undated")).drop("_naive", "_zone")


def _zone_instants(name: str, zone: str) -> pl.Expr:
    """UTC of the rows whose zone is written ``name``, null elsewhere and where it is unclear."""
    naive = pl.when(pl.col("_zone") == name).then(pl.col("_naive"))
    if name in ("UTC", "GMT", "Z", "UCT"):
        return naive.dt.replace_time_zone("UTC")
    seconds = utc_offset(name)
    if seconds is not None:
        return (naive - pl.lit(timedelta(seconds=seconds))).dt.replace_time_zone("UTC")
    if not re.fullmatch("[A-Za-z]{1,6}", name):
        return pl.lit(None, TIMESTAMP)
    tries: list[pl.Expr] = []
    for ambiguous in ("earliest", "latest"):
        local = naive.dt.replace_time_zone(
            zone,
            ambiguous=ambiguous,
            non_existent="null",
        )
        tries.append(
            pl.when(local.dt.to_string("%Z") == name).then(local.dt.convert_time_zone("UTC"))
        )
    hours = ABBREVIATIONS.get(name)
    if hours is not None:
        shifted = naive - pl.lit(timedelta(hours=hours))
        tries.append(shifted.dt.replace_time_zone("UTC"))
    return pl.coalesce(*tries)


def utc_offset(name: str) -> int | None:
    """Seconds east of UTC of ``+01``, ``+0530``, ``-03:30``; None for anything else."""
    found = _UTC_OFFSET.fullmatch(name)
    if found is None:
        return None
    sign, hours, minutes, seconds = found.groups()
    total = int(hours) * 3600 + int(minutes or 0) * 60 + int(seconds or 0)
    return -total if sign == "-" else total
