"""A CSV of incidents that are known: who took records, from when to when."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import polars as pl
import pyarrow as pa

from detector.core.errors import InputError
from detector.core.schema import INCIDENTS
from detector.core.settings import Settings
from detector.normalize import timestamps
from detector.readers.csv_sheet import Sheet

ENTITY_KINDS: Final = ("account", "client_address", "group", "object")
#: An end that lies ahead is no fault: the incident goes on.
MAX_TIME: Final = datetime(9000, 1, 1, tzinfo=UTC)
#: A time without a clock, in the column ``end``, means the end of that day.
DATE_FORMAT: Final = "%Y-%m-%d"


def load(path: Path, settings: Settings) -> pl.DataFrame:
    """``schema.INCIDENTS`` from a CSV with account (or entity_kind and entity), start and end.

    campaign, kind and records may be there too; each row is an incident of its own where there is
    no campaign. Times that name no zone are of ``settings.log_timezone``; an end that is a date
    means its last moment. Raises InputError, with the line, for the first thing wrong.
    """
    sheet = Sheet.open(path, "account,start,end")
    sheet.require(*(() if "entity" in sheet.names else ("account",)), "start", "end")
    rows = list(sheet.rows())
    if not rows:
        raise InputError("names no incident", where=path, hint="it needs a row for each")
    start = _parse_times(sheet, rows, "start", settings)
    end = _parse_times(sheet, rows, "end", settings)
    found = []
    for (line, row), begins, ends in zip(rows, start, end, strict=True):
        if ends < begins:
            raise sheet.row_error(line, f"ends {row['end']!r} before it starts {row['start']!r}")
        kind, entity = _parse_entity(sheet, line, row)
        taken = _parse_records(sheet, line, row.get("records", ""))
        campaign = row.get("campaign") or f"line {line}"
        found.append((campaign, row.get("kind") or None, kind, entity, begins, ends, taken))
    return pl.DataFrame(found, schema=dict(INCIDENTS), orient="row")


def _parse_entity(sheet: Sheet, line: int, row: dict[str, str]) -> tuple[str, str]:
    """Kind and name of who it was."""
    kind = row.get("entity_kind", "").lower() or "account"
    if kind not in ENTITY_KINDS:
        what = f"entity_kind {kind!r} is not known"
        raise sheet.row_error(line, what, f"it is {', '.join(ENTITY_KINDS)}")
    name = row.get("entity") or (row.get("account", "") if kind == "account" else "")
    if not name:
        raise sheet.row_error(line, f"names no {kind}", "fill it in or delete the line")
    return kind, name


def _parse_records(sheet: Sheet, line: int, text: str) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) < 19):
        raise sheet.row_error(line, f"records {text!r} is no number", "write it as 43000000")
    return int(text)


def _parse_times(
    sheet: Sheet, rows: list[tuple[int, dict[str, str]]], column: str, settings: Settings
) -> list[datetime]:
    texts = [row[column] for _, row in rows]
    days = [_parse_date(text) for text in texts]
    whole = [
        f"{day:%Y-%m-%d} 00:00:00" if day else text for text, day in zip(texts, days, strict=True)
    ]
    if column == "end":
        # The midnight after: 23:59:59 would leave the last second of the day out.
        whole = [
            f"{day + timedelta(days=1):%Y-%m-%d} 00:00:00" if day else text
            for text, day in zip(texts, days, strict=True)
        ]
    instants, problems = timestamps.parse(
        pa.chunked_array([pa.array(whole, pa.string())]), settings.log_timezone, MAX_TIME
    )
    wrong = sorted((int(at), reason) for mask, reason in problems for at in mask.arg_true())
    for at, reason in wrong:
        hint = "write it as 2024-02-06 08:00:00 or 2024-02-06T08:00:00Z"
        raise sheet.row_error(rows[at][0], f"{column} {texts[at]!r}: {reason}", hint)
    return instants.to_list()


def _parse_date(text: str) -> datetime | None:
    try:
        return datetime.strptime(text, DATE_FORMAT)  # noqa: DTZ007 - a day; its zone is told later
    except ValueError:
        return None
