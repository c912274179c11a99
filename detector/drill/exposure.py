"""The measure: which share of what was taken was out before the first alert.

The same for staged campaigns, for known incidents, and for other detectors beside this one. An
hour's records are out when the hour is over; an alert that never comes leaves all of them out.
"""

from __future__ import annotations

from datetime import timedelta

import polars as pl

from detector.core.schema import TIMESTAMP, Schema

HOUR = timedelta(hours=1)

#: Whose alerts count for which campaign: those after ``since`` and not after ``until``.
SUSPECTS: Schema = {
    "campaign": pl.String(),
    "entity_kind": pl.String(),
    "entity": pl.String(),
    "since": TIMESTAMP,
    "until": TIMESTAMP,
}
#: What was taken for which campaign in the hour that begins at ``hour``.
RECORDS_TAKEN: Schema = {"campaign": pl.String(), "hour": TIMESTAMP, "rows": pl.Int64()}
#: ``time`` is when an alert or an update is raised: the end of its hour. The budget counts those
#: that begin an episode.
ALERT_TIMES: Schema = {
    "entity_kind": pl.String(),
    "entity": pl.String(),
    "time": TIMESTAMP,
    "begins_episode": pl.Boolean(),
}


def measure(suspects: pl.DataFrame, taken: pl.DataFrame, messages: pl.DataFrame) -> pl.DataFrame:
    """One row per campaign of TAKEN, by name.

    Columns: campaign, first_act, first_alert, found_by, records, days, exposure.

    ``exposure`` is null where an alert came but how much was taken is not known.
    """
    first = (
        suspects.join(messages, on=["entity_kind", "entity"])
        .filter(pl.col("time") > pl.col("since"), pl.col("time") <= pl.col("until"))
        .sort("campaign", "time", "entity_kind", "entity")
        .group_by("campaign", maintain_order=True)
        .agg(first_alert=pl.col("time").first(), found_by=pl.col("entity_kind").first())
    )
    out = pl.col("hour") + HOUR <= pl.col("first_alert")
    found = pl.col("first_alert").is_not_null()
    share = pl.when(pl.col("records") > 0).then(pl.col("out") / pl.col("records"))
    return (
        taken.join(first, on="campaign", how="left")
        .group_by("campaign")
        .agg(
            first_act=pl.col("hour").min(),
            first_alert=pl.col("first_alert").first(),
            found_by=pl.col("found_by").first(),
            records=pl.col("rows").sum(),
            out=pl.col("rows").filter(out).sum(),
        )
        .with_columns(
            days=(pl.col("first_alert") - pl.col("first_act")).dt.total_seconds() / 86_400,
            exposure=pl.when(found).then(share).otherwise(1.0),
        )
        .drop("out")
        .sort("campaign")
    )


def summarize_by_kind(campaigns: pl.DataFrame) -> pl.DataFrame:
    """By ``kind`` of campaign, in their order: staged, found, median days, mean exposure."""
    return campaigns.group_by("kind", maintain_order=True).agg(
        staged=pl.len(),
        found=pl.col("first_alert").is_not_null().sum(),
        days=pl.col("days").median(),
        exposure=pl.col("exposure").mean(),
    )
