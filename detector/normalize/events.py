"""Raw columns of a log as canonical events, and the rows that cannot become one, with reasons.

The fast way is vectorised and leaves dictionary-encoded text as it is; what is slow is done on
distinct values only, and only where something is out of order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Final

import polars as pl
import pyarrow as pa

from detector.core.schema import EVENTS
from detector.core.settings import Settings
from detector.normalize import categorical, numbers, timestamps
from detector.normalize.notes import unreadable_note
from detector.normalize.time_formats import TimeFormat
from detector.normalize.timestamps import Problem
from detector.privacy import subject_hash
from detector.readers.column_names import STATEMENT_TEXT_COLUMNS, Columns, milliseconds_per_unit

#: More than any database holds: beyond it, sums of a day could overflow 64 bits.
MAX_COUNT: Final = 10**15

#: Columns that tell less than a record does: a value that cannot be read costs itself only.
AUXILIARY_COLUMNS: Final = frozenset({"bytes", "duration_ms"})
TEXT_COLUMNS: Final = ("account", "client_address", "application", "database", "object")
CATEGORICAL: Final = pl.Categorical()


class ColumnTypeError(Exception):  # noqa: N818 - the name is what happened
    """A column has a type that nothing can be made of: ``column`` (canonical) and ``kind``."""

    def __init__(self, column: str, kind: str) -> None:
        super().__init__(f"{column} cannot be {kind}")
        self.column = column
        self.kind = kind


@dataclass(frozen=True, slots=True)
class Normalization:
    """``events`` has ``schema.EVENTS`` with text as Categorical.

    ``rejected`` has row (UInt32, position in what was given) and reason (String).
    ``kept`` is the position of each event, or None where all rows are events. ``notes`` are those
    of ``Batch``.
    """

    events: pl.DataFrame
    rejects: pl.DataFrame
    notes: Mapping[str, int] = field(default_factory=dict)


def normalize(
    table: pa.Table,
    columns: Columns,
    settings: Settings,
    now: datetime | None = None,
    form: TimeFormat | None = None,
) -> Normalization:
    """Events of ``table``, whose columns have canonical names (those in ``columns``, or fewer).

    ``now`` tells what lies in the future; by default the clock. ``form`` is how the log writes its
    times, as far as its rows before these showed. Raises Mistyped.
    """
    form = form or TimeFormat(settings.timestamp_format or "")
    problems: list[Problem] = []
    aside: list[Problem] = []
    notes: dict[str, int] = {}
    series: dict[str, pl.Series] = {}
    for name in EVENTS:
        try:
            wrong = aside if name in AUXILIARY_COLUMNS else problems
            if name == "timestamp":
                series[name] = _timestamp_column(table[name], settings, now, form, wrong)
            else:
                series[name] = _canonical_column(name, table, columns, settings, wrong)
            series[name] = _drop_unreadable(series[name], name, aside, notes)
        except (TypeError, pa.ArrowInvalid, pa.ArrowNotImplementedError):
            raise ColumnTypeError(name, str(table[name].type)) from None
    events = pl.DataFrame(
        _infer_reads(series) if {"action", "rows"} <= set(table.column_names) else series
    )
    if not problems:
        return Normalization(events, _empty_rejects(), notes)
    reason = pl.Series([None] * len(events), dtype=pl.String)
    for mask, words_ in reversed(problems):
        reason = (
            pl.Series([words_], dtype=pl.String)
            .new_from_index(0, len(events))
            .zip_with(mask, reason)
        )
    bad = reason.is_not_null()
    rejected = pl.DataFrame({"row": bad.arg_true().cast(pl.UInt32), "reason": reason.drop_nulls()})
    return Normalization(events.filter(~bad), rejected, notes)


def _timestamp_column(
    column: pa.ChunkedArray,
    settings: Settings,
    now: datetime | None,
    form: TimeFormat,
    problems: list[Problem],
) -> pl.Series:
    series, found = timestamps.parse(column, settings.log_timezone, now or datetime.now(UTC), form)
    problems += found
    return series.alias("timestamp")


def _drop_unreadable(
    series: pl.Series, name: str, aside: list[Problem], notes: dict[str, int]
) -> pl.Series:
    """A side column without its values that cannot be read, which are noted."""
    if not aside:
        return series
    bad = pl.DataFrame({str(number): mask for number, (mask, _) in enumerate(aside)})
    wrong = bad.select(pl.any_horizontal(pl.all())).to_series()
    aside.clear()
    notes[unreadable_note(name)] = int(wrong.sum())
    return series.to_frame(name).select(pl.when(~wrong).then(pl.col(name))).to_series()


def _infer_reads(series: dict[str, pl.Series]) -> dict[str, pl.Series]:
    """What has rows and no action that is known was read: records do not leave by ``other``."""
    sent = ((series["rows"] > 0) & (series["action"] == "other")).fill_null(value=False)
    if not sent.any():
        return series
    action = series["action"].cast(pl.String)
    read = pl.Series(["read"], dtype=pl.String).new_from_index(0, len(action))
    changed = read.zip_with(sent, action).cast(CATEGORICAL).alias("action")
    return {**series, "action": changed}


def _empty_rejects() -> pl.DataFrame:
    return pl.DataFrame(schema={"row": pl.UInt32, "reason": pl.String})


def _canonical_column(
    name: str,
    table: pa.Table,
    columns: Columns,
    settings: Settings,
    problems: list[Problem],
) -> pl.Series:
    """One canonical column; what is wrong with its rows is added to ``problems``."""
    if name not in table.column_names:
        return _default_column(name, len(table))
    column = table[name]
    origin = columns[name].name
    if name in TEXT_COLUMNS:
        series = _to_polars(categorical.trim(categorical.dictionary_encode(column)), CATEGORICAL)
        if name == "account" and series.null_count():
            problems.append((series.is_null(), "no account"))
    elif name == "action":
        series = _to_polars(
            categorical.canonical_actions(categorical.dictionary_encode(column)), CATEGORICAL
        )
        if series.null_count():
            series = series.fill_null("other")
    elif name == "statement":
        trimmed = categorical.trim(categorical.dictionary_encode(column))
        text = origin.strip().lower() in STATEMENT_TEXT_COLUMNS
        series = _to_polars(categorical.statement_fingerprints(trimmed, text=text), CATEGORICAL)
    elif name == "subject":
        trimmed = categorical.trim(categorical.dictionary_encode(column))
        hashed = categorical.map_values(
            trimmed, partial(subject_hash.hash_subjects, settings=settings)
        )
        series = _to_polars(hashed, pl.String())
    elif name == "success":
        column = (
            column
            if pa.types.is_boolean(column.type)
            else categorical.success_flags(column, origin)
        )
        series = _to_polars(column, pl.Boolean()).fill_null(value=True)
    elif name == "other_objects":
        series = _object_lists(column)
    else:
        factor = milliseconds_per_unit(columns[name]) if name == "duration_ms" else 1.0
        series = _number_column(name, column, factor, problems)
    return series.alias(name)


def _default_column(name: str, length: int) -> pl.Series:
    if name == "success":
        return pl.Series([True], dtype=pl.Boolean).new_from_index(0, length)
    if name == "action":
        return pl.Series(["read"], dtype=CATEGORICAL).new_from_index(0, length)
    kind = EVENTS[name]
    kind = CATEGORICAL if kind == pl.String() and name != "subject" else kind
    return pl.Series([None], dtype=kind).new_from_index(0, length)


def _to_polars(column: pa.ChunkedArray, kind: pl.DataType) -> pl.Series:
    if not column.num_chunks:
        return pl.Series([], dtype=kind)
    series = pl.from_arrow(column)
    assert isinstance(series, pl.Series)
    return series if series.dtype == kind else series.cast(kind)


def _object_lists(column: pa.ChunkedArray) -> pl.Series:
    """Further objects, where the log has them as lists; anything else is none."""
    kind = pl.List(pl.String)
    if not (pa.types.is_list(column.type) or pa.types.is_large_list(column.type)):
        return pl.Series([None], dtype=kind).new_from_index(0, len(column))
    return _to_polars(column, kind).list.eval(pl.element().str.strip_chars().drop_nulls())


def _number_column(
    name: str, column: pa.ChunkedArray, factor: float, problems: list[Problem]
) -> pl.Series:
    """Rows and bytes (Int64) or duration_ms (Float64)."""
    kind = column.type
    wanted = pl.Float64() if name == "duration_ms" else pl.Int64()
    if pa.types.is_boolean(kind):
        raise TypeError(f"{kind} is no number")
    if pa.types.is_integer(kind):
        series = _to_polars(column, pl.UInt64() if kind == pa.uint64() else pl.Int64())
    elif pa.types.is_floating(kind):
        series = _to_polars(column, pl.Float64()).fill_nan(None)
    elif pa.types.is_decimal(kind):
        series = _to_polars(column.cast(pa.float64()), pl.Float64())
    elif pa.types.is_duration(kind):
        series = _to_polars(column.cast(pa.duration("us")).cast(pa.int64()), pl.Int64()) / 1e3
    else:
        series = _parse_numbers(
            name, categorical.trim(categorical.dictionary_encode(column)), problems
        )
    low, high = series.min(), series.max()
    if isinstance(low, int | float) and low < 0:
        problems.append(((series < 0).fill_null(value=False), f"{name} is negative"))
    if isinstance(high, int | float) and high > MAX_COUNT:
        problems.append(((series > MAX_COUNT).fill_null(value=False), f"{name} is beyond belief"))
    if wanted == pl.Float64():
        series = series.cast(pl.Float64)
        return series * factor if factor != 1.0 else series
    if series.dtype == pl.Float64():
        part = series.is_not_null() & (series != series.floor()) & (series.abs() <= MAX_COUNT)
        if part.any():
            problems.append((part, f"{name} is not a whole number"))
    return series if series.dtype == wanted else series.cast(wanted, strict=False)


def _parse_numbers(name: str, column: pa.ChunkedArray, problems: list[Problem]) -> pl.Series:
    """Float64 of numbers written as text; what is no number goes to ``problems``."""
    chunks, wrong = [], []
    texts = {text for chunk in column.chunks for text in chunk.dictionary.to_pylist() if text}
    decimal = "." if all(map(numbers.is_plain, texts)) else numbers.decimal_mark(texts)
    for chunk in column.chunks:
        distinct = [numbers.parse_number(text, decimal) for text in chunk.dictionary.to_pylist()]
        indices = chunk.indices
        values = pa.array([None if bad else value for value, bad in distinct], pa.float64())
        chunks.append(values.take(indices))
        wrong.append(pa.array([bad for _, bad in distinct], pa.bool_()).take(indices))
    mask = _to_polars(pa.chunked_array(wrong, pa.bool_()), pl.Boolean()).fill_null(value=False)
    if mask.any():
        problems.append((mask, f"{name} is not a number"))
    return _to_polars(pa.chunked_array(chunks, pa.float64()), pl.Float64())
