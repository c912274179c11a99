"""Whether content is a known log's, though it is not what was read of it: shortened, or edited.

A log keeps digests of its first lines and of the last ones before its position. By the first it is
known again, by the last is found where what was read of it ends: what stands before is not counted
again.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from typing import Any, Final

from detector.readers.compression import MIB
from detector.watch import log_position as logs
from detector.watch.log_position import Bytes, Log

#: Lines whose digests are kept, of the beginning and of what was read last, and bytes of a digest.
FIRST: Final = 64
LAST: Final = 512
WIDTH: Final = 6
#: Lines that two logs must have in common at their beginning where they differ in others.
ALIKE: Final = 2
#: Where the last known line is not found, and not all of the first ones are the same.
MANY: Final = 8
#: Bytes before the position in which the last known line is looked for, and after it.
BACK: Final = 64 * MIB
AHEAD: Final = MIB
#: Lines in a row that tell a place: one alone may be anywhere, such as a use of a database.
RUN: Final = 3
OVERLAP: Final = 1 << 18
#: Lines behind them of which one may have been edited, and one behind it be known.
NEAR: Final = 4


@dataclass(frozen=True, slots=True)
class Known:
    """Some content is known up to ``position``; ``certain`` where its last lines told so."""

    position: int
    certain: bool


def _digests(lines: list[bytes]) -> list[bytes]:
    return [hashlib.blake2b(line, digest_size=WIDTH).digest() for line in lines if line]


def _packed(found: list[bytes]) -> str:
    return base64.b64encode(b"".join(found)).decode()


def _unpacked(text: str) -> list[bytes]:
    data = base64.b64decode(text)
    return [data[at : at + WIDTH] for at in range(0, len(data), WIDTH)]


def _last_lines(data: bytes) -> list[bytes]:
    """The last lines of ``data``, whole ones only where there are more."""
    return data.rsplit(b"\n", LAST + 1)[1:] if data.count(b"\n") > LAST else data.split(b"\n")


def after(log: Log, data: bytes) -> dict[str, Any]:
    """The digests of ``log`` once ``data``, whole entries at its position, were read."""
    last = _digests(_last_lines(data))
    if len(last) < LAST:
        last = [*_unpacked(log.last_lines), *last]
    first = log.first_lines
    if log.position < logs.HEAD and len(first) < len(_packed([bytes(WIDTH)] * FIRST)):
        more = _digests(data[: logs.HEAD].split(b"\n", FIRST)[:FIRST])
        first = _packed([*_unpacked(first), *more][:FIRST])
    return {"first_lines": first, "last_lines": _packed(last[-LAST:])}


def first_lines(read: Bytes) -> list[bytes]:
    """The digests of the first whole lines of some content."""
    return _digests(read(0, logs.HEAD).split(b"\n")[:-1][:FIRST])


def known(log: Log, first: list[bytes], read: Bytes, size: int) -> Known | None:
    """How far content of ``size`` bytes, with these ``first`` lines, is that of ``log``; None where
    it is another's.
    """
    mine = _unpacked(log.first_lines)
    count = min(len(first), len(mine))
    alike = len({*first[:count]} & {*mine})
    same = first[:count] == mine[:count]
    if not count or not (same or (alike > count / 2 and alike >= ALIKE)):
        return None
    until = min(log.position, size)
    end = _known_end(_unpacked(log.last_lines), read, until, size)
    if end is not None:
        return Known(end, certain=True)
    if not same and alike < MANY:
        return None
    return Known(_line_start(read, until), certain=False)


def _known_end(last: list[bytes], read: Bytes, position: int, size: int) -> int | None:
    """Where the last lines end that stand one after the other in ``last``, about ``position``."""
    length = min(RUN, len(last))
    runs = {tuple(last[at : at + length]) for at in range(len(last) - length + 1)}
    end = min(size, position + AHEAD)
    stop = max(0, position - BACK)
    while last and end > stop:
        start = max(stop, end - MIB)
        data = read(start, end - start)
        ends: list[int] = []
        found: list[bytes] = []
        at = 0
        for line in data.split(b"\n"):
            at += len(line) + 1
            if line:
                found += _digests([line])
                ends.append(min(at, len(data)))
        for number in range(len(found), length - 1, -1):
            if tuple(found[number - length : number]) in runs:
                beyond = last[last.index(found[number - 1]) + 1 :]
                near = range(min(number + NEAR, len(found)) - 1, number - 1, -1)
                more = next((at for at in near if found[at] in beyond), number - 1)
                return start + ends[more]
        end = start + (OVERLAP if start > stop else 0)
    return None


def _line_start(read: Bytes, position: int) -> int:
    """Where the line that holds ``position`` begins, or begins there."""
    start = max(0, position - MIB)
    data = read(start, position - start)
    return start + data.rfind(b"\n") + 1


def begun(log: Log, read: Bytes, position: int) -> dict[str, Any]:
    """All by which a log is known again that begins as ``log`` and is known up to ``position``."""
    lines = 0
    for start in range(0, position, 8 * MIB):
        lines += read(start, min(8 * MIB, position - start)).count(b"\n")
    start = max(0, position - MIB)
    last = _digests(_last_lines(read(start, position - start)))
    return {
        "position": position,
        "line": lines,
        "first_lines": _packed(first_lines(read)) or log.first_lines,
        "last_lines": _packed(last[-LAST:]),
        **logs.marks(read, position),
    }
