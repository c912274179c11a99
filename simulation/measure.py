r"""Exposure and false alarms on an invented agency whose truth is known, by the command contract.

    python -m simulation.make_agency --out AGENCY --seed 304 --accounts 2000 --days 185 --life 1 \
        --campaigns 2
    python -m simulation.measure AGENCY --out OUT [--budget 1 3 10]

Trains on all but the agency's last 60 days, scores the rest, and reads scores.parquet, at each
budget (the logs are taken in once, and the ledger is trained on again). Exposure is
the share of a campaign's records that were out at the end of the hour of its first alert, 1 where
there was none; an alert counts where its entity is one of the campaign's, from the campaign's first
hour to a day after its last. Of thefts that began before the scored days
(poisoned, under_way, resident), what was taken on the scored days counts.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path

import polars as pl

#: Seeds on which detection was chosen, or that were reported before.
TAKEN = {*range(1, 10), *range(101, 111), *range(301, 351), 401, 402, 404}
#: Days that are scored, as in make_agency: campaigns lie within them.
SCORED = 60


@dataclass(frozen=True, slots=True)
class Outcome:
    """``campaigns``: campaign, kind, exposure. ``benign`` are alerts a day on honest entities,
    ``honest`` is which share of the accounts they are: the others' alerts count nowhere.
    """

    campaigns: pl.DataFrame
    benign: float
    honest: float = 1.0

    @property
    def exposure(self) -> float:
        """The mean of all campaigns."""
        return float(self.campaigns["exposure"].mean() or 0.0)


@dataclass(frozen=True, slots=True)
class Truth:
    """What was stolen by hour, and the entities of each campaign."""

    stolen: pl.DataFrame
    incidents: pl.DataFrame

    @classmethod
    def of(cls, agency: Path) -> Truth:
        """As make_agency wrote it beside the log."""
        stolen = pl.read_parquet(agency / ".truth" / "stolen.parquet")
        return cls(stolen, incidents(agency))

    def outcome(self, alerts: pl.DataFrame, first: date, days: int) -> Outcome:
        """Of ``alerts`` (entity_kind, entity, time) on so many days from ``first``."""
        keys = ["entity_kind", "entity"]
        within = pl.col("time").is_between(
            pl.col("start").dt.offset_by("-1h"), pl.col("end").dt.offset_by("1d"), closed="right"
        )
        right = alerts.join(self.incidents, on=keys).filter(within)
        found = right.group_by("campaign").agg(at=pl.col("time").min())
        out = pl.col("at").is_null() | (pl.col("timestamp").dt.offset_by("1h") <= pl.col("at"))
        taken = self.stolen.filter(pl.col("timestamp").dt.date() >= first)
        campaigns = (
            taken.join(found, on="campaign", how="left")
            .group_by("campaign")
            .agg(exposure=pl.col("rows").filter(out).sum() / pl.col("rows").sum())
            .join(self.incidents.select("campaign", "kind").unique(), on="campaign")
            .select("campaign", "kind", "exposure")
            .sort("kind", "campaign")
        )
        honest = alerts.join(self.incidents.select(keys).unique(), on=keys, how="anti")
        # Hours of updates bear the id of their episode's first alert: what the budget counts.
        count = honest["alert_id"].n_unique() if "alert_id" in honest.columns else len(honest)
        return Outcome(campaigns, count / days)

    def honest(self, scores: pl.DataFrame) -> float:
        """The share of the accounts of ``scores`` that no campaign uses at any time."""
        keys = ["entity_kind", "entity"]
        accounts = scores.select(keys).filter(pl.col("entity_kind") == "account").unique()
        return len(accounts.join(self.incidents, on=keys, how="anti")) / len(accounts)


def incidents(agency: Path) -> pl.DataFrame:
    """campaign, kind, entity_kind, entity, start, end, records: what was really done."""
    times = pl.col("start", "end").str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_zone="UTC")
    return pl.read_csv(agency / "incidents.csv").with_columns(times)


def detector(*arguments: object) -> None:
    """Runs the command, and ends where it fails; doubts about a log (3) are no failure."""
    command = [Path(sys.executable).parent / "detector", *map(str, arguments)]
    ran = subprocess.run(command, check=False, stdout=subprocess.DEVNULL)
    if ran.returncode not in (0, 3):
        sys.exit(ran.returncode)


def logs(agency: Path) -> tuple[Sequence[Path], date]:
    """The agency's log files, and its last day for training."""
    files = sorted(agency.glob("*.parquet"))
    last = pl.scan_parquet(files).select(pl.col("timestamp").max().dt.date()).collect().item()
    return files, last - timedelta(days=SCORED)


def measured(agency: Path, out: Path, budget: float) -> Outcome:
    """What a model of the agency finds at so many alerts a day; its ledger is kept in ``out``."""
    place = out / f"budget-{budget:g}"
    place.mkdir(parents=True, exist_ok=True)
    settings = place / "detector.toml"
    settings.write_text(f'timezone = "Europe/Paris"\nalerts_per_day = {budget}\n', encoding="utf-8")
    files, until = logs(agency)
    ledger = out / "ledger"
    common = (
        "--directory", agency / "directory.csv", "--settings", settings,
        "--ledger", ledger, "--model", place / "model",
    )  # fmt: skip
    learned_from = ("--from-ledger",) if ledger.exists() else files
    detector("train", *learned_from, "--until", until, *common)
    for kept in ledger.glob("episodes.*"):
        kept.unlink()  # what another budget's alerts were is no past of this one's
    later = [path for path in files if path.stem[:7] >= f"{until:%Y-%m}"]
    detector("score", *later, *common, "--out", place / "out")
    scores = pl.read_parquet(place / "out" / "scores.parquet").filter(pl.col("date") > until)
    alerts = scores.filter(pl.col("alert_id").is_not_null())
    truth = Truth.of(agency)
    found = truth.outcome(alerts, until + timedelta(days=1), scores["date"].n_unique())
    return replace(found, honest=truth.honest(scores))


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("agency", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--budget", type=float, nargs="+", default=[3.0])
    options = parser.parse_args()
    for budget in options.budget:
        found = measured(options.agency, options.out, budget)
        kinds = found.campaigns.group_by("kind").agg(pl.col("exposure").mean()).sort("exposure")
        for kind, exposure in kinds.iter_rows():
            print(f"{exposure:6.3f}  {kind}")
        print(f"{found.exposure:6.3f}  mean of {len(found.campaigns)} campaigns")
        print(
            f"{found.benign:6.2f}  alerts a day on honest entities ({found.honest:.0%} of the"
            f" accounts), of {budget:g} allowed",
            flush=True,
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
