"""HTTP as sinks speak it: what an answer means for the alerts that were sent."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final

from detector.delivery import tls
from detector.delivery.config import SinkConfig
from detector.delivery.sink import MAX_MESSAGE, Deferral, Delivery, Outcome, Refusal, Unreachable

if TYPE_CHECKING:
    import httpx

#: Answers that are about this body: it will not be taken however often it is sent. All others are
#: about the server, the way to it, or our right to speak, and no reason to set an alert aside.
REFUSAL_STATUSES: Final = frozenset({400, 406, 413, 415, 422})
#: Bytes of an answer that are read: a receiver has little to say.
MAX_RESPONSE_BYTES: Final = 1 << 20
MAX_RETRY_AFTER: Final = 86_400.0


@contextmanager
def client(target: SinkConfig) -> Iterator[httpx.Client]:
    """One that keeps its connection, follows no redirects, and checks certificates."""
    import httpx

    # Reading all that the system trusts takes a while, and is for nothing where there is no TLS.
    secured = target.scheme.endswith("https")
    verify = tls.context(target) if secured else tls.empty_context()
    with httpx.Client(verify=verify, timeout=target.timeout, follow_redirects=False) as made:
        yield made


def post(
    http: httpx.Client, url: str, body: bytes, headers: dict[str, str]
) -> tuple[httpx.Response, bytes]:
    """The answer and its body. Raises Unreachable where there was none, or half of one."""
    import httpx

    try:
        with http.stream("POST", url, content=body, headers=headers) as answer:
            read = bytearray()
            for part in answer.iter_bytes():
                read += part
                if len(read) > MAX_RESPONSE_BYTES:
                    raise Unreachable("its answer has no end")
            return answer, bytes(read)
    except httpx.TimeoutException:
        raise Unreachable("no answer in time") from None
    except httpx.InvalidURL as error:
        raise Unreachable(str(error)) from None
    except httpx.HTTPError as error:
        raise Unreachable(_root_cause(error)) from None


def _root_cause(error: BaseException) -> str:
    """The cause at the bottom, such as a certificate that is not trusted."""
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__ or error
    return tls.error_text(error) if isinstance(error, Exception) else str(error)


def outcome(answer: httpx.Response, body: bytes) -> Outcome:
    """Of a whole request, by its status (RFC 9110, section 15)."""
    if answer.is_success:
        return Delivery()
    said = status_text(answer.status_code, body)
    if answer.status_code in REFUSAL_STATUSES:
        return Refusal(said)
    return Deferral(said, retry_after(answer.headers.get("retry-after")))


def status_text(status: int, body: bytes) -> str:
    """Status and what the server wrote, on one line."""
    text = " ".join(body[: 4 * MAX_MESSAGE].decode("utf-8", "replace").split())
    return f"HTTP {status}: {text[:MAX_MESSAGE]}" if text else f"HTTP {status}"


def retry_after(header: str | None) -> float | None:
    """Seconds of a Retry-After, whether seconds or a date (RFC 9110, section 10.2.3)."""
    if not header:
        return None
    try:
        if header.strip().isdigit():
            return min(float(header), MAX_RETRY_AFTER)
        at = parsedate_to_datetime(header)
    except (ValueError, TypeError):
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return min(max(0.0, (at - datetime.now(UTC)).total_seconds()), MAX_RETRY_AFTER)
