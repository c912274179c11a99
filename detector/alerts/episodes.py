"""Episodes: consecutive anomalous days of an entity are one alert, with updates while they go on.

Pure: what a day says is told by the day and by how its episode stood on the days before, so that
days scored one by one, together or twice say the same.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from detector.alerts.alert import CLOSE, UPDATE, Alert
from detector.alerts.evidence import Evidence, entity_day
from detector.alerts.impact import RecordsOut
from detector.alerts.severity import SEVERITY_ORDER
from detector.core.formatting import quantity
from detector.model.threshold import EPISODE_DAYS, is_worse

#: Updates of an entity on one day. Steps of severity always find room: what is left to climb is
#: kept free for them.
MAX_UPDATES: Final = 5
#: Powers of ten of records out below this are not told: 10 records are no news after 1.
MIN_RECORDS_OUT: Final = 1_000
#: Names of evidence that are remembered, and those that one update shows, with their characters.
MAX_EVIDENCE: Final = 200
MAX_SHOWN_NAMES: Final = 3
MAX_NAME_LENGTH: Final = 100
CLOSE_TRIGGER: Final = f"no anomalous day for more than {EPISODE_DAYS} days"
UPDATE_LIMIT_NOTICE: Final = (
    f"at most {MAX_UPDATES} updates of an entity are sent a day: for this day only a higher "
    "severity is still sent"
)

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class EpisodeState:
    """How an episode stood at the end of one of its anomalous days.

    ``alert`` is the id of its first alert, ``began`` that one's time, ``last`` the id of its latest
    message. ``severity``,
    ``surprise`` and ``told`` (records out) are as its messages said; ``records_out`` is up to date.
    ``evidence`` are tables and addresses that were named. A ``suppressed`` one was expected.
    """

    alert: str
    entity_kind: str
    entity: str
    began: str
    since: date
    day: date
    last: str
    severity: str
    surprise: float
    told: float
    records_out: float
    unknown: int
    evidence: tuple[str, ...] = ()
    suppressed: bool = False

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        days = {name: getattr(self, name).isoformat() for name in ("since", "day")}
        return {**asdict(self), **days, "evidence": list(self.evidence)}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> EpisodeState:
        """From ``plain``. Raises KeyError, TypeError or ValueError where it is none."""
        days = {name: date.fromisoformat(plain[name]) for name in ("since", "day")}
        return cls(**{**plain, **days, "evidence": tuple(plain["evidence"])})


@dataclass(frozen=True, slots=True)
class DayMessages:
    """What one entity's day says: messages, those that were suppressed, and how its episode stands
    (None where no hour of the day is anomalous).
    """

    alerts: list[Alert]
    suppressed: list[Alert]
    state: EpisodeState | None


@dataclass(slots=True)
class EpisodeDay:
    """One entity's day, hour after hour. ``previous_state`` is how its episode stood, None where
    none goes on; ``is_suppressed`` whether a whole alert is expected; ``build`` makes the alert of
    a row.
    """

    evidence: Evidence
    threshold: float
    build: Callable[[Row, Evidence], Alert]
    is_suppressed: Callable[[Alert], bool] | None
    previous_state: EpisodeState | None
    _state: EpisodeState | None = None
    _updates_sent: int = 0
    _alerts: list[Alert] = field(default_factory=list)
    _suppressed: list[Alert] = field(default_factory=list)

    def messages(self, rows: Sequence[Row], end: Row) -> DayMessages:
        """``rows`` are the anomalous hours, in order; ``end`` is the day's last hour."""
        self._state = self.previous_state
        self.evidence = context = self._evidence_with_records_out(end)
        for row in rows:
            self._process_row(row)
        if not (self._alerts or self._suppressed or self._continues_episode(rows)):
            return DayMessages([], [], None)
        standing = self._state
        assert standing is not None
        unknown = (self.previous_state.unknown if self.previous_state else 0) + round(
            end["unknown"] or 0
        )
        standing = replace(
            standing,
            day=end["day"],
            records_out=context.records_out(end).records,
            unknown=unknown,
        )
        return DayMessages(self._alerts, self._suppressed, standing)

    def _continues_episode(self, rows: Sequence[Row]) -> bool:
        """Whether the day is one of the episode that goes on."""
        standing = self._state
        return standing is not None and (
            standing.suppressed or any(not row["covered"] for row in rows)
        )

    def _process_row(self, row: Row) -> None:
        standing = self._state
        expected = row["covered"] and self.is_suppressed is not None
        if standing is None or (standing.suppressed and not expected):
            self._create(row, expected=expected)
            return
        severity, out = (
            self.evidence.severity(row, self.threshold),
            self.evidence.records_out(row).records,
        )
        risen = SEVERITY_ORDER.index(severity) > SEVERITY_ORDER.index(standing.severity)
        triggers = [f"severity {severity}"] if risen else []
        triggers += _growth_triggers(standing, row["surprise"], out, self.threshold)
        triggers += _evidence_triggers(standing, row)
        if not triggers or (
            not risen and not can_send_update(self._updates_sent, standing.severity)
        ):
            return
        update = self._update(row, standing, triggers)
        held = expected and self.is_suppressed is not None and self.is_suppressed(update)
        if held and not standing.suppressed:
            return  # what a person expects of a known episode is neither told nor counted
        if standing.suppressed and not held:
            self._create(row, expected=False)
            return
        self._updates_sent += 1
        (self._suppressed if held else self._alerts).append(update)
        self._state = _next_state(standing, update, row, out)

    def _create(self, row: Row, *, expected: bool) -> None:
        """The first alert of an episode, or of one that was suppressed so far."""
        alert = self.build(row, self.evidence)
        held = expected and self.is_suppressed is not None and self.is_suppressed(alert)
        (self._suppressed if held else self._alerts).append(alert)
        out = self.evidence.records_out(row)
        standing = EpisodeState(
            alert["id"], row["entity_kind"], row["entity"], alert["time"], out.since, row["day"],
            alert["id"], alert["severity"], row["surprise"], out.records, out.records,
            self.previous_state.unknown if self.previous_state else 0, suppressed=held,
        )  # fmt: skip
        self._state = _next_state(standing, alert, row, out.records)

    def _update(self, row: Row, standing: EpisodeState, triggers: Sequence[str]) -> Alert:
        made = self.build(row, self.evidence)
        severity = max(made["severity"], standing.severity, key=SEVERITY_ORDER.index)
        last = not can_send_update(self._updates_sent + 1, severity)
        made = {**made, "severity": severity}
        return update_message(made, standing, triggers, [UPDATE_LIMIT_NOTICE] if last else [])

    def _evidence_with_records_out(self, end: Row) -> Evidence:
        """The context, with what was out before the day, where the episode knows."""
        if self.previous_state is None:
            return self.evidence
        since_then = self.evidence.prior_week(end).excess_after(self.previous_state.day)
        out = RecordsOut(self.previous_state.since, self.previous_state.records_out + since_then)
        return replace(
            self.evidence,
            episode_records_out={**self.evidence.episode_records_out, entity_day(end): out},
        )


def can_send_update(sent: int, severity: str) -> bool:
    """Whether another update that raises no severity may follow ``sent`` ones on a day."""
    steps_left = len(SEVERITY_ORDER) - 1 - SEVERITY_ORDER.index(severity)
    return sent < MAX_UPDATES - steps_left


def _next_state(standing: EpisodeState, alert: Alert, row: Row, out: float) -> EpisodeState:
    """The standing once ``alert`` was told."""
    named = dict.fromkeys([*standing.evidence, *_new_evidence(row)])
    return replace(
        standing,
        last=alert["id"],
        severity=alert["severity"],
        surprise=max(standing.surprise, row["surprise"]),
        told=max(standing.told, out),
        evidence=tuple(named)[:MAX_EVIDENCE],
    )


def _growth_triggers(
    standing: EpisodeState, surprise: float, out: float, threshold: float
) -> Iterator[str]:
    """What grew by a factor of ten: records out, or the odds against them."""
    power = math.floor(math.log10(max(out, 1.0)))
    if out >= MIN_RECORDS_OUT and standing.told < 10**power:
        yield f"{10**power:,} records out"
    if is_worse(surprise, standing.surprise, threshold):
        # Two updates of a day never say the same: by their triggers they are told apart.
        whole = math.floor(surprise)
        yield f"surprise {whole if whole > math.floor(standing.surprise) else round(surprise, 1)}"


def _new_evidence(row: Row) -> list[str]:
    """Tables and addresses that are new to an account."""
    return [
        *(f"object {name}" for name in row["new_objects_names"] or ()),
        *(f"client address {name}" for name in row["new_addresses_names"] or ()),
    ]


def _evidence_triggers(standing: EpisodeState, row: Row) -> list[str]:
    """The evidence that no message of the episode named yet, in a few words."""
    if len(standing.evidence) >= MAX_EVIDENCE:
        return []  # who comes from everywhere is known to
    fresh = [name for name in _new_evidence(row) if name not in standing.evidence]
    shown = [name[:MAX_NAME_LENGTH] for name in fresh[:MAX_SHOWN_NAMES]]
    more = [f"{len(fresh) - MAX_SHOWN_NAMES:,} more"] if len(fresh) > MAX_SHOWN_NAMES else []
    return [f"new: {', '.join([*shown, *more])}"] if fresh else []


def message_id(standing: EpisodeState, day: date, triggers: Sequence[str]) -> str:
    """The same for what is told of the same episode for the same reasons on the same day."""
    said = "\0".join((standing.alert, day.isoformat(), *triggers))
    return hashlib.sha256(said.encode("utf-8", "surrogatepass")).hexdigest()[:20]


def update_message(
    made: Alert, standing: EpisodeState, triggers: Sequence[str], more: Sequence[str] = ()
) -> Alert:
    """``made``, an alert of the moment, as an update of the episode."""
    out = quantity(made["records_out"], "record")
    words = (
        f"update of the alert of {standing.began}: {', '.join(triggers)}; "
        f"{out} above the usual since {standing.since}"
    )
    return {
        **made,
        "id": message_id(standing, date.fromisoformat(made["date"]), triggers),
        "activity": UPDATE,
        "alert": standing.alert,
        "began": standing.began,
        "triggers": list(triggers),
        "reasons": [words, *made["reasons"], *more],
    }


def close_message(last: Alert, standing: EpisodeState, timezone: str) -> Alert:
    """The end of an episode, whose latest message is ``last``."""
    day = standing.day + timedelta(days=EPISODE_DAYS + 1)
    moment = datetime.combine(day, time(), ZoneInfo(timezone)).astimezone(UTC)
    out = quantity(standing.records_out, "record")
    words = (
        f"the episode that began on {standing.began} has ended: its last anomalous day was "
        f"{standing.day}; {out} above the usual are out since {standing.since}"
    )
    return {
        **last,
        "id": message_id(standing, standing.day, [CLOSE_TRIGGER]),
        "activity": CLOSE,
        "alert": standing.alert,
        "began": standing.began,
        "triggers": [CLOSE_TRIGGER],
        "time": moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "date": day.isoformat(),
        "severity": standing.severity,
        "records_out": round(standing.records_out),
        "reasons": [words],
    }
