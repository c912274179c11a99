"""The same drill for detector and for other ways to detect, side by side.

    python -m benchmarks peers [--accounts 3000] [--days 150] [--seeds 11 12] [--instances 4]

Makes an agency for each seed (honest, with all that changes in an office), trains detector on all
but its last 42 days, and stages detector's campaigns there. The peers look at each account at the
end of each day. Each has its threshold set on the model's held-out training days, to the same
number of alerts a day, with runs of alert days counting once. Prints Markdown; with --json, JSON
lines on stdout and Markdown on stderr.

The campaigns are of the kinds that detector's own trees learn from; the peers learn from none.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmarks import ROOT
from detector import registry
from detector.core.settings import Settings
from detector.drill import exposure, run, schedule
from detector.drill.window import DEFAULT_DAYS, DrillWindow
from detector.features.aggregates import midnight
from detector.features.feature_table import FEATURE_DIMENSIONS
from detector.ledger.aggregate import local_day
from detector.ledger.store import Ledger
from detector.model import store
from detector.model import threshold as budget
from detector.model.model import Model
from detector.normalize import account_directory
from simulation.measure import TAKEN

START = date(2024, 1, 1)
#: Days of an account's own past for its z, and the fewest of them.
PAST, FEWEST = 28, 5
#: Daily features as a practitioner would take them from the log.
RAW = ("statements", "rows", "largest", "hours", "object", "client_address")
READING = ("read", "export")
KEYS = ["account", "day"]

Points = np.ndarray[Any, np.dtype[np.float64]]


def daily(stage: DrillWindow) -> pl.DataFrame:
    """RAW of each account-day."""
    own = (
        stage.hours.filter(pl.col("action").is_in(READING))
        .with_columns(day=local_day("hour", stage.settings.timezone))
        .group_by(KEYS)
        .agg(
            pl.col("statements", "rows").sum(),
            pl.col("largest").max().fill_null(0),
            hours=pl.col("hour").n_unique(),
        )
    )
    for dimension in ("object", "client_address"):
        values = stage.touched.filter(pl.col("dimension") == dimension)
        own = own.join(values.group_by(KEYS).len(dimension), on=KEYS, how="left")
    return own.with_columns(pl.col(RAW).fill_null(0).cast(pl.Float64)).sort(KEYS)


def static(days: pl.DataFrame, _learned: pl.DataFrame) -> Points:
    """Rows of the day: one bar for everybody."""
    return days["rows"].to_numpy()


def own_z(days: pl.DataFrame, _learned: pl.DataFrame) -> Points:
    """Rows against the median and spread (MAD) of the account's last PAST active days."""
    past = pl.col("rows").shift(1).over("account")
    middle = past.rolling_median(PAST, min_samples=FEWEST).over("account")
    frame = days.with_columns(middle=middle)
    apart = (pl.col("rows").shift(1) - pl.col("middle")).abs()
    apart = apart.rolling_median(PAST, min_samples=FEWEST).over("account") * 1.4826
    # Where there is no past yet, everybody's day is what there is to compare with.
    rest = days["rows"]
    return frame.select(
        (pl.col("rows") - pl.col("middle").fill_null(rest.median()))
        / (apart.fill_null(rest.std()) + 1)
    ).to_series().to_numpy()  # fmt: skip


def azure(days: pl.DataFrame, learned: pl.DataFrame) -> Points:
    """The published rule: how far beyond all three of its bars the day's largest result is.

    Of its database's history: z > 3, more than three times the distance from the median to the
    99th percentile above the latter, and over 500 rows. From Azure-Sentinel, Hunting Queries,
    "Response rows stateful anomaly on database".
    """
    rows, past = days["largest"], learned["largest"]
    high, middle = past.quantile(0.99), past.median()
    z = (rows - past.mean()) / (past.std() + 1)
    beyond = (rows - high) / (high - middle + 1)
    return np.minimum.reduce([(z / 3).to_numpy(), (beyond / 3).to_numpy(), (rows / 500).to_numpy()])


def forest(days: pl.DataFrame, learned: pl.DataFrame) -> Points:
    """PyOD's isolation forest on RAW."""
    from pyod.models.iforest import IForest

    fitted = IForest(n_estimators=200, random_state=1).fit(learned.select(RAW).to_numpy())
    return fitted.decision_function(days.select(RAW).to_numpy())


def ecod(days: pl.DataFrame, learned: pl.DataFrame) -> Points:
    """PyOD's ECOD on RAW. It ranks a point among those learned from and those asked for."""
    from pyod.models.ecod import ECOD

    scores: Points = (
        ECOD().fit(learned.select(RAW).to_numpy()).decision_function(days.select(RAW).to_numpy())
    )
    return scores


PEERS: dict[str, Callable[[pl.DataFrame, pl.DataFrame], Points]] = {
    "static threshold on daily rows": static,
    "robust z of daily rows, per account": own_z,
    "Azure-style rule": azure,
    "PyOD isolation forest, raw daily features": forest,
    "PyOD ECOD, raw daily features": ecod,
}
OURS = "detector"
OUTCOME = ("kind", "first_alert", "days", "exposure")


@dataclass(frozen=True, slots=True)
class Peer:
    """A way to detect, with the scores of honest held-out days and the bar they set."""

    score: Callable[[pl.DataFrame, pl.DataFrame], Points]
    learned: pl.DataFrame
    held: Points
    threshold: float

    @classmethod
    def of(cls, score: Any, days: pl.DataFrame, model: Model) -> Peer:
        """With the bar at which honest held-out days ring as often as the budget allows."""
        day = pl.col("day")
        learned = days.filter(day < model.held_out_from)
        held = days.filter(day <= model.last_day).with_columns(
            score=pl.Series(score(days.filter(day <= model.last_day), learned))
        )
        held = held.filter(day >= model.held_out_from)
        levels = np.sort(held["score"].to_numpy())
        alarms = _alarms(held, held["score"].to_numpy(), levels)
        first = model.held_out_from + timedelta(days=budget.EPISODE_DAYS)
        return cls(score, learned, levels, budget.fit(alarms, model.alerts_per_day, first))

    def rings(self, days: pl.DataFrame, stage: DrillWindow) -> pl.DataFrame:
        """RINGS on the stage, at the end of each day."""
        scores = self.score(days, self.learned)
        alarms = _alarms(days, scores, self.held)
        on_stage = alarms.filter(pl.col("day") >= stage.first)
        begun = budget.episode_starts(alarms, on_stage, self.threshold)
        over = midnight(pl.col("day") + timedelta(days=1), stage.settings)
        rings = begun.with_columns(time=over, begins_episode=pl.lit(value=True))
        return rings.select(list(exposure.ALERT_TIMES))


def _alarms(days: pl.DataFrame, scores: Points, levels: Points) -> pl.DataFrame:
    """Scores as -log10 of their share among honest held-out days: one scale for all peers."""
    above = len(levels) - np.searchsorted(levels, scores, "left")
    alarm = -np.log10((above + 1) / (len(levels) + 1))
    return days.select(
        pl.lit("account").alias("entity_kind"), pl.col("account").alias("entity"), "day",
        pl.Series("alarm", alarm),
    )  # fmt: skip


def agency(work: Path, accounts: int, days: int, seed: int) -> Path:
    """An honest agency's ledger and a model of all but its last days, made once."""
    folder = work / f"peers-{accounts}-{days}-{seed}"
    if (folder / "model").is_dir():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    _quietly(
        [sys.executable, "-m", "simulation.make_agency", "--out", folder / "logs",
         "--accounts", accounts, "--days", days, "--seed", seed, "--life", 1,
         "--thieves", 0, "--doublers", 0, "--start", START, "--level", 1, "--largest", 0]
    )  # fmt: skip
    people = (folder / "logs" / "directory.csv").rename(folder / "directory.csv")
    (folder / "logs" / "incidents.csv").unlink()
    (folder / "detector.toml").write_text('timezone = "Europe/Paris"\n', encoding="utf-8")
    last = START + timedelta(days=days - DEFAULT_DAYS - 1)
    command = "from detector.cli.app import run; run()"
    _quietly(
        [sys.executable, "-c", command, "train", folder / "logs", "--directory", people,
         "--until", last, "--settings", folder / "detector.toml", "--ledger", folder / "ledger",
         "--model", folder / "model"]
    )  # fmt: skip
    return folder


def _quietly(command: list[object]) -> None:
    done = subprocess.run(
        [str(word) for word in command], check=False, capture_output=True, cwd=ROOT
    )
    if done.returncode:
        sys.exit(f"benchmarks peers: {command[:4]} failed: {done.stderr.decode().strip()}")


def measured(folder: Path, instances: int, seed: int) -> Iterator[dict[str, Any]]:
    """Of each method: what became of each campaign, and its alerts a day on the honest stage.

    ``by_chance`` is what these honest alerts make of the campaigns.
    """
    model = store.load(folder / "model", registry.families())
    rules: Settings = model.settings
    book = Ledger.open(folder / "ledger", rules.timezone)
    last = book.days()[-1]
    first = model.last_day + timedelta(days=1)
    people = account_directory.load(folder / "directory.csv")
    hours, touched = book.hours(None, last), book.touched(None, last, FEATURE_DIMENSIONS)
    stage = DrillWindow(hours, touched, people, rules, first, last)
    honest = daily(stage)
    peers = {name: Peer.of(score, honest, model) for name, score in PEERS.items()}
    staged = schedule.stage_campaigns(stage.population(model), seed, instances)
    rounds = schedule.rounds(staged, len(stage.peer_groups(model)))
    found: dict[str, list[pl.DataFrame]] = {name: [] for name in (*PEERS, OURS)}
    chance: dict[str, pl.DataFrame] = {}
    benign = dict.fromkeys(found, 0.0)
    for name in found:
        if name == OURS:
            rings = run.alert_times(stage, [], model, registry.families())
        else:
            rings = peers[name].rings(honest, stage)
        chance[name] = run.outcomes(staged, rings, stage)
        benign[name] = rings.filter("begins_episode").height / len(stage.days)
    for some in rounds:
        robbed = stage.with_campaigns(some)
        days = daily(robbed)
        for name, parts in found.items():
            if name == OURS:
                rings = run.alert_times(robbed, some, model, registry.families())
            else:
                rings = peers[name].rings(days, stage)
            parts.append(run.outcomes(some, rings, stage))
    for name, parts in found.items():
        yield {
            "method": name,
            "seed": seed,
            "budget": model.alerts_per_day,
            "benign": benign[name],
            "campaigns": pl.concat(parts).select(OUTCOME),
            "by_chance": chance[name].select(OUTCOME),
        }


def table(results: list[dict[str, Any]]) -> str:
    """Markdown: a row per method, over all seeds."""
    lines = [
        "| method | mean exposure | by chance | benign alerts a day | kinds never found |",
        "|---|---:|---:|---:|---|",
    ]
    for name in (*PEERS, OURS):
        own = [result for result in results if result["method"] == name]
        kinds = exposure.summarize_by_kind(pl.concat([result["campaigns"] for result in own]))
        never = kinds.filter(pl.col("found") == 0)["kind"].to_list()
        benign = np.mean([result["benign"] for result in own])
        words = ", ".join(f"`{kind}`" for kind in never) or "none"
        chance = exposure.summarize_by_kind(pl.concat([result["by_chance"] for result in own]))
        means = f"{kinds['exposure'].mean():.2f} | {chance['exposure'].mean():.2f}"
        lines.append(f"| {name} | {means} | {benign:.1f} | {words} |")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--accounts", type=int, default=3000)
    parser.add_argument("--days", type=int, default=150, help="of the log; the last 42 are staged")
    parser.add_argument("--seeds", type=int, nargs="+", default=[11, 12])
    parser.add_argument("--instances", type=int, default=4, help="campaigns of each kind")
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "detector-bench")
    parser.add_argument("--json", action="store_true", help="a line of JSON per method and seed")
    chosen = parser.parse_args()
    if used := TAKEN & set(chosen.seeds):
        sys.exit(
            f"benchmarks peers: seed {min(used)} was used to choose, or is for judging; take others"
        )
    # A column in which nearly all days are alike makes SciPy doubt its skewness.
    warnings.filterwarnings("ignore", category=RuntimeWarning, module="pyod")
    results = []
    for seed in chosen.seeds:
        folder = agency(chosen.work, chosen.accounts, chosen.days, seed)
        for result in measured(folder, chosen.instances, seed):
            results.append(result)
            if chosen.json:
                mean = exposure.summarize_by_kind(result["campaigns"])["exposure"].mean()
                plain = {name: result[name] for name in ("method", "seed", "budget", "benign")}
                print(json.dumps({**plain, "mean_exposure": mean}), flush=True)
    print(table(results), file=sys.stderr if chosen.json else sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
