"""The allow-list: a TOML file of what is expected, which stands under version control."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Collection, Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final

from detector.core.errors import SettingsError, VerdictError
from detector.core.settings import MAX_RECORDS
from detector.features.aggregates import ENTITY_KINDS
from detector.triage.records import check_end, clean_text
from detector.triage.suppression import Expectation

REQUIRED_KEYS: Final = ("entity_kind", "entity", "reason", "until", "by", "why", "rows")
OPTIONAL_KEYS: Final = ("unknown_rows_statements", "records_out")


def load(path: Path, families: Collection[str], today: date) -> list[Expectation]:
    """Its ``[[expected]]`` tables; ``families`` are the reasons there are.

    Those whose day has passed are given too: days of before may be scored again. Raises
    VerdictError, naming the file and the table, for anything that is not all there.
    """
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise VerdictError("no such allow-list", where=path) from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise VerdictError(f"cannot be read: {error}", where=path) from error
    tables = raw.get("expected", [])
    if set(raw) - {"expected"} or not isinstance(tables, list):
        hint = "it holds [[expected]] tables and nothing else"
        raise VerdictError("is no allow-list", where=path, hint=hint)
    found = []
    for number, table in enumerate(tables, start=1):
        where = f"{path}: [[expected]] {number}"
        try:
            found.append(_parse_expectation(table, where, families, today))
        except SettingsError as error:
            raise VerdictError(error.what, where=error.where, hint=error.hint) from None
    return found


def _parse_expectation(
    table: object, where: str, families: Collection[str], today: date
) -> Expectation:
    if not isinstance(table, dict):
        raise SettingsError("is no table", where=where)
    _check_keys(table, where)
    until = table["until"]
    if not isinstance(until, date) or isinstance(until, datetime):
        raise SettingsError("until is no date", where=where, hint="write it as 2024-06-30")
    check_end(until, today, f"{where}: until")
    reason = table["reason"]
    reason = [reason] if isinstance(reason, str) else reason
    if not isinstance(reason, list) or not reason or not set(map(str, reason)) <= set(families):
        hint = f"give families of features: {', '.join(sorted(families))}"
        raise SettingsError(f"reason = {table['reason']!r} is not known", where=where, hint=hint)
    if table["entity_kind"] not in ENTITY_KINDS:
        hint = f"it is {', '.join(ENTITY_KINDS)}"
        raise SettingsError(f"entity_kind = {table['entity_kind']!r}", where=where, hint=hint)
    entity = table["entity"]
    if not isinstance(entity, str) or not entity:
        raise SettingsError("entity is no name", where=where)
    return Expectation(
        entity_kind=table["entity_kind"],
        entity=entity,
        families=frozenset(reason),
        after=None,
        until=until,
        rows=_parse_count(table, "rows", where),
        records_out=_parse_count(table, "records_out", where) if "records_out" in table else None,
        unknown_rows_statements=_parse_count(table, "unknown_rows_statements", where),
        author=_parse_text(table, "by", where),
        reason=_parse_text(table, "why", where),
    )


def _check_keys(table: Mapping[str, Any], where: str) -> None:
    known = (*REQUIRED_KEYS, *OPTIONAL_KEYS)
    for key in table:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"
            raise SettingsError(f"unknown key {key!r}", where=where, hint=hint)
    for key in REQUIRED_KEYS:
        if key not in table:
            what = f"has no {key}"
            raise SettingsError(what, where=where, hint=f"each needs {', '.join(REQUIRED_KEYS)}")


def _parse_text(table: Mapping[str, Any], key: str, where: str) -> str:
    if not isinstance(table[key], str):
        raise SettingsError(f"{key} is no text", where=where, hint="put it in quotes")
    return clean_text(table[key], f"{where}: {key}")


def _parse_count(table: Mapping[str, Any], key: str, where: str) -> int:
    value = table.get(key, 0)
    if type(value) is not int or not 0 <= value <= MAX_RECORDS:
        raise SettingsError(f"{key} = {value!r} is no number of them", where=where)
    return value
