"""A real SMTP server (aiosmtpd) on loopback that gives each mail to a function."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from simulation.loopback import free_port

ACCEPTED = "250 OK"


@contextmanager
def mailbox(
    take: Callable[[bytes], str],
    tls: ssl.SSLContext | None = None,
    *,
    implicit: bool = False,
    port: int = 0,
    password: str = "",
    refused: str = "",
) -> Iterator[int]:
    """``take(mail)`` gives the answer. STARTTLS with ``tls``, or TLS from the start; the port."""
    from aiosmtpd.controller import Controller
    from aiosmtpd.smtp import AuthResult

    class Handler:
        async def handle_RCPT(  # noqa: N802
            self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any
        ) -> str:
            if address == refused:
                return "550 no such user"
            envelope.rcpt_tos.append(address)
            return ACCEPTED

        async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802
            return take(envelope.content)

    def authenticated(_server: Any, _session: Any, _envelope: Any, _how: str, login: Any) -> Any:
        return AuthResult(success=login.password == password.encode(), handled=False)

    options: dict[str, Any] = {}
    if tls and not implicit:
        options |= {"tls_context": tls, "require_starttls": True}
    if password:
        options |= {"authenticator": authenticated, "auth_required": True}
        options |= {"auth_require_tls": not implicit}
    controller = Controller(
        Handler(),
        hostname="127.0.0.1",
        port=port or free_port(),
        ssl_context=tls if implicit else None,
        **options,
    )
    controller.start()
    try:
        yield int(controller.port)
    finally:
        controller.stop()
