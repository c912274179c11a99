"""What people wrote in a table, held against the types of its keys, by msgspec.

Each type bears its words: ``said(Text, "{key} must name a file", 'such as "a.ics"')``. A value of
another type is refused by them. A key without a type is a slip of the pen: the nearest is told.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any, Final, TypeAlias

import msgspec
from msgspec import Meta

from detector.core.errors import SettingsError

#: The types of a table's keys, each made by ``said``.
Types: TypeAlias = Mapping[str, Any]
#: A text that is not empty.
Text: TypeAlias = Annotated[str, Meta(min_length=1)]
#: What TOML has by itself: a text is no date.
_NATIVE: Final = (date, datetime)


def said(kind: Any, what: str, hint: str = "") -> Any:
    """A type with the words for what is not of it: ``{key}`` and ``{value!r}`` stand for both."""
    return Annotated[kind, Meta(description=what, extra={"hint": hint})]


def whole_number(least: int, most: int, head: str = "") -> Any:
    """The type of whole numbers from the least to the most; ``head`` begins its words."""
    words = f"{head}{{key}} = {{value!r}} must be a whole number from {least} to {most:,}"
    return said(Annotated[int, Meta(ge=least, le=most)], words)


def convert_table(
    types: Types, table: Mapping[str, Any], where: str | Path | None, unknown: str
) -> dict[str, Any]:
    """The values of ``table`` as the ``types`` of its keys hold them. Raises SettingsError.

    ``unknown`` are the words for a key that has no type.
    """
    for key in table:
        check_key(key, types, where, unknown)
    return {key: convert(types[key], key, table[key], where) for key in table}


def check_key(
    key: str, known: Collection[str], where: str | Path | None, unknown: str, hint: str = ""
) -> None:
    """Raises SettingsError where ``key`` is not ``known``; the hint names what may be meant."""
    if key not in known:
        near = difflib.get_close_matches(key, known, n=1)
        near_hint = (
            f"did you mean {near[0]!r}?" if near else f"known are {', '.join(sorted(known))}"
        )
        raise SettingsError(unknown.format(key=key), where=where, hint=hint or near_hint)


def convert(kind: Any, key: str, value: object, where: str | Path | None) -> Any:
    """A value as its type holds it. Raises SettingsError, in the words of the type."""
    try:
        return msgspec.convert(value, kind, builtin_types=_NATIVE)
    except ValueError:  # also of a text that no file can hold
        raise words_error(kind, key, value, where) from None


def words_error(
    kind: Any, key: str, value: object, where: str | Path | None = None
) -> SettingsError:
    """The error for a value that is not of a type."""
    words = kind.__metadata__[-1]
    what = words.description.format(key=key, value=value)
    return SettingsError(what, where=where, hint=words.extra["hint"])
