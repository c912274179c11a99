"""Times as people's tools write them, besides ISO 8601: day first, month first, by name, 12 hours.

``03/11/2026`` is a day in March or in November. What tells is a day beyond 12 somewhere in the
column, or the setting timestamp_format. Where nothing tells, the time is refused: a guess that
is wrong moves a theft by months, and nobody would know.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import Final, Literal, TypeAlias
from zoneinfo import ZoneInfo

import polars as pl

from detector.core.schema import TIMESTAMP
from detector.core.settings import TIME_ORDERS, polars_format
from detector.normalize import zoned_timestamps

NAIVE: Final = pl.Datetime("us")
Order: TypeAlias = Literal["", "day-first", "month-first"]
#: Numbers with one mark between them, the year at either end, the rest as it may come.
_DATE: Final = r"(?P<a>\d{1,4})(?P<mark>[./-])(?P<b>\d{1,2})[./-](?P<c>\d{4}|\d{1,2})"
_CLOCK: Final = (
    r"(?P<hour>\d{1,2})[:.](?P<minute>\d\d)(?:[:.](?P<second>\d\d)(?:[.,](?P<part>\d{1,9}))?)?"
    r" ?(?P<half>[AaPp])?(?:\.?[Mm]\.?)?"
)
_ZONE: Final = r"(?P<zone>[A-Za-z][A-Za-z/_+-]{0,40}\d{0,2}|[+-]\d\d(?::?\d\d)?)"
_TIME_PATTERN: Final = (
    rf"^{_DATE}(?:,? *T? *(?:at )?{_CLOCK} ?(?:\(?{_ZONE}\)?|[+-]\d\d:\d\d\[(?P<in>[^\]]*)\])?)?$"
)
_OFFSET_WITH_ZONE: Final = r"([+-]\d\d:\d\d|Z)\[[A-Za-z/_]{1,40}\]$"
_MONTHS: Final = (
    *("jan", "feb", "mar", "apr", "may", "jun"),
    *("jul", "aug", "sep", "oct", "nov", "dec"),
)
_WEEKDAY: Final = r"(?i)^(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*,? +"
#: Dates by name, as numbers with dots: 3 Nov 2026, 03-NOV-26, Nov 3, 2026, and ctime's.
_NAMED_MONTH_DATES: Final = (
    (r"^(\d{1,2})[ -]([A-Za-z]{3})[a-z]*\.?,?[ -](\d{4}|\d\d)", "${1}.<${2}>.${3}"),
    (r"^([A-Za-z]{3})[a-z]*\.? +(\d{1,2}),? +(\d{4})", "${2}.<${1}>.${3}"),
    (r"^([A-Za-z]{3}) +(\d{1,2}) (\d\d:\d\d:\d\d(?:\.\d+)?) (\d{4})$", "${2}.<${1}>.${4} ${3}"),
)


@dataclass(slots=True)
class TimeFormat:
    """How a log writes its times: ``setting`` as the settings say, ``order`` as was seen so far."""

    setting: str = ""
    order: Order = ""

    @property
    def pattern(self) -> str:
        """The format that the settings give, if it is more than an order."""
        return "" if self.setting in TIME_ORDERS else self.setting


@dataclass(frozen=True, slots=True)
class ParsedTimes:
    """``zoned`` are instants, ``local`` times that name no zone; ``unclear`` could be two."""

    zoned: pl.Series
    local: pl.Series
    ambiguous: pl.Series


def read(texts: pl.Series, form: TimeFormat) -> ParsedTimes:
    """The times among ``texts``; null where one is of none of these forms."""
    plain = texts.str.strip_chars().str.replace(_OFFSET_WITH_ZONE, "${1}").str.replace(_WEEKDAY, "")
    for pattern, into in _NAMED_MONTH_DATES:
        plain = plain.str.replace(pattern, into)
    names = {f"<{name}>": f"{month:02}" for month, name in enumerate(_MONTHS, 1)}
    plain = plain.str.replace_many(list(names), list(names.values()), ascii_case_insensitive=True)
    parts = (
        plain.alias("t")
        .to_frame()
        .select(pl.col("t").str.extract_groups(_TIME_PATTERN))
        .unnest("t")
    )
    dated, unclear = _iso_dates(parts, form)
    clock = _iso_clock()
    local = parts.select(
        (dated + "T" + clock)
        .str.to_datetime("%Y-%m-%dT%H:%M:%S%.f", time_unit="us", strict=False)
        .alias("local")
    )["local"]
    return _apply_zones(local, parts["zone"], unclear)


def read_with_pattern(texts: pl.Series, pattern: str) -> ParsedTimes:
    """``texts`` by a format of the settings; null where one is of another."""
    plain = texts.str.strip_chars()
    nothing = pl.Series([False], dtype=pl.Boolean).new_from_index(0, len(texts))
    empty = pl.Series([None], dtype=NAIVE).new_from_index(0, len(texts))
    found = plain.str.to_datetime(polars_format(pattern), time_unit="us", strict=False)
    if isinstance(found.dtype, pl.Datetime) and found.dtype.time_zone:
        return ParsedTimes(found.dt.convert_time_zone("UTC").cast(TIMESTAMP), empty, nothing)
    return ParsedTimes(empty.cast(TIMESTAMP), found.cast(NAIVE), nothing)


def _iso_dates(parts: pl.DataFrame, form: TimeFormat) -> tuple[pl.Expr, pl.Series]:
    """(the date of each row as ISO 8601, which could be two)."""
    number = {name: pl.col(name).cast(pl.Int32, strict=False) for name in "abc"}
    year_first = pl.col("a").str.len_chars() == 4
    dots = pl.col("mark") == "."
    open_ = ~year_first & ~dots
    told = parts.select(
        open_.alias("open"),
        (open_ & (number["a"] > 12)).alias("day"),
        (open_ & (number["b"] > 12)).alias("month"),
        (number["a"] == number["b"]).alias("same"),
    ).with_columns(pl.all().fill_null(value=False))
    day, month = bool(told["day"].any()), bool(told["month"].any())
    order: Order = form.order
    if form.setting in TIME_ORDERS:
        order = "day-first" if form.setting == "day-first" else "month-first"
    elif day != month:
        order = form.order = "day-first" if day else "month-first"
    elif day:  # both: no order holds for all
        order = form.order = ""
    first = pl.lit(order == "month-first") & open_
    if not order:
        first = open_ & (number["b"] > 12)
    doubt = told["open"] & ~told["day"] & ~told["month"] & ~told["same"]
    unclear = doubt if not order else doubt & False
    year = pl.when(number["c"] < 100).then(number["c"] + 2000).otherwise(number["c"])
    whole = pl.when(year_first).then(number["a"]).otherwise(year)
    in_month = (
        pl.when(year_first).then(number["c"]).when(first).then(number["b"]).otherwise(number["a"])
    )
    in_year = pl.when(year_first | ~first).then(number["b"]).otherwise(number["a"])
    made = [
        whole.cast(pl.String).str.zfill(4),
        in_year.cast(pl.String).str.zfill(2),
        in_month.cast(pl.String).str.zfill(2),
    ]
    return pl.when(pl.lit(~unclear)).then(pl.concat_str(made, separator="-")), unclear


def _iso_clock() -> pl.Expr:
    """The time of day of each row as ISO 8601, midnight where it has none."""
    hour = pl.col("hour").cast(pl.Int32, strict=False)
    half = pl.col("half").str.to_lowercase()
    twelve = pl.when(hour.is_between(1, 12)).then(
        hour % 12 + pl.when(half == "p").then(12).otherwise(0)
    )
    full = pl.when(half.is_null()).then(hour).otherwise(twelve)
    made = [
        full.cast(pl.String).str.zfill(2),
        pl.col("minute"),
        pl.col("second").fill_null("00") + "." + pl.col("part").fill_null("0").str.slice(0, 6),
    ]
    there = pl.concat_str(made, separator=":")
    return pl.when(pl.col("hour").is_null()).then(pl.lit("00:00:00.0")).otherwise(there)


def _apply_zones(local: pl.Series, zones: pl.Series, unclear: pl.Series) -> ParsedTimes:
    """Local times, and instants of those that name a zone. One that is unknown costs its time."""
    empty = pl.Series([None], dtype=TIMESTAMP).new_from_index(0, len(local))
    zoned = empty
    for name in zones.drop_nulls().unique().to_list():
        here = (zones == name).fill_null(value=False)
        zone = _resolve_zone(name)
        if zone is not None:
            if isinstance(zone, timedelta):
                there = (local - zone).dt.replace_time_zone("UTC")
            else:
                there = local.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
                there = there.dt.convert_time_zone("UTC")
            zoned = there.cast(TIMESTAMP).zip_with(here, zoned)
    bare = local.zip_with(zones.is_null(), empty.dt.replace_time_zone(None).cast(NAIVE))
    return ParsedTimes(zoned, bare, unclear)


@lru_cache(maxsize=1000)
def _resolve_zone(name: str) -> timedelta | str | None:
    """What a zone's name means: so far from UTC, or an IANA zone; None where it is not clear."""
    upper = name.upper()
    if upper in zoned_timestamps.ABBREVIATIONS:
        return timedelta(hours=zoned_timestamps.ABBREVIATIONS[upper])
    seconds = zoned_timestamps.utc_offset(name)
    if seconds is not None:
        return timedelta(seconds=seconds)
    if "/" not in name or not re.fullmatch(r"[A-Za-z_+/-]{1,40}\d{0,2}", name):
        return None
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return None
    return name
