"""Files that hold no known log: which format they have, and what the ledger had of them before."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from detector.core.errors import DetectorError, InputError
from detector.core.settings import Settings
from detector.normalize.format_detection import detect
from detector.normalize.reader_state import ReaderState
from detector.normalize.source import Source
from detector.readers.compression import MIB, NO_LIMIT, ContentHasher, ContentIdentity
from detector.readers.log_input import HeldBytes, LocalFile
from detector.watch import torn_writes
from detector.watch.deduplication import LedgerContents
from detector.watch.log_content import CompressedFile, LogContent
from detector.watch.log_position import HEAD_BYTES, Log, LogForm

#: Bytes of a new file that are compared with what is known at one look.
BYTES_PER_LOOK: Final = 128 * MIB
#: A beginning this long that no source accepts is not going to become a log.
ENOUGH_BYTES: Final = HEAD_BYTES


@dataclass(frozen=True, slots=True)
class FileSearch:
    """What decides how files are found. A file is complete when it is older than ``settle_seconds``
    seconds; ``sources`` are behind the veil.
    """

    arguments: Sequence[str]
    sources: Mapping[str, Source]
    settings: Settings
    source: str | None
    settle_seconds: float


@dataclass(slots=True)
class UnknownFiles:
    """``before`` knows what the ledger had."""

    ledger_contents: LedgerContents
    hashers: dict[tuple[int, int], ContentHasher] = field(default_factory=dict)

    def identify(
        self,
        fresh: Log,
        content: LogContent,
        looks: FileSearch,
        known: Mapping[int, Log],
        *,
        settled: bool,
        finish: bool,
    ) -> Log | None:
        """What is in the file of a ``fresh`` log; None where that is known only at a later look."""
        path = Path(fresh.path)
        tail = ReaderState()
        if content.read(0, 1) == b"\0" and not torn_writes.count_nuls(content, 0)[1]:
            return None  # room that was made beforehand
        try:
            files, _ = detect([LocalFile(path)], looks.sources, looks.settings, looks.source)
            source = files[0][1]
        except InputError as error:
            before = _find_header_log(path, content, looks, known)
            if before is None:
                size = path.stat().st_size
                if not settled and size < ENOUGH_BYTES:
                    return None
                return replace(fresh, stage="left out", reason=error.reason, position=size)
            source, tail = looks.sources[before.source], ReaderState(header=before.tail.header)
        form: LogForm = "packed" if isinstance(content, CompressedFile) else "growing"
        if not source.can_follow(content.read(0, HEAD_BYTES)):
            form = "whole"
            if not settled:
                return None
        found = replace(fresh, source=source.name, form=form, tail=tail)
        sizes = self.ledger_contents.prefix_sizes(content, source)
        if sizes is None:
            return found
        place = (fresh.device, fresh.inode)
        identity = self._content_identity(path, place, sizes, finish=finish)
        if identity is None:
            return None
        of_ledger = self.ledger_contents.find_known(path, content, source, identity)
        if of_ledger is None:
            return found
        known_as = replace(of_ledger, id=fresh.id, path=fresh.path, form=form)
        return replace(
            known_as,
            device=fresh.device,
            inode=fresh.inode,
            size=fresh.size,
            stamp=fresh.stamp,
        )

    def _content_identity(
        self, path: Path, place: tuple[int, int], sizes: Collection[int], *, finish: bool
    ) -> ContentIdentity | None:
        """What a file contains; None where that is known only at a later look."""
        reading = self.hashers.setdefault(place, ContentHasher(LocalFile(path), sizes))
        try:
            found = reading.step(NO_LIMIT if finish else BYTES_PER_LOOK)
        except InputError:
            del self.hashers[place]  # it is gone
            return None
        if found is not None:
            del self.hashers[place]
        return found


def _find_header_log(
    path: Path, content: LogContent, looks: FileSearch, known: Mapping[int, Log]
) -> Log | None:
    """The log that stood under the same name, whose header the file goes on with: one that was
    copied and cut short has its header in the copy alone.
    """
    alike = [log for log in known.values() if log.path == str(path) and log.tail.header]
    data = content.read(0, HEAD_BYTES)
    if not alike or b"\n" not in data:
        return None
    before = max(alike, key=lambda log: log.id)
    growing = looks.sources[before.source].follow_reader
    if growing is None:
        return None
    piece = HeldBytes(data[: growing.cut(data)], str(path))
    try:
        read = growing.read(piece, looks.settings, ReaderState(header=before.tail.header))
        return before if any(batch.events.height for batch in read) else None
    except DetectorError:
        return None
