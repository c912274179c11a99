"""Which column of a log is which canonical one: settings first, then names in common use."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from detector.core.errors import InputError
from detector.core.schema import EVENTS
from detector.core.settings import Settings

REQUIRED: Final = ("timestamp", "account")

#: Names in common use, most telling first, in lower case: the canonical name itself, ECS
#: (elastic.co/guide/en/ecs), OCSF (schema.ocsf.io, class 6005 Datastore Activity), OpenTelemetry's
#: ``db.*``, then what people call their own columns.
ALIASES: Final[Mapping[str, str]] = {
    "timestamp": "timestamp @timestamp time event.created event.start ts datetime date_time "
    "event_time eventtime log_time logged_at time_stamp timestamp_utc start_time created_at",
    "account": "account user.name actor.user.name user.email actor.user.email_addr "
    "actor.user.uid user.id user username user_name account_name login login_name loginname "
    "db_user dbuser dbusername db_username session_user server_principal_name principal userid "
    "user_id employee agent",
    "client_address": "client_address source.ip client.ip src_endpoint.ip source.address "
    "client.address src_endpoint.hostname client.domain client_ip clientip client_addr ip "
    "ip_address ipaddress remote_addr remote_address remote_ip remote_host src_ip source_ip "
    "source_address client_host userhost",
    "application": "application user_agent.name process.name actor.app_name app_name "
    "service.name user_agent.original src_endpoint.svc_name application_name app program "
    "program_name client_program client_application client_app client_application_name user_agent",
    "database": "database database.name db.namespace db.name databases.name db database_name "
    "db_name dbname",
    "object": "object table.name db.collection.name db.sql.table object_name table table_name "
    "relation relation_name collection collection_name view resource dataset",
    "other_objects": "other_objects",
    "subject": "subject subject_id subject.id",
    "action": "action event.action activity_name db.operation.name db.operation event.type "
    "operation operation_name operation_type command command_type command_tag statement_type "
    "query_type event_type activity verb op",
    "rows": "rows row_count rowcount rows_returned returned_rows rows_sent "
    "db.response.returned_rows query_info.rows rows_read num_rows nrows n_rows result_rows "
    "records record_count records_returned rows_fetched rows_affected affected_rows",
    "bytes": "bytes query_info.bytes destination.bytes bytes_sent bytes_returned response_bytes "
    "result_bytes bytes_out network.bytes response_size",
    "duration_ms": "duration_ms event.duration duration duration_us duration_ns duration_s "
    "duration_seconds elapsed_ms elapsed_us execution_time_ms exec_time_ms query_time "
    "response_time_ms elapsed",
    "statement": "statement fingerprint statement_id statement_hash query_id queryid query_hash "
    "query_fingerprint sql_id digest db.query.summary query_info.uid db.query.text db.statement "
    "query_info.query_string query sql sql_text statement_text query_text event.original",
    "success": "success event.outcome status status_id outcome succeeded is_success ok returncode "
    "return_code retcode error_code",
}

#: Milliseconds in one unit of a duration column, where it is not milliseconds.
MILLISECONDS_PER_UNIT: Final[Mapping[str, float]] = {
    "event.duration": 1e-6,  # ECS: nanoseconds
    "duration_ns": 1e-6,
    "duration_us": 1e-3,
    "elapsed_us": 1e-3,
    "duration_s": 1e3,
    "duration_seconds": 1e3,
    "query_time": 1e3,  # MySQL's slow log: seconds
}

#: Columns that hold a statement's text, always hashed, even where it looks like a hash.
STATEMENT_TEXT_COLUMNS: Final = frozenset(
    {
        "db.query.text",
        "db.statement",
        "query_info.query_string",
        "query",
        "sql",
        "sql_text",
        "statement_text",
        "query_text",
        "event.original",
    }
)
#: Columns in which 0 is success, and OCSF's status_id, in which 1 is.
RETURN_CODE_COLUMNS: Final = frozenset({"returncode", "return_code", "retcode", "error_code"})


_SEPARATORS: Final = re.compile(r"[^a-z0-9]")
#: Below so many letters, a name with one letter less is another name.
_MIN_TYPO_LENGTH: Final = 3


@dataclass(frozen=True, slots=True)
class ColumnOrigin:
    """One canonical column's origin: ``name`` in the log, and whether a person said so."""

    name: str
    from_settings: bool = False


Columns = dict[str, ColumnOrigin]


def find(names: Sequence[str], settings: Settings) -> Columns:
    """The columns of a log whose column names are ``names``; what is not found is left out."""
    by_lower: dict[str, str] = {}
    for name in names:
        by_lower.setdefault(name.strip().lower(), name)
    found: Columns = {}
    for canonical in EVENTS:
        if canonical in settings.columns:
            wanted = settings.columns[canonical]
            chosen = wanted if wanted in names else by_lower.get(wanted.strip().lower())
            if chosen is not None:
                found[canonical] = ColumnOrigin(chosen, from_settings=True)
            continue
        for alias in ALIASES[canonical].split():
            if alias in by_lower:
                found[canonical] = ColumnOrigin(by_lower[alias])
                break
    return found


def is_complete(columns: Columns) -> bool:
    """Whether the columns without which nothing can be done are there."""
    return all(name in columns for name in REQUIRED)


def require(names: Sequence[str], settings: Settings, where: str) -> Columns:
    """As ``find``; raises InputError where a required or a chosen column is missing."""
    columns = find(names, settings)
    for canonical, wanted in settings.columns.items():
        if canonical not in columns:
            hint = _near_name_hint(wanted, names)
            raise InputError(f"no {_column_reference(canonical, wanted)}", where=where, hint=hint)
    for canonical in REQUIRED:
        if canonical not in columns:
            raise InputError(
                f"no column for {canonical!r}",
                where=where,
                hint=missing_column_hint(names, columns),
            )
    return columns


def missing_column_reason(canonical: str, wanted: str, names: Sequence[str]) -> str:
    """Which column a person named that is not there, with the nearest names that are."""
    return f"{_column_reference(canonical, wanted)} ({_near_name_hint(wanted, names)})"


def _column_reference(canonical: str, wanted: str) -> str:
    return f"column {wanted!r}, which [columns] in detector.toml names for {canonical}"


def missing_column_hint(names: Sequence[str], columns: Columns) -> str:
    """How to mend a log that lacks required columns, with the nearest names it has."""
    missing = [name for name in REQUIRED if name not in columns]
    near = [_near_name_hint(alias, names) for name in missing for alias in _undotted_aliases(name)]
    likely = next((hint for hint in near if hint.startswith("did")), _near_name_hint("", names))
    setting = " and ".join(f'{name} = "..."' for name in missing)
    return f"{likely}; say which it is in detector.toml: [columns] {setting}"


def descriptions(columns: Columns, settings: Settings) -> dict[str, str]:
    """For people: canonical name to where it comes from."""
    said: dict[str, str] = {}
    for canonical in EVENTS:
        mapped = columns.get(canonical)
        if mapped is None:
            if canonical == "action":
                said[canonical] = "not in the log: every statement counts as a read"
            elif canonical == "rows":
                said[canonical] = "not in the log: how much was read is unknown"
            elif canonical == "success":
                said[canonical] = "not in the log: every statement counts as successful"
            elif canonical != "other_objects":
                said[canonical] = "not in the log"
            continue
        words = [f"column {mapped.name!r}"]
        if mapped.from_settings:
            words.append("(from [columns])")
        if canonical == "timestamp":
            words.append(f"(taken as {settings.log_timezone} where it names no zone)")
        if canonical == "duration_ms":
            words.append(f"(times {milliseconds_per_unit(mapped):g})")
        if canonical == "statement":
            words.append("(text is hashed, never kept)")
        if canonical == "subject":
            words.append("(a keyed hash is kept, to count different people)")
        said[canonical] = " ".join(words)
    return said


def milliseconds_per_unit(mapped: ColumnOrigin) -> float:
    """How many milliseconds one unit of a duration column is."""
    return MILLISECONDS_PER_UNIT.get(mapped.name.strip().lower(), 1.0)


def _undotted_aliases(canonical: str) -> list[str]:
    return [alias for alias in ALIASES[canonical].split() if "." not in alias]


def _is_typo(wanted: str, name: str) -> bool:
    """Whether a name is the wanted one but for case, separators, and a letter more or less.

    What is merely alike is another thing: logName is no login name, and class is no rows.
    """
    one, other = sorted(
        (_SEPARATORS.sub("", wanted.lower()), _SEPARATORS.sub("", name.lower())), key=len
    )
    if one == other:
        return True
    if len(one) < _MIN_TYPO_LENGTH or len(other) - len(one) > 1:
        return False
    if len(one) == len(other):  # two letters that changed places
        apart = [at for at in range(len(one)) if one[at] != other[at]]
        first, last = apart[0], apart[-1]
        return (
            len(apart) == 2
            and last == first + 1
            and sorted(one[first : last + 1]) == sorted(other[first : last + 1])
        )
    return any(other[:at] + other[at + 1 :] == one for at in range(len(other)))


def _near_name_hint(wanted: str, names: Sequence[str]) -> str:
    near = next((name for name in names if _is_typo(wanted, name)), None) if wanted else None
    if near is not None:
        return f"did you mean {near!r}?"
    shown = ", ".join(name[:40] for name in names[:12])
    return f"its columns are {shown}{', ...' if len(names) > 12 else ''}"
