"""Files that hold no known log: which format they have, and what the ledger had of them before."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from detector.core.errors import DetectorError, InputError
from detector.core.settings import Settings
from detector.normalize.containment import in_memory
from detector.normalize.format_detection import recognise
from detector.normalize.source import HEADER, Source, Tail
from detector.readers.compression import MAX, MIB, Identifying, Identity
from detector.watch import torn_writes
from detector.watch.deduplication import Before
from detector.watch.log_content import Content, Packed
from detector.watch.log_position import HEAD, Form, Log

#: Bytes of a new file that are compared with what is known at one look.
SLICE: Final = 128 * MIB
#: A beginning this long that no source accepts is not going to become a log.
ENOUGH: Final = HEAD


@dataclass(frozen=True, slots=True)
class Looks:
    """What decides how files are found. A file is complete when it is older than ``settle``
    seconds; ``sources`` are behind the veil.
    """

    arguments: Sequence[str]
    sources: Mapping[str, Source]
    settings: Settings
    source: str | None
    settle: float


@dataclass(slots=True)
class Strangers:
    """``before`` knows what the ledger had."""

    before: Before
    identifying: dict[tuple[int, int], Identifying] = field(default_factory=dict)

    def log(
        self,
        fresh: Log,
        content: Content,
        looks: Looks,
        known: Mapping[int, Log],
        *,
        settled: bool,
        finish: bool,
    ) -> Log | None:
        """What is in the file of a ``fresh`` log; None where that is known only at a later look."""
        path = Path(fresh.path)
        tail: Tail = {}
        if content.read(0, 1) == b"\0" and not torn_writes.stretch(content, 0)[1]:
            return None  # room that was made beforehand
        try:
            files, _ = recognise([path], looks.sources, looks.settings, looks.source)
            source = files[0][1]
        except InputError as error:
            before = _headless(path, content, looks, known)
            if before is None:
                size = path.stat().st_size
                if not settled and size < ENOUGH:
                    return None
                return replace(fresh, stage="left out", reason=error.reason, position=size)
            source, tail = looks.sources[before.source], {HEADER: before.tail[HEADER]}
        form: Form = "packed" if isinstance(content, Packed) else "growing"
        if not source.follows(content.read(0, HEAD)):
            form = "whole"
            if not settled:
                return None
        found = replace(fresh, source=source.name, form=form, tail=tail)
        sizes = self.before.sizes(content, source)
        if sizes is None:
            return found
        place = (fresh.device, fresh.inode)
        identity = self._identified(path, place, sizes, finish=finish)
        if identity is None:
            return None
        of_ledger = self.before.known(path, content, source, identity)
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

    def _identified(
        self, path: Path, place: tuple[int, int], sizes: Collection[int], *, finish: bool
    ) -> Identity | None:
        """What a file contains; None where that is known only at a later look."""
        reading = self.identifying.setdefault(place, Identifying(path, sizes))
        try:
            found = reading.step(MAX if finish else SLICE)
        except InputError:
            del self.identifying[place]  # it is gone
            return None
        if found is not None:
            del self.identifying[place]
        return found


def _headless(path: Path, content: Content, looks: Looks, known: Mapping[int, Log]) -> Log | None:
    """The log that stood under the same name, whose header the file goes on with: one that was
    copied and cut short has its header in the copy alone.
    """
    alike = [log for log in known.values() if log.path == str(path) and HEADER in log.tail]
    data = content.read(0, HEAD)
    if not alike or b"\n" not in data:
        return None
    before = max(alike, key=lambda log: log.id)
    growing = looks.sources[before.source].growing
    if growing is None:
        return None
    with in_memory(data[: growing.cut(data)]) as piece:
        try:
            read = growing.read(piece, looks.settings, {HEADER: before.tail[HEADER]})
            return before if any(batch.events.height for batch in read) else None
        except DetectorError:
            return None
