"""Scores beside what is known to have happened: what was found, when, and at what cost."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import polars as pl

from detector.drill import exposure
from detector.features.aggregates import ACCOUNT

ENTITY_KEYS = ["entity_kind", "entity"]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """``incidents`` has one row per campaign: campaign, kind, entities, told, first_act,
    first_alert, found_by, days, records, exposure.

    ``told`` are the records that the incidents' file gives; ``records`` those in the scores.
    ``alerts`` are all of the ``days`` that count, ``true_positives`` those that fall on incidents,
    ``campaigns_without_scores`` the incidents whose entities have no scores in their time.
    """

    incidents: pl.DataFrame
    campaigns_without_scores: list[str]
    days: int
    alerts: int
    true_positives: int

    @property
    def precision(self) -> float | None:
        """The share of the alerts that fall on incidents."""
        return self.true_positives / self.alerts if self.alerts else None


def evaluate(
    scores: pl.DataFrame, incidents: pl.DataFrame, trained_until: date = date.min
) -> Evaluation:
    """Measures SCORES against INCIDENTS. Records are those its accounts read in its time.

    Days and alerts count after ``trained_until``: what days of training hold was learned as usual.
    The own work of an account in that time is among them: the scores do not tell it apart.
    """
    rings = scores.filter(pl.col("alert_id").is_not_null()).select(*ENTITY_KEYS, "time")
    # An alert rings at the end of the hour in which the incident may have ended.
    ends = pl.col("end").dt.truncate("1h") + exposure.HOUR
    suspects = incidents.select("campaign", *ENTITY_KEYS, since="start", until=ends)
    taken = _records_taken(scores, incidents)
    facts = incidents.group_by("campaign", maintain_order=True).agg(
        kind=pl.col("kind").first(),
        entities=pl.concat_str("entity_kind", pl.lit(" "), "entity"),
        told=pl.col("records").max(),
    )
    measured = exposure.measure(suspects, taken, rings)
    known = facts.join(measured, on="campaign", how="left", maintain_order="left")
    later = pl.col("date") > trained_until
    counting = scores.filter(later)
    alerts = counting.filter(pl.col("alert_id").is_not_null())
    on = alerts.join(suspects, on=ENTITY_KEYS).filter(
        pl.col("time") > pl.col("since"), pl.col("time") <= pl.col("until")
    )
    return Evaluation(
        incidents=known.with_columns(pl.col("exposure").fill_null(_missed_exposure())),
        campaigns_without_scores=known.filter(pl.col("first_act").is_null())["campaign"].to_list(),
        days=counting["date"].n_unique(),
        alerts=len(alerts),
        true_positives=len(on.unique([*ENTITY_KEYS, "time"])),
    )


def _missed_exposure() -> pl.Expr:
    """1 where no alert came, null where one came but the log tells no records."""
    return pl.when(pl.col("first_alert").is_null()).then(1.0)


def _records_taken(scores: pl.DataFrame, incidents: pl.DataFrame) -> pl.DataFrame:
    """TAKEN: what was read for each campaign in the hours of its time.

    By its accounts; where it names none, by the entity it names: an address or a table repeats
    what the accounts read through it.
    """
    accounts = (pl.col("entity_kind") == ACCOUNT).any().over("campaign")
    counted = incidents.filter(~accounts | (pl.col("entity_kind") == ACCOUNT))
    inside = scores.select(*ENTITY_KEYS, "time", "rows").join(
        counted.select("campaign", *ENTITY_KEYS, "start", "end"), on=ENTITY_KEYS
    )
    begins = pl.col("time") - exposure.HOUR
    return (
        inside.filter(pl.col("time") > pl.col("start"), begins <= pl.col("end"))
        .unique(["campaign", *ENTITY_KEYS, "time"])
        .group_by("campaign", hour=begins)
        .agg(pl.col("rows").sum())
        .sort("campaign", "hour")
        .select(list(exposure.RECORDS_TAKEN))
    )
