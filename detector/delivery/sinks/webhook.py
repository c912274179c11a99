"""``https://``: POSTs to any receiver, signed as Standard Webhooks describes.

Headers ``webhook-id``, ``webhook-timestamp`` (seconds) and ``webhook-signature``: ``v1,`` and the
base64 of HMAC-SHA256 over ``id.timestamp.body``
(https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from detector import __version__
from detector.core.errors import SettingsError
from detector.delivery import http as web
from detector.delivery import tls
from detector.delivery.config import SinkConfig
from detector.delivery.format import Format
from detector.delivery.secrets import read_secret
from detector.delivery.sink import Item, Outcome, Send, Sink, Unreachable, repeat_outcome

#: Of a secret that is written in base64; any other is taken as it is.
BASE64_MARK: Final = "whsec_"


def check(target: SinkConfig, form: Format) -> None:
    """There is a host."""
    del form
    if not target.host:
        raise SettingsError("a webhook's url has no host", hint="such as https://soar.example/in")


@contextmanager
def open_(target: SinkConfig, form: Format) -> Iterator[Send]:
    """Signs where a secret is named."""
    key = _decode_key(read_secret(target))
    single = form.media_type
    several = "application/x-ndjson" if form.is_json else single
    with web.client(target) as http:

        def send(items: Sequence[Item]) -> list[Outcome]:
            body = b"\n".join(item.payload for item in items)
            headers = {
                "content-type": single if len(items) == 1 else several,
                "user-agent": f"detector/{__version__}",
                **signature_headers(_batch_id(items), int(time.time()), body, key),
            }
            answer, said = web.post(http, target.url, body, headers)
            return repeat_outcome(items, web.outcome(answer, said))

        yield send


def signature_headers(identity: str, moment: int, body: bytes, key: bytes | None) -> dict[str, str]:
    """The headers; without ``key`` no signature."""
    headers = {"webhook-id": identity, "webhook-timestamp": str(moment)}
    if key is not None:
        content = f"{identity}.{moment}.".encode() + body
        digest = hmac.new(key, content, hashlib.sha256).digest()
        headers["webhook-signature"] = f"v1,{base64.b64encode(digest).decode('ascii')}"
    return headers


def _batch_id(items: Sequence[Item]) -> str:
    """The same for the same alerts, so that a receiver knows what it has."""
    if len(items) == 1:
        return str(items[0].alert["id"])
    ids = "\n".join(str(item.alert["id"]) for item in items)
    return hashlib.sha256(ids.encode()).hexdigest()[:40]


def _decode_key(words: str | None) -> bytes | None:
    if words is None or not words.startswith(BASE64_MARK):
        return None if words is None else words.encode()
    try:
        return base64.b64decode(words.removeprefix(BASE64_MARK), validate=True)
    except binascii.Error:
        raise Unreachable(f"the secret begins with {BASE64_MARK} but is no base64") from None


SINK: Final = Sink(
    "webhook", "HTTP POSTs, signed with HMAC-SHA256", ("https", "http"), open_, check, "ocsf",
    keys=tls.KEYS | {"token_env", "token_file"}, plaintext_schemes=frozenset({"http"}), batch=1,
)  # fmt: skip
