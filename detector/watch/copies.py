"""Which known log a file holds: a copy of it, the rest of it, or the same shortened or edited."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from detector.watch import content_matching
from detector.watch import log_position as logs
from detector.watch.log_content import LogContent, PlainFile
from detector.watch.log_position import HEAD_BYTES, STREAMS, Log

#: The most of an idle log's unread rest that another file is compared with.
MAX_REST: Final = 1 << 20
#: How the reason begins of a log that is not any more what was read.
CHANGED_REASON: Final = "was shortened or edited"


def find_copy(known: Mapping[int, Log], content: LogContent) -> Log | None:
    """The log of which this content is a copy, or the rest."""
    heads: dict[int, str] = {}
    for log in _comparable_logs(known):
        size = log.head_size
        if size not in heads:
            heads[size] = logs.digest(content.read(0, size))
        if heads[size] == log.head and logs.is_anchored(log, content.read):
            return log
    return None


def find_partial_copy(
    known: Mapping[int, Log], contents: Mapping[int, LogContent], content: LogContent
) -> Log | None:
    """The log whose beginning is all of this content: a copy that is being made, or was cut."""
    if not isinstance(content, PlainFile):
        return None
    for log in _comparable_logs(known):
        if _is_prefix(log, contents.get(log.id), content):
            return log
    return None


def _comparable_logs(known: Mapping[int, Log]) -> list[Log]:
    return [
        log for log in known.values() if log.has_content and log.form not in {"whole", *STREAMS}
    ]


def _is_prefix(log: Log, mine: LogContent | None, content: PlainFile) -> bool:
    size = content.status.st_size
    if not size or size >= log.position:
        return False
    if mine is not None:
        start = max(0, size - logs.ANCHOR_BYTES)
        head = min(HEAD_BYTES, size)
        return mine.read(start, size - start) == content.read(start, size - start) and (
            mine.read(0, head) == content.read(0, head)
        )
    if log.head_size != HEAD_BYTES or size < HEAD_BYTES:
        return False
    if logs.digest(content.read(0, HEAD_BYTES)) != log.head:
        return False
    found = content_matching.match_prefix(
        log, content_matching.first_lines(content.read), content.read, size
    )
    # Where its last lines are told of, they must be the log's.
    return (
        found is None or not found.is_certain or b"\n" not in content.read(found.position, MAX_REST)
    )


def find_edited(
    known: Mapping[int, Log], content: LogContent, size: int, cut: int | None
) -> tuple[Log, content_matching.KnownPrefix] | None:
    """The log that this content was, before lines of it were lost, or edited; and how far it is
    known. ``cut`` is the id of the log that stood in the same file.
    """
    first = content_matching.first_lines(content.read)
    if not first:
        return None
    found = sorted(_comparable_logs(known), key=lambda log: (log.id != cut, -log.id))
    for log in found:
        if log.id != cut and len(first) < content_matching.MIN_COMMON_LINES:
            continue  # it may be but the header that both have
        how_far = content_matching.match_prefix(log, first, content.read, size)
        if how_far is not None:
            return log, how_far
    return None


def continue_log(log: Log, content: LogContent, position: int, path: Path, words: str) -> Log:
    """A new log in ``path`` whose content up to ``position`` was counted as that of ``log``."""
    tail = log.tail.without_pending()
    own = Log(0, str(path), 0, 0, log.source, "growing", reason=words, tail=tail, skipped=1,
              last=log.last)  # fmt: skip
    return replace(own, **content_matching.identity_fields(own, content.read, position))


def has_own_content(log: Log, mine: LogContent | None, content: LogContent) -> bool:
    """Whether content that begins with all that was read of a live log is more than that log's
    file: then it is no copy of it.
    """
    if not isinstance(mine, PlainFile) or not isinstance(content, PlainFile):
        return False
    size = mine.status.st_size
    rest = size - log.position
    if not 0 <= rest <= MAX_REST or content.status.st_size <= size:
        return False
    return mine.read(log.position, rest) == content.read(log.position, rest)
