"""A small seeded office: four desks at three sites, a nightly job, and whoever steals from it.

``Office.of`` folds events into the ledger's two tables as ``detector.ledger`` does. What a test
adds to the office it adds as events, so that it comes the whole way that a log comes.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl
import pytest
from shared import made_once

from detector import registry
from detector.alerts.alert import Alert
from detector.alerts.episode_history import EpisodeHistory
from detector.core import schema
from detector.core.settings import Settings
from detector.detection.pipeline import Pipeline, TablesInMemory
from detector.detection.results import build_result
from detector.features.baseline_training import train_baselines
from detector.ledger.aggregate import hourly_sums, local_day, touched_values
from detector.model import store
from detector.model.model import KindModel, Model
from detector.model.training import train
from detector.model.training_data import TrainingData

START = date(2024, 1, 1)
DAYS = 98
#: The first day that the model does not know.
CUT = START + timedelta(days=63)
PEOPLE = 96
DESKS = ("north", "south", "east", "west")
JOB = "svc.nightly"
#: Where the desk called west sits: at terminal servers that they share.
TERMINALS = ("10.9.0.1", "10.9.0.2", "10.9.0.3")
#: Enough of the office to have colleagues: a model of these takes a fourth of the time of all.
FEW = pl.col("account") < "agent24"
#: Nobody's network (RFC 5737).
FOREIGN = "203.0.113.7"
FAMILIES = registry.families()
NAMES = [feature.name for family in FAMILIES for feature in family.features]


def agent(number: int) -> str:
    return f"agent{number:02}"


def desk(number: int) -> str:
    return DESKS[number % len(DESKS)]


def address(number: int) -> str:
    if desk(number) == "west":
        return TERMINALS[number // len(DESKS) % len(TERMINALS)]
    return f"10.{number % len(DESKS)}.0.{number + 1}"


def days(first: date, count: int) -> list[date]:
    return [first + timedelta(days=n) for n in range(count)]


#: The days that tests score.
SCORED = days(CUT, 14)
#: And those that what is slow takes.
LATER = days(CUT, DAYS - (CUT - START).days)


@dataclass(frozen=True)
class Office:
    hours: pl.DataFrame
    touched: pl.DataFrame
    settings: Settings = field(default_factory=Settings)

    @classmethod
    def of(cls, events: pl.DataFrame, settings: Settings | None = None) -> Office:
        rules = settings or Settings()
        return cls(hourly_sums(events), touched_values(events, rules.timezone), rules)

    def before(self, day: date) -> Office:
        return self._of_days(local_day("hour", self.settings.timezone) < day, pl.col("day") < day)

    def since(self, day: date) -> Office:
        return self._of_days(local_day("hour", self.settings.timezone) >= day, pl.col("day") >= day)

    def _of_days(self, hours: pl.Expr, touched: pl.Expr) -> Office:
        return Office(self.hours.filter(hours), self.touched.filter(touched), self.settings)

    def model(self, directory: pl.DataFrame | None = None) -> Model:
        return train(TrainingData(self.hours, self.touched, directory, self.settings, FAMILIES))

    def score(
        self, model: Model, some: Sequence[date], directory: pl.DataFrame | None = None
    ) -> pl.DataFrame:
        """The scored hours, with ``alarming``: whether an alert or an update is raised in it."""
        pipeline = self.pipeline(model, directory)
        scored = pipeline.scorer.score(self.hours, self.touched, some)
        found = build_result(pipeline, scored, self.hours, self.touched, list(some))
        if scored.is_empty():
            return scored
        marks = found.scores.filter(pl.col("alert_id").is_not_null()).select(
            "entity_kind", "entity", hour=pl.col("time").dt.offset_by("-1h"), alarming=True
        )
        keys = ["entity_kind", "entity", "hour"]
        return scored.join(marks, on=keys, how="left", maintain_order="left").with_columns(
            pl.col("alarming").fill_null(value=False)
        )

    def pipeline(self, model: Model, directory: pl.DataFrame | None = None) -> Pipeline:
        """At the threshold of training, whatever fired before."""
        history = EpisodeHistory(self.settings.timezone, adapts_threshold=False)
        return Pipeline(model, directory, self.settings, FAMILIES, history=history)

    def alerts(
        self, scored: pl.DataFrame, model: Model, directory: pl.DataFrame | None = None
    ) -> list[Alert]:
        """The messages of what ``score`` gave, with what the ledger knows of them."""
        pipeline = self.pipeline(model, directory)
        days = scored["day"].unique().sort().to_list()
        return build_result(pipeline, scored, self.hours, self.touched, days).alerts

    def tables(self) -> TablesInMemory:
        """As a ledger holds them."""
        return TablesInMemory(self.hours, self.touched, self.settings)


def honest_events(
    seed: int = 1, until: int = DAYS, busy: Mapping[date, float] | None = None
) -> pl.DataFrame:
    """The log of an office where nobody steals; on ``busy`` days all do so many times as much."""
    rng = np.random.default_rng(seed)
    level = rng.lognormal(2.6, 0.4, PEOPLE)
    frames = []
    for day in days(START, until):
        share = 1.0 if day.isoweekday() <= 5 else 0.02
        more = (busy or {}).get(day, 1.0)
        counts = rng.poisson(level * share * more * rng.gamma(6, 1 / 6, PEOPLE))
        who = np.repeat(np.arange(PEOPLE), counts)
        hour = rng.normal(13, 1.8, len(who)).clip(7, 19.9)
        frames.append(reads(rng, day, who, hour, 1.5))
        frames.append(_nightly(rng, day))
    return pl.concat([schema.empty(schema.EVENTS), *frames], how="diagonal").sort(
        "timestamp", "account", "rows"
    )


def _nightly(rng: np.random.Generator, day: date) -> pl.DataFrame:
    job = reads(rng, day, np.zeros(30, int), 2 + rng.random(30), 6.0)
    return job.with_columns(
        account=pl.lit(JOB), client_address=pl.lit("10.8.0.1"), object=pl.lit("person")
    )


def reads(
    rng: np.random.Generator, day: date, who: np.ndarray, hour: np.ndarray, size: float
) -> pl.DataFrame:
    """EVENTS (some columns): reads of about e**``size`` records by agents at hours of a day."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()
    second = rng.integers(0, 4, len(who)) == 0
    return pl.DataFrame(
        {
            "timestamp": pl.Series(((midnight + hour * 3600) * 1e6).astype(np.int64)).cast(
                schema.TIMESTAMP
            ),
            "account": [agent(number) for number in who],
            "client_address": [address(number) for number in who],
            "application": "front",
            "object": [
                "person" if other else f"{desk(number)}.file"
                for number, other in zip(who, second, strict=True)
            ],
            "action": "read",
            "rows": rng.lognormal(size, 1.0, len(who)).astype(np.int64),
            "success": True,
        },
        schema_overrides={name: schema.EVENTS[name] for name in ("rows", "success")},
    )


def pages(number: int, some: Sequence[date], made: int, seed: int = 5) -> pl.DataFrame:
    """Theft: ``made`` statements of some 300 records a day, around the clock, from abroad."""
    rng = np.random.default_rng(seed)
    frames = [reads(rng, day, np.full(made, number), rng.random(made) * 24, 5.7) for day in some]
    return pl.concat(frames).with_columns(client_address=pl.lit(FOREIGN))


def multiplied(
    events: pl.DataFrame, number: int, some: Sequence[date], times: Sequence[float], seed: int = 6
) -> pl.DataFrame:
    """Theft: what the agent reads on ``some`` days, ``times`` as often, in its own hours."""
    rng = np.random.default_rng(seed)
    mine = events.filter(pl.col("account") == agent(number))
    frames = []
    for day, factor in zip(some, times, strict=True):
        today = mine.filter(pl.col("timestamp").dt.date() == day)
        more = rng.poisson(max(factor - 1, 0.0), len(today))
        frames.append(today[np.repeat(np.arange(len(today)), more).tolist()])
    return pl.concat(frames)


def moved(events: pl.DataFrame, number: int, day: date, place: str) -> pl.DataFrame:
    """The log in which an agent sits at another place on one day."""
    there = (pl.col("account") == agent(number)) & (pl.col("timestamp").dt.date() == day)
    return events.with_columns(
        client_address=pl.when(there).then(pl.lit(place)).otherwise("client_address")
    )


def joined(*parts: pl.DataFrame) -> pl.DataFrame:
    """One log of several."""
    return pl.concat([schema.empty(schema.EVENTS), *parts], how="diagonal").sort("timestamp")


#: What is learned from: all of the honest office, all of it by its directory, or few.
Past = Literal["all", "listed", "few"]


def trained_once(factory: pytest.TempPathFactory, past: Past = "all") -> Model:
    """The stored model of the honest office's past."""
    return store.load(_trained(factory, past) / "model", FAMILIES)


def as_trained(factory: pytest.TempPathFactory) -> Model:
    """The same model without a directory, as training gave it."""
    data = (_trained(factory, "all") / "as-trained").read_bytes()
    return pickle.loads(data)  # noqa: S301 - our own


def _trained(factory: pytest.TempPathFactory, past: Past) -> Path:
    """Where whichever process of a run came to it first has put both."""

    def make(folder: Path) -> None:
        log = honest_events().filter(FEW) if past == "few" else honest_events()
        model = Office.of(log).before(CUT).model(directory() if past == "listed" else None)
        (folder / "as-trained").write_bytes(pickle.dumps(model))
        store.save(model, folder / "model", FAMILIES)

    return made_once(factory, f"small-office-{past}", make)


def under_names(judges: Mapping[str, KindModel], name: pl.Expr) -> dict[str, KindModel]:
    """What is usual of each account, under the ``name`` it gets; nothing of other entities."""
    made = {}
    for kind, judge in judges.items():
        usual = judge.entity_bias.biases
        usual = usual.with_columns(entity=name) if kind == "account" else usual.clear()
        made[kind] = replace(judge, entity_bias=replace(judge.entity_bias, biases=usual))
    assert made["account"].entity_bias.biases["usual"].n_unique() > 1
    return made


def score_under_names(
    office: Office,
    model: Model,
    people: pl.DataFrame | None,
    name: pl.Expr,
    some: Sequence[date],
) -> pl.DataFrame:
    """The scores of an office by the judges of ``model``, which know accounts by ``name``, and by
    baselines of its own.
    """
    past = office.before(CUT)
    learned = train_baselines(past.hours, past.touched, people, office.settings)
    known = replace(model, baselines=learned, kind_models=under_names(model.kind_models, name))
    return office.score(known, some, people)


def directory() -> pl.DataFrame:
    """The office's directory: a group for each desk, and the job."""
    people = [(agent(n), f"desk {desk(n)}", "human") for n in range(PEOPLE)]
    return pl.DataFrame(
        [
            {"account": name, "group": group, "role": None, "kind": kind, "hired": None}
            for name, group, kind in [*people, (JOB, "desk north", "service")]
        ],
        schema=dict(schema.DIRECTORY),
    )
