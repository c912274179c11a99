"""One event per statement, from pgaudit's several lines about it, across blocks and files.

A join gives one line per relation, a function one for each statement inside it; the last one
at the top is what the client got. Lines of a statement stand close together but not always in
one block, nor in one file of a rotated log: the last statement of each session stays open.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Self

import polars as pl

from detector.core.frame_bytes import decode_text, encode_text
from detector.core.schema import EVENTS, empty
from detector.sources.postgresql.pgaudit import LINE_SCHEMA

#: How long after its last line a session's last statement may still get another one. Only a
#: function that runs longer and reads under ``log='function'`` is then told as two statements.
OPEN_WINDOW: Final = timedelta(seconds=60)

_KEY: Final = ("session_id", "statement_id")
_COUNTED_KINDS: Final = ("read", "write", "copy", "cursor", "prepare", "explain")
_WRITING_TAGS: Final = ("INSERT", "UPDATE", "DELETE", "MERGE", "COPY")
_CREATION_TAGS: Final = ("CREATE TABLE AS", "SELECT INTO", "CREATE MATERIALIZED VIEW")
_STATEMENT_ID: Final = re.compile(r"\d{1,18}")


@dataclass(slots=True)
class Statements:
    """Folds ``LINE_SCHEMA`` into events, holding the last statement of each session back.

    ``earlier_statements`` is the tail of earlier files: what still comes of those statements is
    skipped.
    """

    earlier_statements: Mapping[str, str]
    pending: pl.DataFrame = field(default_factory=lambda: empty(LINE_SCHEMA))
    oldest: datetime | None = None
    newest: datetime | None = None
    earlier_sightings: dict[str, datetime] = field(default_factory=dict)

    def add(self, lines: pl.DataFrame) -> tuple[pl.DataFrame, int]:
        """(events of the statements that are complete, lines that are no event of their own)."""
        lines, skipped = self._drop_earlier(lines)
        kept = lines.filter(pl.col("kind") != "none")
        skipped += lines.height - kept.height
        if kept.is_empty():
            return empty(EVENTS), skipped
        everything = pl.concat([self.pending, kept])
        self._advance_clock(kept)
        last = everything.group_by("session_id").agg(
            pl.col("statement_id").last(), pl.col("timestamp").max().alias("_seen")
        )
        open_ones = last.filter(pl.col("_seen") >= pl.lit(self.newest) - OPEN_WINDOW)
        self.pending = everything.join(open_ones, on=_KEY, how="semi", maintain_order="left")
        done = everything.join(open_ones, on=_KEY, how="anti", maintain_order="left")
        found = statement_events(done)
        return found, skipped + done.height - found.height

    def finish(self) -> tuple[pl.DataFrame, int, dict[str, str]]:
        """(events still held, lines that are none of their own, what the file leaves open).

        A function's call whose own line has not come yet is still running: it is left whole to
        the next file, since its rows are not known before its end.
        """
        running = _running_calls(self.pending)
        done = self.pending.join(running, on=_KEY, how="anti", maintain_order="left")
        found = statement_events(done, ended=False)
        tail = {session: str(number) for session, number in done.select(_KEY).iter_rows()}
        if self.newest is None or self.oldest is None or self.newest - self.oldest < OPEN_WINDOW:
            tail = {**self.earlier_statements, **tail}
        else:
            recent = self.newest - OPEN_WINDOW
            still = {
                key: self.earlier_statements[key]
                for key, seen in self.earlier_sightings.items()
                if seen >= recent
            }
            tail = {**still, **tail}
        return found, self.pending.height - found.height, tail

    def encode(self) -> str:
        """All that is known, as text; None of it is told to other files."""
        return json.dumps(
            {
                "told": dict(self.earlier_statements),
                "held": encode_text(self.pending),
                "oldest": self.oldest and self.oldest.isoformat(),
                "newest": self.newest and self.newest.isoformat(),
                "seen_told": {
                    key: seen.isoformat() for key, seen in self.earlier_sightings.items()
                },
            }
        )

    @classmethod
    def decode(cls, text: str) -> Self:
        """What ``kept`` told."""
        raw = json.loads(text)
        return cls(
            raw["told"],
            decode_text(raw["held"]),
            raw["oldest"] and datetime.fromisoformat(raw["oldest"]),
            raw["newest"] and datetime.fromisoformat(raw["newest"]),
            {key: datetime.fromisoformat(seen) for key, seen in raw["seen_told"].items()},
        )

    def _advance_clock(self, lines: pl.DataFrame) -> None:
        low, high = lines["timestamp"].min(), lines["timestamp"].max()
        if isinstance(low, datetime) and isinstance(high, datetime):
            self.oldest = low if self.oldest is None else min(self.oldest, low)
            self.newest = high if self.newest is None else max(self.newest, high)

    def _drop_earlier(self, lines: pl.DataFrame) -> tuple[pl.DataFrame, int]:
        """``lines`` without those of statements that were counted with an earlier file."""
        known = [
            (k, int(v))
            for k, v in self.earlier_statements.items()
            if _STATEMENT_ID.fullmatch(str(v))
        ]
        if not known or lines.is_empty():
            return lines, 0
        old = pl.DataFrame(known, schema={key: LINE_SCHEMA[key] for key in _KEY}, orient="row")
        again = lines.join(old, on=_KEY, how="semi")
        if again.is_empty():
            return lines, 0
        self._advance_clock(again)
        self.earlier_sightings.update(again.select("session_id", "timestamp").iter_rows())
        return lines.join(old, on=_KEY, how="anti", maintain_order="left"), again.height


def _running_calls(lines: pl.DataFrame) -> pl.DataFrame:
    """Keys of function calls whose own line, with the text of the call, has not come."""
    calls = lines.filter(pl.col("kind") == "function").unique("session_id", keep="first")
    ends = lines.filter(pl.col("kind").is_in(_COUNTED_KINDS)).select(*_KEY, "text_key")
    return calls.join(ends, on=[*_KEY, "text_key"], how="anti").select(_KEY)


def statement_events(lines: pl.DataFrame, *, ended: bool = True) -> pl.DataFrame:
    """``EVENTS``, one per statement, from all its ``LINE_SCHEMA`` (none of kind ``none``).

    Where they have not ``ended``, what a block reads may stand in the next file only.
    """
    if lines.is_empty():
        return empty(EVENTS)
    counted = pl.col("kind").is_in(_COUNTED_KINDS)
    kind = pl.col("kind")
    folded = lines.group_by(_KEY, maintain_order=True).agg(
        *(
            pl.col(name).first()
            for name in ("timestamp", "account", "client_address", "application", "database")
        ),
        pl.col("relation").filter(kind != "made"),
        pl.col("relation").filter(kind == "made").alias("made"),
        pl.col("sql_tables").drop_nulls().first(),
        pl.col("rows").filter(counted).last().alias("last"),
        pl.col("rows").first().alias("any_rows"),
        counted.any().alias("counted"),
        pl.coalesce(
            pl.col("fingerprint").filter(counted & pl.col("fingerprint").is_not_null()).last(),
            pl.col("fingerprint").drop_nulls().first(),
        ).alias("statement"),
        pl.col("tag").last(),
        *((kind == name).any().alias(f"has_{name}") for name in (*_COUNTED_KINDS, *_OTHER_KINDS)),
        pl.col("bare_copy").any(),
    )
    if not ended:
        may_read = pl.col("has_read") | pl.col("has_block")
        folded = folded.with_columns(may_read.alias("has_read"))
    return _to_events(_add_copied_rows(folded, lines))


_OTHER_KINDS: Final = ("block", "function", "made", "schema")


def _add_copied_rows(folded: pl.DataFrame, lines: pl.DataFrame) -> pl.DataFrame:
    """Adds ``copied``: the rows of the SELECT inside ``COPY (SELECT ...) TO``, told by its text."""
    key = [*_KEY, "text_key"]
    bare = lines.filter(pl.col("bare_copy")).select(key).unique()
    inner = (
        lines.filter(pl.col("kind") == "read")
        .join(bare, on=key, how="semi")
        .group_by(_KEY)
        .agg(pl.col("rows").max().alias("copied"))
    )
    return folded.join(inner, on=_KEY, how="left", maintain_order="left")


def _to_events(folded: pl.DataFrame) -> pl.DataFrame:
    folded = folded.with_columns(_statement_action().alias("action"))
    rows = (
        pl.when("has_explain")
        .then(0)
        .when("bare_copy")
        .then("copied")
        # A block sends no records, but can send what it reads as notices.
        .when("has_block")
        .then(pl.when(pl.col("any_rows").is_not_null() & ~pl.col("has_read")).then(0))
        .when("counted")
        .then("last")
        .when("has_function")
        .then(None)
        .otherwise("any_rows")
    )
    folded = _add_objects(folded.with_columns(rows.alias("rows")))
    made = {
        "subject": pl.lit(None),
        "bytes": pl.lit(None),
        "duration_ms": pl.lit(None),
        "success": pl.lit(value=True),
    }
    return folded.select(
        made.get(name, pl.col(name)).cast(dtype).alias(name) for name, dtype in EVENTS.items()
    )


def _add_objects(folded: pl.DataFrame) -> pl.DataFrame:
    """Adds ``object`` and ``other_objects``. Lists take long; most statements name one relation."""
    named, made = pl.col("relation").list, pl.col("made").list
    single = pl.col("relation").list.first()
    simple = (named.len() == 1) & single.is_not_null() & (made.len() == 0)
    folded = folded.with_row_index("_at").with_columns(pl.when(simple).then(single).alias("object"))
    known = named.drop_nulls()
    read = pl.when(known.list.len() > 0).then(known).otherwise(pl.col("sql_tables").fill_null([]))
    objects = pl.concat_list(read, made.drop_nulls()).list.unique(maintain_order=True)
    several = folded.filter(pl.col("object").is_null()).select("_at", objects.alias("_objects"))
    folded = folded.join(several, on="_at", how="left", maintain_order="left")
    others = pl.col("_objects").list.slice(1)
    return folded.with_columns(
        pl.coalesce("object", pl.col("_objects").list.first()).alias("object"),
        pl.when(others.list.len() > 0).then(others).alias("other_objects"),
    )


def _statement_action() -> pl.Expr:
    """What a statement did. One that both reads and writes is a write only where its own tag
    says so: ``WITH x AS (INSERT ...) SELECT`` hands its rows to the client.
    """
    tag = pl.col("tag")
    made = pl.col("has_made") | tag.is_in(_CREATION_TAGS)
    cases = (
        (pl.col("has_explain"), "other"),
        (pl.col("has_copy") | (pl.col("has_read") & (tag == "COPY")), "export"),
        (pl.col("has_read") & made, "write"),
        (pl.col("has_read") & pl.col("has_write") & tag.is_in(_WRITING_TAGS), "write"),
        (pl.col("has_read") | pl.col("has_cursor"), "read"),
        (pl.col("has_write"), "write"),
        (pl.col("has_schema") | pl.col("has_made"), "schema"),
    )
    chosen: pl.Expr = pl.lit("other")
    for condition, name in reversed(cases):
        chosen = pl.when(condition).then(pl.lit(name)).otherwise(chosen)
    return chosen
