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
from detector.watch.log_position import Form, Log
from detector.watch.stream_inputs import PIPE

#: Seconds that a run which reads to the end waits for more at a time.
PATIENCE: Final = 0.2
#: Bytes that wait in the pipe at most, where the system lets us say.
WAITING: Final = MIB


@dataclass(slots=True)
class Pipe:
    """An open pipe, or whatever standard input is. ``broken`` says why it broke off."""

    handle: int
    name: str = PIPE
    form: Form = "pipe"
    broken: str = ""
    _held: bytearray = field(default_factory=bytearray)
    _at: int = 0
    _over: bool = False
    _left: int | None = None

    def read(self, offset: int, length: int) -> bytes:
        """Bytes from ``offset``: what is there now, without waiting."""
        while self._at + len(self._held) < offset + length and self._take():
            pass
        start = offset - self._at
        return bytes(self._held[start : start + length])

    def _take(self, seconds: float = 0.0) -> bool:
        """Whether something came in."""
        if self._over or not self._is_ready(seconds):
            return False
        most = MIB if self._left is None else min(MIB, self._left)
        try:
            data = os.read(self.handle, most)
        except OSError as error:
            self.broken, data = error.strerror or str(error), b""
        self._over = not data
        self._held += data
        if self._left is not None:
            self._left -= len(data)
        return bool(data)

    def _is_ready(self, seconds: float) -> bool:
        asked = select.poll()
        asked.register(self.handle, select.POLLIN)
        return bool(asked.poll(seconds * 1000))

    def begin(self, log: Log) -> None:
        """Nothing: it begins with the log."""

    def ended(self, *, finish: bool) -> bool:
        """Whether whoever wrote has closed it. With ``finish``, waits a little for that."""
        if self._left is not None and not self._over:
            self._over = self._left == 0 or not self._is_ready(0.0)
        if finish and not self._over:
            self._take(PATIENCE)
        return self._over

    @property
    def over(self) -> bool:
        """Whether it was closed and all of it is forgotten."""
        return self._over and not self._held

    def forget(self, position: int) -> None:
        """What comes before ``position`` is on disk."""
        done = position - self._at
        del self._held[:done]
        self._at = position

    def stop(self) -> None:
        """What lies in the pipe now is still read, and nothing that comes after."""
        if self._left is None:
            self._left = WAITING

    def marks(self, position: int) -> dict[str, Any]:  # noqa: ARG002 - the protocol's
        """None: it cannot be read again."""
        return {}

    def behind(self, position: int) -> int:
        """What is held and what waits in the pipe."""
        waiting = 0
        with contextlib.suppress(OSError):
            found = fcntl.ioctl(self.handle, termios.FIONREAD, b"\0" * 4)
            waiting = int.from_bytes(found, sys.byteorder)
        return max(0, self._at + len(self._held) - position) + waiting

    def close(self) -> None:
        """Nothing more is read."""
        self._over = True


@dataclass(slots=True)
class StandardInput:
    """The one pipe that a process is given."""

    pipe: Pipe
    said: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, handle: int = 0) -> StandardInput:
        """Raises InputError where nothing is piped in."""
        try:
            status = os.fstat(handle)
        except OSError as error:
            what = f"cannot be read ({error.strerror or error})"
            raise InputError(what, where=PIPE, hint="pipe a log into detector watch -") from error
        if os.isatty(handle):
            hint = "pipe a log into it, such as journalctl -f -o cat | detector watch -"
            raise InputError("is a terminal", where=PIPE, hint=hint)
        if stat.S_ISFIFO(status.st_mode):
            with contextlib.suppress(OSError):
                fcntl.fcntl(handle, fcntl.F_SETPIPE_SZ, WAITING)
        return cls(Pipe(handle))

    def streams(self, now: float) -> Sequence[Pipe]:  # noqa: ARG002 - the protocol's
        """The pipe."""
        return [self.pipe]

    @property
    def over(self) -> bool:
        """Whether all of it was read and counted."""
        return self.pipe.over

    def close(self) -> None:
        """Lets it go."""
        self.pipe.close()
