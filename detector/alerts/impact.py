"""How bad it is: records out so far, at what pace, and when the table would be gone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

import polars as pl

from detector.alerts.severity import HOURS_A_DAY
from detector.alerts.top_entities import KEYS, Key
from detector.core.schema import READING
from detector.core.settings import Settings
from detector.features.aggregates import ACCOUNT, ADDRESS, GROUP, OBJECT, local_day, of_values
from detector.features.workdays import is_work
from detector.model.model import Model
from detector.model.threshold import RUN_DAYS

#: A day of the week before counts as odd, and so as part of the theft, from so many spreads above
#: the level of training: one honest day in forty lies there.
ODD: Final = 2.0


@dataclass(frozen=True, slots=True)
class Out:
    """``records`` above what was expected, from the day ``since`` to the alert's hour."""

    since: date
    records: float


@dataclass(frozen=True, slots=True)
class Past:
    """A day before an alert's: whether it was ``odd``, and records ``above`` what was expected."""

    day: date
    odd: bool
    above: float


@dataclass(frozen=True, slots=True)
class Week:
    """The days of the week before an alert's that have records, in order."""

    days: tuple[Past, ...] = ()

    def out(self, day: date) -> Out:
        """What was out before ``day``, from the first odd day on."""
        since = next((past.day for past in self.days if past.odd), day)
        return Out(since, self.after(since - timedelta(days=1)))

    def after(self, day: date) -> float:
        """Records above what was expected on the days after ``day``."""
        return sum(past.above for past in self.days if past.day > day)


def expected(row: Mapping[str, Any]) -> float:
    """Records of a usual full day. A group's level is per head, of those who are at work."""
    if row["entity_kind"] != GROUP:
        return float(row["rows_usual"])
    heads = max(row["others"] or 0, row["others_usual"] or 0, 1)
    return float(row["rows_usual"] * heads)


def pace(row: Mapping[str, Any]) -> float:
    """Records an hour, over the hours of the day so far in which the entity was active.

    Hours of silence before a theft began say nothing of its pace. Addresses and tables are known by
    the day alone.
    """
    return float(row["rows"] / max(1, row["hours"] or row["slot"] + 1))


def gone_in(size: int | None, records: float, an_hour: float) -> float | None:
    """Days until a table of ``size`` is gone, if this pace goes on day and night."""
    if size is None or an_hour <= 0:
        return None
    return max(0.0, size - records) / (an_hour * HOURS_A_DAY)


def out(
    ringing: pl.DataFrame,
    hours: pl.DataFrame,
    touched: pl.DataFrame,
    groups: pl.DataFrame,
    model: Model,
    settings: Settings,
) -> dict[Key, Week]:
    """By entity and day of ``ringing``, what was out in the week before; ``groups`` is (account,
    group).

    Looks RUN_DAYS back, as an episode does, and measures those days against the frozen level, which
    a theft under way cannot have raised.
    """
    days = ringing.unique(KEYS, keep="first", maintain_order=True)
    return _before(days, _daily(days, hours, touched, groups, settings), model, settings)


def _daily(
    ringing: pl.DataFrame,
    hours: pl.DataFrame,
    touched: pl.DataFrame,
    groups: pl.DataFrame,
    settings: Settings,
) -> pl.DataFrame:
    """entity_kind, entity, past (the day), total (records), heads: of the entities that ring."""
    names = {
        kind[0]: part["entity"].unique().implode()
        for kind, part in ringing.partition_by("entity_kind", as_dict=True).items()
    }
    nobody = pl.Series([[]], dtype=pl.List(pl.String))
    read = hours.filter(pl.col("action").is_in(READING)).join(groups, on="account")
    each = (
        read.filter(
            pl.col("account").is_in(names.get(ACCOUNT, nobody))
            | pl.col("group").is_in(names.get(GROUP, nobody))
        )
        .group_by("account", "group", past=local_day("hour", settings))
        .agg(rows=pl.col("rows").sum().cast(pl.Float64))
    )
    rows = pl.col("rows")
    parts = [
        each.filter(pl.col(by).is_in(names.get(kind, nobody)))
        .group_by("past", entity=by)
        .agg(total=total, heads=heads.cast(pl.Float64))
        .with_columns(entity_kind=pl.lit(kind))
        for kind, by, total, heads in (
            (ACCOUNT, "account", rows.sum(), pl.lit(1.0)),
            # Without the busiest member, as in all figures of a group.
            (GROUP, "group", rows.sum() - rows.max(), pl.len()),
        )
    ]
    for kind in (ADDRESS, OBJECT):
        mine = touched.filter(pl.col("value").is_in(names.get(kind, nobody)))
        days = of_values(mine, kind, settings)
        parts.append(
            days.select("entity", past="day", total="rows", heads=1.0, entity_kind=pl.lit(kind))
        )
    return pl.concat(parts, how="diagonal")


def _before(
    ringing: pl.DataFrame, daily: pl.DataFrame, model: Model, settings: Settings
) -> dict[Key, Week]:
    """The days of the week before each of ``ringing`` that have records."""
    levels = model.learned.levels.select(
        "entity_kind", "entity", on="rows_centre", off="rows_off_centre", apart="rows_spread"
    )
    at_work = is_work(daily, "past", settings)
    # Who was not there in training has no frozen level: the one of the alert's day stands in.
    level = pl.coalesce(
        pl.when(at_work).then(pl.col("on")).otherwise(pl.col("off")).fill_nan(None), "rows_centre"
    )
    spread = pl.coalesce(pl.col("apart").fill_nan(None), "rows_spread")
    days = (
        ringing.select(*KEYS, "rows_centre", "rows_spread")
        .join(daily, on=["entity_kind", "entity"])
        .filter((pl.col("day") - pl.col("past")).dt.total_days().is_between(1, RUN_DAYS))
        .join(levels, on=["entity_kind", "entity"], how="left")
        .select(
            *KEYS,
            "past",
            odd=((pl.col("total") / pl.col("heads")).log1p() - level) / spread >= ODD,
            above=(pl.col("total") - level.exp().sub(1).clip(0) * pl.col("heads")).clip(0),
        )
        .sort(*KEYS, "past")
    )
    found: dict[Key, list[Past]] = {}
    for kind, entity, day, past, odd, above in days.rows():
        found.setdefault((kind, entity, day), []).append(Past(past, bool(odd), above or 0.0))
    return {key: Week(tuple(each)) for key, each in found.items()}
