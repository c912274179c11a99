"""What the ledger had of a log before it was followed: that is not counted again."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from detector.core.errors import InputError
from detector.core.settings import Settings
from detector.ledger import manifest
from detector.ledger.manifest import Part
from detector.normalize.reader_state import ReaderState
from detector.normalize.source import Source
from detector.readers.compression import MIB, ContentIdentity
from detector.watch import log_position as logs
from detector.watch.chunk_reader import chunk_tail
from detector.watch.commit import SOURCE
from detector.watch.log_content import LogContent
from detector.watch.log_position import Log


@dataclass(frozen=True, slots=True)
class LedgerContents:
    """``parts`` of the ledger, and ``logs`` that the state knows."""

    parts: Sequence[Part]
    logs: Mapping[int, Log]
    settings: Settings

    def prefix_sizes(self, content: LogContent, source: Source) -> set[int] | None:
        """The prefixes of a file by whose hashes it may be known; None where it cannot be."""
        files = [part for part in self.parts if part.source != SOURCE]
        if (not self._content_hashes and not files) or self._is_unknown(content, files, source):
            return None
        return {part.size for part in files}

    @property
    def _content_hashes(self) -> set[str]:
        found = {log.content for log in self.logs.values() if log.content}
        return found | {other for part in self.parts for other in part.replaced_ids}

    def find_known(
        self, path: Path, content: LogContent, source: Source, found: ContentIdentity
    ) -> Log | None:
        """The log in ``path``, whose content is ``found``, as far as it is known."""
        files = [part for part in self.parts if part.source != SOURCE]
        log = Log(0, str(path), 0, 0, source.name, "growing")
        size = path.stat().st_size
        # What was but rejected, by a wrong --source say, was never read.
        read = {part.id for part in files if part.events or not part.rejects}
        if found.sha256 in self._content_hashes | read:
            why = "its content is in the ledger"
            return Log(0, str(path), 0, 0, source.name, "whole", "copy", why, position=size)
        begun = [part for part in files if 0 < part.size < found.size
                 and found.prefixes.get(part.size) == part.id]  # fmt: skip
        if not begun or not source.can_follow(content.read(0, logs.HEAD_BYTES)):
            return None
        return _continue_part(log, content, source, self.settings, max(begun, key=lambda p: p.size))

    def _is_unknown(self, content: LogContent, files: Sequence[Part], source: Source) -> bool:
        """Whether its beginning tells that nothing of it is known. Whole files are compared."""
        first = content.read(0, manifest.HEAD_BYTES)
        if not source.can_follow(first):
            return False
        if len(first) < manifest.HEAD_BYTES or any(not part.head_digest for part in files):
            return False
        sizes = {min(part.size, manifest.HEAD_BYTES) for part in files if part.size}
        alike = {hashlib.sha256(first[:size]).hexdigest() for size in sizes}
        listed = any(log.content for log in self.logs.values()) or any(
            part.replaced_ids for part in self.parts
        )
        return not listed and not any(part.head_digest in alike for part in files)


def _continue_part(
    log: Log, content: LogContent, source: Source, settings: Settings, part: Part
) -> Log | None:
    """The log from where ``part`` ends; half a line there was told when the part was read."""
    at = part.size
    if content.read(at - 1, 1) != b"\n":
        at += content.read(at, MIB).find(b"\n") + 1
    growing = source.follow_reader
    assert growing is not None
    beginning = content.read(0, min(at, MIB))
    try:
        tail = chunk_tail(beginning[: growing.cut(beginning)], growing, settings)
    except InputError:
        tail = ReaderState()
    lines = 0
    for start in range(0, at, 8 * MIB):
        lines += content.read(start, min(8 * MIB, at - start)).count(b"\n")
    return replace(
        log,
        position=at,
        line=lines,
        tail=tail.without_pending().after(ReaderState(part.tail)),
        skipped=1,
        first=part.first,
        last=part.last,
        **logs.position_fields(content.read, at),
    )
