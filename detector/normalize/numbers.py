"""Numbers as people's tools write them: 1,234.5 and 1.234,5 and 1 234,5.

``1,234`` is a thousand and more, or one and a bit. What tells is the column: numbers beside it that
can be only one of the two. Where nothing tells, the number is not read.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import Final, Literal, TypeAlias

#: Which mark stands before the decimals; "" where the column does not tell.
DecimalMark: TypeAlias = Literal[".", ",", ""]

_NUMBER: Final = re.compile(r"[+-]?(\d{1,30}(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)
_SPACE_GROUPED: Final = re.compile(
    r"[+-]?\d{1,3}(?:[ '\u2019\u00a0\u202f]\d{3})+(?:[.,]\d+)?", re.ASCII
)
_GROUP_SPACES: Final = re.compile(r"[ '\u2019\u00a0\u202f]")
_COMMA_GROUPED: Final = re.compile(r"[+-]?[1-9]\d{0,2}(?:,\d{3})+(?:\.\d+)?", re.ASCII)
_DOT_GROUPED: Final = re.compile(r"[+-]?[1-9]\d{0,2}(?:\.\d{3})+(?:,\d+)?", re.ASCII)
_COMMA_DECIMAL: Final = re.compile(r"[+-]?(?:\d+|[1-9]\d{0,2}(?:\.\d{3})+)?,\d+", re.ASCII)
_UNDER_THOUSAND: Final = re.compile(r"[+-]?\d{1,3}", re.ASCII)
_UNGROUPED_THOUSAND: Final = re.compile(r"[+-]?\d{4,}", re.ASCII)
_NULL_WORDS: Final = frozenset({"nan", "n/a", "na", "unknown"})


def is_plain(text: str) -> bool:
    """Whether a number is written as programs write it."""
    return _NUMBER.fullmatch(text) is not None


def decimal_mark(texts: Iterable[str]) -> DecimalMark:
    """The decimal mark of a column, told from all of its numbers."""
    dots = commas = open_ = short = long = False
    for text in texts:
        text = _GROUP_SPACES.sub("", text) if _SPACE_GROUPED.fullmatch(text) else text  # noqa: PLW2901
        if "," in text:
            grouped, decimal = _COMMA_GROUPED.fullmatch(text), _COMMA_DECIMAL.fullmatch(text)
            open_ |= bool(grouped and decimal)
            dots |= bool(grouped and not decimal)
            commas |= bool(decimal and not grouped)
        elif text.count(".") > 1:
            commas |= bool(_DOT_GROUPED.fullmatch(text))
        short |= bool(_UNDER_THOUSAND.fullmatch(text))
        long |= bool(_UNGROUPED_THOUSAND.fullmatch(text))
    if dots or commas:
        return "" if dots and commas else ("." if dots else ",")
    if not open_:
        return "."
    # Whoever parts thousands parts all of them, and leaves those below a thousand alone.
    return "," if long else ("." if short else "")


def parse_number(text: str, decimal: DecimalMark = ".") -> tuple[float | None, bool]:
    """(the number or None for none, whether the text is no number)."""
    if text.lower() in _NULL_WORDS:
        return None, False
    if text.lower().startswith("0x"):
        try:
            return float(int(text, 16)), False
        except (ValueError, OverflowError):
            return None, True
    text = _normalize(text, decimal)
    if not _NUMBER.fullmatch(text):
        return None, True
    found = float(text)
    return (found, False) if math.isfinite(found) else (None, True)


def _normalize(text: str, decimal: DecimalMark) -> str:
    """The number as programs write it; the text itself where it cannot be told."""
    if _SPACE_GROUPED.fullmatch(text):
        text = _GROUP_SPACES.sub("", text)
    if "," not in text and not (decimal == "," and _DOT_GROUPED.fullmatch(text)):
        return text
    grouped, comma = _COMMA_GROUPED.fullmatch(text), _COMMA_DECIMAL.fullmatch(text)
    if decimal != "," and grouped and (decimal == "." or not comma):
        return text.replace(",", "")
    if decimal == "," or (not decimal and comma and not grouped):
        return text.replace(".", "").replace(",", ".")
    return text
