"""The content of a log as it is on disk: bytes of a growing file, or of a compressed one."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

from detector.readers import compression
from detector.readers.compression import MIB, TruncatedError
from detector.readers.log_input import LocalFile
from detector.watch import log_position as logs


class LogContent(Protocol):
    """``end_reason`` says why it breaks off, once its end was reached."""

    @property
    def end_reason(self) -> str:
        """Empty where the file is in order so far as it was read."""

    def read(self, offset: int, length: int) -> bytes:
        """Bytes of the content, fewer at its end."""

    def position_fields(self, position: int) -> dict[str, Any]:
        """What to keep of a log that is read up to ``position``, to go on there."""

    def unread_bytes(self, position: int) -> int:
        """Bytes known to be there beyond ``position``."""

    def close(self) -> None:
        """Lets the file go."""


@dataclass(slots=True)
class PlainFile:
    """An open file. It stays readable when it is renamed or deleted."""

    handle: int
    end_reason: str = ""

    @classmethod
    def open(cls, path: Path) -> PlainFile:
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

    def next_data_offset(self, offset: int) -> int:
        """Where the first bytes after ``offset`` are that were ever written; else its end."""
        try:
            return os.lseek(self.handle, offset, os.SEEK_DATA)
        except OSError:
            return self.status.st_size

    def position_fields(self, position: int) -> dict[str, Any]:
        """By which the file is known again."""
        return logs.position_fields(self.read, position)

    def unread_bytes(self, position: int) -> int:
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
class CompressedFile:
    """A compressed file, read forwards; to go back costs reading it anew."""

    path: Path
    end_reason: str = ""
    stamp: tuple[int, int] = field(init=False)
    _chunks: Iterator[tuple[bytes, int]] | None = None
    _buffer_start: int = 0
    _buffer: bytearray = field(default_factory=bytearray)
    _head: bytes = b""

    #: Bytes kept behind the furthest one read, for an anchor.
    KEEP_BEHIND: Final = 1 << 17

    def __post_init__(self) -> None:
        self.stamp = self.current_stamp()

    def current_stamp(self) -> tuple[int, int]:
        """Size and time of the file as it is now: by them it is seen that it was written on."""
        try:
            status = self.path.stat()
        except OSError:
            return 0, 0
        return status.st_size, status.st_mtime_ns

    def read(self, offset: int, length: int) -> bytes:
        """Bytes from ``offset``. Raises InputError."""
        if offset >= 0 and offset + length <= len(self._head):
            return self._head[offset : offset + length]
        if self._chunks is None or offset < self._buffer_start:
            self._chunks, self._buffer_start = compression.chunks(LocalFile(self.path), MIB), 0
            self._buffer.clear()
        while self._buffer_start + len(self._buffer) < offset + length:
            data = self._next_block()
            if not data:
                break
            self._buffer += data
            if not self._buffer_start and len(self._head) < logs.HEAD_BYTES:
                self._head = bytes(self._buffer[: logs.HEAD_BYTES])
            if (spare := offset - self.KEEP_BEHIND - self._buffer_start) > 0:
                spare = min(spare, len(self._buffer))
                del self._buffer[:spare]
                self._buffer_start += spare
        start = offset - self._buffer_start
        return bytes(self._buffer[start : start + length])

    def position_fields(self, position: int) -> dict[str, Any]:
        """By which the content is known again."""
        return logs.position_fields(self.read, position)

    def unread_bytes(self, position: int) -> int:  # noqa: ARG002 - the protocol's
        """How much a compressed file holds is known at its end."""
        return 0

    def _next_block(self) -> bytes:
        assert self._chunks is not None
        try:
            return next(self._chunks, (b"", 0))[0]
        except TruncatedError as error:
            self.end_reason = error.reason
            return b""

    def close(self) -> None:
        """Lets the file go."""
        self._chunks = None
        self._buffer.clear()


class MissingContent:
    """The content of a file that is gone."""

    end_reason = ""

    def read(self, offset: int, length: int) -> bytes:  # noqa: ARG002 - the protocol's
        """Nothing."""
        return b""

    def position_fields(self, position: int) -> dict[str, Any]:  # noqa: ARG002 - the protocol's
        """Nothing."""
        return {}

    def unread_bytes(self, position: int) -> int:  # noqa: ARG002 - the protocol's
        """None."""
        return 0

    def close(self) -> None:
        """There is nothing to let go."""


def is_compressed(beginning: bytes) -> bool:
    """Whether a file that begins so is compressed."""
    return bool(compression.detect_magic(beginning))
