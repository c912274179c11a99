"""What a crash leaves in a log: NULs where lines were (ext4 and XFS do that), and what is no text.

A stretch of NULs is skipped with a reject. One that reaches to the end of a file may be room that
was made beforehand and is still to be written: it waits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from detector.readers import blocks
from detector.readers.compression import MIB
from detector.watch.log_content import Content, Plain

#: Bytes of NULs that are looked through at once.
_SLICE: Final = 8 * MIB
#: Bytes by which text is told from what is none.
_SHOWN: Final = 400


@dataclass(frozen=True, slots=True)
class Skipped:
    """``size`` bytes that hold no entry: ``rejects`` are lines (counted from 1) and reasons."""

    size: int
    lines: int
    rejects: list[tuple[int | None, str]]


def stretch(content: Content, position: int) -> tuple[int, bool]:
    """How many NULs stand at ``position``, and whether anything follows them."""
    count = 0
    while data := content.read(position + count, _SLICE):
        if isinstance(content, Plain) and not data.strip(b"\0"):
            # Room that was never written to is skipped without reading it.
            count += max(len(data), content.written_from(position + count) - position - count)
            continue
        rest = data.lstrip(b"\0")
        count += len(data) - len(rest)
        if rest:
            return count, True
    return count, False


def begins_badly(data: bytes, position: int) -> bool:
    """Whether what stands at ``position`` of a log is no beginning of an entry."""
    return data.startswith(b"\0") or (position > 0 and blocks.is_foreign(data[:_SHOWN]))


def skipped(content: Content, data: bytes, position: int, *, ended: bool) -> Skipped | None:
    """What of ``data``, which begins badly at ``position``, is skipped; None where it must wait."""
    if position and blocks.is_foreign(data[:_SHOWN]):
        return _foreign(data, ended=ended)
    count, follows = stretch(content, position)
    if not follows and not ended:
        return None
    return Skipped(count, 0, [(1, blocks.nuls(count))])


def _foreign(data: bytes, *, ended: bool) -> Skipped | None:
    """Lines that are UTF-16, or no text, in the middle of a log."""
    at = 0
    bad: list[tuple[int | None, str]] = []
    while at < len(data) and blocks.is_foreign(data[at : at + _SHOWN]):
        end = data.find(b"\n", at) + 1
        if not end and not ended and len(data) < _SLICE:
            break  # the rest of the line is to come
        bad.append((len(bad) + 1, blocks.NUL))
        at = end or len(data)
    return Skipped(at, data.count(b"\n", 0, at), bad) if bad else None
