"""What every private server of scripts and tests needs of the machine it runs on."""

from __future__ import annotations

import os
import pwd
import random
import shutil
import socket
from contextlib import suppress
from pathlib import Path

#: Below those that Linux gives to connections (net.ipv4.ip_local_port_range).
PORTS = (10_000, 32_768)


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
