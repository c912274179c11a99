"""MongoDB's structured log (4.4 and later): slow queries, with ``slowms`` -1 all of them.

https://www.mongodb.com/docs/manual/reference/log-messages/. The user of an operation is told by the
login of its connection, so a log that begins in the middle lacks some of them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, Self

import polars as pl

from detector.core.schema import EVENTS, REJECTS, empty
from detector.core.settings import Settings
from detector.normalize import rejects, timestamps
from detector.normalize.reader_state import ReaderState
from detector.normalize.session_state import carry_forward
from detector.normalize.source import Batch, FollowReader, Sample, Source, empty_batch
from detector.readers import json_objects
from detector.readers.json_objects import ObjectBatch
from detector.readers.log_input import LogInput
from detector.sources.mongodb import operations
from detector.sources.mongodb.operations import OPERATIONS, Cursors, parse_instant, parse_number

_ATTRIBUTES: Final = (
    *("ns", "appName", "nreturned", "reslen", "remote", "client"),
    *("durationMillis", "cursorid", "cursorExhausted", "queryHash", "planCacheShapeHash"),
    *("queryShapeHash", "errCode", "user", "principalName", "isFromUserConnection"),
    *("ninserted", "nModified", "ndeleted"),
)
_SCHEMA: Final = {
    **dict.fromkeys(("t", "s", "c", "id", "ctx", "msg"), pl.String()),
    "attr": pl.Struct(dict.fromkeys(_ATTRIBUTES, pl.String)),
}
_SLOW_QUERY_ID: Final = "51803"
#: 20250 and 20249 up to 4.4, the others since.
_LOGIN_IDS: Final = ("5286306", "20250")
_FAILED_LOGIN_IDS: Final = ("5286307", "20249")
_DISCONNECT_ID: Final = "22944"
_FOREIGN_REASON: Final = "is no entry of MongoDB's log"
_NO_USER_REASON: Final = "names no user: the login of its connection is not in the log"
#: Connections whose user is handed on to the next file.
_MAX_CONNECTIONS: Final = 20_000


def accepts(sample: Sample, settings: Settings) -> bool:
    """Whether the first objects are entries of the log."""
    del settings
    found = json_objects.first_objects(sample.head)
    return any({"t", "s", "c", "id", "ctx", "msg"} <= set(each) for each in found)


def read(log: LogInput, settings: Settings, tail: ReaderState) -> Iterator[Batch]:
    """The file's batches. Raises InputError where it cannot be read at all."""
    del settings  # all of it is in the log
    reader = _Reader.decode(tail)
    done = 0
    for found in json_objects.read_objects(log, _SCHEMA):
        done = found.raw_bytes
        yield reader.batch(found, log)
    yield reader.final_batch(done)


def follow(log: LogInput, settings: Settings, tail: ReaderState) -> Iterator[Batch]:
    """Batches of one piece of a file. Raises InputError."""
    del settings
    reader = _Reader.decode(tail)
    for found in json_objects.read_objects(log, _SCHEMA):
        yield reader.batch(found, log)
    yield empty_batch(ReaderState(pending=reader.encode()))


def close(settings: Settings, tail: ReaderState) -> Batch:
    """Cursors that were open when a file ended, and the tail for the files after it."""
    del settings
    return _Reader.decode(tail).final_batch(0)


@dataclass(slots=True)
class _Reader:
    """Who is behind each connection, and which cursors are open."""

    users: dict[str, str]
    cursors: Cursors = field(default_factory=Cursors)

    @classmethod
    def decode(cls, tail: ReaderState) -> Self:
        """As earlier files, or the piece before, left it."""
        if not tail.pending:
            return cls({ctx: user for user, ctxs in tail.sessions.items() for ctx in ctxs.split()})
        raw = json.loads(tail.pending)
        return cls(raw["users"], Cursors.decode(raw["cursors"]))

    def encode(self) -> str:
        """All of it, as text."""
        return json.dumps({"users": self.users, "cursors": self.cursors.encode()})

    def final_batch(self, done: int) -> Batch:
        """What waited for the end of the file."""
        events, skipped = self.cursors.add(pl.DataFrame(schema=OPERATIONS), last=True)
        return Batch(events, empty(REJECTS), skipped, done, self.connection_tail())

    def batch(self, found: ObjectBatch, log: LogInput) -> Batch:
        frame = found.frame.with_columns(
            parse_instant(pl.col("t")).alias("timestamp"), pl.col("attr").struct.unnest()
        ).drop("attr")
        frame = self._add_account(frame)
        slow = (pl.col("id") == _SLOW_QUERY_ID) | (pl.col("msg") == "Slow query")
        inner = pl.col("isFromUserConnection") == "false"
        # The server's own threads have no client; those of clients are called conn and a number.
        own = pl.col("remote").is_null() & ~pl.col("ctx").str.contains(r"^conn\d+$")
        inner = inner.fill_null(value=False) | own.fill_null(value=False)
        login = pl.col("id").is_in([*_LOGIN_IDS, *_FAILED_LOGIN_IDS])
        sort = (
            pl.when(slow & ~inner).then(pl.lit("slow"))
            .when(login).then(pl.lit("login"))
            .otherwise(pl.lit(""))
        )  # fmt: skip
        frame = frame.with_columns(sort.alias("sort")).with_columns(
            _reject_reason().alias("reason")
        )
        bad: list[tuple[int | None, str]] = [*found.rejects]
        bad += frame.select("line", "reason").filter(pl.col("reason").is_not_null()).rows()
        sound = pl.col("reason").is_null()
        slow_ones = frame.filter(sound & (pl.col("sort") == "slow"))
        events, skipped = self.cursors.add(_to_operations(slow_ones))
        logins = _login_events(frame.filter(sound & (pl.col("sort") == "login")))
        skipped += frame.select((sound & (pl.col("sort") == "")).sum()).item()
        everything = pl.concat([logins, events])
        return Batch(everything, rejects.frame(log.name, bad), skipped, found.raw_bytes)

    def _add_account(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Adds ``account``: the user that last logged in on the connection."""
        named = pl.coalesce("user", "principalName")
        said = (
            pl.when(pl.col("id").is_in(_LOGIN_IDS)).then(named)
            .when(pl.col("id") == _DISCONNECT_ID).then(pl.lit(""))
        )  # fmt: skip
        known, last = carry_forward(frame, "ctx", said, self.users)
        for ctx, user in last:
            self.users.pop(ctx, None)
            if user:
                self.users[ctx] = user
        refused = pl.col("id").is_in(_FAILED_LOGIN_IDS)
        return frame.with_columns(pl.when(refused).then(named).otherwise(known).alias("account"))

    def connection_tail(self) -> ReaderState:
        """User to connections: the keys are kept as pseudonyms where accounts are."""
        found: dict[str, list[str]] = {}
        for ctx, user in list(self.users.items())[-_MAX_CONNECTIONS:]:
            found.setdefault(user, []).append(ctx)
        return ReaderState({user: " ".join(ctxs) for user, ctxs in found.items()})


def _reject_reason() -> pl.Expr:
    access = pl.col("sort") != ""
    return pl.coalesce(
        pl.when(pl.col("msg").is_null() | pl.col("t").is_null()).then(pl.lit(_FOREIGN_REASON)),
        pl.when(access & pl.col("timestamp").is_null()).then(pl.lit(timestamps.UNREADABLE_REASON)),
        pl.when(access).then(timestamps.range_reason()),
        pl.when(access & (pl.col("account").fill_null("") == "")).then(pl.lit(_NO_USER_REASON)),
    )


def _to_operations(frame: pl.DataFrame) -> pl.DataFrame:
    made = {
        "address": pl.col("remote"),
        "bytes": parse_number(pl.col("reslen")),
        "duration_ms": parse_number(pl.col("durationMillis")),
    }
    return operations.operations(frame, made)


def _login_events(frame: pl.DataFrame) -> pl.DataFrame:
    made = {
        "timestamp": pl.col("timestamp"),
        "account": pl.col("account"),
        "client_address": pl.coalesce("remote", "client").str.replace(r":\d{1,5}$", ""),
        "action": pl.lit("login"),
        "rows": pl.lit(0),
        "success": pl.col("id").is_in(_LOGIN_IDS),
    }
    return frame.select(
        made.get(name, pl.lit(None)).cast(kind).alias(name) for name, kind in EVENTS.items()
    )


def mapping(log: LogInput, settings: Settings) -> dict[str, str]:
    """Canonical columns and where they come from."""
    del log, settings
    return operations.column_origins(
        attributes="attr.",
        size="reslen",
        millis="durationMillis",
        timestamp="t of the first operation of a cursor",
        account="the user that logged in on the connection (ctx)",
        client_address="attr.remote without the port",
    )


SOURCE = Source(
    name="mongodb_log",
    title="MongoDB structured log with slow queries",
    accepts=accepts,
    read=read,
    mapping=mapping,
    follow_reader=FollowReader(json_objects.complete_length, follow, close),
)
