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
from detector.alerts.severity import worst
from detector.core.errors import SettingsError
from detector.core.formatting import counted
from detector.delivery import tls
from detector.delivery.config import Target
from detector.delivery.escaping import fitted, visible
from detector.delivery.format import Format
from detector.delivery.secrets import secret
from detector.delivery.sink import (
    WORDS,
    Delivered,
    Item,
    Later,
    Outcome,
    Refused,
    Send,
    Sink,
    Unreachable,
    all_of,
)

PORTS: Final = {"smtp": 25, "smtps": 465}
#: Bytes of a name in a subject.
NAME: Final = 60
#: From here on an answer is no for good (RFC 5321, section 4.2.1).
FOR_GOOD: Final = 500


def check(target: Target, form: Format) -> None:
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
def open_(target: Target, form: Format) -> Iterator[Send]:
    """Connects for each mail: batches are rare."""
    password = secret(target)

    def send(items: Sequence[Item]) -> list[Outcome]:
        try:
            return all_of(items, _sent(target, password, mail(items, target, form)))
        except (smtplib.SMTPException, OSError) as error:
            raise Unreachable(_said(error)) from error

    yield send


def _sent(target: Target, password: str | None, message: EmailMessage) -> Outcome:
    with _connected(target) as server:
        if target.user and password:
            server.login(target.user, password)
        try:
            refused = server.send_message(message, target.sender, list(target.recipients))
        except smtplib.SMTPDataError as error:
            words = _said(error)
            return Refused(words) if error.smtp_code >= FOR_GOOD else Later(words)
    if refused:
        # Whoever can be told is told; to hold the mail back would help nobody.
        return Delivered(f"refused for {', '.join(refused)}"[:WORDS])
    return Delivered()


def _connected(target: Target) -> smtplib.SMTP:
    """Certificates and host names are checked wherever there is TLS."""
    port = target.port(PORTS[target.scheme])
    if target.scheme == "smtps":
        secured = tls.context(target)
        return smtplib.SMTP_SSL(target.host, port, timeout=target.timeout, context=secured)
    server = smtplib.SMTP(target.host, port, timeout=target.timeout)
    if target.ca or not target.loopback:
        try:
            server.starttls(context=tls.context(target))
        except (smtplib.SMTPException, OSError, Unreachable):
            server.close()
            raise
    return server


def mail(items: Sequence[Item], target: Target, form: Format) -> EmailMessage:
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
    message.set_content("\n\n".join(_told(item) for item in items) + "\n")
    records = b"".join(item.payload + b"\n" for item in items)
    name = "alerts.ndjson" if form.is_json else "alerts.txt"
    message.add_attachment(records, "application", "octet-stream", filename=name)
    return message


def subject(items: Sequence[Item]) -> str:
    """How many, how bad, and who."""
    severity = worst([item.alert["severity"] for item in items])
    names = dict.fromkeys(str(item.alert["entity"]) for item in items)
    first, *others = names
    more = f" and {len(others)} more" if others else ""
    return f"detector: {counted(len(items), 'alert')}, {severity}: {fitted(first, NAME)}{more}"


def _told(item: Item) -> str:
    alert = item.alert
    kind = str(alert["entity_kind"]).replace("_", " ")
    lines = [
        f"{str(alert['severity']).upper()}  {kind} {visible(str(alert['entity']))}",
        f"{alert['time']}  {_what(alert)}, incident {alert['incident']}",
        *(f"- {visible(str(reason))}" for reason in alert["reasons"]),
    ]
    return "\n".join(lines)


def _what(alert: Alert) -> str:
    """What the alert is of its episode."""
    if alert["activity"] == CREATE:
        return f"alert {alert['id']}"
    return f"{alert['activity']} {alert['id']} of alert {alert['alert']}"


def _said(error: smtplib.SMTPException | OSError) -> str:
    if isinstance(error, smtplib.SMTPResponseException):
        text = error.smtp_error
        text = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
        return f"SMTP {error.smtp_code}: {' '.join(text.split())}"[:WORDS]
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return f"all recipients were refused: {next(iter(error.recipients.values()))}"[:WORDS]
    return tls.said(error)[:WORDS]


SINK: Final = Sink(
    "mail", "a digest by mail", ("smtp", "smtps"), open_, check, "native",
    keys=tls.KEYS | {"token_env", "token_file", "user", "from", "to"}, batch=100,
)  # fmt: skip
