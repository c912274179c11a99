"""Logs that shippers wrap in JSON or write in UTF-16, followed while they grow."""

from __future__ import annotations

from dataclasses import replace

from detector.normalize.source import Source
from detector.readers import encodings, envelopes
from detector.readers.plain_text import LOOKED_AT, shown


def growing(source: Source) -> Source:
    """``source``, which follows logs that are wrapped too: their lines are whole entries.

    UTF-16 is read once complete: cut at a newline, its pieces would begin in mid-character.
    """
    inner = source.growing
    if inner is None:
        return source
    cut, fits = inner.cut, inner.fits

    def ends(data: bytes) -> int:
        wrapped = envelopes.found(data[:LOOKED_AT]) is not None
        return data.rfind(b"\n") + 1 if wrapped else cut(data)

    def fit(head: bytes) -> bool:
        return not encodings.utf_16(head) and fits(shown(head))

    return replace(source, growing=replace(inner, cut=ends, fits=fit))
