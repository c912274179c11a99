"""The content of a log as it is on disk: bytes of a growing file, or of a compressed one."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

from detector.readers import compression
from detector.readers.compression import MIB, Truncated
from detector.watch import log_position as logs


class Content(Protocol):
    """``broken`` says why it breaks off, once its end was reached."""

    @property
    def broken(self) -> str:
        """Empty where the file is in order so far as it was read."""

    def read(self, offset: int, length: int) -> bytes:
        """Bytes of the content, fewer at its end."""

    def marks(self, position: int) -> dict[str, Any]:
        """What to keep of a log that is read up to ``position``, to go on there."""

    def behind(self, position: int) -> int:
        """Bytes known to be there beyond ``position``."""

    def close(self) -> None:
        """Lets the file go."""


@dataclass(slots=True)
class Plain:
    """An open file. It stays readable when it is renamed or deleted."""

    handle: int
    broken: str = ""

    @classmethod
    def open(cls, path: Path) -> Plain:
        """Raises OSError."""
        return cls(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY))

    def read(self, offset: int, length: int) -> bytes:
        """Bytes from ``offset``."""
        found = []
        while length > 0 and (data := os.pread(self.handle, min(length, 8 * MIB), offset)):
            found.append(data)
            offset += len(data)
            length -= len(data)
        return b"".join(found)

    def written_from(self, offset: int) -> int:
        """Where the first bytes after ``offset`` are that were ever written; else its end."""
        try:
            return os.lseek(self.handle, offset, os.SEEK_DATA)
        except OSError:
            return self.status.st_size

    def marks(self, position: int) -> dict[str, Any]:
        """By which the file is known again."""
        return logs.marks(self.read, position)

    def behind(self, position: int) -> int:
        """What the file has beyond ``position``."""
        return max(0, self.status.st_size - position)

    @property
    def status(self) -> os.stat_result:
        """Of the open file, whatever its name is now."""
        return os.fstat(self.handle)

    def close(self) -> None:
        """Lets the file go."""
        handle, self.handle = self.handle, -1  # a second time, the number may be another file's
        with contextlib.suppress(OSError):
            os.close(handle)


@dataclass(slots=True)
class Packed:
    """A compressed file, read forwards; to go back costs reading it anew."""

    path: Path
    broken: str = ""
    stamp: tuple[int, int] = field(init=False)
    _chunks: Iterator[tuple[bytes, int]] | None = None
    _at: int = 0
    _held: bytearray = field(default_factory=bytearray)
    _first: bytes = b""

    #: Bytes kept behind the furthest one read, for an anchor.
    KEPT: Final = 1 << 17

    def __post_init__(self) -> None:
        self.stamp = self.written()

    def written(self) -> tuple[int, int]:
        """Size and time of the file as it is now: by them it is seen that it was written on."""
        try:
            status = self.path.stat()
        except OSError:
            return 0, 0
        return status.st_size, status.st_mtime_ns

    def read(self, offset: int, length: int) -> bytes:
        """Bytes from ``offset``. Raises InputError."""
        if offset >= 0 and offset + length <= len(self._first):
            return self._first[offset : offset + length]
        if self._chunks is None or offset < self._at:
            self._chunks, self._at = compression.chunks(self.path, MIB), 0
            self._held.clear()
        while self._at + len(self._held) < offset + length:
            data = self._next()
            if not data:
                break
            self._held += data
            if not self._at and len(self._first) < logs.HEAD:
                self._first = bytes(self._held[: logs.HEAD])
            if (spare := offset - self.KEPT - self._at) > 0:
                spare = min(spare, len(self._held))
                del self._held[:spare]
                self._at += spare
        start = offset - self._at
        return bytes(self._held[start : start + length])

    def marks(self, position: int) -> dict[str, Any]:
        """By which the content is known again."""
        return logs.marks(self.read, position)

    def behind(self, position: int) -> int:  # noqa: ARG002 - the protocol's
        """How much a compressed file holds is known at its end."""
        return 0

    def _next(self) -> bytes:
        assert self._chunks is not None
        try:
            return next(self._chunks, (b"", 0))[0]
        except Truncated as error:
            self.broken = error.reason
            return b""

    def close(self) -> None:
        """Lets the file go."""
        self._chunks = None
        self._held.clear()


def is_packed(beginning: bytes) -> bool:
    """Whether a file that begins so is compressed."""
    return bool(compression.packing(beginning))
