"""What every private server of scripts and tests needs of the machine it runs on."""

from __future__ import annotations

import os
import pwd
import random
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

#: Below those that Linux gives to connections (net.ipv4.ip_local_port_range).
PORTS = (10_000, 32_768)
#: Seconds in which a server has to start, and to stop.
PATIENCE = 60


class UnavailableError(RuntimeError):
    """A server is not installed, or will not start here; says which."""


def free_port() -> int:
    """A port that was free a moment ago.

    Not one of the kernel's own choice: of these, a connection that some other test makes may take
    it before the server does, which then listens elsewhere, or not at all.
    """
    chance = random.SystemRandom()
    while True:
        with socket.socket() as probe, suppress(OSError):
            port = chance.randrange(*PORTS)
            probe.bind(("", port))
            return port


def unprivileged(folder: Path, server: str, user: str, mode: int) -> tuple[str, ...]:
    """What to put before a command so that it does not run as root; gives ``folder`` away.

    To ``user`` or, where there is none, to nobody, with this ``mode``. Raises UnavailableError,
    naming the ``server``.
    """
    if os.geteuid() != 0:
        return ()
    entry = _entry(user) or _entry("nobody")
    if entry is None or not shutil.which("setpriv"):
        raise UnavailableError(f"{server} refuses to run as root, and there is no other user to be")
    os.chown(folder, entry.pw_uid, entry.pw_gid)
    folder.chmod(mode)
    return (
        *("setpriv", f"--reuid={entry.pw_uid}", f"--regid={entry.pw_gid}", "--clear-groups"),
        *("env", "HOME=/", "LC_ALL=C.UTF-8"),
    )


def _entry(user: str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(user)
    except KeyError:
        return None


@contextmanager
def started(
    server: str, command: Sequence[str], folder: Path, ready: Callable[[], bool], errors: Path
) -> Iterator[None]:
    """A server that runs in ``folder`` once it is ``ready``; stopped at the end.

    Raises UnavailableError, with the end of what stands in ``errors``.
    """
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet, cwd=folder)
    try:
        until = time.monotonic() + PATIENCE
        while not ready():
            if time.monotonic() > until or process.poll() is not None:
                raise UnavailableError(f"{server} did not start: {said(errors)}")
            time.sleep(0.1)
        yield
    finally:
        process.terminate()
        process.wait(PATIENCE)


def said(errors: Path) -> str:
    """The end of a server's log of errors, on one line."""
    text = errors.read_text(encoding="utf-8", errors="replace")[-300:] if errors.exists() else ""
    return " ".join(text.split())
