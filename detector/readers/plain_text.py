"""A log's own lines as UTF-8 text: decompressed, decoded, out of what shippers wrap them in.

Readers of text take their bytes from here. Whoever must know the file as it is on disk, to
recognise it again, takes them from ``opening``.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Final, TypeAlias

from detector.readers import compression, encodings, envelopes

Chunk: TypeAlias = tuple[bytes, int]
#: What logs begin with of which more must be seen: JSON, and text that is not UTF-8.
_BEGINNINGS: Final = (b"{", *encodings.UTF_16)
_BLANK: Final = b"\xef\xbb\xbf \t\r\n"
#: How much of a log is looked at to learn how it is wrapped.
LOOKED_AT: Final = compression.MIB


def chunks(path: Path, size: int = 8 * compression.MIB) -> Iterator[Chunk]:
    """As ``opening.chunks``, but text. Raises InputError and opening.Truncated as it does."""
    first, content = _peeked(compression.chunks(path, size))
    if codec := encodings.utf_16(first):
        first, content = _peeked(encodings.from_utf_16(content, codec))
    envelope = envelopes.found(first)
    return content if envelope is None else envelopes.opened(content, envelope)


def _peeked(chunks: Iterator[Chunk]) -> tuple[bytes, Iterator[Chunk]]:
    """What ``chunks`` begin with, and all of them."""
    seen: list[Chunk] = []
    first = b""
    broken: compression.Truncated | None = None
    try:
        for each in chunks:
            seen.append(each)
            first += each[0]
            if len(first) >= LOOKED_AT or not first.lstrip(_BLANK).startswith(_BEGINNINGS):
                break
    except compression.Truncated as error:
        broken = error
    return first[:LOOKED_AT], chain(seen, chunks if broken is None else _raising(broken))


def _raising(error: compression.Truncated) -> Iterator[Chunk]:
    raise error
    yield


def head(path: Path, size: int = 1 << 16) -> bytes:
    """The first ``size`` bytes of ``chunks``, fewer where there are no more. Raises InputError."""
    collected = b""
    try:
        for data, _ in chunks(path, size):
            collected += data
            if len(collected) >= size:
                break
    except compression.Truncated:
        pass  # the reader reports it, once it gets there
    return collected[:size]


def shown(beginning: bytes) -> bytes:
    """The text of a log that begins so, decompressed already."""
    envelope = envelopes.found(beginning[:LOOKED_AT])
    if envelope is None:
        return beginning
    return b"".join(data for data, _ in envelopes.opened(iter([(beginning, 0)]), envelope))
