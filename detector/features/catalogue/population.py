"""How much, in absolute terms: against its group's other members, and against everyone."""

from collections.abc import Callable

import polars as pl

from detector.core.formatting import count, quantity
from detector.features.feature import Family, Feature, FigureRow
from detector.features.population import FIGURE_NAMES

#: What each figure counts, for people.
_FIGURE_TEXTS = {
    "month_records": "records in four weeks",
    "month_statements": "statements in four weeks",
    "month_largest": "the largest result in four weeks",
    "month_days": "active days in four weeks",
    "month_hours": "active hours in four weeks",
    "month_clock": "hours of the clock in which it was active within four weeks",
    "month_night": "hours of activity at night in four weeks",
    "month_off": "hours of activity on days off in four weeks",
    "month_tables": "tables touched by the day, in four weeks",
    "month_addresses": "the most addresses of a day within four weeks",
    "month_unknown": "statements of unknown row count in four weeks",
    "week_records": "records in a week",
    "week_statements": "statements in a week",
}


def _describe_excess(figure: str) -> Callable[[FigureRow], str]:
    def says(row: FigureRow) -> str:
        own, peers = row.get(figure), row.get(f"{figure}_of_peers")
        if own is None or peers is None:
            return f"more than its peers: {_FIGURE_TEXTS[figure]}"
        return f"{count(own)} {_FIGURE_TEXTS[figure]}; the median of its peers is {count(peers)}"

    return says


def _describe_day(row: FigureRow) -> str:
    return f"read {quantity(row['rows'], 'record')} in a day, much for anyone here"


def _describe_hour(row: FigureRow) -> str:
    return f"read {quantity(row['hour_rows'], 'record')} within the hour, much for anyone here"


def _describe_month(row: FigureRow) -> str:
    return (
        f"read {quantity(row.get('month_records'), 'record')} in four weeks, much for anyone here"
    )


FAMILY = Family(
    "population",
    (
        *(
            Feature(
                f"{figure}_vs_peers",
                "spreads",
                f"{_FIGURE_TEXTS[figure]} against the median of its group, today so far with them",
                pl.col(f"{figure}_excess"),
                _describe_excess(figure),
                is_sufficient=True,
            )
            for figure in FIGURE_NAMES
        ),
        Feature(
            "day_records_vs_all",
            "nats",
            "log1p of the records read today so far; of a service, as far as its group reads less",
            pl.when(pl.col("accountable") > 0).then(pl.col("rows").log1p()),
            _describe_day,
            is_sufficient=True,
        ),
        Feature(
            "hour_records_vs_all",
            "nats",
            "the same of the last hour",
            pl.when(pl.col("accountable") > 0).then(pl.col("hour_rows").log1p()),
            _describe_hour,
            is_sufficient=True,
        ),
        Feature(
            "month_records_vs_all",
            "nats",
            "the same of four weeks",
            pl.when(pl.col("accountable") > 0).then(pl.col("month_records").log1p()),
            _describe_month,
            is_sufficient=True,
        ),
    ),
)
