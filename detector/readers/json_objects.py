"""JSON objects of a log as a frame: one a line, or the elements of an array that may be cut off.

Servers write arrays that have no closing bracket while the log is open, one object a line or each
over many lines. In JSON a line cannot break inside a text, so a line that begins with a brace
begins an object, unless that stands inside another one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from detector.core.prefetch import read_ahead
from detector.readers.blocks import BOM, Reject
from detector.readers.compression import MIB
from detector.readers.log_input import LogInput
from detector.readers.text_entries import EntryBatch, Offsets, last_entry_start, read_entries

_IS_SEPARATOR: Final = np.isin(np.arange(256), np.frombuffer(b" \t\r[,", np.uint8))
_MAX_INDENT: Final = 16
_SEPARATORS: Final = re.compile(r"[ \t\r\n,]*")
#: Large enough that what each block costs besides its objects does not count.
_BLOCK_BYTES: Final = 16 * MIB
_EXTRA_COLUMNS: Final = {"line": pl.Int64(), "raw": pl.String()}
BROKEN_OBJECT_REASON: Final = "is not a whole JSON object"
_FOREIGN_OBJECT_REASON: Final = "is JSON, but not an object of this log"


@dataclass(frozen=True, slots=True)
class ObjectBatch:
    """``frame`` has the columns of a schema, and of each object ``line`` (Int64), where it begins,
    and ``raw`` (String), its JSON: polars does not escape all that it puts into text again.
    """

    frame: pl.DataFrame
    rejects: list[Reject]
    raw_bytes: int


def read_objects(log: LogInput, schema: Mapping[str, pl.DataType]) -> Iterator[ObjectBatch]:
    """The objects of ``log``, some thousands at a time, as ``schema`` (text, and structs of it).

    A value of another type is given as the JSON it is, an absent one as null. Raises InputError
    where the file is unreadable or UTF-16.
    """
    return read_ahead(_read_batches(log, schema))


def _read_batches(log: LogInput, schema: Mapping[str, pl.DataType]) -> Iterator[ObjectBatch]:
    for found in read_entries(log, object_starts, _BLOCK_BYTES):
        rejects = list(found.rejects)
        if found.preamble.strip(" \t\r\n[],"):
            rejects.append(Reject(1, BROKEN_OBJECT_REASON))
        frame, bad = _parse_entries(found, schema)
        yield ObjectBatch(frame, rejects + bad, found.raw_bytes)


def first_objects(head: bytes, most: int = 20) -> list[dict[str, Any]]:
    """The first objects at the beginning of a log; those that are cut or broken are left out.

    None where it begins with something else than an object or an array.
    """
    if head.removeprefix(BOM).lstrip()[:1] not in {b"{", b"["}:
        return []
    data = np.frombuffer(head, np.uint8)
    ends = np.flatnonzero(data == ord("\n")) + 1
    places = object_starts(data, np.concatenate(([0], ends)))[: most + 1].tolist()
    found: list[dict[str, Any]] = []
    for place, end in pairwise([*places, len(head)]):
        text = head[place:end].decode("utf-8", "replace").strip(" \t\r\n,[]")
        found += [each for each in _load_values(text, cut=True) or () if isinstance(each, dict)]
    return found


def object_starts(data: npt.NDArray[np.uint8], lines: Offsets) -> Offsets:
    """Lines whose first character, but for what is between objects, is a brace."""
    waiting, found = lines[lines < len(data)], []
    begun = waiting.copy()
    for _ in range(_MAX_INDENT):
        if not len(waiting):
            break
        first = data[waiting]
        found.append(begun[first == ord("{")])
        more = _IS_SEPARATOR[first] & (waiting + 1 < len(data))
        waiting, begun = waiting[more] + 1, begun[more]
    return np.sort(np.concatenate([np.empty(0, np.int64), *found]))


def complete_length(data: bytes) -> int:
    """How many bytes of ``data`` are whole objects: ``Growing.cut``. What an object is, the next
    one tells.
    """
    return last_entry_start(data, object_starts)


def _parse_entries(
    found: EntryBatch, schema: Mapping[str, pl.DataType]
) -> tuple[pl.DataFrame, list[Reject]]:
    lines = pl.Series("line", found.lines, dtype=pl.Int64)
    if not len(found.texts):
        return pl.DataFrame(schema={**schema, **_EXTRA_COLUMNS}), []
    frame = _parse_fast(found.data, len(lines), schema)
    if frame is not None:  # one object a line, nothing between them
        return frame.with_columns(lines, found.texts.alias("raw")), []
    texts = found.texts.str.strip_chars(" \t\r\n,[]")
    flat = texts.str.replace_all("\n", " ", literal=True)
    frame = _parse_fast(flat.str.join("\n").item().encode(), len(lines), schema)
    if frame is not None:
        return frame.with_columns(lines, flat.alias("raw")), []
    return _parse_slow(texts, lines, schema)


def _parse_fast(data: bytes, count: int, schema: Mapping[str, pl.DataType]) -> pl.DataFrame | None:
    """All of ``data`` at once; None where it is not ``count`` objects, one a line."""
    try:
        frame = pl.read_ndjson(data, schema=dict(schema), ignore_errors=False)
    except (pl.exceptions.PolarsError, ValueError):
        return None
    return frame if frame.height == count else None


def _parse_slow(
    texts: pl.Series, lines: pl.Series, schema: Mapping[str, pl.DataType]
) -> tuple[pl.DataFrame, list[Reject]]:
    """Each object by itself: what is none costs itself only."""
    rows: list[dict[str, Any]] = []
    rejects: list[Reject] = []
    for text, line in zip(texts, lines, strict=True):
        found, rest = _split_values(text)
        for each, before in found:
            row = _cast_value(each, schema)
            if row is None:
                rejects.append(Reject(line + before, _FOREIGN_OBJECT_REASON))
            else:
                rows.append(
                    {**row, "line": line + before, "raw": _replace_surrogates(json.dumps(each))}
                )
        rejects += [Reject(line + before, BROKEN_OBJECT_REASON) for before in rest]
    return pl.DataFrame(rows, schema={**schema, **_EXTRA_COLUMNS}), rejects


def _split_values(text: str) -> tuple[list[tuple[Any, int]], list[int]]:
    """The JSON values that ``text`` begins with, and after which of its lines each begins; and the
    same of what is none behind them, which may be a neighbour's line and is not to cost them.
    """
    decoder, at, line, found = json.JSONDecoder(), 0, 0, []
    try:
        while at < len(text):
            each, end = decoder.raw_decode(text, at)
            found.append((each, line))
            between = _SEPARATORS.match(text, end)
            further = end if between is None else between.end()
            line += text.count("\n", at, further)
            at = further
    except (ValueError, RecursionError):
        pass
    if at >= len(text):
        return found, []
    # A line that is an object and more is damaged as a whole.
    found = [(each, begins) for each, begins in found if begins != line]
    rest = text[at:].split("\n") if at else [text]
    return found, [line + number for number, part in enumerate(rest) if part.strip(" \t\r,[]")]


def _load_values(text: str, *, cut: bool = False) -> list[Any] | None:
    """The objects in a text, several where an array stands on one line; None for no JSON.

    Where ``cut`` is set, what comes before an end that is missing counts.
    """
    try:
        return [json.loads(text)]
    except (ValueError, RecursionError):
        pass
    decoder, at, found = json.JSONDecoder(), 0, []
    try:
        while at < len(text):
            each, at = decoder.raw_decode(text, at)
            found.append(each)
            at += len(text[at:]) - len(text[at:].lstrip(" \t\r\n,"))
    except (ValueError, RecursionError):
        return found if cut else None
    return found


def _cast_value(value: object, schema: Mapping[str, pl.DataType]) -> dict[str, Any] | None:
    """``value`` as ``schema``; None where it is no object."""
    if not isinstance(value, dict):
        return None
    row: dict[str, Any] = {}
    for name, kind in schema.items():
        own = value.get(name)
        if isinstance(kind, pl.Struct):
            fields = {field.name: field.dtype for field in kind.fields}
            row[name] = _cast_value(own, fields)  # type: ignore[arg-type]
        elif own is None or isinstance(own, str):
            row[name] = own and _replace_surrogates(own)
        else:
            row[name] = _replace_surrogates(json.dumps(own))
    return row


def _replace_surrogates(text: str) -> str:
    """Text that UTF-8 can hold: JSON can escape half a surrogate pair."""
    return text.encode("utf-8", "replace").decode()
