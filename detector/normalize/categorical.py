"""Text columns, worked on by their distinct values only: trimmed, mapped, hashed.

All take and give dictionary-encoded Arrow columns. Where every value is in order already, which
is checked without leaving Arrow, the column comes back as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from detector.core.schema import ACTIONS
from detector.normalize.sql_fingerprint import fingerprint
from detector.readers.csv_table import DICTIONARY_TYPE, NULL_WORDS

_ACTION_SYNONYMS: Final = {
    "read": "select read get query list search view fetch find lookup show access scan queried "
    "aggregate count file-read database-query retrieve",
    "write": "insert update delete merge write replace upsert put truncate modify change add edit "
    "set save remove deletion creation",
    "export": "copy unload dump export download backup bulk_read extract print pg_dump outfile",
    "schema": "create alter drop grant revoke rename comment ddl dcl reindex",
    "login": "login logon authentication authenticate auth connect connection logged-in session "
    "logoff logout disconnect session_start sign-in signin log_in",
}
ACTIONS_BY_WORD: Final = {
    word: action for action, words in _ACTION_SYNONYMS.items() for word in words.split()
} | {action: action for action in ACTIONS}

_TRUE_WORDS: Final = frozenset(
    ["true", "t", "yes", "y", "1", "success", "succeeded", "successful", "ok", "allowed"]
)
_FALSE_WORDS: Final = frozenset(
    ["false", "f", "no", "n", "0", "failure", "failed", "fail", "error", "denied", "refused"]
)

ValueMapper = Callable[[Sequence[str]], Sequence[Any]]


def dictionary_encode(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column of text, numbers or Booleans as dictionary of text.

    Raises TypeError for nested and binary columns: they are no words.
    """
    kind = column.type
    if pa.types.is_dictionary(kind):
        if pa.types.is_string(kind.value_type) or pa.types.is_large_string(kind.value_type):
            return column
        column, kind = column.cast(kind.value_type), kind.value_type
    if pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        raise TypeError(f"{kind} is no text")
    if pa.types.is_null(kind) or not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        column = column.cast(pa.string())
    return column.dictionary_encode()


def trim(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Without space around values; what stands for nothing becomes null."""

    def in_order(values: pa.Array) -> bool:
        same = pc.all(pc.equal(pc.utf8_trim_whitespace(values), values)).as_py()
        nothing = pc.any(pc.is_in(values, pa.array(NULL_WORDS, values.type))).as_py()
        return same is not False and not nothing

    def strip(values: Sequence[str]) -> list[str | None]:
        bare = (value.strip() for value in values)
        return [None if value in NULL_WORDS else value for value in bare]

    return _map_dictionary(column, in_order, strip)


def canonical_actions(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Canonical actions; what is unknown is ``other``, and so is null."""
    known = pa.array(ACTIONS)

    def in_order(values: pa.Array) -> bool:
        return bool(pc.all(pc.is_in(values, known.cast(values.type))).as_py() is not False)

    return _map_dictionary(
        column, in_order, lambda values: [canonical_action(value) for value in values]
    )


def canonical_action(text: str) -> str:
    """The canonical action of a word or command tag (``SELECT``, ``INSERT 0 1``)."""
    lower = text.strip().lower()
    if lower in ACTIONS_BY_WORD:
        return ACTIONS_BY_WORD[lower]
    first = lower.replace(":", " ").replace("_", " ").replace("-", " ").split()
    return ACTIONS_BY_WORD.get(first[0], "other") if first else "other"


def statement_fingerprints(column: pa.ChunkedArray, *, text: bool) -> pa.ChunkedArray:
    """Fingerprints. What looks like one (hex) stays, unless the column holds ``text``."""
    looks = r"^[0-9A-Fa-f]{8,64}$"

    def in_order(values: pa.Array) -> bool:
        if text:
            return len(values) == 0
        return pc.all(pc.match_substring_regex(values, looks)).as_py() is not False

    def hashed(values: Sequence[str]) -> list[str | None]:
        series = pl.Series(values, dtype=pl.String)
        hashes = fingerprint(series)
        if not text:
            hashes = series.zip_with(series.str.contains(looks), hashes)
        return hashes.to_list()

    return _map_dictionary(column, in_order, hashed)


def map_values(column: pa.ChunkedArray, change: ValueMapper) -> pa.ChunkedArray:
    """Text: each distinct value as ``change`` has it."""
    chunks = [
        pa.array(change(chunk.dictionary.to_pylist()), pa.string()).take(chunk.indices)
        for chunk in column.chunks
    ]
    return pa.chunked_array(chunks, pa.string())


def success_flags(column: pa.ChunkedArray, name: str) -> pa.ChunkedArray:
    """Booleans; null where the log does not say, or says something unknown.

    ``name`` of the column tells error codes (0 is success) and OCSF's status_id (1 is success, 2
    failure) from flags.
    """
    from detector.readers.column_names import RETURN_CODE_COLUMNS

    lower = name.strip().lower()

    def meaning(value: str) -> bool | None:
        word = value.strip().lower()
        if lower in RETURN_CODE_COLUMNS:
            return word in {"0", "00000"} if word else None
        if lower == "status_id":
            return {"1": True, "2": False}.get(word)
        return True if word in _TRUE_WORDS else False if word in _FALSE_WORDS else None

    chunks = []
    for chunk in dictionary_encode(column).chunks:
        values = pa.array([meaning(value) for value in chunk.dictionary.to_pylist()], pa.bool_())
        chunks.append(values.take(chunk.indices))
    return pa.chunked_array(chunks, pa.bool_())


def _map_dictionary(
    column: pa.ChunkedArray, in_order: Callable[[pa.Array], bool], change: ValueMapper
) -> pa.ChunkedArray:
    """``column`` with its dictionaries' values changed, where they are not in order."""
    if all(in_order(chunk.dictionary) for chunk in column.chunks):
        return column
    chunks = []
    for chunk in column.chunks:
        changed = list(change(chunk.dictionary.to_pylist()))
        distinct = list(dict.fromkeys(value for value in changed if value is not None))
        place = {value: index for index, value in enumerate(distinct)}
        moved = pa.array([None if value is None else place[value] for value in changed], pa.int32())
        chunks.append(
            pa.DictionaryArray.from_arrays(
                moved.take(chunk.indices), pa.array(distinct, pa.string())
            )
        )
    return pa.chunked_array(chunks, DICTIONARY_TYPE)
