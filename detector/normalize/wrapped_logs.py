"""Logs that shippers wrap in JSON or write in UTF-16, followed while they grow."""

from __future__ import annotations

from dataclasses import replace

from detector.normalize.source import Source
from detector.readers import encodings, envelopes
from detector.readers.plain_text import PROBE_BYTES, unwrap_head


def follow_envelopes(source: Source) -> Source:
    """``source``, which follows logs that are wrapped too: their lines are whole entries.

    UTF-16 is read once complete: cut at a newline, its pieces would begin in mid-character.
    """
    inner = source.follow_reader
    if inner is None:
        return source
    cut, fits = inner.cut, inner.can_follow

    def ends(data: bytes) -> int:
        wrapped = envelopes.detect(data[:PROBE_BYTES]) is not None
        return data.rfind(b"\n") + 1 if wrapped else cut(data)

    def fit(head: bytes) -> bool:
        return not encodings.utf_16_codec(head) and fits(unwrap_head(head))

    return replace(source, follow_reader=replace(inner, cut=ends, can_follow=fit))
