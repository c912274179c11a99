"""Which known log a file holds: a copy of it, the rest of it, or the same shortened or edited."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from detector.normalize.source import HELD
from detector.watch import content_matching
from detector.watch import log_position as logs
from detector.watch.log_content import Content, Plain
from detector.watch.log_position import HEAD, STREAMS, Log

#: The most of an idle log's unread rest that another file is compared with.
REST: Final = 1 << 20
#: How the reason begins of a log that is not any more what was read.
CHANGED: Final = "was shortened or edited"


def twin(known: Mapping[int, Log], content: Content) -> Log | None:
    """The log of which this content is a copy, or the rest."""
    heads: dict[int, str] = {}
    for log in _comparable(known):
        size = log.head_size
        if size not in heads:
            heads[size] = logs.digest(content.read(0, size))
        if heads[size] == log.head and logs.is_anchored(log, content.read):
            return log
    return None


def prefixed(
    known: Mapping[int, Log], contents: Mapping[int, Content], content: Content
) -> Log | None:
    """The log whose beginning is all of this content: a copy that is being made, or was cut."""
    if not isinstance(content, Plain):
        return None
    for log in _comparable(known):
        if _is_prefix(log, contents.get(log.id), content):
            return log
    return None


def _comparable(known: Mapping[int, Log]) -> list[Log]:
    return [log for log in known.values() if log.told and log.form not in {"whole", *STREAMS}]


def _is_prefix(log: Log, mine: Content | None, content: Plain) -> bool:
    size = content.status.st_size
    if not size or size >= log.position:
        return False
    if mine is not None:
        start = max(0, size - logs.ANCHOR)
        head = min(HEAD, size)
        return mine.read(start, size - start) == content.read(start, size - start) and (
            mine.read(0, head) == content.read(0, head)
        )
    if log.head_size != HEAD or size < HEAD:
        return False
    if logs.digest(content.read(0, HEAD)) != log.head:
        return False
    found = content_matching.known(
        log, content_matching.first_lines(content.read), content.read, size
    )
    # Where its last lines are told of, they must be the log's.
    return found is None or not found.certain or b"\n" not in content.read(found.position, REST)


def related(
    known: Mapping[int, Log], content: Content, size: int, cut: int | None
) -> tuple[Log, content_matching.Known] | None:
    """The log that this content was, before lines of it were lost, or edited; and how far it is
    known. ``cut`` is the id of the log that stood in the same file.
    """
    first = content_matching.first_lines(content.read)
    if not first:
        return None
    found = sorted(_comparable(known), key=lambda log: (log.id != cut, -log.id))
    for log in found:
        if log.id != cut and len(first) < content_matching.ALIKE:
            continue  # it may be but the header that both have
        how_far = content_matching.known(log, first, content.read, size)
        if how_far is not None:
            return log, how_far
    return None


def going_on(log: Log, content: Content, position: int, path: Path, words: str) -> Log:
    """A new log in ``path`` whose content up to ``position`` was counted as that of ``log``."""
    tail = {name: value for name, value in log.tail.items() if name != HELD}
    own = Log(0, str(path), 0, 0, log.source, "growing", reason=words, tail=tail, skipped=1,
              last=log.last)  # fmt: skip
    return replace(own, **content_matching.begun(own, content.read, position))


def is_of_its_own(log: Log, mine: Content | None, content: Content) -> bool:
    """Whether content that begins with all that was read of a live log is more than that log's
    file: then it is no copy of it.
    """
    if not isinstance(mine, Plain) or not isinstance(content, Plain):
        return False
    size = mine.status.st_size
    rest = size - log.position
    if not 0 <= rest <= REST or content.status.st_size <= size:
        return False
    return mine.read(log.position, rest) == content.read(log.position, rest)
