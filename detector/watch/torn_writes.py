"""What a crash leaves in a log: NULs where lines were (ext4 and XFS do that), and what is no text.

A stretch of NULs is skipped with a reject. One that reaches to the end of a file may be room that
was made beforehand and is still to be written: it waits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from detector.readers import blocks
from detector.readers.compression import MIB
from detector.watch.log_content import LogContent, PlainFile

#: Bytes of NULs that are looked through at once.
_SLICE_BYTES: Final = 8 * MIB
#: Bytes by which text is told from what is none.
_PROBE_BYTES: Final = 400


@dataclass(frozen=True, slots=True)
class TornBytes:
    """``size`` bytes that hold no entry: ``rejects`` are lines (counted from 1) and reasons."""

    size: int
    lines: int
    rejects: list[tuple[int | None, str]]


def count_nuls(content: LogContent, position: int) -> tuple[int, bool]:
    """How many NULs stand at ``position``, and whether anything follows them."""
    count = 0
    while data := content.read(position + count, _SLICE_BYTES):
        if isinstance(content, PlainFile) and not data.strip(b"\0"):
            # Room that was never written to is skipped without reading it.
            count += max(len(data), content.next_data_offset(position + count) - position - count)
            continue
        rest = data.lstrip(b"\0")
        count += len(data) - len(rest)
        if rest:
            return count, True
    return count, False


def is_torn(data: bytes, position: int) -> bool:
    """Whether what stands at ``position`` of a log is no beginning of an entry."""
    return data.startswith(b"\0") or (position > 0 and blocks.is_binary(data[:_PROBE_BYTES]))


def skip_torn(content: LogContent, data: bytes, position: int, *, ended: bool) -> TornBytes | None:
    """What of ``data``, which begins badly at ``position``, is skipped; None where it must wait."""
    if position and blocks.is_binary(data[:_PROBE_BYTES]):
        return _skip_foreign(data, ended=ended)
    count, follows = count_nuls(content, position)
    if not follows and not ended:
        return None
    return TornBytes(count, 0, [(1, blocks.nul_reason(count))])


def _skip_foreign(data: bytes, *, ended: bool) -> TornBytes | None:
    """Lines that are UTF-16, or no text, in the middle of a log."""
    at = 0
    bad: list[tuple[int | None, str]] = []
    while at < len(data) and blocks.is_binary(data[at : at + _PROBE_BYTES]):
        end = data.find(b"\n", at) + 1
        if not end and not ended and len(data) < _SLICE_BYTES:
            break  # the rest of the line is to come
        bad.append((len(bad) + 1, blocks.NUL_BYTE_REASON))
        at = end or len(data)
    return TornBytes(at, data.count(b"\n", 0, at), bad) if bad else None
