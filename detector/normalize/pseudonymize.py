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
from detector.normalize.reader_state import ReaderState
from detector.normalize.source import Batch, FollowReader, Source
from detector.privacy import pseudonyms
from detector.privacy.pseudonyms import Pseudonyms
from detector.readers.column_names import ALIASES
from detector.readers.csv_dialect import DELIMITERS
from detector.readers.log_input import LogInput

#: Words that errors quote without having them from a file.
_OWN_WORDS: Final = frozenset(
    {
        *(name for schema in (EVENTS, DIRECTORY, INCIDENTS) for name in schema),
        *(alias for aliases in ALIASES.values() for alias in aliases.split()),
        *("...", ".[]"),
        *(*DELIMITERS, '"'),
    }
)
#: What Python's repr writes of a text.
_QUOTED_TEXT: Final = re.compile(r"""(?<!\w)(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")""", re.DOTALL)
#: Words behind which the rest is of the file.
_FILE_CONTENT: Final = re.compile(r"(its columns are|is no readable Parquet:) .*", re.DOTALL)
_HIDDEN_TEXT: Final = "(not shown: pseudonyms are on)"
_Error = TypeVar("_Error", bound=DetectorError)


def wrap_source(source: Source, found: Pseudonyms | None) -> Source:
    """``source`` whose events have pseudonyms for accounts, and whose words quote nothing."""
    if found is None:
        return source

    def read(log: LogInput, settings: Settings, tail: ReaderState) -> Iterator[Batch]:
        try:
            for batch in source.read(log, settings, _revealed(tail, found)):
                account = found.encrypt_column(batch.events["account"])
                yield replace(
                    batch,
                    events=batch.events.with_columns(account),
                    rejects=_redact_rejects(batch.rejects, settings),
                    tail=_encrypted(batch.tail, found),
                )
        except InputError as error:
            raise redact_error(error, settings) from None

    growing = (
        None if source.follow_reader is None else _wrap_follow_reader(source.follow_reader, found)
    )
    return replace(source, read=read, follow_reader=growing)


def _wrap_follow_reader(growing: FollowReader, found: Pseudonyms) -> FollowReader:
    """``growing`` likewise. What pieces hold back of accounts is kept encrypted."""

    def hidden(batch: Batch) -> Batch:
        account = found.encrypt_column(batch.events["account"])
        tail = _encrypted(batch.tail, found)
        return replace(batch, events=batch.events.with_columns(account), tail=tail)

    def read(log: LogInput, settings: Settings, tail: ReaderState) -> Iterator[Batch]:
        try:
            for batch in growing.read(log, settings, _revealed(tail, found)):
                yield replace(hidden(batch), rejects=_redact_rejects(batch.rejects, settings))
        except InputError as error:
            raise redact_error(error, settings) from None

    inner = growing.close
    if inner is None:
        return replace(growing, read=read)

    def close(settings: Settings, tail: ReaderState) -> Batch:
        return hidden(inner(settings, _revealed(tail, found)))

    return replace(growing, read=read, close=close)


def _encrypted(state: ReaderState, found: Pseudonyms) -> ReaderState:
    """What is kept of a reader's state: sessions, and what is pending, hold names of the log."""
    return state.map_names(found.encrypt, found.encrypt_uncached)


def _revealed(state: ReaderState, found: Pseudonyms) -> ReaderState:
    """What the reader made; what was kept before there were pseudonyms is as it was."""

    def plain(kept: str) -> str:
        return found.reveal(kept) or kept

    return state.map_names(plain, plain)


def load_directory(path: Path | None, settings: Settings) -> pl.DataFrame | None:
    """DIRECTORY of a CSV, or None where there is none. Raises InputError."""
    if path is None:
        return None
    try:
        people = directories.with_lowercase(directories.load(path))
    except InputError as error:
        raise redact_error(error, settings) from None
    found = pseudonyms.load_if_enabled(settings)
    return people if found is None else people.with_columns(found.encrypt_column(people["account"]))


def load_incidents(path: Path, settings: Settings) -> pl.DataFrame:
    """INCIDENTS of a CSV. Raises InputError."""
    try:
        table = known.load(path, settings)
    except InputError as error:
        raise redact_error(error, settings) from None
    found = pseudonyms.load_if_enabled(settings)
    if found is None:
        return table
    account = pl.col("entity_kind") == "account"
    return table.with_columns(
        pl.when(account)
        .then(found.encrypt_column(table["entity"]))
        .otherwise("entity")
        .alias("entity")
    )


def check_accounts(accounts: pl.Series, settings: Settings, where: Path) -> None:
    """Raises InputError where ``accounts``, some that were kept, are not as the settings make them.

    One is looked at: where it has the form of a pseudonym, only its key turns it back.
    """
    found = pseudonyms.load_if_enabled(settings)
    for account in accounts.head(1):
        held = "another" if pseudonyms.is_pseudonym(account) else ""
        if found is not None and found.reveal(account) is not None:
            held = found.key_check
        apart = pseudonyms.mismatch(held, found.key_check if found is not None else "")
        if apart is not None:
            raise InputError(apart[0], where=where, hint=apart[1])


def stored_account(name: str, settings: Settings) -> str:
    """An account that a person named, as it is kept; its pseudonym may stand for it."""
    found = pseudonyms.load_if_enabled(settings)
    return name if found is None or found.reveal(name) is not None else found.encrypt(name)


def redact_error(error: _Error, settings: Settings, own: Collection[str] = ()) -> _Error:
    """``error`` without what it has from a file, where the settings ask for pseudonyms.

    ``own`` are words that it may quote all the same.
    """
    if not settings.pseudonyms:
        return error
    what, hint = (_redact_text(text, settings, own) for text in (error.what, error.hint))
    return type(error)(what, where=error.where, hint=hint)


def _redact_text(text: str, settings: Settings, own: Collection[str] = ()) -> str:
    ours = _OWN_WORDS.union(settings.columns.values(), own)

    def shown(match: re.Match[str]) -> str:
        return match[0] if match[0][1:-1] in ours else _HIDDEN_TEXT

    return _QUOTED_TEXT.sub(shown, _FILE_CONTENT.sub(rf"\1 {_HIDDEN_TEXT}", text))


def _redact_rejects(rejects: pl.DataFrame, settings: Settings) -> pl.DataFrame:
    """REJECTS whose reasons quote nothing."""
    reasons = rejects["reason"].unique()
    said = pl.Series([_redact_text(reason, settings) for reason in reasons], dtype=pl.String)
    if said.equals(reasons):
        return rejects
    return rejects.with_columns(pl.col("reason").replace_strict(reasons, said))
