"""The directory of accounts: who belongs to which group, in what role, hired when."""

from __future__ import annotations

import csv
import difflib
import io
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Protocol, TypeAlias

import polars as pl

from detector.errors import InputError
from detector.reading import dialect, opening, records
from detector.schema import DIRECTORY
from detector.settings import Settings

KINDS = ("human", "service")

#: account, group, role, kind, hired
_Row: TypeAlias = tuple[str, str | None, str | None, str, date | None]


class _Reader(Protocol):
    """What ``csv.reader`` gives, which has no public type."""

    line_num: int

    def __iter__(self) -> Iterator[list[str]]: ...


def load(path: Path) -> pl.DataFrame:
    """``schema.DIRECTORY`` from a CSV with account, and where known group, role, kind, hired.

    kind is ``human`` where it is not given; hired is a date such as 2024-02-06. Other columns
    are left aside. Raises InputError, with the line, for the first thing wrong.
    """
    try:
        data = b"".join(data for data, _ in opening.chunks(path))
        text = data.removeprefix(records.BOM).decode()
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise InputError(f"line {line} is not valid UTF-8", where=path) from None
    except opening.Truncated as error:
        raise InputError(f"breaks off: {error.reason}", where=path) from None
    header = dialect.sniff(data, Settings())
    if header is None:
        raise InputError("is empty", where=path, hint="it starts with: account,group,role,kind")
    names = [name.strip().lower() for name in header.names]
    if "account" not in names:
        near = difflib.get_close_matches("account", names, n=1)
        shown = ", ".join(names[:8])
        raise InputError(
            "no column 'account'",
            where=path,
            hint=f"rename {near[0]!r} to it" if near else f"its columns are {shown}",
        )
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=header.delimiter, strict=True)
    try:
        rows = _rows(reader, names, path)
    except csv.Error as error:
        raise InputError(f"line {reader.line_num}: is no CSV: {error}", where=path) from None
    return pl.DataFrame(rows, schema=dict(DIRECTORY), orient="row")


def _rows(reader: _Reader, names: list[str], path: Path) -> list[_Row]:
    """The rows after the header. Raises InputError, and csv.Error as the reader does."""
    rows: dict[str, _Row] = {}
    begun = False
    for cells in reader:
        if not any(cell.strip() for cell in cells):
            continue
        if not begun:
            begun = True
            continue
        row = _row(names, cells, path, reader.line_num)
        if row[0] in rows:
            raise InputError(
                f"line {reader.line_num}: account {row[0]!r} comes a second time", where=path
            )
        rows[row[0]] = row
    return list(rows.values())


def _row(names: list[str], cells: list[str], path: Path, line: int) -> _Row:
    def refuse(what: str, hint: str = "") -> InputError:
        return InputError(f"line {line}: {what}", where=path, hint=hint)

    if len(cells) != len(names):
        raise refuse(f"has {len(cells)} columns where the header has {len(names)}")
    values = {name: cell.strip() for name, cell in zip(names, cells, strict=True)}
    account = values["account"]
    if not account:
        raise refuse("has no account")
    kind = values.get("kind", "").lower() or "human"
    if kind not in KINDS:
        raise refuse(f"kind {kind!r} is not known", "it is human or service")
    hired = None
    if values.get("hired"):
        try:
            hired = date.fromisoformat(values["hired"])
        except ValueError:
            raise refuse(
                f"hired {values['hired']!r} is no date", "write it as 2024-02-06"
            ) from None
    return account, values.get("group") or None, values.get("role") or None, kind, hired
