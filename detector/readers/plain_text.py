"""A log's own lines as UTF-8 text: decompressed, decoded, out of what shippers wrap them in.

Readers of text take their bytes from here. Whoever must know the file as it is on disk, to
recognise it again, takes them from ``opening``.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Final, TypeAlias

from detector.readers import compression, encodings, envelopes
from detector.readers.log_input import LogInput

Chunk: TypeAlias = tuple[bytes, int]
#: What logs begin with of which more must be seen: JSON, and text that is not UTF-8.
_PROBED_STARTS: Final = (b"{", *encodings.UTF_16_CODECS)
_BLANK_BYTES: Final = b"\xef\xbb\xbf \t\r\n"
#: How much of a log is looked at to learn how it is wrapped.
PROBE_BYTES: Final = compression.MIB


def chunks(log: LogInput, size: int = 8 * compression.MIB) -> Iterator[Chunk]:
    """As ``opening.chunks``, but text. Raises InputError and opening.Truncated as it does."""
    first, content = _peek(compression.chunks(log, size))
    if codec := encodings.utf_16_codec(first):
        first, content = _peek(encodings.transcode_utf_16(content, codec))
    envelope = envelopes.detect(first)
    return content if envelope is None else envelopes.unwrap(content, envelope)


def _peek(chunks: Iterator[Chunk]) -> tuple[bytes, Iterator[Chunk]]:
    """What ``chunks`` begin with, and all of them."""
    seen: list[Chunk] = []
    first = b""
    broken: compression.TruncatedError | None = None
    try:
        for each in chunks:
            seen.append(each)
            first += each[0]
            if len(first) >= PROBE_BYTES or not first.lstrip(_BLANK_BYTES).startswith(
                _PROBED_STARTS
            ):
                break
    except compression.TruncatedError as error:
        broken = error
    return first[:PROBE_BYTES], chain(seen, chunks if broken is None else _raise_later(broken))


def _raise_later(error: compression.TruncatedError) -> Iterator[Chunk]:
    raise error
    yield


def head(log: LogInput, size: int = 1 << 16) -> bytes:
    """The first ``size`` bytes of ``chunks``, fewer where there are no more. Raises InputError."""
    return compression.first_bytes(chunks(log, size), size)


def unwrap_head(beginning: bytes) -> bytes:
    """The text of a log that begins so, decompressed already."""
    envelope = envelopes.detect(beginning[:PROBE_BYTES])
    if envelope is None:
        return beginning
    return b"".join(data for data, _ in envelopes.unwrap(iter([(beginning, 0)]), envelope))
