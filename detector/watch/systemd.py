"""Tells systemd how the service is: one datagram each, as sd_notify(3) describes."""

from __future__ import annotations

import contextlib
import os
import socket


def notify(*words: str) -> None:
    """Sends assignments such as ``READY=1``. Without systemd, or where it is deaf, nothing."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    if address.startswith("@"):
        address = f"\0{address[1:]}"
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
        out.connect(address)
        out.sendall("\n".join(words).encode())
