"""What each part of the detection adds: the same agency judged without it.

    python -m simulation.ablation [--seed 311] [--accounts 1500] [--budget 3]

Makes an agency with thefts of every kind (simulation/agency/campaigns; none of that code is the
detector's), on a seed that nothing was chosen on, and trains and scores by the detector's own
code: whole, without each family of features, without the isolation forest, without the trees, and
with the lessons of whole kinds of campaign held out. The features are computed once. Prints
Markdown.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
import polars as pl

from detector import registry
from detector.core.settings import Settings
from detector.detection.pipeline import Pipeline
from detector.detection.results import build_result
from detector.features.baseline_training import train_baselines, train_until
from detector.features.feature import Family
from detector.features.feature_table import FEATURE_DIMENSIONS, TrainedBaselines, build_table
from detector.ledger.ingest import ingest
from detector.ledger.store import Ledger
from detector.model import isolation_forest, synthetic_positives, training
from detector.model.training_data import TrainingData
from detector.normalize import account_directory
from detector.readers.log_input import LocalFile
from simulation import make_agency
from simulation.measure import TAKEN, Outcome, Truth, logs

#: Those of the drill's table too were reported before.
REPORTED = {10, 11, 12}
#: Lessons that teach much the same, held out together.
HELD_OUT = {
    "more of the own work (fold, mimic, ramp, poisoned, newcomer)": (
        "fold", "mimic", "ramp", "poisoned", "newcomer",
    ),
    "paging (burst, flat_month, weekend_nights, dormant)": (
        "burst", "flat_month", "weekend_nights", "dormant",
    ),
    "elsewhere (new_tables, service_abuse, new_address, export)": (
        "new_tables", "service_abuse", "new_address", "export",
    ),
    "crowds (address, table, group)": ("crowd_address", "crowd_table", "crowd_group"),
}  # fmt: skip


class Remembered:
    """A function of days whose answers are kept: features do not depend on what is left out."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function, self.answers = function, {}

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """The answer to these days of these tables."""
        days = tuple(str(each) for each in arguments if isinstance(each, list | date))
        size = tuple(each.shape for each in arguments[:2])
        # Over which levels: those that were learned are kept, so that no two have the same id.
        over = tuple(id(each) for each in arguments if isinstance(each, TrainedBaselines))
        told = sorted(each for each in named.items() if not isinstance(each[1], pl.DataFrame))
        key = (size, days, over, tuple(told))
        if key not in self.answers:
            self.answers[key] = self.function(*arguments, **named)
        return self.answers[key]


class Silent:
    """A forest that finds nothing odd."""

    def score(self, points: np.ndarray) -> np.ndarray:
        """0 for every point."""
        return np.zeros(len(points))


def untaught(*_arguments: Any, **_named: Any) -> pl.DataFrame:
    """No lessons."""
    return pl.DataFrame()


class Ablation:
    """An agency's ledger, its truth, and its features, of all families."""

    def __init__(
        self, data: TrainingData, hours: pl.DataFrame, touched: pl.DataFrame, truth: Truth
    ) -> None:
        self.data, self.hours, self.touched, self.truth = data, hours, touched, truth
        self.all = tuple(data.families)
        self.known = SimpleNamespace(
            train_baselines=Remembered(train_baselines),
            train_until=Remembered(train_until),
            build_table=Remembered(partial(_table, self.all)),
        )
        self.staged = synthetic_positives.synthetic_days
        self.lessons: pl.DataFrame | None = None

    def outcome(
        self,
        families: Sequence[Family],
        without: tuple[str, ...] = (),
        *,
        silent: bool = False,
        taught: bool = True,
    ) -> Outcome:
        """Judged by ``families``, ``without`` the lessons of these kinds of campaign."""
        fit = (lambda *_: Silent()) if silent else isolation_forest.fit
        staged = partial(self._taught, without) if taught else untaught
        with (
            mock.patch.object(training, "features", self.known),
            mock.patch.object(training, "train_baselines", self.known.train_baselines),
            mock.patch.object(training, "train_until", self.known.train_until),
            mock.patch.object(training, "synthetic_days", staged),
            mock.patch("detector.model.lookback.features", self.known),
            mock.patch("detector.model.scoring.features", self.known),
            mock.patch("detector.model.ensemble.forests.fit", fit),
        ):
            model = training.train(replace(self.data, families=families))
            days = sorted(set(self._days()))
            pipeline = Pipeline(model, self.data.directory, self.data.settings, families)
            scored = pipeline.scorer.score(self.hours, self.touched, days)
            found = build_result(pipeline, scored, self.hours, self.touched, days)
        alerts = found.scores.filter(pl.col("alert_id").is_not_null())
        return self.truth.outcome(alerts, days[0], len(days))

    def _days(self) -> list[date]:
        last = self.data.days()[-1]
        everything = replace(self.data, hours=self.hours).days()
        return [day for day in everything if day > last]

    def _taught(self, without: tuple[str, ...], *arguments: Any, **named: Any) -> pl.DataFrame:
        if self.lessons is None:
            self.lessons = self.staged(*arguments[:-1], self.all, **named)
        return self.lessons.filter(~pl.col("kind").is_in(without))


def _table(families: Sequence[Family], *arguments: Any, **named: Any) -> pl.DataFrame:
    """The feature table of all families, whichever were asked for."""
    return build_table(*arguments[:-1], families, **named)


@contextmanager
def agency(seed: int, accounts: int) -> Iterator[Path]:
    """An agency with two thefts of every kind, in a folder that goes away."""
    with tempfile.TemporaryDirectory() as folder:
        options = ("--seed", seed, "--accounts", accounts, "--days", 185, "--life", 1)
        thefts = ("--campaigns", 2, "--level", 1)
        made = [str(each) for each in (*options, *thefts, "--out", folder)]
        with mock.patch("builtins.print"):
            make_agency.main(made)
        yield Path(folder)


def opened(folder: Path, budget: float) -> Ablation:
    """The agency's log, taken into a ledger."""
    settings = Settings(timezone="Europe/Paris", alerts_per_day=budget)
    files, until = logs(folder)
    ledger = Ledger.open(folder / "ledger", settings.timezone)
    source = registry.sources()["parquet"]
    ingest(
        [(LocalFile(path), source) for path in files], ledger, settings, lambda _done, _words: None
    )
    days = ledger.days()
    hours, touched = ledger.hours(), ledger.touched(days[0], days[-1], FEATURE_DIMENSIONS)
    people = account_directory.load(folder / "directory.csv")
    day = pl.col("hour").dt.convert_time_zone(settings.timezone).dt.date()
    data = TrainingData(
        hours.filter(day <= until), touched.filter(pl.col("day") <= until), people, settings,
        registry.families(),
    )  # fmt: skip
    return Ablation(data, hours, touched, Truth.of(folder))


def variants(families: Sequence[Family]) -> Iterator[tuple[str, dict[str, Any]]]:
    """What is left out, by name, as arguments of ``Ablation.outcome``."""
    yield "nothing: all of it", {"families": families}
    for family in families:
        rest = [each for each in families if each is not family]
        yield f"the family {family.name}", {"families": rest}
    yield "the isolation forest", {"families": families, "silent": True}
    change = [each for each in families if each.name != "population"]
    yield "all that asks for magnitude", {"families": change, "silent": True}
    yield "the trees (Fisher's sum alone)", {"families": families, "taught": False}
    yield (
        "the trees and the forest",
        {"families": families, "taught": False, "silent": True},
    )
    for name, kinds in HELD_OUT.items():
        held_out = {"families": families, "without": kinds}
        yield f"lessons of {name}", held_out
        yield f"lessons of {name}, and the forest", {**held_out, "silent": True}
    for family in families:
        for feature in family.features:
            rest = tuple(each for each in family.features if each is not feature)
            less = [replace(each, features=rest) if each is family else each for each in families]
            yield f"the feature {feature.name}", {"families": less}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seed", type=int, default=313)
    parser.add_argument("--accounts", type=int, default=1500)
    parser.add_argument("--budget", type=float, default=3.0)
    parser.add_argument(
        "--only", nargs="+", default=(), metavar="WORD", help="rows with one of these"
    )
    options = parser.parse_args()
    if options.seed in TAKEN | REPORTED:
        sys.exit(f"ablation: seed {options.seed} was used for choosing; take another")
    with agency(options.seed, options.accounts) as folder:
        ablation = opened(folder, options.budget)
        print("| left out | exposure | honest alerts a day | costs most |")
        print("|---|---:|---:|---|")
        whole: dict[str, float] = {}
        for name, arguments in variants(registry.families()):
            asked = any(word in name for word in ("nothing", *options.only)) or not options.only
            if not asked or ("the feature" in name and not options.only):
                continue
            began = time.perf_counter()
            found = ablation.outcome(**arguments)
            kinds = dict(
                found.campaigns.group_by("kind").agg(pl.col("exposure").mean()).iter_rows()
            )
            whole = whole or kinds
            worse = sorted(kinds, key=lambda kind: whole[kind] - kinds[kind])[:5]
            costs = ", ".join(
                f"{kind} {whole[kind]:.2f} to {kinds[kind]:.2f}"
                for kind in worse
                if kinds[kind] - whole[kind] > 0.02
            )
            print(f"| {name} | {found.exposure:.3f} | {found.benign:.2f} | {costs} |", flush=True)
            print(f"{name}: {time.perf_counter() - began:.0f} s", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
