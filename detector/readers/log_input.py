"""A log as a reader takes it: bytes under a name, wherever they are."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, Protocol

_BUFFER_BYTES: Final = 1 << 20


class LogInput(Protocol):
    """What is read: a file, an object of a store, or bytes that are at hand.

    ``local_path`` is where a reader that needs random access finds it as a file of this machine;
    None where it is none.
    """

    @property
    def name(self) -> str:
        """What people know it by: rejects and errors quote it."""

    @property
    def local_path(self) -> Path | None:
        """Its file, if it has one."""

    def open(self) -> BinaryIO:
        """Its bytes as they are, compressed or not. Raises OSError."""

    def size(self) -> int:
        """How many bytes those are. Raises OSError."""


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file of this machine, by its path."""

    local_path: Path

    @property
    def name(self) -> str:
        """Its path."""
        return str(self.local_path)

    def open(self) -> BinaryIO:
        """Its bytes. Raises OSError."""
        return self.local_path.open("rb")

    def size(self) -> int:
        """Its size now. Raises OSError."""
        return self.local_path.stat().st_size


@dataclass(frozen=True, slots=True)
class HeldBytes:
    """Some bytes of the log ``name`` that are in memory."""

    data: bytes
    name: str = ""

    @property
    def local_path(self) -> None:
        """They are nowhere on disk."""

    def open(self) -> BinaryIO:
        """The bytes, not copied."""
        return io.BytesIO(self.data)

    def size(self) -> int:
        """How many there are."""
        return len(self.data)


@dataclass(frozen=True, slots=True)
class OpenFile:
    """A file that is open as ``handle`` already, and may have lost its name since."""

    handle: int
    name: str

    @property
    def local_path(self) -> None:
        """Another file may stand under the name by now."""

    def open(self) -> BinaryIO:
        """Its bytes from the first on, whoever else reads from the same handle. Raises OSError."""
        return io.BufferedReader(_PositionReader(self.handle), _BUFFER_BYTES)

    def size(self) -> int:
        """Its size now. Raises OSError."""
        return os.fstat(self.handle).st_size


class _PositionReader(io.RawIOBase):
    """Reads an open file by positions of its own. Closing it leaves the file open."""

    def __init__(self, handle: int) -> None:
        self._handle = handle
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, into: bytearray | memoryview) -> int:  # type: ignore[override]
        count = os.preadv(self._handle, [into], self._position)
        self._position += count
        return count

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if whence == io.SEEK_SET:
            self._position = offset
        elif whence == io.SEEK_CUR:
            self._position += offset
        else:
            self._position = os.fstat(self._handle).st_size + offset
        return self._position

    def tell(self) -> int:
        return self._position


def base_name(log: LogInput) -> str:
    """The last part of its name."""
    return log.name.rpartition("/")[2]
