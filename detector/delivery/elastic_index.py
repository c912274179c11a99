"""What Elasticsearch needs beside the documents: the action of ``_bulk``, and an index template."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any, Final

from detector.alerts.alert import Alert

INDEX: Final = "detector-alerts"
TEMPLATE: Final = "index_template.json"


def action(alert: Alert, index: str = INDEX) -> dict[str, Any]:
    """What ``_bulk`` is to do with the document that follows: create it, under the alert's id.

    Sent twice, the second is refused as a conflict (409), which means that it is there.
    https://www.elastic.co/docs/api/doc/elasticsearch/operation/operation-bulk
    """
    return {"create": {"_index": index, "_id": alert["id"]}}


def template() -> dict[str, Any]:
    """The index template for INDEX: the body of ``PUT _index_template/detector-alerts``."""
    text = resources.files("detector.delivery").joinpath(TEMPLATE).read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)
    return found
