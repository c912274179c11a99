"""Hashes the content of logs that have ended, some of it each turn: a large one takes its time."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from detector.core.errors import InputError
from detector.readers.compression import MIB, NO_LIMIT, ContentHasher
from detector.readers.log_input import LocalFile, OpenFile
from detector.watch import log_position as logs
from detector.watch.log_content import CompressedFile, LogContent, PlainFile
from detector.watch.log_position import Log

#: Bytes hashed in one turn.
BYTES_PER_STEP: Final = 32 * MIB
#: Files that wait for it open.
MAX_OPEN_FILES: Final = 64


@dataclass(slots=True)
class _Job:
    log: Log
    hasher: ContentHasher
    handle: int | None

    def close(self) -> None:
        if self.handle is not None:
            os.close(self.handle)
            self.handle = None


@dataclass(slots=True)
class HashQueue:
    """Logs that are ``unhashed``, one after the other."""

    _jobs: dict[int, _Job] = field(default_factory=dict)
    _queue: dict[int, Log] = field(default_factory=dict)

    def add(self, log: Log, content: LogContent | None) -> bool:
        """Whether the content of ``log`` can be hashed; its file may be let go of meanwhile."""
        if content is not None and len(self._jobs) >= MAX_OPEN_FILES and log.id not in self._jobs:
            self._queue[log.id] = log
            return True
        if isinstance(content, CompressedFile):
            job = _Job(log, ContentHasher(LocalFile(content.path)), None)
        elif isinstance(content, PlainFile):
            handle = os.dup(content.handle)
            own = OpenFile(handle, log.path)
            job = _Job(log, ContentHasher(own, until=log.position), handle)
        else:
            return False
        self.drop(log.id)
        self._jobs[log.id] = job
        return True

    def resume(self, known: Mapping[int, Log]) -> list[Log]:
        """After a start: begins anew. Those whose file is not there any more have no hash."""
        gone = [log for log in known.values() if log.unhashed and not self._reopen(log)]
        return [replace(log, unhashed=False) for log in gone]

    def _reopen(self, log: Log) -> bool:
        path = Path(log.path)
        if log.form == "packed":
            return path.is_file() and self.add(log, CompressedFile(path))
        try:
            content = PlainFile.open(path)
        except OSError:
            return False
        try:
            return logs.has_log_prefix(log, content.read) and self.add(log, content)
        finally:
            content.close()

    def step(self, known: Mapping[int, Log], *, finish: bool) -> list[Log]:
        """Logs whose content is known now. With ``finish``, all."""
        done = self._hash_slice(known, finish=finish)
        while finish and self._queue:
            done += self._hash_slice(known, finish=finish)
        return done

    def _hash_slice(self, known: Mapping[int, Log], *, finish: bool) -> list[Log]:
        done = self._open_queue(known)
        left = NO_LIMIT if finish else BYTES_PER_STEP
        for number in list(self._jobs):
            job = self._jobs[number]
            log = known.get(number)
            if log is None or not log.unhashed or log.position != job.log.position:
                self.drop(number)  # it grew, and ends later
                continue
            before = job.hasher.size
            try:
                found = job.hasher.step(left)
            except InputError:
                found = None
                done.append(replace(log, unhashed=False))
                self.drop(number)
                continue
            left -= job.hasher.size - before
            if found is not None:
                whole = log.form == "packed" or found.size == log.position
                done.append(replace(log, unhashed=False, content=found.sha256 if whole else ""))
                self.drop(number)
            if left <= 0:
                break
        return done

    def _open_queue(self, known: Mapping[int, Log]) -> list[Log]:
        """Opens files that waited for others; logs whose file is not there any more."""
        gone: list[Log] = []
        while self._queue and len(self._jobs) < MAX_OPEN_FILES:
            number, log = next(iter(self._queue.items()))
            del self._queue[number]
            now = known.get(number)
            if now is None or not now.unhashed or now.position != log.position:
                continue
            if not self._reopen(now):
                gone.append(replace(now, unhashed=False))
        return gone

    def drop(self, number: int) -> None:
        """Gives a log up."""
        job = self._jobs.pop(number, None)
        if job is not None:
            job.close()

    def close(self) -> None:
        """Lets all files go."""
        for number in list(self._jobs):
            self.drop(number)
