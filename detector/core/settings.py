"""Settings: what ``detector.toml`` may say, its defaults, and how it is read.

Flags win over the file; the file wins over the defaults below.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import polars as pl

from detector.core import public_holidays
from detector.core import setting_types as types
from detector.core.errors import SettingsError
from detector.core.schema import EVENTS
from detector.core.validation import Types, convert, convert_table, words_error

FILE_NAME = "detector.toml"
#: What timestamp_format may say besides a format: which comes first where it could be either.
TIME_ORDERS = ("day-first", "month-first")
#: What [health] may say, with its defaults: shares from 0 to 1, and whole numbers.
HEALTH_DEFAULTS = {
    "most_rejects": 0.05,
    "most_new_accounts": 0.2,
    "most_unknown": 0.2,
    "exit_status": 3,
    "new_accounts_judged": 10_000,
}


#: The settings that are tables with keys of their own.
_TABLES: Final[Mapping[str, Types]] = {
    "identity": types.IDENTITY,
    "impact": types.IMPACT,
    "health": types.HEALTH,
}


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
    values = convert_table(types.SETTINGS, raw, where, "unknown setting {key!r}")
    for name, kinds in _TABLES.items():
        unknown = f"[{name}] has no setting {{key!r}}"
        if name in values:
            values[name] = convert_table(kinds, values[name], where, unknown)
    if "impact" in values:
        values["impact"] = ImpactBounds(**values["impact"])
    settings = replace(base or Settings(), **values)
    for validate in (_validate_names, _validate_times, _validate_bounds, _validate_identity):
        try:
            validate(settings)
        except SettingsError as error:
            raise SettingsError(error.what, where=where, hint=error.hint) from None
    return settings


def _validate_names(settings: Settings) -> None:
    """What names columns, objects and the key of pseudonyms. Raises SettingsError."""
    for name in settings.columns:
        if name not in EVENTS:
            hint = f"canonical names are {', '.join(EVENTS)}"
            raise SettingsError(f"[columns] names {name!r}", hint=hint)
    for name, size in settings.tables.items():
        # Without quotes, TOML takes public.person for a table within a table.
        convert(types.RECORDS, name, size, None)
        if not name:
            raise words_error(types.RECORDS, name, size)
    key = settings.pseudonym_key_file or settings.pseudonym_key_env
    if settings.pseudonyms and key is None:
        hint = "name it with pseudonym_key_file or pseudonym_key_env"
        raise SettingsError("pseudonyms need a key", hint=hint)


def _validate_times(settings: Settings) -> None:
    """That there are such time zones, such a format, and such a country. Raises SettingsError."""
    for name in ("timezone", "log_timezone"):
        zone = getattr(settings, name)
        try:
            ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise words_error(types.SETTINGS[name], name, zone) from None
    wanted = settings.timestamp_format
    if wanted is not None and wanted not in TIME_ORDERS and not _is_time_format(wanted):
        raise words_error(types.SETTINGS["timestamp_format"], "timestamp_format", wanted)
    public_holidays.holidays_among(settings.holidays, [date(2024, 1, 1)])


def _validate_bounds(settings: Settings) -> None:
    """Raises SettingsError."""
    impact = settings.impact
    bounds = [each for each in (impact.medium, impact.high, impact.critical) if each is not None]
    if bounds != sorted(bounds):
        raise SettingsError("[impact] bounds must rise: medium, high, critical")


def _validate_identity(settings: Settings) -> None:
    """The rules for shared accounts. Raises SettingsError."""
    rules = settings.identity
    if rules and not (rules.get("accounts") and len(rules) > 1):
        hint = 'as accounts = ["app_rw"] and session = "app.user"'
        raise SettingsError("[identity] needs accounts, and a rule", hint=hint)
    for name in ("application", "comment"):
        if name in rules and not _has_group(rules[name]):
            raise words_error(types.IDENTITY[name], name, rules[name])


def polars_format(pattern: str) -> str:
    """A format of Python's strptime as polars knows it: decimals with the mark before them."""
    return pattern.replace(".%f", "%.f").replace(",%f", ",%6f")


def _is_time_format(pattern: str) -> bool:
    """Whether times can be read by it: the day that is written by it comes back."""
    when = datetime(2026, 11, 23, 21, 37, 45, tzinfo=UTC)
    known = polars_format(pattern)
    try:
        written = pl.Series([when]).dt.strftime(known)
        found = written.str.to_datetime(known, time_unit="us", strict=False).item()
    except (pl.exceptions.PolarsError, ValueError):
        return False
    return isinstance(found, datetime) and found.date() == when.date()


def _has_group(pattern: str) -> bool:
    """Whether polars, whose regular expressions are Rust's, can extract a group by ``pattern``."""
    try:
        pl.Series([""]).str.extract(pattern, 1)
        return re.compile(pattern).groups > 0
    except (pl.exceptions.PolarsError, re.error):
        return False
