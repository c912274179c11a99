"""The header of a CSV log: its delimiter and its columns' names."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from typing import Final

from detector.core.errors import InputError
from detector.core.settings import Settings
from detector.readers import blocks, column_names

DELIMITERS: Final = (",", ";", "\t", "|")


@dataclass(frozen=True, slots=True)
class Header:
    """``names`` are unique; the data begins ``size`` bytes in, on the ``lines``-th line after."""

    names: list[str]
    delimiter: str
    byte_count: int
    line_count: int


def sniff(data: bytes, settings: Settings) -> Header | None:
    """The header that ``data`` (the beginning of a log) starts with; None if it has no record.

    The delimiter is the one that gives the required columns, else the one that gives most.
    """
    data = data.removeprefix(blocks.BOM)
    size = lines = 0
    record = b""
    for record in blocks.split_records(data, quoted=True):
        size += len(record)
        lines += record.count(b"\n")
        if record.strip():
            break
    text = record.decode("utf-8", "replace").strip("\r\n")
    if not text.strip():
        return None
    best: tuple[tuple[bool, int], Header] | None = None
    for delimiter in DELIMITERS:
        try:
            cells = next(csv.reader([text], delimiter=delimiter), [])
        except csv.Error:
            continue
        header = Header(_unique_names(cells), delimiter, size, lines)
        found = column_names.find(header.names, settings)
        rank = (column_names.is_complete(found), len(header.names))
        if best is None or rank > best[0]:
            best = (rank, header)
    return best[1] if best else None


def require_header(
    data: bytes, settings: Settings, where: str
) -> tuple[Header, column_names.Columns]:
    """The header and its columns. Raises InputError where they cannot be made out."""
    header = sniff(data, settings)
    if header is None:
        raise InputError("is empty", where=where, hint="a CSV log starts with its columns' names")
    if len(header.names) < 2 or any(_is_number(name) for name in header.names):
        raise InputError(
            "has no header that can be made out",
            where=where,
            hint="the first line must name the columns, separated by comma, semicolon, tab or |",
        )
    return header, column_names.require(header.names, settings, where)


def _is_number(name: str) -> bool:
    return bool(name) and name.strip()[:1].isdigit()


def _unique_names(cells: list[str]) -> list[str]:
    """Names made unique: the second ``user`` becomes ``user (2)``, an empty one ``column 3``."""
    names: list[str] = []
    for index, cell in enumerate(cells):
        name = base = cell.strip() or f"column {index + 1}"
        count = 1
        while name in names:
            count += 1
            name = f"{base} ({count})"
        names.append(name)
    return names
