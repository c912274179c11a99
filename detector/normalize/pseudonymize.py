"""Pseudonyms where names come in: logs, the directory, known incidents, and words about them.

Behind it no stage meets a name: what it keeps, scores, says and sends holds pseudonyms. Where the
settings ask for none, everything passes as it is.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final, TypeVar

import polars as pl

from detector.core.errors import DetectorError, InputError
from detector.core.schema import DIRECTORY, EVENTS, INCIDENTS
from detector.core.settings import Settings
from detector.normalize import account_directory as directories
from detector.normalize import known_incidents as known
from detector.normalize.source import HELD, KEPT, Batch, Growing, Source, Tail
from detector.privacy import pseudonyms
from detector.privacy.pseudonyms import Pseudonyms
from detector.readers.column_names import ALIASES
from detector.readers.csv_dialect import DELIMITERS

#: Words that errors quote without having them from a file.
_OURS: Final = frozenset(
    {
        *(name for schema in (EVENTS, DIRECTORY, INCIDENTS) for name in schema),
        *(alias for aliases in ALIASES.values() for alias in aliases.split()),
        *("...", ".[]"),
        *(*DELIMITERS, '"'),
    }
)
#: What Python's repr writes of a text.
_QUOTED: Final = re.compile(r"""(?<!\w)(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")""", re.DOTALL)
#: Words behind which the rest is of the file.
_LISTED: Final = re.compile(r"(its columns are|is no readable Parquet:) .*", re.DOTALL)
_HIDDEN: Final = "(not shown: pseudonyms are on)"
_Error = TypeVar("_Error", bound=DetectorError)


def veiled(source: Source, found: Pseudonyms | None) -> Source:
    """``source`` whose events have pseudonyms for accounts, and whose words quote nothing."""
    if found is None:
        return source

    def read(path: Path, settings: Settings, tail: Tail) -> Iterator[Batch]:
        # Sessions are named by the log: what they are called is kept, as a tail, like names are.
        opened = {found.name(session) or session: last for session, last in tail.items()}
        try:
            for batch in source.read(path, settings, opened):
                account = found.column(batch.events["account"])
                yield replace(
                    batch,
                    events=batch.events.with_columns(account),
                    rejects=_quiet(batch.rejects, settings),
                    tail={found.of(session): last for session, last in batch.tail.items()},
                )
        except InputError as error:
            raise unquoted(error, settings) from None

    growing = None if source.growing is None else _behind(source.growing, found)
    return replace(source, read=read, growing=growing)


def _behind(growing: Growing, found: Pseudonyms) -> Growing:
    """``growing`` likewise. What pieces hold back of accounts is kept encrypted."""

    def hidden(batch: Batch) -> Batch:
        tail = {
            key if key in KEPT else found.of(key): found.once(text) if key == HELD else text
            for key, text in batch.tail.items()
        }
        account = found.column(batch.events["account"])
        return replace(batch, events=batch.events.with_columns(account), tail=tail)

    def opened(tail: Tail) -> dict[str, str]:
        return {
            key if key in KEPT else found.name(key) or key: (found.name(text) or text)
            if key == HELD
            else text
            for key, text in tail.items()
        }

    def read(path: Path, settings: Settings, tail: Tail) -> Iterator[Batch]:
        try:
            for batch in growing.read(path, settings, opened(tail)):
                yield replace(hidden(batch), rejects=_quiet(batch.rejects, settings))
        except InputError as error:
            raise unquoted(error, settings) from None

    inner = growing.close
    if inner is None:
        return replace(growing, read=read)
    return replace(
        growing, read=read, close=lambda settings, tail: hidden(inner(settings, opened(tail)))
    )


def directory(path: Path | None, settings: Settings) -> pl.DataFrame | None:
    """DIRECTORY of a CSV, or None where there is none. Raises InputError."""
    if path is None:
        return None
    try:
        people = directories.folded(directories.load(path))
    except InputError as error:
        raise unquoted(error, settings) from None
    found = pseudonyms.of(settings)
    return people if found is None else people.with_columns(found.column(people["account"]))


def incidents(path: Path, settings: Settings) -> pl.DataFrame:
    """INCIDENTS of a CSV. Raises InputError."""
    try:
        table = known.load(path, settings)
    except InputError as error:
        raise unquoted(error, settings) from None
    found = pseudonyms.of(settings)
    if found is None:
        return table
    account = pl.col("entity_kind") == "account"
    return table.with_columns(
        pl.when(account).then(found.column(table["entity"])).otherwise("entity").alias("entity")
    )


def demand(accounts: pl.Series, settings: Settings, where: Path) -> None:
    """Raises InputError where ``accounts``, some that were kept, are not as the settings make them.

    One is looked at: where it has the form of a pseudonym, only its key turns it back.
    """
    found = pseudonyms.of(settings)
    for account in accounts.head(1):
        held = "another" if pseudonyms.in_form(account) else ""
        if found is not None and found.name(account) is not None:
            held = found.check
        apart = pseudonyms.difference(held, found.check if found is not None else "")
        if apart is not None:
            raise InputError(apart[0], where=where, hint=apart[1])


def account(name: str, settings: Settings) -> str:
    """An account that a person named, as it is kept; its pseudonym may stand for it."""
    found = pseudonyms.of(settings)
    return name if found is None or found.name(name) is not None else found.of(name)


def unquoted(error: _Error, settings: Settings, own: Collection[str] = ()) -> _Error:
    """``error`` without what it has from a file, where the settings ask for pseudonyms.

    ``own`` are words that it may quote all the same.
    """
    if not settings.pseudonyms:
        return error
    what, hint = (_masked(text, settings, own) for text in (error.what, error.hint))
    return type(error)(what, where=error.where, hint=hint)


def _masked(text: str, settings: Settings, own: Collection[str] = ()) -> str:
    ours = _OURS.union(settings.columns.values(), own)

    def shown(match: re.Match[str]) -> str:
        return match[0] if match[0][1:-1] in ours else _HIDDEN

    return _QUOTED.sub(shown, _LISTED.sub(rf"\1 {_HIDDEN}", text))


def _quiet(rejects: pl.DataFrame, settings: Settings) -> pl.DataFrame:
    """REJECTS whose reasons quote nothing."""
    reasons = rejects["reason"].unique()
    said = pl.Series([_masked(reason, settings) for reason in reasons], dtype=pl.String)
    if said.equals(reasons):
        return rejects
    return rejects.with_columns(pl.col("reason").replace_strict(reasons, said))
