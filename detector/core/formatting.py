"""Figures as people read them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path


def path_text(path: str | Path) -> str:
    r"""A file's name as text; bytes in it that are no UTF-8 stand as ``\xff``."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def count(value: float | None) -> str:
    """A count: 1,430,112; ``unknown`` where the log does not say."""
    return "unknown" if value is None else f"{round(value):,}"


def quantity(value: float | None, noun: str) -> str:
    """A count with its noun, of which the plural takes an s: 1 record, 2 records."""
    number = count(value)
    return f"{number} {noun}" if number == "1" else f"{number} {noun}s"


def percentage(value: float) -> str:
    """A share in per cent; what is not nothing, or not all, is never rounded to it."""
    if 0 < value < 0.001:
        return "under 0.1%"
    if 0.999 < value < 1:
        return "over 99.9%"
    return f"{value:.1%}"


def name_list(values: Sequence[str] | None, most: int = 3) -> str:
    """Some names in a row, the first few of many."""
    shown = list(values or [])
    return ", ".join(shown[:most]) + (", ..." if len(shown) > most else "")
