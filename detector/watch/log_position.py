"""What is known of one followed log: how far it was read, and how to know it again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal, TypeAlias

import msgspec

from detector.normalize.reader_state import ReaderState

#: Bytes at the beginning, and before the position, by which a log is known again under another
#: name, as a copy, or compressed.
HEAD_BYTES: Final = 1 << 16
ANCHOR_BYTES: Final = 1 << 12

#: ``growing`` is read in pieces, its position in bytes; ``packed`` is compressed, its position in
#: bytes of its content; ``whole`` is read once complete, its position in batches. ``pipe`` is
#: standard input, which cannot be read again, its position in bytes of one run; ``topic``
#: is a partition of Kafka's, its position in bytes of its messages, a line each.
LogForm: TypeAlias = Literal["growing", "packed", "whole", "pipe", "topic"]
#: Those that are no files.
STREAMS: Final = frozenset({"pipe", "topic"})
#: ``copy`` holds what another log held; ``left out`` cannot be read.
LogStage: TypeAlias = Literal["open", "ended", "copy", "left out"]

#: ``Bytes(offset, length)`` of a log's content, fewer at its end.
ReadBytes: TypeAlias = Callable[[int, int], bytes]


@dataclass(frozen=True, slots=True)
class Log:
    """``position`` and ``line`` are what was read; ``tail`` what that left open.

    ``head`` and ``anchor`` are the sha256 of the first ``head_size`` bytes and of the
    ``anchor_size`` before the position; ``first_lines`` and ``last_lines`` are digests of its first
    lines and of the last ones before the position (see ``kin``). ``size`` (bytes on disk) and
    ``stamp`` (nanoseconds) are of the file when it was read, where it is read once.
    ``content`` is the sha256 of all, some time after
    it has ended; until then it is ``unhashed``.
    ``listed`` says that the ledger names it, so that batch knows the file. ``lost`` counts what of
    it was lost, for which ``reason`` has words. ``offset`` and ``within`` are Kafka's message, and
    how far into it, that the position stands for.
    """

    id: int
    path: str
    device: int
    inode: int
    source: str
    form: LogForm
    stage: LogStage = "open"
    reason: str = ""
    renamed: bool = False
    position: int = 0
    line: int = 0
    tail: ReaderState = field(default_factory=ReaderState)
    head_size: int = 0
    head: str = ""
    anchor_size: int = 0
    anchor: str = ""
    first_lines: str = ""
    last_lines: str = ""
    size: int = 0
    stamp: int = 0
    content: str = ""
    unhashed: bool = False
    listed: bool = False
    lost: int = 0
    offset: int = 0
    within: int = 0
    events: int = 0
    rejects: int = 0
    skipped: int = 0
    unknown: int = 0
    reads: int = 0
    untold: int = 0
    first: datetime | None = None
    last: datetime | None = None

    @property
    def has_content(self) -> bool:
        """Whether anything of it was taken in, so that its beginning tells it from others."""
        return self.position > 0 and self.events + self.rejects + self.skipped > 0

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        found: dict[str, Any] = msgspec.to_builtins(self)
        return found


def encode(log: Log) -> str:
    """``log`` as text."""
    return json.dumps(log.to_dict(), sort_keys=True)


def decode(text: str) -> Log:
    """What ``encode`` made. Raises ValueError, TypeError or KeyError.

    What is missing was not known yet when it was written.
    """
    raw = json.loads(text)
    raw["tail"] = ReaderState.from_dict(raw.get("tail", {})).to_dict()
    # Not by msgspec's own JSON: a path may hold bytes that are no UTF-8.
    return msgspec.convert(raw, Log)


def digest(data: bytes) -> str:
    """sha256, hex."""
    return hashlib.sha256(data).hexdigest()


def position_fields(read: ReadBytes, position: int) -> dict[str, Any]:
    """``head`` and ``anchor`` of a log that is read up to ``position``, with their sizes."""
    head = min(HEAD_BYTES, position)
    anchor = min(ANCHOR_BYTES, position)
    return {
        "head_size": head,
        "head": digest(read(0, head)),
        "anchor_size": anchor,
        "anchor": digest(read(position - anchor, anchor)),
    }


def is_anchored(log: Log, read: ReadBytes) -> bool:
    """Whether what stands before the position is what was read there."""
    if not log.position:
        return True
    return digest(read(log.position - log.anchor_size, log.anchor_size)) == log.anchor


def has_log_prefix(log: Log, read: ReadBytes) -> bool:
    """Whether some content begins with what was read of ``log``."""
    if not log.position:
        return True
    return digest(read(0, log.head_size)) == log.head and is_anchored(log, read)
