"""Timestamps of any origin as Datetime('us', UTC), or the reason why not."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta
from typing import Final, TypeAlias

import polars as pl
import pyarrow as pa

from detector.core.schema import TIMESTAMP
from detector.normalize import time_formats
from detector.normalize.time_formats import TimeFormat

#: A mask over the rows and what is wrong with those it marks.
Problem: TypeAlias = tuple[pl.Series, str]

EARLIEST: Final = datetime(1990, 1, 1, tzinfo=UTC)
MAX_FUTURE: Final = timedelta(days=2)
APACHE_FORMAT: Final = "%d/%b/%Y:%H:%M:%S %z"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
NAIVE: Final = pl.Datetime("us")

MISSING_REASON: Final = "no timestamp"
UNREADABLE_REASON: Final = "timestamp not understood"
NONEXISTENT_REASON: Final = (
    "timestamp does not exist in the log's time zone (clocks were put forward)"
)
TOO_EARLY_REASON: Final = "timestamp before 1990, before any database log"
TOO_LATE_REASON: Final = "timestamp more than 2 days in the future"
AMBIGUOUS_REASON: Final = "timestamp could have its day or its month first"
#: What is read, for those whose times are not.
_FORMS_HINT: Final = (
    "read are ISO 8601, DD.MM.YYYY, DD/MM/YYYY or MM/DD/YYYY where the column tells which, names "
    "of months, AM and PM, and epochs; for others set timestamp_format"
)
_ORDER_HINT: Final = 'set timestamp_format = "day-first" or "month-first"'
_MAX_SHOWN: Final = 40
#: Letters that times have; others could be a person's name, in a column that is no time.
_TIME_WORDS: Final = re.compile(
    r"(?i)\b(?:T|Z|AM|PM|UTC|GMT|jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|mon|tue|wed|thu|fri"
    r"|sat|sun)\b|[^\W\d_]"
)


def parse(
    column: pa.ChunkedArray, zone: str, now: datetime, form: TimeFormat | None = None
) -> tuple[pl.Series, list[Problem]]:
    """The instants of ``column`` and what is wrong with the rows that are null or implausible.

    ``zone`` holds for what names none; the earlier of two ambiguous local times is taken.
    Numbers are epochs in seconds, milliseconds, microseconds or nanoseconds, by magnitude.
    ``form`` is how the log writes its times, as far as that is known. Raises TypeError for a
    column of a type that cannot be a time.
    """
    form = form or TimeFormat()
    problems: list[Problem] = []
    if column.null_count:
        missing = _to_series(column).is_null()
        problems.append((missing, MISSING_REASON))
    instants, gaps, unclear = _parse_column(column, zone, form)
    if instants.null_count() > column.null_count:
        if gaps is not None:
            problems.append((gaps, NONEXISTENT_REASON))
        texts = _to_series(column)
        if unclear is not None and unclear.any():
            problems.append(
                (
                    unclear,
                    f"{AMBIGUOUS_REASON}, such as {_masked_example(texts, unclear)}; {_ORDER_HINT}",
                )
            )
        wrong = instants.is_null() & ~texts.is_null()
        problems.append(
            (wrong, f"{UNREADABLE_REASON}, such as {_masked_example(texts, wrong)}; {_FORMS_HINT}")
        )
    # As numbers: a year 0 or 20000 cannot become a datetime of Python's.
    moments = instants.to_physical()
    low, high = moments.min(), moments.max()
    early, late = microseconds(EARLIEST), microseconds(now + MAX_FUTURE)
    if isinstance(low, int) and low < early:
        problems.append(((moments < early).fill_null(value=False), TOO_EARLY_REASON))
    if isinstance(high, int) and high > late:
        problems.append(((moments > late).fill_null(value=False), TOO_LATE_REASON))
    return instants, problems


def range_reason() -> pl.Expr:
    """Why ``timestamp``, as far as it is known, cannot be one of a log; null where it can."""
    moment = pl.col("timestamp")
    early = pl.when(moment < EARLIEST).then(pl.lit(TOO_EARLY_REASON))
    return early.when(moment > datetime.now(UTC) + MAX_FUTURE).then(pl.lit(TOO_LATE_REASON))


def microseconds(moment: datetime) -> int:
    """Since 1970."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def _masked_example(texts: pl.Series, which: pl.Series) -> str:
    """The first of the values that are marked, its letters hidden where they are no time's."""
    value = str(texts.cast(pl.String).filter(which).first())
    hidden = _TIME_WORDS.sub(
        lambda found: found[0] if len(found[0]) > 1 else "x", value[:_MAX_SHOWN]
    )
    plain = "".join(char if char.isprintable() else "?" for char in hidden)
    return repr(plain + ("..." if len(value) > _MAX_SHOWN else ""))


def _to_series(column: pa.ChunkedArray) -> pl.Series:
    series = pl.from_arrow(column)
    assert isinstance(series, pl.Series)
    return series


def _parse_column(
    column: pa.ChunkedArray, zone: str, form: TimeFormat
) -> tuple[pl.Series, pl.Series | None, pl.Series | None]:
    """(instants, mask of local times that do not exist, and of those that could be two)."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.cast(kind.value_type)
        kind = column.type
    if pa.types.is_timestamp(kind):
        series = _to_series(column)
        if kind.tz is None:
            return *_localize(series.cast(NAIVE), zone), None
        return series.dt.convert_time_zone("UTC").cast(TIMESTAMP), None, None
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return _from_epochs(_to_series(column)), None, None
    if pa.types.is_null(kind):
        return pl.Series([None] * len(column), dtype=TIMESTAMP), None, None
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        raise TypeError(f"{kind} cannot be a time")
    if form.pattern:
        found = time_formats.read_with_pattern(_to_series(column), form.pattern)
        return *_combine(found.zoned, found.local, zone), None
    for target in (pa.timestamp("us", "UTC"), pa.timestamp("us")):
        try:
            fast = column.cast(target)
        except pa.ArrowInvalid:
            continue
        return _parse_column(fast, zone, form)
    return _parse_texts(_to_series(column), zone, form)


def _localize(series: pl.Series, zone: str) -> tuple[pl.Series, pl.Series | None]:
    """Instants of local times (Datetime without zone), and which do not exist."""
    there = series.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
    instants = there.dt.convert_time_zone("UTC")
    if instants.null_count() == series.null_count():
        return instants, None
    return instants, instants.is_null() & series.is_not_null()


#: Units of 100 ns since the year 1 (.NET's ticks) and 1601 (Windows' FILETIME), of 2000 to 2100. As
#: nanoseconds since 1970 they would be of 1990 to 1992, and of 1974.
_TICKS_RANGE: Final = (630_822_816_000_000_000, 662_380_416_000_000_000)
_FILETIME_RANGE: Final = (125_911_584_000_000_000, 157_469_184_000_000_000)
_TICKS_AT_EPOCH: Final = 621_355_968_000_000_000
_FILETIME_AT_EPOCH: Final = 116_444_736_000_000_000


def _from_epochs(numbers: pl.Series) -> pl.Series:
    """Instants of epochs; a magnitude below 1e11 is seconds (until the year 5138), and so on."""
    column = pl.col("n")
    size = column.abs()
    if numbers.dtype.is_integer():
        numbers = numbers.cast(pl.Int64, strict=False)
        scaled = (
            pl.when(size < 10**11)
            .then(column * 10**6)
            .when(size < 10**14)
            .then(column * 10**3)
            .when(size < 10**17)
            .then(column)
            .when(column.is_between(*_TICKS_RANGE))
            .then((column - _TICKS_AT_EPOCH) // 10)
            .when(column.is_between(*_FILETIME_RANGE))
            .then((column - _FILETIME_AT_EPOCH) // 10)
            .otherwise(column // 10**3)
        )
    else:
        scaled = (
            pl.when(size < 1e11)
            .then(column * 1e6)
            .when(size < 1e14)
            .then(column * 1e3)
            .when(size < 1e17)
            .then(column)
            .otherwise(column / 1e3)
            .round()
        )
    whole = numbers.to_frame("n").select(scaled.cast(pl.Int64, strict=False)).to_series()
    # What lies outside the years 1 to 9999 is no time, and cannot be shown as one.
    within = whole.is_between(-62_135_596_800_000_000, 253_402_300_799_999_999)
    frame = pl.DataFrame({"whole": whole, "within": within})
    kept = frame.select(pl.when(pl.col("within")).then(pl.col("whole"))).to_series()
    return kept.cast(NAIVE).dt.replace_time_zone("UTC")


def _parse_texts(
    series: pl.Series, zone: str, form: TimeFormat
) -> tuple[pl.Series, pl.Series | None, pl.Series | None]:
    """Instants of texts of mixed or unusual forms: polars first, one by one what it leaves."""
    plain = (
        series.str.strip_chars()
        .str.replace(r"[zZ]$| ?(?:UTC|GMT)$", "+00:00")
        .str.replace(r"^(\d{4}-\d\d-\d\d)[Tt]", "${1} ")
        .str.replace(r"(:\d\d),(\d)", "${1}.${2}")
        .str.replace(r"(:\d\d(?:\.\d+)?) ?([+-]\d\d)$", "${1}${2}:00")
    )
    zoned = plain.str.to_datetime(
        "%Y-%m-%d %H:%M:%S%.f%z", time_unit="us", strict=False, exact=True
    ).dt.convert_time_zone("UTC")
    naive = plain.str.to_datetime("%Y-%m-%d %H:%M:%S%.f", time_unit="us", strict=False)
    unclear = None
    rest = (zoned.is_null() & naive.is_null() & series.is_not_null()).arg_true()
    if len(rest):
        found = time_formats.read(series.gather(rest), form)
        zoned, naive = zoned.scatter(rest, found.zoned), naive.scatter(rest, found.local)
        unclear = (zoned.is_null() & zoned.is_not_null()).scatter(rest, found.ambiguous)
        known = found.zoned.is_not_null() | found.local.is_not_null() | found.ambiguous
        rest = rest.filter(~known)
    if len(rest):
        singles = [_parse_single(text) for text in series.gather(rest)]
        zoned = _scatter(zoned, rest, [when if aware else None for when, aware in singles])
        naive = _scatter(
            naive, rest, [when if when and not aware else None for when, aware in singles]
        )
    return *_combine(zoned, naive, zone), unclear


def _combine(zoned: pl.Series, naive: pl.Series, zone: str) -> tuple[pl.Series, pl.Series | None]:
    """Instants of what names its zone and of what does not, and which do not exist."""
    local, gaps = _localize(naive, zone)
    if gaps is not None:
        gaps = gaps & zoned.is_null()
    return zoned.zip_with(zoned.is_not_null(), local), gaps


def _scatter(series: pl.Series, rows: pl.Series, values: list[datetime | None]) -> pl.Series:
    return series.scatter(rows, pl.Series(values, dtype=series.dtype))


_NUMBER: Final = re.compile(r"[+-]?\d{1,19}(\.\d{0,17})?([eE][+-]?\d{1,3})?", re.ASCII)


_COMMA: Final = re.compile(r"\d{9,19},\d{1,9}", re.ASCII)


def _parse_apache(text: str) -> datetime:
    """As web servers write it: 06/Feb/2024:12:00:00 +0100. Raises ValueError."""
    return datetime.strptime(text, APACHE_FORMAT)  # noqa: DTZ007 - the format holds the zone


def _parse_single(text: str) -> tuple[datetime | None, bool]:
    """(the time, whether it names its zone) of one text; (None, False) if it is none."""
    text = text.strip()
    if _COMMA.fullmatch(text):
        text = text.replace(",", ".")
    if _NUMBER.fullmatch(text):
        number = int(text) if text.lstrip("+-").isdecimal() else float(text)
        kind = pl.Float64 if isinstance(number, float) else pl.Int64
        if isinstance(number, int) and abs(number) >= 2**63:
            return None, False
        if isinstance(number, float) and not math.isfinite(number):
            return None, False
        when = _from_epochs(pl.Series([number], dtype=kind)).item()
        return when, True
    for read in (datetime.fromisoformat, _parse_apache):
        try:
            when = read(text)
            if when.tzinfo is None:
                return when, False
            return when.astimezone(UTC), True
        except (ValueError, OverflowError):
            continue
    return None, False
