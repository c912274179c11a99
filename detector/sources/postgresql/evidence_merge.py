"""One statement, told up to three times: by pgaudit, by its plan, and by its text.

Each counts once. pgaudit counts where it speaks; what it does not know (the rows of cursors, and
all of them without ``pgaudit.log_rows``) comes from the plan of auto_explain. Elsewhere the plan
counts, and a text that has neither counts with unknown rows. The lines of one statement stand
together in their session, in an order that depends on settings, so the last ones of each session
wait for the next block; a cursor's plan comes when it is closed, however late.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self

import polars as pl

from detector.core.frame_bytes import decode_text, encode_text
from detector.core.schema import EVENTS, empty
from detector.normalize.session_state import remember
from detector.sources.postgresql import pgaudit_statements
from detector.sources.postgresql.auto_explain import STATEMENT_SCHEMA
from detector.sources.postgresql.pgaudit import LINE_SCHEMA, text_key

#: More lines than this do not wait, and more sessions are not remembered.
_MAX_PENDING: Final = 200_000
_KEY: Final = ("session_id", "text_key")
_ACCESS_ACTIONS: Final = ("read", "write", "export", "schema")
#: The frames in which lines wait.
_PENDING_FRAMES: Final = ("lines", "told", "cursor_lines", "cursors")
#: Where pgaudit does not log texts, its lines and plans cannot be put together.
_NOT_LOGGED_TEXT: Final = "<not logged>"


@dataclass(slots=True)
class Evidence:
    """Puts together what is told of the same statements, block after block.

    ``lines`` and ``told`` wait for the next block, ``cursor_lines`` (pgaudit's) and ``cursors``
    for the plan of a cursor. ``audited`` are the sessions that pgaudit spoke of.
    """

    has_statements: bool = False
    has_plans: bool = False
    lines: pl.DataFrame = field(default_factory=lambda: empty(LINE_SCHEMA))
    told: pl.DataFrame = field(default_factory=lambda: empty(STATEMENT_SCHEMA))
    cursor_lines: pl.DataFrame = field(default_factory=lambda: empty(LINE_SCHEMA))
    cursors: pl.DataFrame = field(default_factory=lambda: empty(STATEMENT_SCHEMA))
    audited_sessions: dict[str, None] = field(default_factory=dict)

    def add(
        self, lines: pl.DataFrame, told: pl.DataFrame, *, last: bool = False
    ) -> tuple[pl.DataFrame, pl.DataFrame, int]:
        """(pgaudit's ``LINE_SCHEMA`` to go on with, EVENTS beside them, lines that are none).

        ``told`` is ``TOLD`` with the failed statements, whose kind is ``failed``: they are events
        already, and say that their text is counted.
        """
        self.has_statements = (
            self.has_statements or told.filter(pl.col("kind") != "failed").height > 0
        )
        if not self.has_statements:
            return lines, empty(EVENTS), 0
        self.has_plans = self.has_plans or told.filter(pl.col("kind") == "plan").height > 0
        before = self._pending_count + _statement_count(lines, told)
        lines, told = pl.concat([self.lines, lines]), pl.concat([self.told, told])
        lines, told = self._split_ready(lines, told, last=last)
        self._remember(lines)
        closing = pl.col("cursor") & (pl.col("kind") == "plan")
        left = self._unmatched(told.filter(~closing), lines)
        lines = _fill_rows(lines, told.filter(~closing))
        waits = (pl.col("kind") == "cursor") if self.has_plans else pl.lit(value=False)
        self.cursor_lines = pl.concat([self.cursor_lines, lines.filter(waits)])
        lines = lines.filter(~waits)
        opens = pl.col("cursor") if self.has_plans else pl.lit(value=False)
        self.cursors = pl.concat([self.cursors, left.filter(opens)])
        closed = self._closed_cursors(told.filter(closing), last=last)
        events = pl.concat([_to_events(left.filter(~opens)), closed])
        return lines, events, before - self._pending_count - lines.height - events.height

    def encode(self) -> dict[str, Any]:
        """All that is known, as plain JSON."""
        return {
            "seen": self.has_statements,
            "planned": self.has_plans,
            "audited": list(self.audited_sessions),
            **{name: encode_text(getattr(self, name)) for name in _PENDING_FRAMES},
        }

    @classmethod
    def decode(cls, raw: Mapping[str, Any]) -> Self:
        """What ``encode`` told."""
        frames = {name: decode_text(raw[name]) for name in _PENDING_FRAMES}
        return cls(
            has_statements=raw["seen"],
            has_plans=raw["planned"],
            audited_sessions=dict.fromkeys(raw["audited"]),
            **frames,
        )

    @property
    def _pending_count(self) -> int:
        held = self.cursor_lines.height + self.cursors.height
        return held + _statement_count(self.lines, self.told)

    def _remember(self, lines: pl.DataFrame) -> None:
        sessions = lines["session_id"].unique(maintain_order=True)
        remember(self.audited_sessions, ((session, None) for session in sessions), _MAX_PENDING)

    def _split_ready(
        self, lines: pl.DataFrame, told: pl.DataFrame, *, last: bool
    ) -> tuple[pl.DataFrame, pl.DataFrame]:
        """What need not wait. The last text of each session does, since more may come of it; of
        one that is repeated, as much is let go as all kinds of lines have told.
        """
        if last or lines.height + told.height > _MAX_PENDING:
            self.lines, self.told = empty(LINE_SCHEMA), empty(STATEMENT_SCHEMA)
            return lines, told
        lines, told = (
            _number_statements(lines, pl.lit("audit")),
            _number_statements(told, pl.col("kind")),
        )
        columns = ("session_id", "text_key", "row", "_kind", "_number")
        both = pl.concat([lines.select(columns), told.select(columns)]).sort("row")
        text = pl.col("text_key")
        other = text.ne_missing(text.last()).over("session_id")
        last_other = pl.when(other).then("row").max().over("session_id")
        run = both.filter((pl.col("row") > last_other).fill_null(value=True))
        known = run.filter(pl.col("_kind") != "failed")
        # Numbers count all of a text in this block, those of the run are the last of them.
        firsts = known.group_by("session_id", "_kind").agg(
            pl.col("_number").min().alias("_first"), pl.col("_number").n_unique().alias("_many")
        )
        firsts = firsts.with_columns(
            pl.col("_many").min().over("session_id").alias("_fewest"),
        ).select("session_id", "_kind", (pl.col("_first") + pl.col("_fewest") - 1).alias("_from"))
        texts = run.group_by("session_id").agg(text.first())
        self.lines, lines = _split_pending(lines, texts, firsts, LINE_SCHEMA)
        self.told, told = _split_pending(told, texts, firsts, STATEMENT_SCHEMA)
        return lines, told

    def _unmatched(self, told: pl.DataFrame, lines: pl.DataFrame) -> pl.DataFrame:
        """The lines of ``told`` whose statement nothing better tells."""
        ranked = told.sort("row").with_columns(
            pl.col("row").rank("ordinal").over(*_KEY, "kind").alias("_rank")
        )
        audits = lines.group_by(_KEY).agg(pl.col("statement_id").n_unique().alias("_audits"))
        counts = ranked.group_by(_KEY).agg(
            (pl.col("kind") == "plan").sum().alias("_plans"),
            (pl.col("kind") == "failed").sum().alias("_failed"),
        )
        ranked = ranked.join(audits, on=_KEY, how="left", maintain_order="left")
        ranked = ranked.join(counts, on=_KEY, how="left", maintain_order="left")
        audited = pl.col("session_id").is_in(list(self.audited_sessions))
        mute = lines.filter(pl.col("text_key") == _not_logged_key())["session_id"].unique()
        quiet = pl.col("session_id").is_in(mute.implode())
        beyond = pl.col("_rank") > pl.col("_audits").fill_null(0)
        plan = (pl.col("kind") == "plan") & beyond & ~(audited & (pl.col("hidden") | quiet))
        alone = pl.col("_rank") > pl.col("_plans") + pl.col("_failed")
        # Of several statements in one text, the plans can be of others than what gave records.
        own = ((pl.col("kind") == "statement") & alone) | (pl.col("kind") == "mixed")
        said = own & ~audited & pl.col("action").is_in(_ACCESS_ACTIONS)
        return ranked.filter(plan | said).select(list(STATEMENT_SCHEMA))

    def _closed_cursors(self, plans: pl.DataFrame, *, last: bool) -> pl.DataFrame:
        """Events of cursors: those that a plan closes, those waited for too long, and plans of
        cursors that an earlier file declared.
        """
        if plans.is_empty() and not last and not self._is_overdue():
            return empty(EVENTS)
        plans = _rank_statements(plans.sort("row"), "row")
        lines = _rank_statements(self.cursor_lines, "statement_id")
        cursors = _rank_statements(self.cursors, "row")
        counts = plans.select(*_KEY, "_rank", "rows", "duration_ms")
        key_ = [*_KEY, "_rank"]
        done = lines.drop("rows").join(counts, on=key_, how="inner", maintain_order="left")
        ended = cursors.drop("rows", "duration_ms").join(
            counts, on=key_, how="inner", maintain_order="left"
        )
        own = plans.join(lines, on=key_, how="anti").join(cursors, on=key_, how="anti")
        self.cursor_lines = lines.join(counts, on=key_, how="anti").select(list(LINE_SCHEMA))
        self.cursors = cursors.join(counts, on=key_, how="anti").select(list(STATEMENT_SCHEMA))
        parts = [pgaudit_statements.statement_events(done.select(list(LINE_SCHEMA)))]
        parts += [
            _to_events(ended.select(list(STATEMENT_SCHEMA))),
            _to_events(own.select(list(STATEMENT_SCHEMA))),
        ]
        if last or self._is_overdue():
            parts += [
                pgaudit_statements.statement_events(self.cursor_lines),
                _to_events(self.cursors),
            ]
            self.cursor_lines, self.cursors = empty(LINE_SCHEMA), empty(STATEMENT_SCHEMA)
        return pl.concat(parts)

    def _is_overdue(self) -> bool:
        return self.cursor_lines.height + self.cursors.height > _MAX_PENDING


def _statement_count(lines: pl.DataFrame, told: pl.DataFrame) -> int:
    return lines.height + told.filter(pl.col("kind") != "failed").height


def _not_logged_key() -> int:
    return int(pl.select(text_key(pl.lit(_NOT_LOGGED_TEXT))).item())


def _number_statements(frame: pl.DataFrame, kind: pl.Expr) -> pl.DataFrame:
    """Adds ``_kind`` and ``_number``: which of its text's statements of that kind a line is of."""
    column = "statement_id" if "statement_id" in frame.columns else "row"
    return frame.with_columns(kind.alias("_kind")).with_columns(
        pl.col(column).rank("dense").over(*_KEY, "_kind").cast(pl.Int64).alias("_number")
    )


def _rank_statements(frame: pl.DataFrame, column: str) -> pl.DataFrame:
    return frame.with_columns(pl.col(column).rank("dense").over(_KEY).cast(pl.Int64).alias("_rank"))


def _split_pending(
    frame: pl.DataFrame, texts: pl.DataFrame, firsts: pl.DataFrame, schema: dict[str, pl.DataType]
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """(lines that wait, lines that do not); those that wait get numbers before the next block's."""
    frame = frame.join(
        texts.with_columns(pl.lit(value=True).alias("_last")),
        on=_KEY, how="left", maintain_order="left", nulls_equal=True,
    )  # fmt: skip
    frame = frame.join(firsts, on=["session_id", "_kind"], how="left", maintain_order="left")
    late = pl.col("_number") >= pl.col("_from").fill_null(0)
    waits = pl.col("_last").fill_null(value=False) & late
    before = pl.col("row") - pl.col("row").max() - 1
    held = frame.filter(waits).select(list(schema)).with_columns(before)
    return held, frame.filter(~waits).select(list(schema))


def _fill_rows(lines: pl.DataFrame, told: pl.DataFrame) -> pl.DataFrame:
    """``lines`` with rows from the plan of the same statement, where pgaudit has none."""
    silent = pl.col("rows").is_null() & pl.col("kind").is_in(["read", "write"])
    if lines.filter(silent).is_empty():
        return lines
    plans = told.filter((pl.col("kind") == "plan") & pl.col("rows").is_not_null()).sort("row")
    plans = _rank_statements(plans, "row").select(*_KEY, "_rank", pl.col("rows").alias("_rows"))
    lines = _rank_statements(lines, "statement_id")
    lines = lines.join(plans, on=[*_KEY, "_rank"], how="left", maintain_order="left")
    filled = pl.when(silent).then("_rows").otherwise("rows").alias("rows")
    return lines.with_columns(filled).select(list(LINE_SCHEMA))


def _to_events(told: pl.DataFrame) -> pl.DataFrame:
    made = {"subject": pl.lit(None), "bytes": pl.lit(None), "success": pl.lit(value=True)}
    return told.select(
        made.get(name, pl.col(name)).cast(dtype).alias(name) for name, dtype in EVENTS.items()
    )
