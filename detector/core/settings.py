"""Settings: what ``detector.toml`` may say, its defaults, and how it is read.

Flags win over the file; the file wins over the defaults below.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import polars as pl

from detector.core import public_holidays
from detector.core.errors import SettingsError
from detector.core.schema import EVENTS

FILE_NAME = "detector.toml"
#: A budget beyond this is a slip of the pen.
MAX_ALERTS_PER_DAY = 1e6
MAX_RECORDS = 2**53
#: What may stand where a key's place is named; a key itself, pasted there, must not be shown.
VARIABLE_PATTERN = re.compile(r"[A-Za-z_]\w{0,62}", re.ASCII)
HEX_KEY_PATTERN = re.compile(r"[0-9A-Fa-f]{32,}")
#: What timestamp_format may say besides a format: which comes first where it could be either.
TIME_ORDERS = ("day-first", "month-first")
#: What [identity] may say.
IDENTITY_KEYS = ("accounts", "application", "comment", "session", "role")
#: What [health] may say, with its defaults: shares from 0 to 1, and whole numbers.
HEALTH_DEFAULTS = {
    "most_rejects": 0.05,
    "most_new_accounts": 0.2,
    "most_unknown": 0.2,
    "exit_status": 3,
    "new_accounts_judged": 10_000,
}
#: The whole numbers among them, each with the least and the most that it may be.
WHOLE_HEALTH = {"exit_status": (0, 255), "new_accounts_judged": (1, 10_000_000)}
#: What readable_by may say, and the permissions that are withheld then (umask(2)).
READER_UMASKS = {"owner": 0o077, "group": 0o027, "everyone": 0o022}
#: What grew a hundredfold is not what was accepted.
MAX_EXPECTED_GROWTH = 100.0


@dataclass(frozen=True, slots=True)
class ImpactBounds:
    """Bounds in records: ``medium``, ``high`` and ``critical`` are records out from which an alert
    has that severity, ``records_a_day`` the records of a day that fire whatever history says. None
    takes the default, which follows the organisation's own volumes.
    """

    medium: int | None = None
    high: int | None = None
    critical: int | None = None
    records_a_day: int | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings, with the defaults a newcomer gets.

    ``columns`` maps canonical names to the names used in the log (dots reach into nested
    NDJSON objects). ``timezone`` is the one whose days and working hours count;
    ``log_timezone`` is assumed for timestamps that name no zone; ``timestamp_format`` is how logs
    write theirs, where they do not show it: a format of strptime, or which of day and month is
    first. ``workdays`` are the office's days (Monday is 1), but for the public ``holidays`` of a
    country or region.
    ``minimum_records`` is the floor of materiality: a day below it never alerts.
    ``alerts_per_day`` is the budget of false alerts; None means one per 1,000 accounts, at
    least one. ``tables`` maps objects to how many records they hold, ``sensitive`` are objects
    whose alerts are one step more severe. ``format`` is the shape of alerts.ndjson. ``sinks`` are
    tables that ``detector.delivery.config`` reads. ``pseudonyms`` says whether accounts are kept as
    pseudonyms, of the key in the variable or file that ``pseudonym_key_env`` and
    ``pseudonym_key_file`` name; ``reveal_audit`` is the file that tells who turned one back.
    ``allow_list`` is a file of expected alerts; what is expected is held back up to
    ``expected_growth`` times what was accepted; ``planned_work`` is a calendar of windows in which
    more is expected. ``identity`` says where the people behind shared accounts are told, see
    ``detector.normalize.shared_accounts``. ``health`` says from when logs are told as unwell
    (HEALTH has the defaults). ``directory``, ``ledger`` and ``model`` stand for the options.
    ``readable_by`` says who may read what is written (READERS).
    """

    columns: dict[str, str] = field(default_factory=dict)
    timezone: str = "UTC"
    log_timezone: str = "UTC"
    timestamp_format: str | None = None
    workdays: tuple[int, ...] = (1, 2, 3, 4, 5)
    holidays: str | None = None
    alerts_per_day: float | None = None
    minimum_records: int = 50
    tables: dict[str, int] = field(default_factory=dict)
    sensitive: tuple[str, ...] = ()
    format: str = "ocsf"
    seed: int = 20240206
    sinks: tuple[dict[str, Any], ...] = ()
    pseudonyms: bool = False
    pseudonym_key_file: str | None = None
    pseudonym_key_env: str | None = None
    reveal_audit: str | None = None
    allow_list: str | None = None
    expected_growth: float = 2.0
    planned_work: str | None = None
    identity: dict[str, Any] = field(default_factory=dict)
    impact: ImpactBounds = field(default_factory=ImpactBounds)
    health: dict[str, float] = field(default_factory=dict)
    directory: str | None = None
    ledger: str | None = None
    model: str | None = None
    readable_by: str = "owner"

    def health_limit(self, name: str) -> float:
        """What [health] says of ``name``, or its default."""
        return self.health.get(name, HEALTH_DEFAULTS[name])


def load(path: Path | None = None, base: Settings | None = None) -> Settings:
    """The settings in ``path``, or in ./detector.toml if there is one, over ``base``.

    ``base`` is the defaults, or, when scoring, what the model was trained with.

    Raises SettingsError, naming the file and the setting, on anything unknown or senseless.
    """
    if path is None:
        path = Path(FILE_NAME)
        if not path.exists():
            return base or Settings()
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SettingsError("no such file", where=path) from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"cannot be read: {error}", where=path) from error
    return from_mapping(raw, path, base)


def from_mapping(
    raw: dict[str, Any], where: str | Path | None = None, base: Settings | None = None
) -> Settings:
    """Settings from a parsed TOML document over ``base``. Raises SettingsError."""
    known = {item.name for item in fields(Settings)}
    for name in raw:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(sorted(known))}"
            raise SettingsError(f"unknown setting {name!r}", where=where, hint=hint)
    values = dict(raw)
    for name in ("workdays", "sensitive", "sinks"):
        if isinstance(values.get(name), list):
            values[name] = tuple(values[name])
    if "impact" in values:
        values["impact"] = _parse_impact(values["impact"], where)
    settings = replace(base or Settings(), **values)
    _validate(settings, where)
    return settings


def _validate(settings: Settings, where: str | Path | None) -> None:
    def refuse(what: str, hint: str = "") -> None:
        raise SettingsError(what, where=where, hint=hint)

    if not isinstance(settings.columns, dict) or not all(
        isinstance(value, str) for value in settings.columns.values()
    ):
        refuse("[columns] must map canonical names to names in the log", 'such as account = "user"')
    for name in settings.columns:
        if name not in EVENTS:
            refuse(f"[columns] names {name!r}", f"canonical names are {', '.join(EVENTS)}")
    for zone in (settings.timezone, settings.log_timezone):
        try:
            ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError, TypeError, OSError):
            refuse(f"unknown time zone {zone!r}", "use an IANA name such as 'Europe/Paris'")
    _validate_timestamp_format(settings, where)
    for name, low, high in (
        ("minimum_records", 0, MAX_RECORDS),
        ("seed", 0, 2**32 - 1),
    ):
        value = getattr(settings, name)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            refuse(f"{name} = {value!r} must be a whole number from {low} to {high}")
    days = settings.workdays
    if not isinstance(days, tuple) or not all(type(day) is int and 1 <= day <= 7 for day in days):
        refuse("workdays must be a list of numbers from 1 (Monday) to 7 (Sunday)")
    _validate_holidays(settings, where)
    budget = settings.alerts_per_day
    most = MAX_ALERTS_PER_DAY
    if budget is not None and not (type(budget) in {int, float} and 0 < budget < most):
        refuse(f"alerts_per_day = {budget!r} must be a positive number")
    if not isinstance(settings.format, str) or not settings.format:
        refuse(f"format = {settings.format!r} must be the name of a format", 'such as "ocsf"')
    _validate_tables(settings, where)
    _validate_sinks(settings, where)
    _validate_pseudonyms(settings, where)
    _validate_suppression(settings, where)
    _validate_identity(settings, where)
    _validate_health(settings, where)
    _validate_paths(settings, where)


def _validate_paths(settings: Settings, where: str | Path | None) -> None:
    """Those that stand for options, and who may read what is written. Raises SettingsError."""
    if not isinstance(settings.readable_by, str) or settings.readable_by not in READER_UMASKS:
        hint = f"it is one of {', '.join(READER_UMASKS)}"
        raise SettingsError(f"readable_by = {settings.readable_by!r}", where=where, hint=hint)
    for name in ("directory", "ledger", "model"):
        path = getattr(settings, name)
        if path is not None and not (isinstance(path, str) and path):
            hint = f'such as "/var/lib/detector/{name}"'
            raise SettingsError(f"{name} must be a path", where=where, hint=hint)


def _parse_impact(table: object, where: str | Path | None) -> ImpactBounds:
    """From ``[impact]``; a bound that is None is not set. Raises SettingsError."""

    def refuse(what: str, hint: str = "") -> SettingsError:
        return SettingsError(f"[impact] {what}", where=where, hint=hint)

    if isinstance(table, ImpactBounds):
        return table
    if not isinstance(table, dict):
        raise refuse("must be a table", "such as [impact] and, below it, critical = 100_000")
    known = [item.name for item in fields(ImpactBounds)]
    for name, value in table.items():
        if name not in known:
            raise refuse(f"has no setting {name!r}", f"known are {', '.join(known)}")
        if value is not None and not (type(value) is int and 1 <= value <= MAX_RECORDS):
            raise refuse(f"{name} = {value!r} must be a whole number of records from 1")
    made = ImpactBounds(**table)
    bounds = [each for each in (made.medium, made.high, made.critical) if each is not None]
    if bounds != sorted(bounds):
        raise refuse("bounds must rise: medium, high, critical")
    return made


def _validate_holidays(settings: Settings, where: str | Path | None) -> None:
    """That there is such a country, and region. Raises SettingsError."""
    code = settings.holidays
    if code is not None and not (isinstance(code, str) and code):
        hint = 'such as "FR", or with a region, "DE-BY"'
        raise SettingsError(f"holidays = {code!r} must name a country", where=where, hint=hint)
    try:
        public_holidays.holidays_among(code, [date(2024, 1, 1)])
    except SettingsError as error:
        raise SettingsError(error.what, where=where, hint=error.hint) from None


def _validate_sinks(settings: Settings, where: str | Path | None) -> None:
    """That they are tables; what stands in them is their own business. Raises SettingsError."""
    sinks = settings.sinks
    if not isinstance(sinks, tuple) or not all(isinstance(table, dict) for table in sinks):
        hint = 'such as [[sinks]] and, below it, url = "file:///var/log/detector/alerts.ndjson"'
        raise SettingsError("sinks must be tables", where=where, hint=hint)


def _validate_pseudonyms(settings: Settings, where: str | Path | None) -> None:
    """That the key is named, not given. Raises SettingsError, which never quotes a value."""

    def refuse(what: str, hint: str) -> None:
        raise SettingsError(what, where=where, hint=hint)

    file, variable = settings.pseudonym_key_file, settings.pseudonym_key_env
    if not isinstance(settings.pseudonyms, bool):
        refuse("pseudonyms must be true or false", "the key has settings of its own")
    if variable is not None and not (
        isinstance(variable, str) and VARIABLE_PATTERN.fullmatch(variable)
    ):
        hint = "such as DETECTOR_PSEUDONYM_KEY; the key itself belongs in no settings file"
        refuse("pseudonym_key_env must name a variable", hint)
    if file is not None and not (
        isinstance(file, str) and file and not HEX_KEY_PATTERN.fullmatch(file)
    ):
        hint = "such as /etc/detector/pseudonyms.key; the key itself belongs in no settings file"
        refuse("pseudonym_key_file must name a file", hint)
    if settings.pseudonyms and file is None and variable is None:
        refuse("pseudonyms need a key", "name it with pseudonym_key_file or pseudonym_key_env")
    audit = settings.reveal_audit
    if audit is not None and not (isinstance(audit, str) and audit):
        refuse("reveal_audit must name a file", "such as /var/log/detector/reveal-audit.ndjson")


def _validate_suppression(settings: Settings, where: str | Path | None) -> None:
    """What the settings say of expected alerts. Raises SettingsError."""
    path = settings.allow_list
    if path is not None and not (isinstance(path, str) and path):
        hint = 'such as "expected.toml"'
        raise SettingsError("allow_list must be the path of a file", where=where, hint=hint)
    path = settings.planned_work
    if path is not None and not (isinstance(path, str) and path):
        hint = 'such as "planned.ics"'
        raise SettingsError("planned_work must be the path of a file", where=where, hint=hint)
    growth = settings.expected_growth
    if type(growth) not in {int, float} or not 1 <= growth <= MAX_EXPECTED_GROWTH:
        what = f"expected_growth = {growth!r} must be a number from 1 to {MAX_EXPECTED_GROWTH:g}"
        raise SettingsError(what, where=where)


def _validate_tables(settings: Settings, where: str | Path | None) -> None:
    """What the settings say of objects. Raises SettingsError."""
    hint = 'such as "public.person" = 43_000_000, with the name in quotes'
    if not isinstance(settings.tables, dict):
        raise SettingsError("[tables] must map objects to their records", where=where, hint=hint)
    for name, size in settings.tables.items():
        # Without quotes, TOML takes public.person for a table within a table.
        if not name or type(size) is not int or not 1 <= size <= MAX_RECORDS:
            what = f"[tables] gives {name!r} the size {size!r}, which is no number of records"
            raise SettingsError(what, where=where, hint=hint)
    names = settings.sensitive
    if not isinstance(names, tuple) or not all(isinstance(name, str) and name for name in names):
        raise SettingsError(
            "sensitive must be a list of objects", where=where, hint='such as ["public.person"]'
        )


def _validate_identity(settings: Settings, where: str | Path | None) -> None:
    """The rules for shared accounts. Raises SettingsError."""

    def refuse(what: str, hint: str) -> None:
        raise SettingsError(f"[identity] {what}", where=where, hint=hint)

    rules = settings.identity
    if not isinstance(rules, dict):
        refuse("must be a table", 'such as [identity] and, below it, accounts = ["app"]')
    unknown = next((name for name in rules if name not in IDENTITY_KEYS), None)
    if unknown is not None:
        refuse(f"has no setting {unknown!r}", f"known are {', '.join(IDENTITY_KEYS)}")
    accounts = rules.get("accounts", [])
    if not isinstance(accounts, list) or not all(isinstance(name, str) for name in accounts):
        refuse("accounts must be a list of names", 'such as ["app_rw"]')
    if rules and not (accounts and len(rules) > 1):
        refuse("needs accounts, and a rule", 'as accounts = ["app_rw"] and session = "app.user"')
    for name in ("application", "comment"):
        if name in rules and not _has_group(rules[name]):
            what = f"{name} must be a regular expression with a group that is the person"
            refuse(what, 'such as "user=([\\w.@-]+)"')
    if not isinstance(rules.get("session", "a"), str) or not rules.get("session", "a"):
        refuse("session must be the name of a variable", 'such as "app.user"')
    if not isinstance(rules.get("role", True), bool):
        refuse("role must be true or false", "whether SET ROLE names a person")


def _validate_timestamp_format(settings: Settings, where: str | Path | None) -> None:
    """That times can be read by ``timestamp_format``. Raises SettingsError."""
    wanted = settings.timestamp_format
    if wanted is not None and wanted not in TIME_ORDERS and not _is_time_format(wanted):
        hint = 'such as "%d/%m/%Y %H:%M:%S", "day-first" or "month-first"'
        what = f"timestamp_format = {wanted!r} is no format of a date and a time"
        raise SettingsError(what, where=where, hint=hint)


def polars_format(pattern: str) -> str:
    """A format of Python's strptime as polars knows it: decimals with the mark before them."""
    return pattern.replace(".%f", "%.f").replace(",%f", ",%6f")


def _is_time_format(pattern: object) -> bool:
    """Whether times can be read by it: the day that is written by it comes back."""
    if not isinstance(pattern, str) or not pattern:
        return False
    when = datetime(2026, 11, 23, 21, 37, 45, tzinfo=UTC)
    known = polars_format(pattern)
    try:
        written = pl.Series([when]).dt.strftime(known)
        found = written.str.to_datetime(known, time_unit="us", strict=False).item()
    except (pl.exceptions.PolarsError, ValueError):
        return False
    return isinstance(found, datetime) and found.date() == when.date()


def _validate_health(settings: Settings, where: str | Path | None) -> None:
    """The limits of what is told as unwell. Raises SettingsError."""
    if not isinstance(settings.health, dict):
        hint = "such as [health] and, below it, most_rejects = 0.05"
        raise SettingsError("[health] must be a table", where=where, hint=hint)
    for name, value in settings.health.items():
        if name not in HEALTH_DEFAULTS:
            hint = f"known are {', '.join(HEALTH_DEFAULTS)}"
            raise SettingsError(f"[health] has no setting {name!r}", where=where, hint=hint)
        low, high = WHOLE_HEALTH.get(name, (0, 1))
        kinds = {int} if name in WHOLE_HEALTH else {int, float}
        if type(value) not in kinds or not low <= value <= high:
            whole = "a whole number " if name in WHOLE_HEALTH else ""
            what = f"[health] {name} = {value!r} must be {whole}from {low} to {high:,}"
            raise SettingsError(what, where=where)


def _has_group(pattern: object) -> bool:
    """Whether polars, whose regular expressions are Rust's, can extract a group by ``pattern``."""
    if not isinstance(pattern, str):
        return False
    try:
        pl.Series([""]).str.extract(pattern, 1)
        return re.compile(pattern).groups > 0
    except (pl.exceptions.PolarsError, re.error):
        return False
