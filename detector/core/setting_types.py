"""What each setting may say, and the words in which anything else is refused.

Those of pseudonyms never quote what was written: it may be the key. What stands in a sink is
checked where sinks are.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from msgspec import Meta

from detector.core.validation import Text, Types, said, whole_number

#: A budget beyond this is a slip of the pen.
MAX_ALERTS_PER_DAY: Final = 1e6
MAX_RECORDS: Final = 2**53
#: What grew a hundredfold is not what was accepted.
MAX_EXPECTED_GROWTH: Final = 100.0
#: What readable_by may say, and the permissions that are withheld then (umask(2)).
READER_UMASKS: Final = {"owner": 0o077, "group": 0o027, "everyone": 0o022}

#: What may stand where a key's place is named; a key itself, pasted there, must not be shown.
_Variable = Annotated[str, Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,62}\Z")]
_KeyFile = Annotated[str, Meta(min_length=1, pattern=r"^(?![0-9A-Fa-f]{32,}\Z)")]
_NO_KEY: Final = "the key itself belongs in no settings file"
TABLES_HINT: Final = 'such as "public.person" = 43_000_000, with the name in quotes'


def _path(what: str, example: str) -> Any:
    """The type of a path that may be unset."""
    return said(Text | None, f"{{key}} must {what}", f"such as {example}")


def _table(key: str, example: str) -> Any:
    hint = f"such as [{key}] and, below it, {example}"
    return said(dict[str, Any], f"[{key}] must be a table", hint)


_ZONE: Final = said(str, "unknown time zone {value!r}", "use an IANA name such as 'Europe/Paris'")
_Budget = Annotated[float, Meta(gt=0, lt=MAX_ALERTS_PER_DAY)]
_Growth = Annotated[float, Meta(ge=1, le=MAX_EXPECTED_GROWTH)]
_Weekday = Annotated[int, Meta(ge=1, le=7)]

SETTINGS: Final[Types] = {
    "alerts_per_day": said(_Budget | None, "{key} = {value!r} must be a positive number"),
    "allow_list": _path("be the path of a file", '"expected.toml"'),
    "columns": said(
        dict[str, str],
        "[columns] must map canonical names to names in the log",
        'such as account = "user"',
    ),
    "directory": _path("be a path", '"/var/lib/detector/directory"'),
    "expected_growth": said(
        _Growth, f"{{key}} = {{value!r}} must be a number from 1 to {MAX_EXPECTED_GROWTH:g}"
    ),
    "format": said(Text, "{key} = {value!r} must be the name of a format", 'such as "ocsf"'),
    "health": _table("health", "most_rejects = 0.05"),
    "holidays": said(
        Text | None,
        "{key} = {value!r} must name a country",
        'such as "FR", or with a region, "DE-BY"',
    ),
    "identity": _table("identity", 'accounts = ["app"]'),
    "impact": _table("impact", "critical = 100_000"),
    "ledger": _path("be a path", '"/var/lib/detector/ledger"'),
    "log_timezone": _ZONE,
    "minimum_records": whole_number(0, MAX_RECORDS),
    "model": _path("be a path", '"/var/lib/detector/model"'),
    "planned_work": _path("be the path of a file", '"planned.ics"'),
    "pseudonym_key_env": said(
        _Variable | None,
        "{key} must name a variable",
        f"such as DETECTOR_PSEUDONYM_KEY; {_NO_KEY}",
    ),
    "pseudonym_key_file": said(
        _KeyFile | None,
        "{key} must name a file",
        f"such as /etc/detector/pseudonyms.key; {_NO_KEY}",
    ),
    "pseudonyms": said(bool, "{key} must be true or false", "the key has settings of its own"),
    "readable_by": said(
        Literal["owner", "group", "everyone"],
        "{key} = {value!r}",
        f"it is one of {', '.join(READER_UMASKS)}",
    ),
    "reveal_audit": _path("name a file", "/var/log/detector/reveal-audit.ndjson"),
    "seed": whole_number(0, 2**32 - 1),
    "sensitive": said(
        tuple[Text, ...], "{key} must be a list of objects", 'such as ["public.person"]'
    ),
    "sinks": said(
        tuple[dict[str, Any], ...],
        "{key} must be tables",
        'such as [[sinks]] and, below it, url = "file:///var/log/detector/alerts.ndjson"',
    ),
    "tables": said(dict[str, Any], "[tables] must map objects to their records", TABLES_HINT),
    "timestamp_format": said(
        str | None,
        "{key} = {value!r} is no format of a date and a time",
        'such as "%d/%m/%Y %H:%M:%S", "day-first" or "month-first"',
    ),
    "timezone": _ZONE,
    "workdays": said(
        tuple[_Weekday, ...], "{key} must be a list of numbers from 1 (Monday) to 7 (Sunday)"
    ),
}

_BOUND: Final = said(
    Annotated[int, Meta(ge=1, le=MAX_RECORDS)] | None,
    "[impact] {key} = {value!r} must be a whole number of records from 1",
)
IMPACT: Final[Types] = dict.fromkeys(("medium", "high", "critical", "records_a_day"), _BOUND)
RECORDS: Final = said(
    Annotated[int, Meta(ge=1, le=MAX_RECORDS)],
    "[tables] gives {key!r} the size {value!r}, which is no number of records",
    TABLES_HINT,
)
_PERSON: Final = said(
    str,
    "[identity] {key} must be a regular expression with a group that is the person",
    'such as "user=([\\w.@-]+)"',
)
IDENTITY: Final[Types] = {
    "accounts": said(list[str], "[identity] {key} must be a list of names", 'such as ["app_rw"]'),
    "application": _PERSON,
    "comment": _PERSON,
    "session": said(Text, "[identity] {key} must be the name of a variable", 'such as "app.user"'),
    "role": said(bool, "[identity] {key} must be true or false", "whether SET ROLE names a person"),
}
_SHARE: Final = said(
    Annotated[float, Meta(ge=0, le=1)], "[health] {key} = {value!r} must be from 0 to 1"
)
HEALTH: Final[Types] = {
    "most_rejects": _SHARE,
    "most_new_accounts": _SHARE,
    "most_unknown": _SHARE,
    "exit_status": whole_number(0, 255, head="[health] "),
    "new_accounts_judged": whole_number(1, 10_000_000, head="[health] "),
}
