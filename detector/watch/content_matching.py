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
from detector.watch.log_position import Log, ReadBytes

#: Lines whose digests are kept, of the beginning and of what was read last, and bytes of a digest.
FIRST_LINES: Final = 64
LAST_LINES: Final = 512
DIGEST_BYTES: Final = 6
#: Lines that two logs must have in common at their beginning where they differ in others.
MIN_COMMON_LINES: Final = 2
#: Where the last known line is not found, and not all of the first ones are the same.
MIN_COMMON_WITHOUT_END: Final = 8
#: Bytes before the position in which the last known line is looked for, and after it.
SEARCH_BACK: Final = 64 * MIB
SEARCH_AHEAD: Final = MIB
#: Lines in a row that tell a place: one alone may be anywhere, such as a use of a database.
LINES_IN_ROW: Final = 3
OVERLAP: Final = 1 << 18
#: Lines behind them of which one may have been edited, and one behind it be known.
NEAR_LINES: Final = 4


@dataclass(frozen=True, slots=True)
class KnownPrefix:
    """Some content is known up to ``position``; ``is_certain`` where its last lines told so."""

    position: int
    is_certain: bool


def _digests(lines: list[bytes]) -> list[bytes]:
    return [hashlib.blake2b(line, digest_size=DIGEST_BYTES).digest() for line in lines if line]


def _encode_digests(found: list[bytes]) -> str:
    return base64.b64encode(b"".join(found)).decode()


def _decode_digests(text: str) -> list[bytes]:
    data = base64.b64decode(text)
    return [data[at : at + DIGEST_BYTES] for at in range(0, len(data), DIGEST_BYTES)]


def _last_lines(data: bytes) -> list[bytes]:
    """The last lines of ``data``, whole ones only where there are more."""
    return (
        data.rsplit(b"\n", LAST_LINES + 1)[1:]
        if data.count(b"\n") > LAST_LINES
        else data.split(b"\n")
    )


def digests_after(log: Log, data: bytes) -> dict[str, Any]:
    """The digests of ``log`` once ``data``, whole entries at its position, were read."""
    last = _digests(_last_lines(data))
    if len(last) < LAST_LINES:
        last = [*_decode_digests(log.last_lines), *last]
    first = log.first_lines
    if log.position < logs.HEAD_BYTES and len(first) < len(
        _encode_digests([bytes(DIGEST_BYTES)] * FIRST_LINES)
    ):
        more = _digests(data[: logs.HEAD_BYTES].split(b"\n", FIRST_LINES)[:FIRST_LINES])
        first = _encode_digests([*_decode_digests(first), *more][:FIRST_LINES])
    return {"first_lines": first, "last_lines": _encode_digests(last[-LAST_LINES:])}


def first_lines(read: ReadBytes) -> list[bytes]:
    """The digests of the first whole lines of some content."""
    return _digests(read(0, logs.HEAD_BYTES).split(b"\n")[:-1][:FIRST_LINES])


def match_prefix(log: Log, first: list[bytes], read: ReadBytes, size: int) -> KnownPrefix | None:
    """How far content of ``size`` bytes, with these ``first`` lines, is that of ``log``; None where
    it is another's.
    """
    mine = _decode_digests(log.first_lines)
    count = min(len(first), len(mine))
    alike = len({*first[:count]} & {*mine})
    same = first[:count] == mine[:count]
    if not count or not (same or (alike > count / 2 and alike >= MIN_COMMON_LINES)):
        return None
    until = min(log.position, size)
    end = _find_known_end(_decode_digests(log.last_lines), read, until, size)
    if end is not None:
        return KnownPrefix(end, is_certain=True)
    if not same and alike < MIN_COMMON_WITHOUT_END:
        return None
    return KnownPrefix(_line_start(read, until), is_certain=False)


def _find_known_end(last: list[bytes], read: ReadBytes, position: int, size: int) -> int | None:
    """Where the last lines end that stand one after the other in ``last``, about ``position``."""
    length = min(LINES_IN_ROW, len(last))
    runs = {tuple(last[at : at + length]) for at in range(len(last) - length + 1)}
    end = min(size, position + SEARCH_AHEAD)
    stop = max(0, position - SEARCH_BACK)
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
                near = range(min(number + NEAR_LINES, len(found)) - 1, number - 1, -1)
                more = next((at for at in near if found[at] in beyond), number - 1)
                return start + ends[more]
        end = start + (OVERLAP if start > stop else 0)
    return None


def _line_start(read: ReadBytes, position: int) -> int:
    """Where the line that holds ``position`` begins, or begins there."""
    start = max(0, position - MIB)
    data = read(start, position - start)
    return start + data.rfind(b"\n") + 1


def identity_fields(log: Log, read: ReadBytes, position: int) -> dict[str, Any]:
    """All by which a log is known again that begins as ``log`` and is known up to ``position``."""
    lines = 0
    for start in range(0, position, 8 * MIB):
        lines += read(start, min(8 * MIB, position - start)).count(b"\n")
    start = max(0, position - MIB)
    last = _digests(_last_lines(read(start, position - start)))
    return {
        "position": position,
        "line": lines,
        "first_lines": _encode_digests(first_lines(read)) or log.first_lines,
        "last_lines": _encode_digests(last[-LAST_LINES:]),
        **logs.position_fields(read, position),
    }
