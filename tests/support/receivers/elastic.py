"""A stand-in for Elasticsearch that speaks ``_bulk`` to its official client.

https://www.elastic.co/docs/api/doc/elasticsearch/operation/operation-bulk
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from receivers.web import Answer, Got

TYPE = "application/vnd.elasticsearch+json;compatible-with=9"
#: Without it the client takes the server for another product.
HEADERS = {"x-elastic-product": "Elasticsearch", "content-type": TYPE}
#: What an item is answered with instead of being created: status, type and reason of an error.
Verdict = tuple[int, str, str]


class Cluster:
    """``create(id, document)`` keeps a document; ``judge`` may refuse one."""

    def __init__(
        self,
        create: Callable[[str, dict[str, Any]], None],
        judge: Callable[[str, dict[str, Any]], Verdict | None] = lambda *_: None,
        known: set[str] | None = None,
    ) -> None:
        self._create = create
        self._judge = judge
        self._known = known if known is not None else set()

    def answer(self, got: Got) -> Answer:
        """As a node of version 9 does."""
        if got.path.partition("?")[0] != "/_bulk":
            about = {"version": {"number": "9.1.0"}, "tagline": "You Know, for Search"}
            return Answer(200, json.dumps(about).encode(), HEADERS)
        kind = got.headers.get("content-type", "").replace(" ", "")
        if kind != "application/vnd.elasticsearch+x-ndjson;compatible-with=9":
            return _error(406, "media_type_header_exception", kind)
        if not got.body.endswith(b"\n"):
            return _error(400, "illegal_argument_exception", "must be terminated by a newline")
        lines = got.body.splitlines()
        items = [
            self._item(json.loads(head), json.loads(document))
            for head, document in zip(lines[::2], lines[1::2], strict=True)
        ]
        errors = any("error" in item["create"] for item in items)
        body = json.dumps({"took": 1, "errors": errors, "items": items}).encode()
        return Answer(200, body, HEADERS)

    def _item(self, head: dict[str, Any], document: dict[str, Any]) -> dict[str, Any]:
        about = head["create"]
        identity, where = about["_id"], {"_index": about["_index"], "_id": about["_id"]}
        verdict = self._judge(identity, document)
        if verdict is None and identity in self._known:
            reason = f"[{identity}]: version conflict, document already exists"
            verdict = (409, "version_conflict_engine_exception", reason)
        if verdict is not None:
            status, kind, reason = verdict
            error = {"type": kind, "reason": reason}
            return {"create": {**where, "status": status, "error": error}}
        self._create(identity, document)
        self._known.add(identity)
        return {"create": {**where, "status": 201, "result": "created", "_version": 1}}


def _error(status: int, kind: str, reason: str) -> Answer:
    error = {"type": kind, "reason": reason}
    body = json.dumps({"error": {**error, "root_cause": [error]}, "status": status}).encode()
    return Answer(status, body, HEADERS)
