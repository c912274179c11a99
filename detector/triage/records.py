"""Lines of the verdicts file: what was said of an alert, and which later alerts it reaches."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Final, TypeAlias

import msgspec
from msgspec import Meta

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
_COUNT: Final = Annotated[int, Meta(ge=0)]
#: What a line may say of an alert, and of a verdict.
_TYPES: Final[Mapping[str, Any]] = {
    **dict.fromkeys(("alert", "incident", "time", "entity_kind", "entity"), str),
    **dict.fromkeys(("date", "since"), date),
    **dict.fromkeys(("rows", "records_out", "unknown_rows_statements"), _COUNT),
    **dict.fromkeys(("verdict", "reason", "by"), str),
    **dict.fromkeys(("families", "follows"), tuple[str, ...]),
    "names": tuple[tuple[str, str], ...],
    "until": date | None,
    "at": datetime,
}
_SUBJECT_FIELDS: Final = tuple(item.name for item in fields(Subject))


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
        return FollowUp(subject, _field(raw, "follows"))
    verdict = _field(raw, "verdict")
    if raw.get("kind") != "verdict" or verdict not in VERDICTS:
        raise ValueError("holds no verdict that is known")
    until = _field(raw, "until")
    if (verdict == EXPECTED and until is None) or (verdict == BENIGN and until):
        raise ValueError(f"is {verdict} {'without' if until is None else 'with'} an end")
    try:
        at = _field(raw, "at").astimezone(UTC)
    except OverflowError:
        raise ValueError("has no at") from None
    if until and until > max(at.date(), subject.day) + timedelta(days=MAX_EXPECTED_DAYS):
        raise ValueError(f"says until {until}, longer than {MAX_EXPECTED_DAYS} days")
    reason, by = _field(raw, "reason"), _field(raw, "by")
    if not reason.strip() or not by.strip():
        raise ValueError("has no reason or no author")
    return Verdict(subject, verdict, reason, by, at, until)


def _parse_subject(raw: Mapping[str, Any]) -> Subject:
    found = {name: _field(raw, "date" if name == "day" else name) for name in _SUBJECT_FIELDS}
    subject = Subject(**found)
    if subject.entity_kind not in ENTITY_KINDS:
        raise ValueError(f"has the entity_kind {subject.entity_kind!r}")
    if not 0 <= (subject.day - subject.since).days <= MAX_FLAGGED_DAYS:
        raise ValueError(f"flags {subject.since} to {subject.day}")
    return subject


def _field(raw: Mapping[str, Any], key: str) -> Any:
    try:
        return msgspec.convert(raw.get(key), _TYPES[key])
    except ValueError:
        raise ValueError(f"has no {key}") from None
