"""The ways of taking records that campaigns are made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TypeAlias

import numpy as np
import polars as pl
from numpy.typing import NDArray

from detector.campaigns.ledger_rows import CAMPAIGN_ROWS
from detector.campaigns.population import Population, utc_hour
from detector.core.days import days_between
from detector.ledger.aggregate import MIN_LIST_ROWS

#: Entities behind a campaign, as (kind, name).
Targets: TypeAlias = tuple[tuple[str, str], ...]
#: So many statements in an hour fill all of its minutes.
MAX_STATEMENTS = 1000


@dataclass(frozen=True, slots=True)
class Campaign:
    """A campaign on a stage: its ACTS, and the entities behind it."""

    name: str
    rows: pl.DataFrame
    targets: Targets


@dataclass(frozen=True, slots=True)
class Scenario:
    """Where and when one campaign is staged. ``used_accounts`` are accounts of other campaigns."""

    population: Population
    random: np.random.Generator
    used_accounts: set[str]

    def random_span(self, days: int, room: float = 0.7) -> tuple[date, date]:
        """First and last day of a campaign of about ``days`` days, somewhere on the stage.

        Never longer than a share ``room`` of the stage, so that where it begins can vary.
        """
        stage = self.population.days
        length = max(1, min(days, int(len(stage) * room)))
        start = int(self.random.integers(0, len(stage) - length + 1))
        return stage[start], stage[start + length - 1]

    def workdays(self, first: date, last: date) -> list[date]:
        """Monday to Friday."""
        return [day for day in days_between(first, last) if day.isoweekday() <= 5]

    def random_address(self) -> str:
        """An address of a network kept for documentation (RFC 5737): nobody's."""
        block = ("192.0.2", "198.51.100", "203.0.113")[int(self.random.integers(0, 3))]
        return f"{block}.{int(self.random.integers(1, 255))}"


def repeat_reading(
    scene: Scenario,
    accounts: Sequence[str],
    span: tuple[date, date],
    factor: Callable[[date], float],
    *,
    longer: bool = False,
    address: str | None = None,
    table: str | None = None,
) -> pl.DataFrame:
    """ACTS: own reading once more, by ``factor`` of each hour, with chance in the number.

    ``longer`` makes no more statements but longer lists. ``address`` and ``table`` stand in for the
    account's usual ones.
    """
    world = scene.population
    own = world.select_reads(list(accounts), *span)
    by_day = {day: factor(day) for day in world.days}
    scale = np.array([by_day.get(day, 0.0) for day in own["day"]], dtype=np.float64)
    made = own["statements"].to_numpy()
    # Statements are counted, so a share of them is a Poisson number.
    extra = scene.random.poisson(made * scale) if len(own) else np.zeros(0, dtype=np.int64)
    share = scale if longer else np.where(made > 0, extra / np.maximum(made, 1), 0.0)
    # Who looks at one record does not get longer lists by it.
    lists = own["lists"].to_numpy()
    grown = lists * np.log1p(scale)
    logs, of_lists = (
        grown if longer else own[name].to_numpy() * share for name in ("log_rows", "log_list_rows")
    )
    usual = world.baselines.select("account", "client_address", "application", "object")
    frame = own.select("account", "day", "hour", "largest").with_columns(
        bytes=pl.Series(np.rint(own["bytes"].to_numpy() * share).astype(np.int64)),
        minutes=pl.Series(random_minutes(extra * (not longer), scene.random)),
        action=pl.lit("read"),
        statements=pl.Series(np.zeros(len(own), dtype=np.int64) if longer else extra),
        rows=pl.Series(np.rint(own["rows"].to_numpy() * share).astype(np.int64)),
        log_rows=pl.Series(logs, dtype=pl.Float64),
        lists=pl.Series(np.rint(lists * share * (not longer)).astype(np.int64)),
        log_list_rows=pl.Series(of_lists, dtype=pl.Float64),
        known=pl.lit(value=True),
    )
    frame = frame.filter((pl.col("statements") > 0) | (pl.col("rows") > 0))
    frame = frame.join(usual, on="account", how="left", maintain_order="left")
    if address is not None:
        frame = frame.with_columns(client_address=pl.lit(address))
    if table is not None:
        frame = frame.with_columns(object=pl.lit(table))
    return cast_rows(frame)


@dataclass(frozen=True, slots=True)
class Paging:
    """Statements of about the same size in given hours of given days.

    ``is_scripted`` ones come at even steps, as a program makes them, others by chance.
    """

    account: str
    days: Sequence[date]
    hours: Sequence[int]
    statements: float
    rows: float
    address: str | None = None
    table: str | None = None
    application: str | None = None
    action: str = "read"
    has_row_counts: bool = True
    is_scripted: bool = False


def page_reads(scene: Scenario, how: Paging) -> pl.DataFrame:
    """ACTS of ``how``: about so many statements an hour, of about so many rows each."""
    world, random = scene.population, scene.random
    usual = world.baselines.row(by_predicate=pl.col("account") == how.account, named=True)
    rows = []
    for day in how.days:
        for clock in how.hours:
            made = int(random.poisson(how.statements))
            if not made:
                continue
            sizes = np.rint(how.rows * np.exp(0.3 * random.standard_normal(made))).astype(int)
            rows.append(
                {
                    "account": how.account,
                    "day": day,
                    "hour": utc_hour(day, clock, world.timezone),
                    "action": how.action,
                    "client_address": how.address or usual["client_address"],
                    "application": how.application or usual["application"],
                    "object": how.table or usual["object"],
                    "statements": made,
                    "rows": int(sizes.sum()),
                    "log_rows": float(np.log1p(sizes).sum()),
                    "lists": int((sizes >= MIN_LIST_ROWS).sum()),
                    "log_list_rows": float(np.log1p(sizes[sizes >= MIN_LIST_ROWS]).sum()),
                    "largest": int(sizes.max()),
                    "bytes": round(float(sizes.sum()) * usual["width"]),
                    "minutes": even_minutes(made)
                    if how.is_scripted
                    else int(random_minutes([made], random)[0]),
                    "known": how.has_row_counts,
                }
            )
    return pl.DataFrame(rows, schema=dict(CAMPAIGN_ROWS))


def random_minutes(
    statements: Sequence[int] | NDArray[np.int64], random: np.random.Generator
) -> NDArray[np.int64]:
    """Minutes (see HOURS) of so many statements an hour, each at any moment of it."""
    counts = np.minimum(statements, MAX_STATEMENTS)
    hour = np.repeat(np.arange(len(counts)), counts)
    found = np.zeros(len(counts), dtype=np.int64)
    np.bitwise_or.at(found, hour, np.int64(1) << random.integers(0, 60, len(hour)))
    return found


def even_minutes(statements: int) -> int:
    """Minutes (see HOURS) of so many statements an hour at even steps."""
    return sum(1 << minute for minute in {60 * at // statements for at in range(statements)})


def cast_rows(frame: pl.DataFrame) -> pl.DataFrame:
    """The frame as ACTS."""
    return frame.select(pl.col(name).cast(kind) for name, kind in CAMPAIGN_ROWS.items())
