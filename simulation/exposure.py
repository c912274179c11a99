"""Says when a theft in a sample log was found, and how many of its records were out by then.

Usage: exposure.py SAMPLE_FOLDER ALERTS_NDJSON. The folder holds the log as Parquet and
incidents.csv: what was really done in it, an account, address, table or group of a theft a row.
"""

from __future__ import annotations

import json
import sys
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl

from simulation import measure


def incidents(sample: Path) -> pl.DataFrame:
    """The thefts by account: campaign, kind, account, start, end, records of the campaign."""
    known = measure.incidents(sample).filter(pl.col("entity_kind") == "account")
    return known.rename({"entity": "account"})


def alert_times(path: Path) -> pl.DataFrame:
    """One row per alert: account, time."""
    found = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    # An OCSF finding has the alert under "unmapped"; the native format is the alert.
    said = [each.get("unmapped", each) for each in found]
    # Updates tell of what was found before.
    alerts = [alert for alert in said if alert["activity"] == "create"]
    return pl.DataFrame(
        {
            "account": [alert["entity"] for alert in alerts],
            "time": [datetime.fromisoformat(alert["time"]) for alert in alerts],
        },
        schema={"account": pl.String, "time": pl.Datetime("us", "UTC")},
    )


def taken(sample: Path, thefts: pl.DataFrame) -> pl.LazyFrame:
    """The log's events of the thieves' accounts, from the start of their theft to its end.

    Their ordinary work in that time is among them: the log does not tell them apart.
    """
    return (
        pl.scan_parquet(sample / "*.parquet")
        .join(thefts.lazy().select("account", "start", "end"), on="account")
        .filter(pl.col("timestamp").is_between(pl.col("start"), pl.col("end")))
    )


def out_by(sample: Path, thefts: pl.DataFrame, moment: datetime) -> int:
    """Records of ``taken`` before ``moment``."""
    events = taken(sample, thefts).filter(pl.col("timestamp") < moment)
    return int(events.select(pl.col("rows").sum()).collect().item())


def main() -> int:
    """Prints the findings; 1 where the theft was not found."""
    sample, alerts_file = Path(sys.argv[1]), Path(sys.argv[2])
    known = incidents(sample)
    alerts = alert_times(alerts_file)
    thefts = known.filter(pl.col("kind") == "theft")
    rightly = alerts.join(known, on="account").filter(pl.col("time") > pl.col("start"))
    found = rightly.filter(pl.col("kind") == "theft").sort("time", "account")
    total, began = int(thefts.unique("campaign")["records"].sum()), thefts["start"].min()
    if found.is_empty():
        print(f"the theft of {total:,} records by {len(thefts)} accounts was NOT found")
        return 1
    first = found.row(0, named=True)
    moment = first["time"]
    out = out_by(sample, thefts, moment)
    # An alert stands at the end of its hour, so one at midnight is of the day before.
    its_day = (moment - timedelta(hours=1)).replace(hour=0)
    night = out_by(sample, thefts, its_day + timedelta(days=1))
    day = (its_day.date() - began.date()).days + 1
    print(
        f"the theft of {total:,} records by {len(thefts)} accounts "
        f"({began:%Y-%m-%d} to {thefts['end'].max():%Y-%m-%d})\n"
        f"  was found on {moment:%Y-%m-%d at %H:%M} UTC, on its day {day}, by {first['account']}\n"
        f"  {out:,} of the records were out by then: {out / total:.2%}\n"
        f"  (scored only after midnight, from that day's dump: {night:,}, {night / total:.2%})"
    )
    for theft in thefts.sort("start").iter_rows(named=True):
        own = found.filter(pl.col("account") == theft["account"])
        when = f"{own['time'].min():%Y-%m-%d %H:%M} UTC" if len(own) else "never"
        print(f"  {theft['account']}: began {theft['start']:%Y-%m-%d %H:%M}, first alert {when}")
    for other in known.filter(pl.col("kind") != "theft").iter_rows(named=True):
        own = rightly.filter(pl.col("account") == other["account"])
        when = f"found on {own['time'].min():%Y-%m-%d}" if len(own) else "not found"
        print(
            f"{other['account']}, who quietly took {other['records']:,} records "
            f"from {other['start']:%Y-%m-%d} on: {when}"
        )
    print(f"alerts besides these (false alarms): {len(alerts) - len(rightly)} of {len(alerts)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
