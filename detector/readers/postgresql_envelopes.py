"""PostgreSQL's entries as CloudNativePG and Google Cloud tell them, in the words of its jsonlog.

https://cloudnative-pg.io/documentation/current/logging/: csvlog's columns by name, and pgaudit's
fields apart. https://cloud.google.com/sql/docs/postgres/pg-audit and
https://cloud.google.com/alloydb/docs/pgaudit/view-audit-log: pgaudit's fields by name, without the
client's address and without rows.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

_AUDIT_ENTRY: Final = "PgAuditEntry"
#: jsonlog's names for csvlog's, where they differ.
_JSONLOG_NAMES: Final = {
    "log_time": "timestamp",
    "user_name": "user",
    "database_name": "dbname",
    "command_tag": "ps",
    "sql_state_code": "state_code",
    "query": "statement",
}
#: pgaudit's fields, in its order, as CloudNativePG and as Google Cloud name them.
_PGAUDIT_FIELDS: Final = (
    *("audit_type", "statement_id", "substatement_id", "class", "command"),
    *("object_type", "object_name", "statement", "parameter", "rows"),
)
_GOOGLE_FIELDS: Final = (
    *("auditType", "statementId", "substatementId", "auditClass", "command"),
    *("objectType", "object", "statement", "parameter", "rows"),
)
_PORT_SUFFIX: Final = re.compile(r":\d{1,5}$")
#: An entry of jsonlog that is no access: what the operator says of itself.
_OPERATOR_ENTRY: Final = {
    "timestamp": "2000-01-01 00:00:00 UTC",
    "session_id": "0.0",
    "error_severity": "LOG",
    "backend_type": "not of PostgreSQL",
}


def is_wrapped(entry: Any) -> bool:
    """Whether it is an entry of PostgreSQL in other words."""
    return isinstance(entry, Mapping) and (
        _record(entry) is not None or _google_request(entry) is not None
    )


def is_operator_message(entry: Mapping[str, Any]) -> bool:
    """Whether it is what CloudNativePG's manager says of itself, between PostgreSQL's entries."""
    return {"level", "ts", "msg"} <= entry.keys() and "record" not in entry


def unwrap(entry: dict[str, Any]) -> dict[str, Any]:
    """An entry of jsonlog; ``entry`` itself where it is none of those that are known here."""
    if (record := _record(entry)) is not None:
        return _from_cloudnativepg(record)
    if (request := _google_request(entry)) is not None:
        return _from_google(request, entry)
    return dict(_OPERATOR_ENTRY) if is_operator_message(entry) else entry


def _record(entry: Mapping[str, Any]) -> Mapping[str, Any] | None:
    record = entry.get("record")
    if isinstance(record, Mapping) and {"log_time", "error_severity"} <= record.keys():
        return record
    return None


def _google_request(entry: Mapping[str, Any]) -> Mapping[str, Any] | None:
    payload = entry.get("protoPayload")
    request = payload.get("request") if isinstance(payload, Mapping) else None
    if isinstance(request, Mapping) and str(request.get("@type", "")).endswith(_AUDIT_ENTRY):
        return request
    return None


def _from_cloudnativepg(record: Mapping[str, Any]) -> dict[str, Any]:
    made = {
        _JSONLOG_NAMES.get(name, name): value for name, value in record.items() if name != "audit"
    }
    made["remote_host"] = _PORT_SUFFIX.sub("", str(record.get("connection_from") or ""))
    made.setdefault("backend_type", "client backend")
    audit = record.get("audit")
    if isinstance(audit, Mapping):
        made["message"] = _pgaudit_message([audit.get(name) for name in _PGAUDIT_FIELDS])
    return made


def _from_google(request: Mapping[str, Any], entry: Mapping[str, Any]) -> dict[str, Any]:
    when = str(entry.get("timestamp") or "").replace("T", " ", 1)
    # PostgreSQL's times have six decimals, Google's up to nine.
    when = re.sub(r"^(.{19}(?:\.\d{1,6})?)\d*Z$", r"\1 UTC", when)
    session = request.get("databaseSessionId")
    return {
        "timestamp": when,
        "user": request.get("user"),
        "dbname": request.get("database"),
        # Its number alone would be taken for another server's session with the same one.
        "session_id": f"{session}.0" if session is not None else None,
        "error_severity": "LOG",
        "backend_type": "client backend",
        "message": _pgaudit_message([request.get(name) for name in _GOOGLE_FIELDS]),
    }


def _pgaudit_message(fields: list[Any]) -> str:
    """Pgaudit's own line; rows, the last of ``fields``, only where they are told."""
    *shown, rows = ["" if field is None else str(field) for field in fields]
    if rows:
        shown.append(rows)
    return "AUDIT: " + ",".join(map(_quote_csv, shown))


def _quote_csv(field: str) -> str:
    if re.search(r'[",\n\r]', field):
        return '"' + field.replace('"', '""') + '"'
    return field
