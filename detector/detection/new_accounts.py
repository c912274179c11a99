"""Accounts that nobody knows, in bounded number: beyond it, the quieter ones are one account.

Whoever writes names into a log can invent any number of them, and each would cost a past, a peer
group and a score of its own. What the folded ones read is the sum of all of theirs: nothing of it
is lost, and it can fire.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

import polars as pl

from detector.core.days import days_between
from detector.core.formatting import quantity
from detector.detection.pipeline import LedgerTables, Pipeline
from detector.features.peer_groups import OTHERS
from detector.ledger.aggregate import (
    HOUR_KEYS,
    TOUCHED_KEYS,
    MergeFunction,
    merge_hourly_sums,
    merge_touched_values,
)
from detector.model.scoring import LOOKBACK_DAYS


@dataclass(frozen=True, slots=True)
class Folding:
    """The ``names`` (unique) that are one account, OTHERS, where a day is scored.

    Whoever has that name in a log is one of them.
    """

    names: pl.Series

    def __len__(self) -> int:
        return max(0, len(self.names) - 1)

    def is_folded(self) -> pl.Expr:
        """Whether ``account`` is one of them."""
        return pl.col("account").is_in(self.names.implode())

    def fold_frames(
        self, hours: pl.DataFrame, touched: pl.DataFrame
    ) -> tuple[pl.DataFrame, pl.DataFrame]:
        """HOURS and TOUCHED with OTHERS in their place."""
        if self.names.is_empty():
            return hours, touched
        return self._fold(hours, merge_hourly_sums), self._fold(touched, merge_touched_values)

    def fold_accounts(self, accounts: pl.Series) -> pl.Series:
        """The ``accounts`` (sorted, unique), with OTHERS in their place."""
        kept = accounts.filter(~accounts.is_in(self.names.implode()))
        if len(kept) == len(accounts):
            return accounts
        return pl.concat([kept, pl.Series(accounts.name, [OTHERS])]).sort()

    def fold_names(self, names: Iterable[str]) -> set[str]:
        """The same of a set of names."""
        return set(self.fold_accounts(pl.Series("account", list(names), pl.String)))

    def _fold(self, frame: pl.DataFrame, merge: MergeFunction) -> pl.DataFrame:
        theirs = merge(_rename_to_others(frame.filter(self.is_folded())))
        return pl.concat([frame.filter(~self.is_folded()), theirs])


#: Nobody is folded.
NO_FOLDING: Final = Folding(pl.Series("account", [], pl.String))


@dataclass(frozen=True, slots=True)
class FoldedTables:
    """``tables`` as they are where some accounts are one (see ``pipeline.LedgerTables``)."""

    tables: LedgerTables
    folding: Folding

    def hours(self, since: date, until: date, accounts: pl.Expr | None = None) -> pl.DataFrame:
        """See ``Ledger.hours``."""
        read = self.tables.hours
        return self._read(read, merge_hourly_sums, HOUR_KEYS, (since, until), accounts)

    def touched(
        self,
        since: date,
        until: date,
        dimensions: Collection[str],
        accounts: pl.Expr | None = None,
    ) -> pl.DataFrame:
        """See ``Ledger.touched``."""

        def read(since: date, until: date, accounts: pl.Expr | None) -> pl.DataFrame:
            return self.tables.touched(since, until, dimensions, accounts)

        return self._read(read, merge_touched_values, TOUCHED_KEYS, (since, until), accounts)

    def accounts(self, since: date, until: date) -> pl.Series:
        """See ``Ledger.accounts``."""
        return self.folding.fold_accounts(self.tables.accounts(since, until))

    def _read(
        self,
        read: Callable[[date, date, pl.Expr | None], pl.DataFrame],
        merge: MergeFunction,
        keys: Sequence[str],
        span: tuple[date, date],
        accounts: pl.Expr | None,
    ) -> pl.DataFrame:
        """The rows of others as they are, and a day after the other those of OTHERS."""
        rest = ~self.folding.is_folded()
        parts = [read(*span, rest if accounts is None else accounts & rest)]
        if _includes_others(accounts):
            theirs = (read(day, day, self.folding.is_folded()) for day in days_between(*span))
            parts += [merge(_rename_to_others(day)) for day in theirs]
        return pl.concat(parts).sort(keys)


def fold_tables(tables: LedgerTables, folding: Folding) -> LedgerTables:
    """``tables`` with some accounts as one; as they are where nobody is folded."""
    return FoldedTables(tables, folding) if folding else tables


def choose_folding(
    pipeline: Pipeline,
    tables: LedgerTables,
    day: date,
    until: date | None = None,
    accounts: pl.Series | None = None,
) -> Folding:
    """Whom to fold where the days from ``day`` to ``until`` are scored. ``accounts`` are those of
    the ``tables`` from as far back as scores look, where the caller has read them already.

    Of the accounts that neither the model nor the directory knows, so many as the settings say are
    judged one by one of those seen before the last of the days, and as many of those that are not:
    the ones that read the most, or the most of unknown size. A day is scored with all that lies
    before it: who was invented yesterday counts today too.
    """
    until = until or day
    since = day - timedelta(days=LOOKBACK_DAYS)
    most = int(pipeline.settings.health_limit("new_accounts_judged"))
    unknown = _unknown_accounts(
        pipeline, tables.accounts(since, until) if accounts is None else accounts
    )
    if len(unknown) <= most:
        return NO_FOLDING
    sums = _total_reads(tables, since, until, Folding(unknown))
    quiet = [
        # The more telling of two ranks; who has nothing of either is last in both.
        some.with_columns(
            place=pl.min_horizontal(
                pl.col("rows", "unknown_rows").rank("max", descending=True),
            )
        )
        .sort("place", "account")
        .slice(most)["account"]
        for some in (sums.filter(pl.col("first") < until), sums.filter(pl.col("first") >= until))
    ]
    names = pl.concat(quiet)
    if names.is_empty():
        return NO_FOLDING
    return Folding(pl.concat([names, pl.Series("account", [OTHERS])]).unique().sort())


def warning_text(folded: int, day: date | None = None) -> str:
    """What to say where so many names are one account; "" where there are none."""
    if not folded:
        return ""
    of = "" if day is None else f" of {day}"
    many = quantity(folded, "account")
    return (
        f"{many}{of} that nobody knows are judged as one, {OTHERS!r}, since there are too many: "
        "a new system, or invented names; [health] new_accounts_judged sets how many are judged "
        "one by one"
    )


def _unknown_accounts(pipeline: Pipeline, names: pl.Series) -> pl.Series:
    known = [pipeline.model.baselines.groups["account"]]
    if pipeline.directory is not None:
        known.append(pipeline.directory["account"])
    rest = names.rename("account").filter(~names.is_in(pl.concat(known).implode()))
    return rest.filter(rest != OTHERS)


def _total_reads(tables: LedgerTables, since: date, until: date, unknown: Folding) -> pl.DataFrame:
    """account, rows, unknown_rows, and the first day of each, read a day after the other."""
    found = pl.DataFrame(
        schema={"account": pl.String, "rows": pl.Int64, "unknown_rows": pl.Int64, "first": pl.Date}
    )
    for day in days_between(since, until):
        hours = tables.hours(day, day, unknown.is_folded())
        fresh = hours.group_by("account").agg(pl.col("rows", "unknown_rows").sum())
        fresh = fresh.with_columns(first=pl.lit(day)).select(found.columns)
        found = (
            pl.concat([found, fresh])
            .group_by("account")
            .agg(pl.col("rows", "unknown_rows").sum(), pl.col("first").min())
        )
    return found.sort("account")


def _includes_others(accounts: pl.Expr | None) -> bool:
    """Whether an expression over ``account`` is true of OTHERS."""
    asked = pl.DataFrame({"account": [OTHERS]})
    return accounts is None or bool(asked.filter(accounts).height)


def _rename_to_others(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(account=pl.lit(OTHERS))
