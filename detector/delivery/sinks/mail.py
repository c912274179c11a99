"""``smtp://`` and ``smtps://``: a digest by mail, for whoever has no SIEM.

One mail for each batch: what happened, in words, and the records attached, in the native format by
default: no SIEM reads these. Without TLS only to this machine's own mail server; ``smtp://``
elsewhere demands STARTTLS (RFC 3207).
"""

from __future__ import annotations

import hashlib
import smtplib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from email import policy
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Final

from detector.alerts.alert import CREATE, Alert
from detector.alerts.severity import highest_severity
from detector.core.errors import SettingsError
from detector.core.formatting import quantity
from detector.delivery import tls
from detector.delivery.config import SinkConfig
from detector.delivery.escaping import escape_hidden, fit_text
from detector.delivery.format import Format
from detector.delivery.secrets import read_secret
from detector.delivery.sink import (
    MAX_MESSAGE,
    Deferral,
    Delivery,
    Item,
    Outcome,
    Refusal,
    Send,
    Sink,
    Unreachable,
    repeat_outcome,
)

PORTS: Final = {"smtp": 25, "smtps": 465}
#: Bytes of a name in a subject.
MAX_NAME_BYTES: Final = 60
#: From here on an answer is no for good (RFC 5321, section 4.2.1).
PERMANENT_CODE: Final = 500


def check(target: SinkConfig, form: Format) -> None:
    """Someone writes to someone."""
    del form
    if not target.host or not target.sender or not target.recipients:
        hint = 'such as from = "detector@office.example" and to = ["soc@office.example"]'
        raise SettingsError("mail needs a host, from and to", hint=hint)
    if bool(target.user) != bool(target.token_env or target.token_file):
        raise SettingsError("user and token_env or token_file go together", hint="name both")
    for address in (target.sender, *target.recipients):
        if "@" not in address or not address.isprintable():
            raise SettingsError(f"{address!r} is no address of mail")


@contextmanager
def open_(target: SinkConfig, form: Format) -> Iterator[Send]:
    """Connects for each mail: batches are rare."""
    password = read_secret(target)

    def send(items: Sequence[Item]) -> list[Outcome]:
        try:
            return repeat_outcome(
                items, _send(target, password, build_message(items, target, form))
            )
        except (smtplib.SMTPException, OSError) as error:
            raise Unreachable(_error_text(error)) from error

    yield send


def _send(target: SinkConfig, password: str | None, message: EmailMessage) -> Outcome:
    with _connect(target) as server:
        if target.user and password:
            server.login(target.user, password)
        try:
            refused = server.send_message(message, target.sender, list(target.recipients))
        except smtplib.SMTPDataError as error:
            words = _error_text(error)
            return Refusal(words) if error.smtp_code >= PERMANENT_CODE else Deferral(words)
    if refused:
        # Whoever can be told is told; to hold the mail back would help nobody.
        return Delivery(f"refused for {', '.join(refused)}"[:MAX_MESSAGE])
    return Delivery()


def _connect(target: SinkConfig) -> smtplib.SMTP:
    """Certificates and host names are checked wherever there is TLS."""
    port = target.port(PORTS[target.scheme])
    if target.scheme == "smtps":
        secured = tls.context(target)
        return smtplib.SMTP_SSL(target.host, port, timeout=target.timeout, context=secured)
    server = smtplib.SMTP(target.host, port, timeout=target.timeout)
    if target.ca or not target.is_loopback:
        try:
            server.starttls(context=tls.context(target))
        except (smtplib.SMTPException, OSError, Unreachable):
            server.close()
            raise
    return server


def build_message(items: Sequence[Item], target: SinkConfig, form: Format) -> EmailMessage:
    """Its Message-ID is that of its alerts, so that a mail that came twice is known."""
    message = EmailMessage(policy=policy.SMTP)
    message["From"] = target.sender
    message["To"] = ", ".join(target.recipients)
    message["Subject"] = subject(items)
    message["Date"] = format_datetime(datetime.now(UTC))
    ids = "\n".join(str(item.alert["id"]) for item in items)
    domain = target.sender.rpartition("@")[2]
    message["Message-ID"] = f"<{hashlib.sha256(ids.encode()).hexdigest()[:40]}@{domain}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office replies
    message.set_content("\n\n".join(_item_text(item) for item in items) + "\n")
    records = b"".join(item.payload + b"\n" for item in items)
    name = "alerts.ndjson" if form.is_json else "alerts.txt"
    message.add_attachment(records, "application", "octet-stream", filename=name)
    return message


def subject(items: Sequence[Item]) -> str:
    """How many, how bad, and who."""
    severity = highest_severity([item.alert["severity"] for item in items])
    names = dict.fromkeys(str(item.alert["entity"]) for item in items)
    first, *others = names
    more = f" and {len(others)} more" if others else ""
    return (
        f"detector: {quantity(len(items), 'alert')}, {severity}: "
        f"{fit_text(first, MAX_NAME_BYTES)}{more}"
    )


def _item_text(item: Item) -> str:
    alert = item.alert
    kind = str(alert["entity_kind"]).replace("_", " ")
    lines = [
        f"{str(alert['severity']).upper()}  {kind} {escape_hidden(str(alert['entity']))}",
        f"{alert['time']}  {_activity_text(alert)}, incident {alert['incident']}",
        *(f"- {escape_hidden(str(reason))}" for reason in alert["reasons"]),
    ]
    return "\n".join(lines)


def _activity_text(alert: Alert) -> str:
    """What the alert is of its episode."""
    if alert["activity"] == CREATE:
        return f"alert {alert['id']}"
    return f"{alert['activity']} {alert['id']} of alert {alert['alert']}"


def _error_text(error: smtplib.SMTPException | OSError) -> str:
    if isinstance(error, smtplib.SMTPResponseException):
        text = error.smtp_error
        text = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
        return f"SMTP {error.smtp_code}: {' '.join(text.split())}"[:MAX_MESSAGE]
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return f"all recipients were refused: {next(iter(error.recipients.values()))}"[:MAX_MESSAGE]
    return tls.error_text(error)[:MAX_MESSAGE]


SINK: Final = Sink(
    "mail", "a digest by mail", ("smtp", "smtps"), open_, check, "native",
    keys=tls.KEYS | {"token_env", "token_file", "user", "from", "to"}, batch=100,
)  # fmt: skip
