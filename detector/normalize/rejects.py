"""Frames of rejects: what could not become an event, where, and why."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from detector.core.formatting import path_text
from detector.core.schema import REJECTS


def frame(name: str, found: Sequence[tuple[int | None, str]]) -> pl.DataFrame:
    """``schema.REJECTS`` of (line, reason) pairs of the log ``name``, in the lines' order."""
    ordered = sorted(found, key=lambda pair: pair[0] or 0)
    return pl.DataFrame(
        {
            "file": [path_text(name)] * len(ordered),
            "line": [line for line, _ in ordered],
            "reason": [reason for _, reason in ordered],
        },
        schema=dict(REJECTS),
    )
