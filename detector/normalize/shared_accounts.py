r"""The person behind an account that many share, such as that of a connection pool.

``[identity]`` in the settings names the shared accounts and where their people are told:

- ``comment``: a regular expression, its first group the person, looked for in a comment that
  begins or ends a statement, where no literal can be (``/* user=eve */ SELECT ...``);
- ``session``: a variable that the application sets for the person (``SET app.user = 'eve'``,
  ``SET @app_user = 'eve'``, ``set_config('app.user', 'eve', false)``);
- ``role``: whether ``SET ROLE eve`` and ``SET SESSION AUTHORIZATION eve`` name a person;
- ``application``: a regular expression on the application's name.

The first of these that says somebody wins; where none does, the account stays.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import polars as pl

from detector.core.settings import Settings
from detector.normalize.reader_state import ReaderState
from detector.normalize.session_state import carry_forward, remember
from detector.normalize.source import Batch, Source
from detector.readers.log_input import LogInput

#: Sessions whose person is remembered; the oldest are forgotten first.
_MAX_SESSIONS: Final = 200_000
_LEADING_COMMENT: Final = r"^\s*/\*((?s:.*?))\*/"
_TRAILING_COMMENT: Final = r"/\*((?:[^*]|\*+[^*/])*)\*+/[\s;]*$"
_VALUE: Final = r"(?:'((?:[^']|'')*)'|\"((?:[^\"]|\"\")*)\"|([\w.@-]+))"
_SET_ROLE: Final = (
    rf"(?i)^\s*(?:set\s+(?:session\s+|local\s+)?(?:role|session\s+authorization)\s+{_VALUE}"
)
_RESET_ROLE: Final = r"(?i)^\s*(?:reset\s+(?:role|session\s+authorization|all)|discard\s+all)\b"


def wrap_source(source: Source, settings: Settings) -> Source:
    """``source`` whose shared accounts are told apart by their applications' names."""
    pattern = settings.identity.get("application")
    if not pattern:
        return source
    shared = settings.identity["accounts"]

    def named(batch: Batch) -> Batch:
        person = pl.col("application").cast(pl.String).str.extract(pattern, 1)
        account = pl.col("account").cast(pl.String)
        told = account.is_in(shared) & (person.fill_null("") != "")
        kept = batch.events.schema["account"]
        chosen = pl.when(told).then(person).otherwise(account).cast(kept)
        return replace(batch, events=batch.events.with_columns(chosen.alias("account")))

    def read(log: LogInput, settings: Settings, tail: ReaderState) -> Iterator[Batch]:
        yield from map(named, source.read(log, settings, tail))

    growing = source.follow_reader
    if growing is None:
        return replace(source, read=read)
    inner, close = growing.read, growing.close

    def follow(log: LogInput, settings: Settings, tail: ReaderState) -> Iterator[Batch]:
        yield from map(named, inner(log, settings, tail))

    if close is None:
        return replace(source, read=read, follow_reader=replace(growing, read=follow))
    end = close
    closing = replace(growing, read=follow, close=lambda settings, tail: named(end(settings, tail)))
    return replace(source, read=read, follow_reader=closing)


@dataclass(slots=True)
class SessionPersons:
    """Who is behind each session of one log, as its statements said so far."""

    rules: Mapping[str, Any]
    last_persons: dict[str, str] = field(default_factory=dict)

    @property
    def needs_text(self) -> bool:
        """Whether the settings have a rule that needs the statements' text."""
        return any(self.rules.get(name) for name in ("comment", "session", "role"))

    def add_persons(
        self, frame: pl.DataFrame, account: str, text: str, session: str
    ) -> pl.DataFrame:
        """``frame``, in the order of the log, with ``person``: in place of a shared account."""
        if not self.needs_text or frame.is_empty():
            return frame.with_columns(pl.col(account).alias("person"))
        found: list[pl.Expr] = []
        if pattern := self.rules.get("comment"):
            comments = (
                pl.col(text).str.extract(place, 1)
                for place in (_LEADING_COMMENT, _TRAILING_COMMENT)
            )
            found += [comment.str.extract(pattern, 1) for comment in comments]
        if self.rules.get("session") or self.rules.get("role"):
            frame = self._add_session_persons(frame, text, session)
            found.append(pl.col("_known"))
        person = pl.coalesce(*(pl.when(each != "").then(each) for each in found))
        shared = pl.col(account).is_in(self.rules["accounts"])
        chosen = pl.when(shared & person.is_not_null()).then(person).otherwise(account)
        return frame.with_columns(chosen.alias("person")).drop("_known", strict=False)

    def _add_session_persons(self, frame: pl.DataFrame, text: str, session: str) -> pl.DataFrame:
        """Adds ``_known``: who the session last said it works for, "" where for nobody."""
        said = pl.coalesce(*(_named_person(pl.col(text), pattern) for pattern in self._patterns()))
        reset = pl.col(text).str.contains(_RESET_ROLE)
        said = pl.when(reset & said.is_null()).then(pl.lit("")).otherwise(said)
        frame = frame.with_columns(
            said.alias("_known"), pl.col(session).fill_null("").alias("_key")
        )
        if frame["_known"].null_count() < frame.height or self.last_persons:
            found, last = carry_forward(frame, "_key", pl.col("_known"), self.last_persons)
            remember(self.last_persons, last, _MAX_SESSIONS)
            frame = frame.with_columns(found.alias("_known"))
        return frame.drop("_key")

    def _patterns(self) -> list[str]:
        patterns = []
        if variable := self.rules.get("session"):
            name = re.escape(str(variable).lstrip("@"))
            patterns += [
                rf"(?i)^\s*set\s+(?:session\s+|local\s+|@@?)?{name}\s*(?::?=|\bto\b)\s*{_VALUE}",
                rf"(?i)^\s*select\s+(?:pg_catalog\.)?set_config\s*\(\s*'{name}'\s*,\s*{_VALUE}",
            ]
        if self.rules.get("role"):
            patterns.append(_SET_ROLE + ")")
        return patterns


def _named_person(text: pl.Expr, pattern: str) -> pl.Expr:
    """The person that a statement names by ``pattern``; "" for none and for DEFAULT."""
    single = text.str.extract(pattern, 1).str.replace_all("''", "'", literal=True)
    double = text.str.extract(pattern, 2).str.replace_all('""', '"', literal=True)
    bare = text.str.extract(pattern, 3)
    nobody = bare.str.to_lowercase().is_in(["default", "none", "null"])
    return pl.coalesce(single, double, pl.when(nobody).then(pl.lit("")).otherwise(bare))
