"""TLS as a sink's settings want it: certificates and host names are always checked."""

from __future__ import annotations

import ssl
from typing import Final

from detector.delivery.config import SinkConfig
from detector.delivery.sink import Unreachable

#: Settings of sinks that speak TLS.
KEYS: Final = frozenset({"ca", "cert", "key"})


def context(target: SinkConfig) -> ssl.SSLContext:
    """Trusts ``ca``, or what the system trusts; shows ``cert`` where there is one.

    TLS 1.2 or newer (RFC 9325). Raises Unreachable where a file cannot be used.
    """
    try:
        made = ssl.create_default_context(cafile=target.ca or None)
        made.minimum_version = ssl.TLSVersion.TLSv1_2
        if target.cert:
            made.load_cert_chain(target.cert, target.key or None, password=_refuse_password)
    except (OSError, ssl.SSLError) as error:
        files = ", ".join(name for name in (target.ca, target.cert, target.key) if name)
        raise Unreachable(f"cannot use {files}: {error.strerror or error}") from None
    return made


def empty_context() -> ssl.SSLContext:
    """For connections without TLS: should one come to need it after all, it fails."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def _refuse_password() -> str:
    """Asked for when a key is encrypted: nobody is there to type it."""
    raise Unreachable("the key is encrypted; keep it unencrypted, readable by detector alone")


def error_text(error: Exception) -> str:
    """What went wrong with a connection, in the system's words."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, OSError) and error.strerror:
        return str(error.strerror)
    return " ".join(str(error).split()) or type(error).__name__
