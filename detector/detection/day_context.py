"""What lies before a day, gathered from some accounts after the others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

import polars as pl

from detector.core.frame_bytes import packed, unpacked
from detector.detection.pipeline import Judging, Tables
from detector.detection.results import Scored, told
from detector.features.baseline_training import Shard
from detector.features.feature_table import DIMENSIONS
from detector.features.history import Past, gather
from detector.features.incremental import Today, span
from detector.model.scoring import LOOKBACK, span_before
from detector.model.threshold import RUN_DAYS

#: Handfuls of accounts of which the week before is packed each: what rings needs one or two.
HANDFULS: Final = 32
KEYS: Final = ["entity_kind", "entity"]
#: What tells whether an hour rings.
ASKED: Final = (*KEYS, "day", "hour", "rows", "unknown", "surprise")
#: And what tells whether planned work explains it.
OF_PLANS: Final = ("group", "hour", "rows_usual", "unknown_usual", "others", "others_usual")


@dataclass(frozen=True, slots=True)
class Week:
    """HOURS and TOUCHED of some days, packed by the handful of accounts."""

    parts: list[tuple[bytes, bytes]]

    @classmethod
    def of(cls, hours: pl.DataFrame, touched: pl.DataFrame) -> Week:
        """Takes a tenth of the room."""
        handful = _handful(pl.col("account"))
        return cls(
            [
                (packed(hours.filter(handful == at)), packed(touched.filter(handful == at)))
                for at in range(HANDFULS)
            ]
        )

    def tables(self, accounts: pl.Series | None = None) -> Shard:
        """Of some ``accounts``, or of all."""
        if accounts is None:
            return _stacked(self.parts)
        some = accounts.to_frame("account").select(_handful(pl.col("account")).unique()).to_series()
        hours, touched = _stacked([self.parts[at] for at in some.sort()] or self.parts[:1])
        theirs = pl.col("account").is_in(accounts.implode())
        return hours.filter(theirs), touched.filter(theirs)


def _handful(account: pl.Expr) -> pl.Expr:
    return account.hash(seed=0) % HANDFULS


def _stacked(parts: Sequence[tuple[bytes, bytes]]) -> Shard:
    hours, touched = zip(*parts, strict=True)
    return pl.concat(map(unpacked, hours)), pl.concat(map(unpacked, touched))


@dataclass(frozen=True, slots=True)
class Ready:
    """What lies before ``today.day``: the days that began runs (``earlier``, where no memory knows
    them), the week before, of which is told what rings, and what the ledger has of the day itself.
    """

    today: Today
    earlier: pl.DataFrame
    week: Week

    def told(
        self, judging: Judging, judged: pl.DataFrame, day: Shard, members: pl.Series | None
    ) -> Scored:
        """The alerts of entities, ``judged`` in all their hours, from what their ``members`` (None:
        all accounts) did in the week before, and on the ``day``.
        """
        scored = judged if judging.memory else judging.scorer.ring(judged, self.earlier)
        hours, touched = (
            pl.concat(both) for both in zip(self.week.tables(members), day, strict=True)
        )
        days, scorer = [self.today.day], judging.scorer
        return told(scorer, scored, hours, touched, days, judging.hush, judging.memory)


def gathered(judging: Judging, ledger: Tables, day: date, many: int) -> Past | None:
    """What of the days up to ``day`` says how it is scored, ``many`` accounts at a time; None where
    there is nobody.
    """
    return gather(
        shards(ledger, day, many), [span(day), span_before(day)], day - timedelta(days=RUN_DAYS),
        day, judging.model.learned, judging.people, judging.settings,
    )  # fmt: skip


def ready_of(judging: Judging, ledger: Tables, past: Past | None) -> Ready | None:
    """From what was gathered, which is let go of here where the caller holds it no longer."""
    if past is None:
        return None
    day = past.day
    # First, since it takes the most room. What was raised tells as much, where that is known.
    earlier = pl.DataFrame() if judging.memory else _earlier(judging, past)
    today = Today.of(past, judging.families)
    if today is None:
        return None
    del past
    week, until = day - timedelta(days=RUN_DAYS), day - timedelta(days=1)
    held = Week.of(ledger.hours(week, until), ledger.touched(week, until, DIMENSIONS))
    return Ready(today, earlier, held)


def shards(ledger: Tables, day: date, many: int) -> Iterator[Shard]:
    """HOURS and TOUCHED of ``many`` accounts after the others, as far back as scores look."""
    since = day - timedelta(days=LOOKBACK)
    names = ledger.accounts(since, day)
    for start in range(0, len(names), many):
        mine = pl.col("account").is_in(names.slice(start, many).implode())
        yield ledger.hours(since, day, mine), ledger.touched(since, day, DIMENSIONS, mine)


def _earlier(judging: Judging, past: Past) -> pl.DataFrame:
    """What of the week before runs and expectations ask for: few columns of few rows."""
    loud = pl.col("surprise") >= judging.model.threshold
    parts = [
        slim(scored).filter(loud)
        for scored in judging.scorer.earlier_of(past)
        if not scored.is_empty()
    ]
    return pl.concat(parts).sort(*KEYS, "hour") if parts else pl.DataFrame()


def by_kind(entities: Iterable[tuple[str, str]]) -> dict[str, set[str]]:
    """Names by kind of entity, of (kind, name)."""
    found: dict[str, set[str]] = {}
    for kind, name in entities:
        found.setdefault(kind, set()).add(name)
    return found


def slim(scored: pl.DataFrame) -> pl.DataFrame:
    """Of a judged table, what tells whether an hour rings."""
    return scored.select(
        name for name in scored.columns if name in (*ASKED, *OF_PLANS) or name.endswith("_surprise")
    )
