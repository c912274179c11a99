"""The syslog message, RFC 5424: its header, and any record within one.

https://www.rfc-editor.org/rfc/rfc5424
"""

from __future__ import annotations

import re
import socket
from functools import cache
from typing import Final

from detector.alerts.alert import Alert
from detector.delivery import alert_fields

#: 6.2.1: what a message is about. ``local0`` to ``local7`` are for whoever installs.
FACILITIES: Final = {
    "kern": 0, "user": 1, "daemon": 3, "auth": 4, "syslog": 5, "authpriv": 10, "audit": 13,
    "local0": 16, "local1": 17, "local2": 18, "local3": 19, "local4": 20, "local5": 21,
    "local6": 22, "local7": 23,
}  # fmt: skip
FACILITY: Final = "local0"
#: Critical to notice: nothing of ours makes a system unusable, nor is anything mere information.
_SEVERITIES: Final = {"critical": 2, "high": 3, "medium": 4, "low": 5}
#: 6.2.7.
MESSAGE_ID: Final = "alert"
NIL: Final = "-"
#: 6.2.4: a host name of at most 255 printable ASCII characters.
_INVALID_HOST_CHARS: Final = re.compile(r"[^!-~]")
_MAX_HOST_LENGTH: Final = 255


@cache
def local_host_name() -> str:
    """The name of this machine, as the header takes it."""
    return sanitize_host(socket.gethostname())


def sanitize_host(name: str) -> str:
    """``name`` with what a header cannot hold replaced by a hyphen; ``-`` where it is empty."""
    return _INVALID_HOST_CHARS.sub("-", name)[:_MAX_HOST_LENGTH] or NIL


def format_header(alert: Alert, facility: str = FACILITY, host: str | None = None) -> str:
    """All before the structured data: priority, version, time, host, program, message id.

    The time is that of the alert, so that the same alert gives the same bytes. ``facility`` is one
    of FACILITIES, ``host`` this machine's name when not given.
    """
    priority = FACILITIES[facility] * 8 + _SEVERITIES[alert["severity"]]
    sender = local_host_name() if host is None else sanitize_host(host)
    at = alert_fields.fire_time(alert).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    return f"<{priority}>1 {at} {sender} {alert_fields.PRODUCT} {NIL} {MESSAGE_ID}"


def wrap_record(
    payload: bytes, alert: Alert, facility: str = FACILITY, host: str | None = None
) -> bytes:
    """A record of another format as the message of a syslog line, without structured data.

    No byte order mark before it: receivers look for ``CEF:`` and ``LEEF:`` there, and MSG-ANY
    needs none (6.4).
    """
    return f"{format_header(alert, facility, host)} {NIL} ".encode("ascii") + payload
