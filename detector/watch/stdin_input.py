"""Standard input, followed while a program writes into it: ``journalctl -f | detector watch -``.

What was read from a pipe cannot be read again. It is taken out of the pipe only when it is wanted,
so that what is not read yet waits there, and whoever writes waits with it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import stat
import sys
import termios
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from detector.core.errors import InputError
from detector.readers.compression import MIB
from detector.watch.log_position import Log, LogForm
from detector.watch.stream_inputs import STDIN_NAME

#: Seconds that a run which reads to the end waits for more at a time.
WAIT_SECONDS: Final = 0.2
#: Bytes that wait in the pipe at most, where the system lets us say.
PIPE_BYTES: Final = MIB


@dataclass(slots=True)
class Pipe:
    """An open pipe, or whatever standard input is. ``end_reason`` says why it broke off."""

    handle: int
    name: str = STDIN_NAME
    form: LogForm = "pipe"
    end_reason: str = ""
    _buffer: bytearray = field(default_factory=bytearray)
    _buffer_start: int = 0
    _is_closed: bool = False
    _bytes_left: int | None = None

    def read(self, offset: int, length: int) -> bytes:
        """Bytes from ``offset``: what is there now, without waiting."""
        while self._buffer_start + len(self._buffer) < offset + length and self._read_some():
            pass
        start = offset - self._buffer_start
        return bytes(self._buffer[start : start + length])

    def _read_some(self, seconds: float = 0.0) -> bool:
        """Whether something came in."""
        if self._is_closed or not self._is_ready(seconds):
            return False
        most = MIB if self._bytes_left is None else min(MIB, self._bytes_left)
        try:
            data = os.read(self.handle, most)
        except OSError as error:
            self.end_reason, data = error.strerror or str(error), b""
        self._is_closed = not data
        self._buffer += data
        if self._bytes_left is not None:
            self._bytes_left -= len(data)
        return bool(data)

    def _is_ready(self, seconds: float) -> bool:
        asked = select.poll()
        asked.register(self.handle, select.POLLIN)
        return bool(asked.poll(seconds * 1000))

    def begin(self, log: Log) -> None:
        """Nothing: it begins with the log."""

    def has_ended(self, *, finish: bool) -> bool:
        """Whether whoever wrote has closed it. With ``finish``, waits a little for that."""
        if self._bytes_left is not None and not self._is_closed:
            self._is_closed = self._bytes_left == 0 or not self._is_ready(0.0)
        if finish and not self._is_closed:
            self._read_some(WAIT_SECONDS)
        return self._is_closed

    @property
    def is_over(self) -> bool:
        """Whether it was closed and all of it is forgotten."""
        return self._is_closed and not self._buffer

    def discard_before(self, position: int) -> None:
        """What comes before ``position`` is on disk."""
        done = position - self._buffer_start
        del self._buffer[:done]
        self._buffer_start = position

    def stop(self) -> None:
        """What lies in the pipe now is still read, and nothing that comes after."""
        if self._bytes_left is None:
            self._bytes_left = PIPE_BYTES

    def position_fields(self, position: int) -> dict[str, Any]:  # noqa: ARG002 - the protocol's
        """None: it cannot be read again."""
        return {}

    def unread_bytes(self, position: int) -> int:
        """What is held and what waits in the pipe."""
        waiting = 0
        with contextlib.suppress(OSError):
            found = fcntl.ioctl(self.handle, termios.FIONREAD, b"\0" * 4)
            waiting = int.from_bytes(found, sys.byteorder)
        return max(0, self._buffer_start + len(self._buffer) - position) + waiting

    def close(self) -> None:
        """Nothing more is read."""
        self._is_closed = True


@dataclass(slots=True)
class StandardInput:
    """The one pipe that a process is given."""

    pipe: Pipe
    notices: list[str] = field(default_factory=list)

    @classmethod
    def from_handle(cls, handle: int = 0) -> StandardInput:
        """Raises InputError where nothing is piped in."""
        try:
            status = os.fstat(handle)
        except OSError as error:
            what = f"cannot be read ({error.strerror or error})"
            raise InputError(
                what, where=STDIN_NAME, hint="pipe a log into detector watch -"
            ) from error
        if os.isatty(handle):
            hint = "pipe a log into it, such as journalctl -f -o cat | detector watch -"
            raise InputError("is a terminal", where=STDIN_NAME, hint=hint)
        if stat.S_ISFIFO(status.st_mode):
            with contextlib.suppress(OSError):
                fcntl.fcntl(handle, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        return cls(Pipe(handle))

    def streams(self, now: float) -> Sequence[Pipe]:  # noqa: ARG002 - the protocol's
        """The pipe."""
        return [self.pipe]

    @property
    def is_over(self) -> bool:
        """Whether all of it was read and counted."""
        return self.pipe.is_over

    def close(self) -> None:
        """Lets it go."""
        self.pipe.close()
