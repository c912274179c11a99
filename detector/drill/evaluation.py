"""Scores beside what is known to have happened: what was found, when, and at what cost."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import polars as pl

from detector.drill import exposure
from detector.features.aggregates import ACCOUNT

KEYS = ["entity_kind", "entity"]


@dataclass(frozen=True, slots=True)
class Evaluated:
    """``incidents`` has one row per campaign: campaign, kind, entities, told, first_act,
    first_alert, found_by, days, records, exposure.

    ``told`` are the records that the incidents' file gives; ``records`` those in the scores.
    ``alerts`` are all of the ``days`` that count, ``rightly`` those that fall on incidents,
    ``unseen`` the incidents whose entities have no scores in their time.
    """

    incidents: pl.DataFrame
    unseen: list[str]
    days: int
    alerts: int
    rightly: int

    @property
    def precision(self) -> float | None:
        """The share of the alerts that fall on incidents."""
        return self.rightly / self.alerts if self.alerts else None


def evaluate(
    scores: pl.DataFrame, incidents: pl.DataFrame, trained_until: date = date.min
) -> Evaluated:
    """Measures SCORES against INCIDENTS. Records are those its accounts read in its time.

    Days and alerts count after ``trained_until``: what days of training hold was learned as usual.
    The own work of an account in that time is among them: the scores do not tell it apart.
    """
    rings = scores.filter(pl.col("alert_id").is_not_null()).select(*KEYS, "time")
    # An alert rings at the end of the hour in which the incident may have ended.
    ends = pl.col("end").dt.truncate("1h") + exposure.HOUR
    suspects = incidents.select("campaign", *KEYS, since="start", until=ends)
    taken = _taken(scores, incidents)
    facts = incidents.group_by("campaign", maintain_order=True).agg(
        kind=pl.col("kind").first(),
        entities=pl.concat_str("entity_kind", pl.lit(" "), "entity"),
        told=pl.col("records").max(),
    )
    measured = exposure.measured(suspects, taken, rings)
    known = facts.join(measured, on="campaign", how="left", maintain_order="left")
    later = pl.col("date") > trained_until
    counting = scores.filter(later)
    alerts = counting.filter(pl.col("alert_id").is_not_null())
    on = alerts.join(suspects, on=KEYS).filter(
        pl.col("time") > pl.col("since"), pl.col("time") <= pl.col("until")
    )
    return Evaluated(
        incidents=known.with_columns(pl.col("exposure").fill_null(_missed())),
        unseen=known.filter(pl.col("first_act").is_null())["campaign"].to_list(),
        days=counting["date"].n_unique(),
        alerts=len(alerts),
        rightly=len(on.unique([*KEYS, "time"])),
    )


def _missed() -> pl.Expr:
    """1 where no alert came, null where one came but the log tells no records."""
    return pl.when(pl.col("first_alert").is_null()).then(1.0)


def _taken(scores: pl.DataFrame, incidents: pl.DataFrame) -> pl.DataFrame:
    """TAKEN: what was read for each campaign in the hours of its time.

    By its accounts; where it names none, by the entity it names: an address or a table repeats
    what the accounts read through it.
    """
    accounts = (pl.col("entity_kind") == ACCOUNT).any().over("campaign")
    counted = incidents.filter(~accounts | (pl.col("entity_kind") == ACCOUNT))
    inside = scores.select(*KEYS, "time", "rows").join(
        counted.select("campaign", *KEYS, "start", "end"), on=KEYS
    )
    begins = pl.col("time") - exposure.HOUR
    return (
        inside.filter(pl.col("time") > pl.col("start"), begins <= pl.col("end"))
        .unique(["campaign", *KEYS, "time"])
        .group_by("campaign", hour=begins)
        .agg(pl.col("rows").sum())
        .sort("campaign", "hour")
        .select(list(exposure.TAKEN))
    )
