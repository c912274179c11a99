"""``elastic+https://host:9200/index``: Elasticsearch's ``_bulk``, item by item.

Each alert is created under its own id: one that is there already (409) has arrived before.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from detector.core.errors import SettingsError
from detector.delivery import http, tls
from detector.delivery.config import SinkConfig
from detector.delivery.elastic_index import INDEX, action
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

if TYPE_CHECKING:
    from elasticsearch import Elasticsearch

PORT: Final = 9200
CONFLICT: Final = 409


def check(target: SinkConfig, form: Format) -> None:
    """Documents are JSON, and an index has a name."""
    if not target.host:
        hint = "such as elastic+https://elastic.example:9200/detector-alerts"
        raise SettingsError("an Elasticsearch url has no host", hint=hint)
    if not form.is_json:
        raise SettingsError(f"Elasticsearch takes no {form.name}", hint="choose a JSON format")
    if index(target).startswith(("_", "-")) or index(target) != index(target).lower():
        hint = "names of indices are in small letters"
        raise SettingsError("the url names no index that can be", hint=hint)


def index(target: SinkConfig) -> str:
    """The last part of the URL's path."""
    return target.path.rstrip("/").rpartition("/")[2] or INDEX


@contextmanager
def open_(target: SinkConfig, form: Format) -> Iterator[Send]:
    """With an API key, or with a user and its password."""
    del form
    from elasticsearch import Elasticsearch

    token = read_secret(target)
    login: dict[str, Any] = {"api_key": token} if token else {}
    if token and target.user:
        login = {"basic_auth": (target.user, token)}
    if target.scheme == "elastic+https":
        login["ssl_context"] = tls.context(target)
    options: dict[str, Any] = {"request_timeout": target.timeout, "max_retries": 0}
    client = Elasticsearch(_base_url(target), **login, **options, retry_on_timeout=False)
    try:
        yield lambda items: _send(client, index(target), items)
    finally:
        client.close()


def _base_url(target: SinkConfig) -> str:
    parts = urlsplit(target.url)
    host = f"[{target.host}]" if ":" in target.host else target.host
    prefix = parts.path.rstrip("/").rpartition("/")[0]
    return f"{target.scheme.removeprefix('elastic+')}://{host}:{target.port(PORT)}{prefix}"


def _send(client: Elasticsearch, name: str, items: Sequence[Item]) -> list[Outcome]:
    from elasticsearch import ApiError, TransportError, helpers

    def lines(pair: Any) -> tuple[dict[str, Any], bytes]:
        return pair["action"], pair["document"]

    pairs = [{"action": action(item.alert, name), "document": item.payload} for item in items]
    found: dict[str, Outcome] = {}
    try:
        for _, result in helpers.streaming_bulk(
            client,
            pairs,
            chunk_size=len(items),
            max_retries=0,
            raise_on_error=False,
            expand_action_callback=lines,
        ):
            told = result["create"]
            found[told["_id"]] = item_outcome(told)
    except ApiError as error:
        return repeat_outcome(items, _request_outcome(error))
    except (TransportError, KeyError, TypeError) as error:
        raise Unreachable(_error_text(error)) from error
    missing = Deferral("no answer for this one")
    return [found.get(item.alert["id"], missing) for item in items]


def item_outcome(told: dict[str, Any]) -> Outcome:
    """Of one item of an answer."""
    status = int(told["status"])
    if status < 300 or status == CONFLICT:
        return Delivery()
    words = f"HTTP {status}: {json.dumps(told.get('error'))[:MAX_MESSAGE]}"
    return Refusal(words) if status in http.REFUSAL_STATUSES else Deferral(words)


def _request_outcome(error: Any) -> Outcome:
    """Of an answer that is none to a ``_bulk``. ``error`` is the client's ApiError."""
    status = int(getattr(error.meta, "status", 0) or 0)
    words = f"HTTP {status}: {' '.join(str(error.message or error.body).split())[:MAX_MESSAGE]}"
    if status in http.REFUSAL_STATUSES:
        return Refusal(words)
    return Deferral(words, http.retry_after(error.meta.headers.get("retry-after")))


def _error_text(error: Exception) -> str:
    """The cause, which the client keeps in a list."""
    causes = getattr(error, "errors", ())
    if causes:
        return _error_text(causes[0])
    text = " ".join(str(getattr(error, "message", error)).split())
    return f"{type(error).__name__}: {text}"[:MAX_MESSAGE]


SINK: Final = Sink(
    "elastic", "Elasticsearch's _bulk, under the alert's id",
    ("elastic+https", "elastic+http"), open_, check, "ecs",
    keys=tls.KEYS | {"token_env", "token_file", "user"},
    plaintext_schemes=frozenset({"elastic+http"}), batch=200,
    has_item_outcomes=True, required_module="elasticsearch",
)  # fmt: skip
