"""What shippers and cloud services wrap entries in, one JSON object a line, taken off again.

A log is known by its entries, not by who carried them. So there is one list of places where an
entry can lie, the same for all formats, and a list of what an entry looks like. An envelope is
opened only where its content is an entry that is known: an application's own log that happens to
have a ``message`` stays what it is. All lines of a file, or of a piece of one that grows, are
opened in the same place, which most of its first lines show. A line that has nothing there is
passed on as it is, and the entries' own reader rejects it.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from detector.readers import postgresql_envelopes

KeyPath: TypeAlias = tuple[str, ...]

#: Keys under which an entry lies, as an object, as JSON text, as a line of a text log, or as a list
#: of those: Filebeat and Logstash (message, event.original), Fluent Bit and Docker (log, message),
#: Elasticsearch's exports (_source), Splunk (_raw, result, event), CloudWatch Logs (logEvents,
#: @message, message), EventBridge (detail), Google Cloud Logging (jsonPayload, textPayload),
#: OpenTelemetry (body), journald (MESSAGE), GELF (full_message), Kafka's tools (value, payload),
#: AWS activity streams (databaseActivityEvents).
_KEY_PATHS: Final[tuple[KeyPath, ...]] = (
    ("databaseActivityEvents",),
    ("event", "original"),
    ("event.original",),
    ("_source",),
    ("message",),
    ("log",),
    ("@message",),
    ("logEvents",),
    ("_raw",),
    ("result",),
    ("event",),
    ("detail",),
    ("jsonPayload",),
    ("textPayload",),
    ("body",),
    ("line",),
    ("MESSAGE",),
    ("full_message",),
    ("value",),
    ("payload",),
    ("data",),
    ("log_processed",),
    ("records",),
    ("events",),
)
#: What an envelope may hold a list of. By themselves, these are read as they are.
_INNER_KEY_PATHS: Final[tuple[KeyPath, ...]] = (("Records",),)
_KEY_PATTERN: Final = re.compile(
    b"|".join(b'"' + re.escape(place[-1]).encode() + b'"' for place in _KEY_PATHS)
    + b'|"record"|"protoPayload"'
)
#: What entries have: all keys of one of these.
_ENTRY_KEYS: Final = tuple(
    frozenset(keys.split())
    for keys in (
        "eventSource eventName userIdentity",  # AWS CloudTrail
        "timestamp session_id error_severity backend_type",  # PostgreSQL's jsonlog
        "t s c id ctx msg",  # MongoDB's log
        "timestamp id class connection_id",  # the audit log of MySQL Enterprise and Percona
        "audit_record",  # Percona's older one
        "databaseActivityEventList",
        "audit_category audit_request_layer",  # OpenSearch
        "event.action event.type node.id",  # Elasticsearch
        "class_uid activity_id",  # OCSF
    )
)
#: Lines of text logs: MariaDB's server_audit and PostgreSQL's csvlog.
_TEXT_ENTRY: Final = re.compile(
    r"(?:\d{8} \d\d:\d\d:\d\d|\d{16}),[^,\n]*,[^\n]{0,500}?,\d{1,18},\d{1,18},[A-Z_]+,"
    r'|"?\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d{1,6})? [A-Za-z0-9+:-]{1,9}"?,'
)
_CSVLOG_START: Final = re.compile(r'"?\d{4}-')
_MAX_DEPTH: Final = 4
_SAMPLE_LINES: Final = 20
_MAX_LINE_BYTES: Final = 64 << 20
_DECODER: Final = json.JSONDecoder()


@dataclass(frozen=True, slots=True)
class Envelope:
    """``place`` are the keys that lead to a line's entries, none where the line is one itself,
    in words that its reader must be told in others.
    """

    key_path: KeyPath

    def entries(self, line: bytes) -> list[str]:
        """The entries of a line as their readers know them; none where it has none."""
        found: list[str] = []
        for whole in _json_values(line):
            found += [
                text for each in _values_at(whole, self.key_path) for text in _entry_lines(each)
            ]
        return found


def detect(head: bytes) -> Envelope | None:
    """How the lines of a log that begins with ``head`` are wrapped; None where they are not.

    The first line must be an object, since in a text log what follows can be a statement's text.
    """
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if not start.startswith(b"{") or not _KEY_PATTERN.search(start):
        return None
    lines = [line for line in start.split(b"\n", 4 * _SAMPLE_LINES) if line.strip()][:_SAMPLE_LINES]
    places: Counter[KeyPath] = Counter()
    for line in lines:
        whole = next(_json_values(line), None)
        if (place := _find_key_path(whole)) is not None:
            places[place] += 1
    if not places:
        return None
    (place, count), *_ = places.most_common(1)
    wholes = [whole for line in lines for whole in _json_values(line)][: len(lines)]
    if place == () and not any(map(postgresql_envelopes.is_wrapped, wholes)):
        return None
    asides = sum(
        1 for whole in wholes for each in _values_at(whole, place) if _is_operator_message(each)
    )
    return Envelope(place) if count * 2 > len(lines) - asides else None


def _is_operator_message(entry: Any) -> bool:
    return isinstance(entry, Mapping) and postgresql_envelopes.is_operator_message(entry)


def unwrap(chunks: Iterator[tuple[bytes, int]], how: Envelope) -> Iterator[tuple[bytes, int]]:
    """The entries in ``chunks``, one a line. Raises what they raise."""
    held, raw = b"", 0
    for data, raw in chunks:  # noqa: B007 - used below
        end = data.rfind(b"\n") + 1
        if end or len(held) > _MAX_LINE_BYTES:
            yield _unwrap_lines(held + data[:end], how), raw
            held = data[end:]
        else:
            held += data
    if held:
        yield _unwrap_lines(held, how), raw


def _unwrap_lines(data: bytes, how: Envelope) -> bytes:
    made: list[bytes] = []
    *lines, last = data.split(b"\n")
    for line in lines:
        made += [_unwrap_line(line, how), b"\n"]
    if last:
        made.append(_unwrap_line(last, how))
    return b"".join(made)


def _unwrap_line(line: bytes, how: Envelope) -> bytes:
    entries = how.entries(line) if line.strip() else []
    return "\n".join(entries).encode("utf-8", "replace") if entries else line


def _json_values(line: bytes) -> Iterator[Any]:
    """The JSON values of a line: Amazon Firehose writes one behind the other."""
    text = line.decode("utf-8", "replace").removeprefix("\ufeff").strip()
    at = 0
    while at < len(text):
        try:
            whole, at = _DECODER.raw_decode(text, at)
        except (ValueError, RecursionError):
            return
        yield whole
        while at < len(text) and text[at] in " \t\r,":
            at += 1


def _find_key_path(value: Any, before: KeyPath = ()) -> KeyPath | None:
    """The keys that lead to an entry in ``value``; None where there is none."""
    value = _parse_nested(value)
    if isinstance(value, str):
        return before if before and _TEXT_ENTRY.match(value) else None
    if isinstance(value, list):
        return _find_key_path(value[0], before) if value else None
    if not isinstance(value, dict):
        return None
    if postgresql_envelopes.is_wrapped(value) or any(keys <= value.keys() for keys in _ENTRY_KEYS):
        return before
    if len(before) >= _MAX_DEPTH:
        return None
    for place in _KEY_PATHS if not before else (*_KEY_PATHS, *_INNER_KEY_PATHS):
        for inner in _values_at(value, place, loaded=False):
            found = _find_key_path(inner, (*before, *place))
            if found is not None:
                return found
            break
    return None


def _values_at(value: Any, place: KeyPath, *, loaded: bool = True) -> Iterator[Any]:
    """What lies at ``place``, through JSON within text, and of a list all."""
    value = _parse_nested(value) if loaded or place else value
    if isinstance(value, list):
        for each in value:
            yield from _values_at(each, place, loaded=loaded)
    elif not place:
        yield value
    elif isinstance(value, dict) and place[0] in value:
        yield from _values_at(value[place[0]], place[1:], loaded=loaded)


def _parse_nested(value: Any) -> Any:
    """``value``, or what it says where it is JSON within a text."""
    if not isinstance(value, str) or value[:64].lstrip()[:1] not in {"{", "["}:
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value


def _entry_lines(entry: Any) -> list[str]:
    """An entry as a line of its own log."""
    if isinstance(entry, str):
        text = entry.rstrip("\r\n")
        if not text.strip():
            return []
        # A newline within quotes is csvlog's own; the others have none, and none may be forged.
        return [
            text if _CSVLOG_START.match(text) else text.replace("\n", "\\n").replace("\r", "\\r")
        ]
    if not isinstance(entry, Mapping):
        return []
    return [json.dumps(postgresql_envelopes.unwrap(dict(entry)))]
