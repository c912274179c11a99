"""The directory of accounts: who belongs to which group, in what role, hired when."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TypeAlias

import polars as pl

from detector.core.schema import DIRECTORY
from detector.readers.csv_sheet import Sheet

KINDS = ("human", "service")

#: account, group, role, kind, hired
_Row: TypeAlias = tuple[str, str | None, str | None, str, date | None]


def load(path: Path) -> pl.DataFrame:
    """``schema.DIRECTORY`` from a CSV with account, and where known group, role, kind, hired.

    kind is ``human`` where it is not given; hired is a date such as 2024-02-06. Other columns
    are left aside. Raises InputError, with the line, for the first thing wrong.
    """
    sheet = Sheet.open(path, "account,group,role,kind")
    sheet.require("account")
    rows: dict[str, _Row] = {}
    for line, values in sheet.rows():
        row = _parse_row(sheet, line, values)
        if row[0] in rows:
            raise sheet.row_error(line, f"account {row[0]!r} comes a second time")
        rows[row[0]] = row
    return pl.DataFrame(list(rows.values()), schema=dict(DIRECTORY), orient="row")


def with_lowercase(people: pl.DataFrame) -> pl.DataFrame:
    """``people`` with each account in lower and in upper case too, without blanks at its end, which
    is how logs of databases have it that take names in any case for one; an account that is listed
    so already stays as it is.
    """
    name = pl.col("account").str.strip_chars_end()
    forms = (name, name.str.to_lowercase(), name.str.to_uppercase())
    parts = [people, *(people.with_columns(account=form) for form in forms)]
    return pl.concat(parts).unique("account", keep="first", maintain_order=True)


def _parse_row(sheet: Sheet, line: int, values: dict[str, str]) -> _Row:
    account = values["account"]
    if not account:
        raise sheet.row_error(line, "has no account")
    kind = values.get("kind", "").lower() or "human"
    if kind not in KINDS:
        raise sheet.row_error(line, f"kind {kind!r} is not known", "it is human or service")
    hired = None
    if values.get("hired"):
        try:
            hired = date.fromisoformat(values["hired"])
        except ValueError:
            what = f"hired {values['hired']!r} is no date"
            raise sheet.row_error(line, what, "write it as 2024-02-06") from None
    return account, values.get("group") or None, values.get("role") or None, kind, hired
