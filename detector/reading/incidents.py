"""A CSV of incidents that are known: who took records, from when to when."""

from __future__ import annotations

import csv
import difflib
import io
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import polars as pl
import pyarrow as pa

from detector.errors import InputError
from detector.reading import dialect, opening, records, times
from detector.schema import INCIDENTS
from detector.settings import Settings

KINDS: Final = ("account", "client_address", "group", "object")
#: An end that lies ahead is no fault: the incident goes on.
LATEST: Final = datetime(9000, 1, 1, tzinfo=UTC)
#: A time without a clock, in the column ``end``, means the end of that day.
DATE: Final = "%Y-%m-%d"


def load(path: Path, settings: Settings) -> pl.DataFrame:
    """``schema.INCIDENTS`` from a CSV with account (or entity_kind and entity), start and end.

    campaign, kind and records may be there too; each row is an incident of its own where there is
    no campaign. Times that name no zone are of ``settings.log_timezone``; an end that is a date
    means its last moment. Raises InputError, with the line, for the first thing wrong.
    """
    names, rows = _read(path)
    _demand_columns(names, path)
    lines = [line for line, _ in rows]
    cells = [dict(zip(names, values, strict=True)) for _, values in rows]
    if not rows:
        raise InputError("names no incident", where=path, hint="it needs a row for each")
    start = _times(cells, "start", lines, path, settings)
    end = _times(cells, "end", lines, path, settings)
    found = []
    for at, (line, row) in enumerate(zip(lines, cells, strict=True)):
        begins, ends = start[at], end[at]
        if ends < begins:
            raise _refused(path, line, f"ends {row['end']!r} before it starts {row['start']!r}")
        kind, entity = _entity(row, path, line)
        taken = _records(row.get("records", ""), path, line)
        campaign = row.get("campaign") or f"line {line}"
        found.append((campaign, row.get("kind") or None, kind, entity, begins, ends, taken))
    return pl.DataFrame(found, schema=dict(INCIDENTS), orient="row")


def _read(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """The header's names, and line and cells of each row after it."""
    try:
        data = b"".join(data for data, _ in opening.chunks(path))
        text = data.removeprefix(records.BOM).decode()
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise _refused(path, line, "is not valid UTF-8", "save the file as UTF-8") from None
    except opening.Truncated as error:
        raise InputError(f"breaks off: {error.reason}", where=path) from None
    header = dialect.sniff(data, Settings())
    if header is None:
        raise InputError("is empty", where=path, hint="it starts with: account,start,end")
    names = [name.strip().lower() for name in header.names]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=header.delimiter, strict=True)
    rows: list[tuple[int, list[str]]] = []
    try:
        rows += (
            (reader.line_num, [cell.strip() for cell in cells])
            for cells in reader
            if any(cell.strip() for cell in cells)
        )
    except csv.Error as error:
        raise _refused(path, reader.line_num, f"is no CSV: {error}") from None
    for line, cells in rows[1:]:
        if len(cells) != len(names):
            what = f"has {len(cells)} columns where the header has {len(names)}"
            raise _refused(path, line, what, "put quotes around a cell with a delimiter in it")
    return names, rows[1:]


def _demand_columns(names: list[str], path: Path) -> None:
    wanted = ["start", "end"] if "entity" in names else ["account", "start", "end"]
    for name in wanted:
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            hint = (
                f"rename {near[0]!r} to it" if near else f"its columns are {', '.join(names[:8])}"
            )
            raise InputError(f"no column {name!r}", where=path, hint=hint)


def _entity(row: dict[str, str], path: Path, line: int) -> tuple[str, str]:
    """Kind and name of who it was."""
    kind = row.get("entity_kind", "").lower() or "account"
    if kind not in KINDS:
        raise _refused(
            path, line, f"entity_kind {kind!r} is not known", f"it is {', '.join(KINDS)}"
        )
    name = row.get("entity") or (row.get("account", "") if kind == "account" else "")
    if not name:
        raise _refused(path, line, f"names no {kind}", "fill it in or delete the line")
    return kind, name


def _records(text: str, path: Path, line: int) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) < 19):
        raise _refused(path, line, f"records {text!r} is no number", "write it as 43000000")
    return int(text)


def _times(
    cells: list[dict[str, str]], column: str, lines: list[int], path: Path, settings: Settings
) -> list[datetime]:
    texts = [row[column] for row in cells]
    days = [_date(text) for text in texts]
    whole = [
        f"{day:%Y-%m-%d} 00:00:00" if day else text for text, day in zip(texts, days, strict=True)
    ]
    if column == "end":
        # The midnight after: 23:59:59 would leave the last second of the day out.
        whole = [
            f"{day + timedelta(days=1):%Y-%m-%d} 00:00:00" if day else text
            for text, day in zip(texts, days, strict=True)
        ]
    instants, problems = times.parse(
        pa.chunked_array([pa.array(whole, pa.string())]), settings.log_timezone, LATEST
    )
    wrong = sorted((int(at), reason) for mask, reason in problems for at in mask.arg_true())
    for at, reason in wrong:
        hint = "write it as 2024-02-06 08:00:00 or 2024-02-06T08:00:00Z"
        raise _refused(path, lines[at], f"{column} {texts[at]!r}: {reason}", hint)
    return instants.to_list()


def _date(text: str) -> datetime | None:
    try:
        return datetime.strptime(text, DATE)  # noqa: DTZ007 - a day; its zone is told later
    except ValueError:
        return None


def _refused(path: Path, line: int, what: str, hint: str = "") -> InputError:
    return InputError(f"line {line}: {what}", where=path, hint=hint)
