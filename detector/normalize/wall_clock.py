"""Local times of a log in its order, as instants: also in the hour that occurs twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Self

import polars as pl

from detector.core.schema import TIMESTAMP

#: A log goes back by more than lines overtake each other where clocks are put back.
_MIN_SETBACK: Final = timedelta(minutes=20)


@dataclass(slots=True)
class WallClock:
    """Reads a log's local times of the IANA ``zone``, block after block.

    In autumn an hour occurs twice, and a line names no zone. The first time is meant until the
    log's times go back within that hour, the second from there on.
    """

    zone: str
    last: datetime | None = None
    in_second_hour: bool = False

    def instants(self, local: pl.Series) -> pl.Series:
        """Instants (UTC) of ``local`` (Datetime without zone); null where there is none."""
        first, second = (
            local.dt.replace_time_zone(self.zone, ambiguous=which, non_existent="null")
            .dt.convert_time_zone("UTC")
            .cast(TIMESTAMP)
            for which in ("earliest", "latest")
        )
        twice = (first != second).fill_null(value=False)
        if not twice.any():
            self._remember(local, again=False)
            return first
        frame = pl.DataFrame({"local": local, "twice": twice})
        before = (
            pl.col("local").forward_fill().shift(1).fill_null(pl.lit(self.last, pl.Datetime("us")))
        )
        back = (pl.col("local") < before - pl.lit(_MIN_SETBACK)).fill_null(value=False)
        run = (pl.col("twice") != pl.col("twice").shift(1)).fill_null(value=False).cum_sum()
        frame = frame.with_columns(back.alias("back"), run.alias("run"))
        again = pl.col("back").cast(pl.Int8).cum_max().over("run").cast(pl.Boolean)
        going_on = pl.col("run") == 0
        chosen = frame.select(
            (again | (going_on & pl.lit(self.in_second_hour))) & pl.col("twice")
        ).to_series()
        self._remember(local, again=bool(chosen[-1]))
        return second.zip_with(chosen, first)

    def encode(self) -> list[Any]:
        """What it remembers, as JSON: ``WallClock.decode`` takes it."""
        return [self.last and self.last.isoformat(), self.in_second_hour]

    @classmethod
    def decode(cls, zone: str, kept: Sequence[Any]) -> Self:
        """As it was."""
        last, again = kept
        return cls(zone, last and datetime.fromisoformat(last), again)

    def _remember(self, local: pl.Series, *, again: bool) -> None:
        known = local.drop_nulls()
        if len(known):
            self.last, self.in_second_hour = known[-1], again
