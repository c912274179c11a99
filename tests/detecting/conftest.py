"""A small seeded office, folded into the ledger's two tables, and a model of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from detector.features.days import local_day

from detector import registry, schema
from detector.forests.model import Model
from detector.forests.training import train
from detector.ledger.fold import fold_hours, fold_touched
from detector.settings import Settings

START = date(2024, 1, 1)
DAYS = 60
CUT = START + timedelta(days=45)
ACCOUNTS = 60


def _events(seed: int, thief: str | None) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    level = rng.lognormal(3.0, 0.5, ACCOUNTS)
    frames = []
    for number in range(DAYS):
        day = START + timedelta(days=number)
        share = 1.0 if day.isoweekday() <= 5 else 0.03
        counts = rng.poisson(level * share * rng.gamma(5, 0.2, ACCOUNTS))
        who = np.repeat(np.arange(ACCOUNTS), counts)
        frames.append(_reads(rng, day, who, rng.normal(13, 2.2, len(who)).clip(0, 23.9), 1.5))
        if thief and day >= CUT:
            pages = 900
            stolen = _reads(rng, day, np.zeros(pages, int), rng.random(pages) * 24, 5.7)
            frames.append(
                stolen.with_columns(account=pl.lit(thief), client_address=pl.lit("185.12.4.7"))
            )
    joined = pl.concat([schema.empty(schema.EVENTS), *frames], how="diagonal")
    return joined.sort("timestamp", "account")


def _reads(
    rng: np.random.Generator, day: date, who: np.ndarray, hour: np.ndarray, size: float
) -> pl.DataFrame:
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()
    return pl.DataFrame(
        {
            "timestamp": pl.Series(((midnight + hour * 3600) * 1e6).astype(np.int64)).cast(
                schema.TIMESTAMP
            ),
            "account": [f"agent{i:02}" for i in who],
            "client_address": [f"10.0.0.{i}" for i in who],
            "object": [("person", "note", "offer")[i] for i in rng.integers(0, 3, len(who))],
            "action": "read",
            "rows": rng.lognormal(size, 1.0, len(who)).astype(np.int64),
            "success": True,
        },
        schema_overrides={name: schema.EVENTS[name] for name in ("rows", "success")},
    )


@dataclass(frozen=True)
class Office:
    hours: pl.DataFrame
    touched: pl.DataFrame

    def before(self, day: date) -> Office:
        return Office(
            self.hours.filter(local_day(Settings()) < day),
            self.touched.filter(pl.col("day") < day),
        )


def _office(events: pl.DataFrame) -> Office:
    return Office(fold_hours(events), fold_touched(events, "UTC"))


@pytest.fixture(scope="session")
def events() -> Callable[..., pl.DataFrame]:
    return _events


@pytest.fixture(scope="session")
def fold() -> Callable[[pl.DataFrame], Office]:
    return _office


@pytest.fixture(scope="session")
def honest() -> Office:
    return _office(_events(1, None))


@pytest.fixture(scope="session")
def robbed() -> Office:
    return _office(_events(1, "agent00"))


@pytest.fixture(scope="session")
def model(honest: Office) -> Model:
    past = honest.before(CUT)
    return train(past.hours, past.touched, None, Settings(), registry.families())


@pytest.fixture(scope="session")
def scored_days() -> list[date]:
    return [CUT + timedelta(days=i) for i in range(DAYS - 45)]
