"""How bad it is: records out so far, at what pace, and when the table would be gone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

import polars as pl

from detector.alerts.severity import HOURS_PER_DAY
from detector.alerts.top_entities import ENTITY_DAY_KEYS, EntityDay
from detector.core.schema import READ_ACTIONS
from detector.core.settings import Settings
from detector.features.aggregates import ACCOUNT, ADDRESS, GROUP, OBJECT, hourly_by_value
from detector.features.workdays import is_workday
from detector.ledger.aggregate import local_day
from detector.model.model import Model
from detector.model.threshold import EPISODE_DAYS

#: A day of the week before counts as odd, and so as part of the theft, from so many spreads above
#: the level of training: one honest day in forty lies there.
ANOMALOUS_SPREADS: Final = 2.0


@dataclass(frozen=True, slots=True)
class RecordsOut:
    """``records`` above what was expected, from the day ``since`` to the alert's hour."""

    since: date
    records: float


@dataclass(frozen=True, slots=True)
class PastDay:
    """A day before an alert's: whether it was ``odd``, and records ``above`` what was expected."""

    day: date
    is_anomalous: bool
    excess: float


@dataclass(frozen=True, slots=True)
class PriorWeek:
    """The days of the week before an alert's that have records, in order."""

    days: tuple[PastDay, ...] = ()

    def records_out(self, day: date) -> RecordsOut:
        """What was out before ``day``, from the first odd day on."""
        since = next((past.day for past in self.days if past.is_anomalous), day)
        return RecordsOut(since, self.excess_after(since - timedelta(days=1)))

    def excess_after(self, day: date) -> float:
        """Records above what was expected on the days after ``day``."""
        return sum(past.excess for past in self.days if past.day > day)


def expected_records(row: Mapping[str, Any]) -> float:
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


def days_until_empty(size: int | None, records: float, an_hour: float) -> float | None:
    """Days until a table of ``size`` is gone, if this pace goes on day and night."""
    if size is None or an_hour <= 0:
        return None
    return max(0.0, size - records) / (an_hour * HOURS_PER_DAY)


def prior_weeks(
    ringing: pl.DataFrame,
    hours: pl.DataFrame,
    touched: pl.DataFrame,
    groups: pl.DataFrame,
    model: Model,
    settings: Settings,
) -> dict[EntityDay, PriorWeek]:
    """By entity and day of ``ringing``, what was out in the week before; ``groups`` is (account,
    group).

    Looks RUN_DAYS back, as an episode does, and measures those days against the frozen level, which
    a theft under way cannot have raised.
    """
    days = ringing.unique(ENTITY_DAY_KEYS, keep="first", maintain_order=True)
    return _prior_days(
        days, _daily_records(days, hours, touched, groups, settings), model, settings
    )


def _daily_records(
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
    read = hours.filter(pl.col("action").is_in(READ_ACTIONS)).join(groups, on="account")
    each = (
        read.filter(
            pl.col("account").is_in(names.get(ACCOUNT, nobody))
            | pl.col("group").is_in(names.get(GROUP, nobody))
        )
        .group_by("account", "group", past=local_day("hour", settings.timezone))
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
        days = hourly_by_value(mine, kind, settings)
        parts.append(
            days.select("entity", past="day", total="rows", heads=1.0, entity_kind=pl.lit(kind))
        )
    return pl.concat(parts, how="diagonal")


def _prior_days(
    ringing: pl.DataFrame, daily: pl.DataFrame, model: Model, settings: Settings
) -> dict[EntityDay, PriorWeek]:
    """The days of the week before each of ``ringing`` that have records."""
    levels = model.baselines.levels.select(
        "entity_kind", "entity", on="rows_centre", off="rows_off_centre", apart="rows_spread"
    )
    at_work = is_workday(daily, "past", settings)
    # Who was not there in training has no frozen level: the one of the alert's day stands in.
    level = pl.coalesce(
        pl.when(at_work).then(pl.col("on")).otherwise(pl.col("off")).fill_nan(None), "rows_centre"
    )
    spread = pl.coalesce(pl.col("apart").fill_nan(None), "rows_spread")
    days = (
        ringing.select(*ENTITY_DAY_KEYS, "rows_centre", "rows_spread")
        .join(daily, on=["entity_kind", "entity"])
        .filter((pl.col("day") - pl.col("past")).dt.total_days().is_between(1, EPISODE_DAYS))
        .join(levels, on=["entity_kind", "entity"], how="left")
        .select(
            *ENTITY_DAY_KEYS,
            "past",
            odd=((pl.col("total") / pl.col("heads")).log1p() - level) / spread >= ANOMALOUS_SPREADS,
            above=(pl.col("total") - level.exp().sub(1).clip(0) * pl.col("heads")).clip(0),
        )
        .sort(*ENTITY_DAY_KEYS, "past")
    )
    found: dict[EntityDay, list[PastDay]] = {}
    for kind, entity, day, past, odd, above in days.rows():
        found.setdefault((kind, entity, day), []).append(PastDay(past, bool(odd), above or 0.0))
    return {key: PriorWeek(tuple(each)) for key, each in found.items()}
