"""Draws docs/theft.svg: how much was out in the sample's theft, and when its first alert came.

Usage, after a score of the sample: python -m simulation.picture SAMPLE_FOLDER ALERTS_NDJSON
"""

from __future__ import annotations

import sys
from pathlib import Path

import polars as pl

from simulation.exposure import alert_times, incidents, taken

OUT = Path(__file__).parents[1] / "docs" / "theft.svg"


def out_by_hour(sample: Path, thefts: pl.DataFrame) -> pl.DataFrame:
    """hour, out: records that the thieves' accounts read since their theft began."""
    return (
        taken(sample, thefts)
        .group_by(hour=pl.col("timestamp").dt.truncate("1h"))
        .agg(out=pl.col("rows").sum())
        .sort("hour")
        .with_columns(pl.col("out").cum_sum())
        .collect()
    )


def draw(hours: pl.DataFrame, found: pl.DataFrame) -> None:
    from matplotlib import dates, rc_context
    from matplotlib.figure import Figure

    first = found.row(0, named=True)
    by_then = hours.filter(pl.col("hour") < first["time"])["out"].max() or 0
    with rc_context({"svg.hashsalt": "detector", "svg.fonttype": "none"}):
        figure = Figure(figsize=(8, 2.8), layout="constrained")
        axes = figure.subplots()
        axes.fill_between(hours["hour"], hours["out"] / 1e6, step="post", color="#b8c4d6")
        axes.axvline(first["time"], color="#b3261e", linewidth=1.5)
        axes.annotate(
            f"first alert: {first['account']}, {first['time']:%-d %b %H:%M} UTC,\n"
            f"{by_then:,} records out",
            (first["time"], 30), (8, 0),
            textcoords="offset points", color="#b3261e",
        )  # fmt: skip
        axes.xaxis.set_major_locator(dates.WeekdayLocator(dates.MO))
        axes.xaxis.set_major_formatter(dates.DateFormatter("%-d %b"))
        axes.set_ylabel("million records out")
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_ylim(bottom=0)
        figure.savefig(OUT, metadata={"Date": None})


def main(sample: Path, alerts: Path) -> None:
    thefts = incidents(sample).filter(pl.col("kind") == "theft")
    found = alert_times(alerts).join(thefts.select("account", "start"), on="account")
    draw(out_by_hour(sample, thefts), found.filter(pl.col("time") >= pl.col("start")).sort("time"))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
