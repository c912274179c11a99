"""Lines of the verdicts file: what was said of an alert, and which later alerts it reaches."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final, TypeAlias

from detector.core.errors import SettingsError
from detector.features.aggregates import ENTITY_KINDS
from detector.triage.subjects import Subject

BENIGN, CONFIRMED, EXPECTED = VERDICTS = ("benign", "confirmed", "expected")
FORMAT: Final = 1
#: Days that something may be expected for without anyone looking at it again.
MAX_EXPECTED_DAYS: Final = 366
#: Days of one alert, from ``since`` to ``date``; an alert looks back a week.
MAX_FLAGGED_DAYS: Final = 31
MAX_TEXT_LENGTH: Final = 1000


@dataclass(frozen=True, slots=True)
class Verdict:
    """``by`` says who gave it, ``at`` when (UTC).

    ``until`` is the last day of what is expected, or of a theft that went on after its alert.
    """

    subject: Subject
    verdict: str
    reason: str
    author: str
    time: datetime
    until: date | None

    def to_dict(self) -> dict[str, Any]:
        """As it stands in later alerts."""
        return {
            "alert": self.subject.alert,
            "verdict": self.verdict,
            "reason": self.reason,
            "by": self.author,
            "until": self.until and self.until.isoformat(),
        }


@dataclass(frozen=True, slots=True)
class FollowUp:
    """A later alert of the same theft as the confirmed alerts with these ids."""

    subject: Subject
    confirmed_alerts: tuple[str, ...]


Record: TypeAlias = Verdict | FollowUp


def make_verdict(
    subject: Subject, verdict: str, reason: str, by: str, at: datetime, until: date | None
) -> Verdict:
    """A verdict that makes sense. Raises SettingsError, naming the flag."""
    reason, by = clean_text(reason, "--reason"), clean_text(by, "--by")
    if verdict == EXPECTED and until is None:
        hint = "say until which day such alerts are expected"
        raise SettingsError("is missing: nothing is expected for ever", where="--until", hint=hint)
    if verdict == BENIGN and until is not None:
        raise SettingsError(f"has no meaning for {verdict}", where="--until", hint="leave it out")
    if until is not None:
        check_end(until, at.date(), "--until")
        if until < subject.day or (until == subject.day and verdict == EXPECTED):
            what = f"{until} is no later than the alert itself, {subject.day}"
            raise SettingsError(what, where="--until")
    return Verdict(subject, verdict, reason, by, at.astimezone(UTC).replace(microsecond=0), until)


def clean_text(value: str, where: str) -> str:
    """What a person wrote, without what no file can hold. Raises SettingsError."""
    # The shell may hand over bytes that are no UTF-8; Python keeps them as lone surrogates.
    clean = value.encode("utf-8", "surrogatepass").decode("utf-8", "replace").strip()
    if not clean:
        raise SettingsError("is empty", where=where, hint="say it in a few words")
    if len(clean) > MAX_TEXT_LENGTH:
        raise SettingsError(f"is longer than {MAX_TEXT_LENGTH:,} characters", where=where)
    return clean


def check_end(until: date, today: date, where: str) -> None:
    """Raises SettingsError where an expectation would outlive those who remember why."""
    if until > today + timedelta(days=MAX_EXPECTED_DAYS):
        what = f"{until} is more than {MAX_EXPECTED_DAYS} days ahead"
        raise SettingsError(what, where=where, hint="expect it for a year, then look again")


def encode(record: Record) -> bytes:
    """One line, with its end."""
    head: dict[str, Any] = {"format": FORMAT}
    if isinstance(record, Verdict):
        head |= {
            "kind": "verdict",
            "verdict": record.verdict,
            "reason": record.reason,
            "by": record.author,
            "at": record.time.isoformat(),
            "until": record.until and record.until.isoformat(),
        }
    else:
        head |= {"kind": "following", "follows": list(record.confirmed_alerts)}
    subject = asdict(record.subject)
    days = {"date": subject.pop("day").isoformat(), "since": subject.pop("since").isoformat()}
    return json.dumps({**head, **days, **subject}, ensure_ascii=True).encode() + b"\n"


def decode(line: bytes) -> Record:
    """A line's record. Raises ValueError with words for what is wrong with it."""
    try:
        raw = json.loads(line)
    except (ValueError, RecursionError):
        raise ValueError("is no JSON") from None
    if not isinstance(raw, dict) or not isinstance(raw.get("format"), int):
        raise ValueError("is no verdict")  # noqa: TRY004 - one kind of error for one kind of line
    if raw["format"] > FORMAT:
        raise ValueError(f"is of a newer detector (format {raw['format']})")
    subject = _parse_subject(raw)
    if raw.get("kind") == "following":
        return FollowUp(subject, _text_list_field(raw, "follows"))
    verdict = _text_field(raw, "verdict")
    if raw.get("kind") != "verdict" or verdict not in VERDICTS:
        raise ValueError("holds no verdict that is known")
    until = None if raw.get("until") is None else _date_field(raw, "until")
    if (verdict == EXPECTED and until is None) or (verdict == BENIGN and until):
        raise ValueError(f"is {verdict} {'without' if until is None else 'with'} an end")
    at = _time_field(raw)
    if until and until > max(at.date(), subject.day) + timedelta(days=MAX_EXPECTED_DAYS):
        raise ValueError(f"says until {until}, longer than {MAX_EXPECTED_DAYS} days")
    reason, by = _text_field(raw, "reason"), _text_field(raw, "by")
    if not reason.strip() or not by.strip():
        raise ValueError("has no reason or no author")
    return Verdict(subject, verdict, reason, by, at, until)


def _parse_subject(raw: Mapping[str, Any]) -> Subject:
    pairs = raw.get("names")
    if not isinstance(pairs, list) or not all(
        isinstance(pair, list) and len(pair) == 2 and all(isinstance(each, str) for each in pair)
        for pair in pairs
    ):
        raise ValueError("has no names")
    kind, since, day = (
        _text_field(raw, "entity_kind"),
        _date_field(raw, "since"),
        _date_field(raw, "date"),
    )
    if kind not in ENTITY_KINDS:
        raise ValueError(f"has the entity_kind {kind!r}")
    if not 0 <= (day - since).days <= MAX_FLAGGED_DAYS:
        raise ValueError(f"flags {since} to {day}")
    return Subject(
        alert=_text_field(raw, "alert"),
        incident=_text_field(raw, "incident"),
        time=_text_field(raw, "time"),
        day=day,
        since=since,
        entity_kind=kind,
        entity=_text_field(raw, "entity"),
        families=_text_list_field(raw, "families"),
        rows=_count_field(raw, "rows"),
        records_out=_count_field(raw, "records_out"),
        unknown_rows_statements=_count_field(raw, "unknown_rows_statements"),
        names=tuple((kind, name) for kind, name in pairs),
    )


def _text_field(raw: Mapping[str, Any], key: str) -> str:
    value = raw.get(key)
    if not isinstance(value, str):
        raise ValueError(f"has no {key}")  # noqa: TRY004 - as above
    return value


def _text_list_field(raw: Mapping[str, Any], key: str) -> tuple[str, ...]:
    value = raw.get(key)
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise ValueError(f"has no {key}")
    return tuple(value)


def _count_field(raw: Mapping[str, Any], key: str) -> int:
    value = raw.get(key)
    if type(value) is not int or value < 0:
        raise ValueError(f"has no {key}")
    return value


def _date_field(raw: Mapping[str, Any], key: str) -> date:
    try:
        return date.fromisoformat(_text_field(raw, key))
    except ValueError:
        raise ValueError(f"has no {key}") from None


def _time_field(raw: Mapping[str, Any]) -> datetime:
    try:
        return datetime.fromisoformat(_text_field(raw, "at")).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("has no at") from None
