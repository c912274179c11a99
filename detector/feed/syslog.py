"""RFC 5424 headers around records of other formats."""

from __future__ import annotations

import socket

from detector.alerts.alert import Alert

#: Facility 13 (log audit) and the severities of RFC 5424, section 6.2.1.
FACILITY = 13
SEVERITIES = {"critical": 2, "high": 3, "medium": 4, "low": 5}


def framed(payload: bytes, alert: Alert) -> bytes:
    """A whole syslog message with ``payload`` as its MSG."""
    priority = FACILITY * 8 + SEVERITIES[alert["severity"]]
    head = f"<{priority}>1 {alert['time']} {socket.gethostname()} detector - - - "
    return head.encode("ascii") + payload
