"""What Elasticsearch needs beside the documents: the lines of ``_bulk``, and an index template."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any, Final

from detector.alerts.alert import Alert

INDEX: Final = "detector-alerts"
TEMPLATE: Final = "index_template.json"


def bulk(document: bytes, alert: Alert, index: str = INDEX) -> bytes:
    """Two lines of ``_bulk``: create, under the alert's id, and the document.

    Sent twice, the second is refused as a conflict (409), which means that it is there.
    https://www.elastic.co/docs/api/doc/elasticsearch/operation/operation-bulk
    """
    action = {"create": {"_index": index, "_id": alert["id"]}}
    return json.dumps(action).encode("ascii") + b"\n" + document + b"\n"


def template() -> dict[str, Any]:
    """The index template for INDEX: the body of ``PUT _index_template/detector-alerts``."""
    text = resources.files("detector.feed").joinpath(TEMPLATE).read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)
    return found
