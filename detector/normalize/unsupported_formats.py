"""Logs that are known and not read, with what to do about them.

What is refused by its name costs a person a minute; what is refused as unknown costs an afternoon.
"""

from __future__ import annotations

import re
from typing import Final

#: Ways to compress and pack that are not read, by their magic bytes.
_MAGIC_BYTES: Final = {
    b"\xfd7zXZ\x00": "compressed with xz",
    b"PK\x03\x04": "a zip archive",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive",
    b"\x04\x22\x4d\x18": "compressed with lz4",
    b"\xff\x06\x00\x00sNaPpY": "compressed with snappy",
    b"\x1f\x9d": "compressed with compress",
    b"LZIP": "compressed with lzip",
    b"ORC": "an ORC file",
    b"Obj\x01": "an Avro file",
    b"SQLite format 3\x00": "an SQLite database",
    b"\xd0\xcf\x11\xe0": "an old Office document",
}
_UNPACK_HINT: Final = "; unpack it, or pack it with gzip, bzip2 or zstd, which are read as they are"
_EXPORT_HINT: Final = "; export it as CSV, JSON lines or Parquet"

_TIME: Final = rb"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"
_MONGOD: Final = (
    "MongoDB's text log of 4.2 and older, which tells no user; from 4.4 on the log is JSON and is "
    "read; before, export system.profile (format mongodb_profiler)"
)
_PGAUDIT_FILE: Final = (
    "the file of pgauditlogtofile, which does not quote all that users choose, so that an entry "
    "cannot be told from text; let pgaudit write to the server's log (unset pgaudit.log_directory) "
    "and set log_destination = csvlog or jsonlog"
)
_CLOUD_SERVICE_JSON: Final = (
    "PostgreSQL's text log with pgaudit in a service's JSON, such as Azure's: it names no user in "
    "a place that text cannot forge; let the server write jsonlog or csvlog where it can "
    "(log_destination)"
)
_XML: Final = (
    "an audit log of MySQL or Percona Server in XML; let it write JSON (audit_log_format, or "
    "audit_log_filter.format, = JSON)"
)
_MULTILINE_JSON: Final = (
    "JSON of many lines, and one object a line is wanted, such as jq -c . makes"
)
_BEGINNINGS: Final = {
    rb'\s*\{[^{}\[\]]{0,500}"databaseActivityEvents"\s*:\s*"': (
        "an AWS activity stream still encrypted; decrypt it with its KMS key first"
    ),
    rb"(?i)[^\n]{0,2000}\bbase_objects_accessed\b": (
        "Snowflake's ACCESS_HISTORY by itself; export it joined to QUERY_HISTORY"
    ),
    rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}(?:Z|[+-]\d\d:?\d\d) [A-Z]\d? +[A-Z_-]+ +\[": _MONGOD,
    _TIME + rb"[^,\n]{0,40},[^\n]{0,2000},[0-9A-Z]{5},(?:SESSION|OBJECT),\d+,\d+,": _PGAUDIT_FILE,
    rb"\s*(?:<\?xml[^>]{0,200}\?>\s*)?<(?:AUDIT|AUDIT_RECORD)\b": _XML,
    rb'"(?:Audit|Query|Connect|Quit|NoAudit|Execute|Prepare)","[^"\n]{1,100}","\d{4}-\d\d-': (
        "Percona Server's audit log in CSV; let it write JSON (audit_log_format = JSON)"
    ),
    rb'(?s)\s*\{.{0,4000}?"(?:message|log)"\s*:\s*"[^"]{0,500}?LOG:  AUDIT: ': _CLOUD_SERVICE_JSON,
    rb"\s*\[": "a JSON array, and one object a line is wanted, such as jq -c '.[]' makes",
    rb"(?s)\s*\{\s*\n": _MULTILINE_JSON,
    rb"(?m)^" + _TIME + rb"[^\n]{0,200} (LOG|FATAL|ERROR|STATEMENT):  ": (
        "PostgreSQL's plain text log; let it write csvlog or jsonlog (log_destination)"
    ),
}
_PATTERNS: Final = tuple((re.compile(pattern), words) for pattern, words in _BEGINNINGS.items())


def unsupported_reason(data: bytes) -> str:
    """What a log that begins with ``data`` is, and what to do; empty where it is not known."""
    for magic, words in _MAGIC_BYTES.items():
        if data.startswith(magic):
            return (
                ": it is "
                f"{words}{_EXPORT_HINT if ' file' in words or 'base' in words else _UNPACK_HINT}"
            )
    for beginning, words in _PATTERNS:
        if beginning.match(data):
            return f": it is {words}"
    return ": it is binary" if b"\0" in data else ""
