"""MongoDB's operations, from its log or its profiler, as events: a cursor's batches are one.

https://www.mongodb.com/docs/manual/reference/log-messages/ and
https://www.mongodb.com/docs/manual/reference/database-profiler/.
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
from detector.normalize.sql_fingerprint import digest

#: One logged operation. ``verb`` is the command's, for a getMore that of its cursor; ``shape`` is
#: the server's own hash of the query, else the command's keys; ``joined`` are the collections that
#: a pipeline reads besides, ``copied`` marks one that writes what it finds.
OPERATIONS: Final = {
    "timestamp": pl.Datetime("us", "UTC"),
    **dict.fromkeys(("account", "address", "application", "ns", "verb"), pl.String()),
    **dict.fromkeys(("shape", "cursor"), pl.String()),
    "joined": pl.List(pl.String()),
    "copied": pl.Boolean(),
    **dict.fromkeys(("returned", "written", "bytes"), pl.Int64()),
    "duration_ms": pl.Float64(),
    "exhausted": pl.Boolean(),
    "failed": pl.Boolean(),
}

_ACTION_COMMANDS: Final = {
    # findAndModify gives its client the document that it changes.
    "read": "find query aggregate count distinct mapreduce getmore group findandmodify",
    "write": "insert update delete remove bulkwrite q deletes updates",
    "schema": "create createindexes drop dropdatabase dropindexes collmod renamecollection "
    "createuser updateuser dropuser createrole updaterole droprole grantrolestouser "
    "revokerolesfromuser setfeaturecompatibilityversion compact reindex",
    # What gives no documents. Whatever is not known counts as a reading.
    "other": "hello ismaster ping buildinfo hostinfo getcmdlineopts getparameter setparameter "
    "serverstatus dbstats collstats datasize top currentop killop killcursors killsessions "
    "killallsessions endsessions startsession refreshsessions committransaction aborttransaction "
    "coordinatecommittransaction preparetransaction listcollections listindexes listdatabases "
    "listcommands connectionstatus usersinfo rolesinfo saslstart saslcontinue authenticate logout "
    "getnonce whatsmyuri getlasterror geterror reseterror explain profile validate fsync "
    "fsyncunlock getlog logrotate logmessage lockinfo features isdbgrid configuresharding "
    "flushrouterconfig getshardmap getshardversion shardingstate replsetgetstatus replsetheartbeat "
    "replsetgetconfig replsetupdateposition planscacheclear plancacheclear",
}
_COMMAND_ACTIONS: Final = {
    verb: action for action, verbs in _ACTION_COMMANDS.items() for verb in verbs.split()
}
#: A cursor that was not asked for longer than this is told as far as it went; the server's own
#: limit (cursorTimeoutMillis) is the same.
_CURSOR_TIMEOUT: Final = timedelta(minutes=10)
_MAX_CURSORS: Final = 200_000
#: In JSON a quote within a text is escaped, so none of these can begin inside one.
_COMMAND_NAME: Final = r'"command":\s*\{\s*"(\w+)"'
_ORIGINATING_COMMAND: Final = r'"originatingCommand":\s*\{\s*"(\w+)"'
_GET_MORE: Final = r'"command":\s*\{\s*"getMore":\s*(?:\{\s*"\$numberLong":\s*")?(-?\d+)'
#: What stands behind the command in an entry, the first of these and all that follows.
_AFTER_COMMAND: Final = (
    r"(?s),\s*\"(?:planSummary|originatingCommand|cursorid|keysExamined|nreturned|numYields|reslen"
    r"|responseLength|locks|remote|protocol|durationMillis|millis)\":.*$"
)
#: Keys stay, values go.
_JSON_VALUE: Final = (
    r'("(?:[^"\\]|\\.)*"\s*:)|"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*|\btrue\b|\bfalse\b|\bnull\b'
)
#: The same in half the time, as it keeps nothing that it finds: keys lose their closing quote and
#: colon for a mark that JSON cannot hold, so that texts with two quotes are values; others stand
#: behind a mark, a comma or a bracket. Not for texts that begin with a colon, and odd keys.
_KEY_MARK: Final = "\x02"
_JSON_TEXT: Final = rf'"(?:[^"\\{_KEY_MARK}]|\\.)*"'
_SCALAR: Final = r"\s*(?:-?\d[\d.eE+-]*|true\b|false\b|null\b)"
_UNUSUAL_TEXT: Final = r'(?:^|[^\w$.])"\s*:'
_UNUSUAL_KEY: Final = rf'"[^"{_KEY_MARK}]*[,\[]'
_LOOKUP: Final = (
    r'"\$(?:lookup|graphLookup)":\s*\{[^{}]*?"from":\s*"([^"\\]*)"'
    r'|"\$unionWith":\s*(?:\{[^{}]*?"coll":\s*)?"([^"\\]*)"'
)
#: Documents that an operation changed.
_CHANGE_COUNTS: Final = ("ninserted", "nModified", "ndeleted")
_OUTPUT_STAGE: Final = r'"\$(?:out|merge)":'


#: What is held of an open cursor: its operations as one, and when it was asked last.
_PENDING_SCHEMA: Final = {**OPERATIONS, "seen": pl.Datetime("us", "UTC")}


@dataclass(slots=True)
class Cursors:
    """Folds ``OPERATIONS`` into events, holding those of open cursors back.

    Wherever the log is cut, the events are the same: a cursor that is asked again after it was idle
    begins anew.
    """

    pending: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=_PENDING_SCHEMA))
    newest: datetime | None = None

    def add(self, found: pl.DataFrame, *, last: bool = False) -> tuple[pl.DataFrame, int]:
        """(events, operations that are none of their own)."""
        before = self.pending.height + found.height
        alone = found.filter(pl.col("cursor").is_null()).select(list(OPERATIONS))
        folded = (
            self._number_runs(found)
            .group_by("cursor", "run", maintain_order=True)
            .agg(_merge_columns())
        )
        latest = found["timestamp"].max()
        if isinstance(latest, datetime):
            self.newest = max(latest, self.newest or latest)
        idle = pl.col("seen") < pl.lit(self.newest, OPERATIONS["timestamp"]) - _CURSOR_TIMEOUT
        over = pl.col("run") < pl.col("run").max().over("cursor")
        done = pl.col("exhausted") | idle | over | pl.lit(last or folded.height > _MAX_CURSORS)
        folded = folded.with_columns(done.fill_null(value=True).alias("done"))
        self.pending = folded.filter(~pl.col("done")).select(list(_PENDING_SCHEMA))
        ended = folded.filter("done").select(list(OPERATIONS))
        events = _events(pl.concat([alone, ended]))
        return events, before - self.pending.height - events.height

    def _number_runs(self, found: pl.DataFrame) -> pl.DataFrame:
        """Operations of cursors with ``run``, which goes up where one was idle, or exhausted."""
        reached = pl.col("timestamp").cum_max()
        known = pl.max_horizontal(reached, pl.lit(self.newest, OPERATIONS["timestamp"]))
        fresh = found.with_columns(pl.col("timestamp").alias("seen"), known.alias("_now"))
        held = self.pending.with_columns(pl.lit(None, _PENDING_SCHEMA["seen"]).alias("_now"))
        frame = pl.concat([held, fresh.filter(pl.col("cursor").is_not_null())])
        asked = pl.col("seen").cum_max().shift(1).over("cursor")
        idle = pl.col("_now") - asked > _CURSOR_TIMEOUT
        spent = pl.col("exhausted").fill_null(value=False).shift(1).over("cursor")
        begins = (idle | spent).fill_null(value=False).cast(pl.Int64)
        return frame.with_columns(begins.cum_sum().over("cursor").alias("run"))

    def encode(self) -> str:
        """All of it, as text."""
        newest = self.newest and self.newest.isoformat()
        return json.dumps({"held": encode_text(self.pending), "newest": newest})

    @classmethod
    def decode(cls, text: str) -> Self:
        """What ``encode`` told; nothing where it is empty."""
        if not text:
            return cls()
        raw = json.loads(text)
        newest = raw["newest"] and datetime.fromisoformat(raw["newest"])
        return cls(decode_text(raw["held"]), newest)


def _merge_columns() -> list[pl.Expr]:
    """A cursor's operations as one: what opened it, and what all of them gave."""
    same = ("timestamp", "account", "address", "application", "ns", "verb")
    sums = ("returned", "written", "bytes", "duration_ms")
    known = (pl.when(pl.col(name).count() > 0).then(pl.col(name).sum()) for name in sums)
    return [
        *(pl.col(name).first() for name in same),
        *(pl.col(name).drop_nulls().first() for name in ("shape", "joined")),
        *(each.alias(name) for name, each in zip(sums, known, strict=True)),
        pl.col("exhausted").fill_null(value=False).any(),
        pl.col("failed").fill_null(value=False).any(),
        pl.col("copied").any(),
        pl.col("seen").max(),
    ]


def _events(found: pl.DataFrame) -> pl.DataFrame:
    if found.is_empty():
        return empty(EVENTS)
    action = pl.col("verb").replace_strict(_COMMAND_ACTIONS, default="read", return_dtype=pl.String)
    # What was returned was read, whatever the command is.
    gave = (pl.col("returned") > 0).fill_null(value=False)
    action = pl.when(gave).then(pl.lit("read")).otherwise(action)
    found = found.with_columns(
        pl.when("copied").then(pl.lit("export")).otherwise(action).alias("action"),
        pl.when(~pl.col("ns").str.ends_with(".$cmd")).then("ns").alias("object"),
        pl.col("ns").str.extract(r"^([^.]+)").alias("database"),
    )
    counted = pl.when(pl.col("verb").is_in(["count", "findandmodify"])).then(1)
    rows = (
        pl.when(pl.col("action") == "write").then("written")
        .when("copied").then(None)
        .otherwise(pl.coalesce("returned", counted))
    )  # fmt: skip
    made: dict[str, pl.Expr | pl.Series] = {
        "client_address": pl.col("address").str.replace(r":\d{1,5}$", ""),
        "other_objects": _other_objects(found.select("database", "joined")),
        "rows": rows,
        "statement": _operation_fingerprints(found),
        "subject": pl.lit(None),
        "success": ~pl.col("failed").fill_null(value=False),
    }
    return found.select(
        _as_expression(made.get(name, pl.col(name))).cast(kind).alias(name)
        for name, kind in EVENTS.items()
    )


def _as_expression(made: pl.Expr | pl.Series) -> pl.Expr:
    return pl.lit(made) if isinstance(made, pl.Series) else made


def _other_objects(frame: pl.DataFrame) -> pl.Series:
    """The collections that a pipeline joins, with their database."""
    rows = (frame["joined"].list.len() > 0).fill_null(value=False).arg_true()
    if rows.is_empty():
        return pl.Series([None], dtype=pl.List(pl.String)).new_from_index(0, frame.height)
    named = [
        [f"{database}.{name}" for name in dict.fromkeys(joined)]
        for database, joined in frame[rows].iter_rows()
    ]
    found = pl.DataFrame({"row": rows, "named": pl.Series(named, dtype=pl.List(pl.String))})
    whole = frame.select(pl.int_range(pl.len(), dtype=pl.UInt32).alias("row"))
    return whole.join(found, on="row", how="left", maintain_order="left")["named"]


def _operation_fingerprints(found: pl.DataFrame) -> pl.Series:
    """16 hex digits of what an operation does."""
    told = found.select(
        pl.concat_str(pl.col("ns", "verb", "shape").fill_null(""), separator="\n")
    ).to_series()
    distinct = told.unique()
    hashes = [digest(text) for text in distinct]
    return told.replace_strict(distinct, pl.Series(hashes, dtype=pl.String), return_dtype=pl.String)


def with_commands(frame: pl.DataFrame, shape: pl.Expr) -> pl.DataFrame:
    """Adds ``verb``, ``asked`` (a getMore's cursor), ``shape``, ``joined`` and ``copied``.

    From the operation's JSON in ``raw``; ``shape`` is the server's hash, null where it has none.
    """
    raw = pl.col("raw")
    frame = frame.with_columns(raw.str.extract(_GET_MORE).alias("asked"), shape.alias("shape"))
    own, origin = raw.str.extract(_COMMAND_NAME), raw.str.extract(_ORIGINATING_COMMAND)
    verb = pl.when(pl.col("asked").is_not_null()).then(pl.coalesce(origin, own)).otherwise(own)
    frame = frame.with_columns(verb.str.to_lowercase().alias("verb"))
    frame = frame.with_row_index("_row")
    looked = raw.str.extract_all(_LOOKUP).list.eval(
        pl.coalesce(pl.element().str.extract(_LOOKUP, n) for n in (1, 2)).drop_nulls()
    )
    pipelines = (
        frame.select("_row", "verb", "raw")
        .filter(pl.col("verb") == "aggregate")
        .select("_row", looked.alias("joined"), raw.str.contains(_OUTPUT_STAGE).alias("copied"))
    )
    first, second = (_json_after_key(raw, name) for name in ("originatingCommand", "command"))
    text = pl.when(pl.col("asked").is_not_null()).then(pl.coalesce(first, second)).otherwise(second)
    blind = frame.select("_row", "asked", "raw", "shape").filter(pl.col("shape").is_null())
    blind = blind.select("_row", text.alias("_keys"))
    blind = blind.with_columns(query_shape(blind["_keys"]).alias("_keys"))
    for part in (pipelines, blind):
        frame = frame.join(part, on="_row", how="left", maintain_order="left")
    return frame.with_columns(
        pl.coalesce("shape", "_keys").alias("shape"), pl.col("copied").fill_null(value=False)
    ).drop("_keys", "_row")


def _json_after_key(raw: pl.Expr, name: str) -> pl.Expr:
    """The JSON behind the first key ``name``; null where there is none."""
    return raw.str.splitn(f'"{name}":', 2).struct.field("field_1").str.replace(_AFTER_COMMAND, "")


def query_shape(texts: pl.Series) -> pl.Series:
    """JSON with ``?`` for its values and its lists of them, without space."""
    bare = texts.str.replace_all(r'"\s*:', _KEY_MARK).str.replace_all(_JSON_TEXT, "?")
    odd = (texts.str.contains(_UNUSUAL_TEXT) | bare.str.contains(_UNUSUAL_KEY)).fill_null(
        value=False
    )
    for before in (_KEY_MARK, ",", "["):
        bare = bare.str.replace_all(re.escape(before) + _SCALAR, f"{before}?")
    bare = bare.str.replace("^" + _SCALAR, "?").str.replace_all(_KEY_MARK, '":?', literal=True)
    if odd.any():
        rows = odd.arg_true()
        bare = bare.scatter(rows, texts.gather(rows).str.replace_all(_JSON_VALUE, "${1}?"))
    return bare.str.replace_all(r"\?(?:\s*,\s*\?)+", "?").str.replace_all(r"\s+", "")


def operations(frame: pl.DataFrame, made: Mapping[str, pl.Expr]) -> pl.DataFrame:
    """``OPERATIONS`` of what a log or a profiler tells, under the names that both have.

    ``made`` are those columns that only one of the two has so.
    """
    frame = with_commands(frame, pl.coalesce("queryShapeHash", "planCacheShapeHash", "queryHash"))
    alike = {
        "application": pl.col("appName"),
        "cursor": pl.coalesce("asked", cursor_id(pl.col("cursorid"))),
        "returned": parse_number(pl.col("nreturned")),
        "written": pl.when(pl.any_horizontal(pl.col(_CHANGE_COUNTS).is_not_null())).then(
            pl.sum_horizontal(parse_number(pl.col(name)) for name in _CHANGE_COUNTS)
        ),
        "exhausted": pl.col("cursorExhausted") == "true",
        "failed": pl.col("errCode").is_not_null(),
    }
    of = {**alike, **made}
    return frame.select(
        of.get(name, pl.col(name) if name in frame.columns else pl.lit(None))
        .cast(kind).alias(name)
        for name, kind in OPERATIONS.items()
    )  # fmt: skip


def column_origins(*, attributes: str, size: str, millis: str, **others: str) -> dict[str, str]:
    """Canonical columns and where they come from; names stand behind ``attributes``."""
    found = {
        "database": f"{attributes}ns",
        "object": f"{attributes}ns, as database.collection",
        "other_objects": "collections that an aggregation joins",
        "action": "the command",
        "application": f"{attributes}appName",
        "rows": f"{attributes}nreturned, all batches of a cursor together",
        "bytes": f"{attributes}{size}, likewise",
        "duration_ms": f"{attributes}{millis}, likewise",
        "statement": "the server's hash of the query's shape, else its keys without values",
        "success": f"whether there is no {attributes}errCode",
        **others,
    }
    return {name: found[name] for name in EVENTS if name in found}


def parse_number(value: pl.Expr) -> pl.Expr:
    """An Int64 of a number as it is, or of extended JSON: ``{"$numberLong": "5"}``."""
    return value.str.extract(r"(-?\d{1,18})(?:\.\d+)?\D*$").cast(pl.Int64, strict=False)


def cursor_id(value: pl.Expr) -> pl.Expr:
    """A cursor's number, as text: it can be as large as 64 bits are."""
    return value.str.extract(r"(-?\d{2,20})\D*$")


def parse_instant(value: pl.Expr) -> pl.Expr:
    """The instant of ``{"$date": ...}``: ISO 8601, or milliseconds since 1970."""
    text = value.str.extract(r'"(\d{4}-\d\d-\d\dT[^"]*)"').str.replace(r"Z$", "+00:00")
    text = text.str.replace(r"([+-]\d\d)(\d\d)$", "${1}:${2}")
    parsed = text.str.to_datetime("%Y-%m-%dT%H:%M:%S%.f%:z", time_unit="us", strict=False)
    millis = value.str.extract(r'"\$(?:numberLong|date)":\s*"?(-?\d{1,15})\b').cast(pl.Int64)
    return pl.coalesce(
        parsed.dt.convert_time_zone("UTC"),
        pl.from_epoch(millis, time_unit="ms").cast(pl.Datetime("us")).dt.replace_time_zone("UTC"),
    )
