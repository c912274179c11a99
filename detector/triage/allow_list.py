"""The allow-list: a TOML file of what is expected, which stands under version control."""

from __future__ import annotations

import tomllib
from collections.abc import Collection
from datetime import date
from pathlib import Path
from typing import Annotated, Final

from msgspec import Meta

from detector.core.errors import SettingsError, VerdictError
from detector.core.setting_types import MAX_RECORDS
from detector.core.validation import Text, Types, convert_table, said, words_error
from detector.features.aggregates import ENTITY_KINDS
from detector.triage.records import check_end, clean_text
from detector.triage.suppression import Expectation

_COUNT: Final = said(
    Annotated[int, Meta(ge=0, le=MAX_RECORDS)], "{key} = {value!r} is no number of them"
)
_WORDS: Final = said(str, "{key} is no text", "put it in quotes")
_KIND: Final = said(str, "{key} = {value!r}", f"it is {', '.join(ENTITY_KINDS)}")
TYPES: Final[Types] = {
    "entity_kind": _KIND,
    "entity": said(Text, "{key} is no name"),
    "reason": said(str | list[str], "{key} = {value!r} is not known", "give families of features"),
    "until": said(date, "{key} is no date", "write it as 2024-06-30"),
    "by": _WORDS,
    "why": _WORDS,
    "rows": _COUNT,
    "unknown_rows_statements": _COUNT,
    "records_out": _COUNT,
}
OPTIONAL_KEYS: Final = ("unknown_rows_statements", "records_out")
REQUIRED_KEYS: Final = tuple(key for key in TYPES if key not in OPTIONAL_KEYS)


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
    told = convert_table(TYPES, table, where, "unknown key {key!r}")
    for key in REQUIRED_KEYS:
        if key not in told:
            hint = f"each needs {', '.join(REQUIRED_KEYS)}"
            raise SettingsError(f"has no {key}", where=where, hint=hint)
    check_end(told["until"], today, f"{where}: until")
    if told["entity_kind"] not in ENTITY_KINDS:
        raise words_error(_KIND, "entity_kind", told["entity_kind"], where)
    reason = [told["reason"]] if isinstance(told["reason"], str) else told["reason"]
    if not reason or not set(reason) <= set(families):
        hint = f"give families of features: {', '.join(sorted(families))}"
        raise SettingsError(f"reason = {told['reason']!r} is not known", where=where, hint=hint)
    return Expectation(
        entity_kind=told["entity_kind"],
        entity=told["entity"],
        families=frozenset(reason),
        after=None,
        until=told["until"],
        rows=told["rows"],
        records_out=told.get("records_out"),
        unknown_rows_statements=told.get("unknown_rows_statements", 0),
        author=clean_text(told["by"], f"{where}: by"),
        reason=clean_text(told["why"], f"{where}: why"),
    )
