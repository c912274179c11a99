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
from detector.alerts.evidence import Context, day_of
from detector.alerts.impact import Out
from detector.alerts.severity import LADDER
from detector.core.formatting import counted
from detector.model.threshold import RUN_DAYS, worse

#: Updates of an entity on one day. Steps of severity always find room: what is left to climb is
#: kept free for them.
MOST_UPDATES: Final = 5
#: Powers of ten of records out below this are not told: 10 records are no news after 1.
FEWEST: Final = 1_000
#: Names of evidence that are remembered, and those that one update shows, with their characters.
MOST_NAMES: Final = 200
SHOWN: Final = 3
LONGEST: Final = 100
ENDED: Final = f"no anomalous day for more than {RUN_DAYS} days"
LAST_WORDS: Final = (
    f"no more than {MOST_UPDATES} updates of an entity are sent a day: of this day only a higher "
    "severity is still told"
)

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Standing:
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

    def plain(self) -> dict[str, Any]:
        """As JSON."""
        days = {name: getattr(self, name).isoformat() for name in ("since", "day")}
        return {**asdict(self), **days, "evidence": list(self.evidence)}

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> Standing:
        """From ``plain``. Raises KeyError, TypeError or ValueError where it is none."""
        days = {name: date.fromisoformat(plain[name]) for name in ("since", "day")}
        return cls(**{**plain, **days, "evidence": tuple(plain["evidence"])})


@dataclass(frozen=True, slots=True)
class Told:
    """What one entity's day says: messages, those that were suppressed, and how its episode stands
    (None where no hour of the day is anomalous).
    """

    alerts: list[Alert]
    held: list[Alert]
    standing: Standing | None


@dataclass(slots=True)
class Day:
    """One entity's day, hour after hour. ``before`` is how its episode stood, None where none goes
    on; ``holds`` whether a whole alert is expected; ``make`` makes the alert of a row.
    """

    context: Context
    threshold: float
    make: Callable[[Row, Context], Alert]
    holds: Callable[[Alert], bool] | None
    before: Standing | None
    _standing: Standing | None = None
    _sent: int = 0
    _alerts: list[Alert] = field(default_factory=list)
    _held: list[Alert] = field(default_factory=list)

    def told(self, rows: Sequence[Row], end: Row) -> Told:
        """``rows`` are the anomalous hours, in order; ``end`` is the day's last hour."""
        self._standing = self.before
        self.context = context = self._with_what_was_out(end)
        for row in rows:
            self._hear(row)
        if not (self._alerts or self._held or self._counts(rows)):
            return Told([], [], None)
        standing = self._standing
        assert standing is not None
        unknown = (self.before.unknown if self.before else 0) + round(end["unknown"] or 0)
        standing = replace(
            standing,
            day=end["day"],
            records_out=context.out(end).records,
            unknown=unknown,
        )
        return Told(self._alerts, self._held, standing)

    def _counts(self, rows: Sequence[Row]) -> bool:
        """Whether the day is one of the episode that goes on."""
        standing = self._standing
        return standing is not None and (
            standing.suppressed or any(not row["covered"] for row in rows)
        )

    def _hear(self, row: Row) -> None:
        standing = self._standing
        expected = row["covered"] and self.holds is not None
        if standing is None or (standing.suppressed and not expected):
            self._create(row, expected=expected)
            return
        severity, out = self.context.severity(row, self.threshold), self.context.out(row).records
        risen = LADDER.index(severity) > LADDER.index(standing.severity)
        triggers = [f"severity {severity}"] if risen else []
        triggers += _grown(standing, row["surprise"], out, self.threshold)
        triggers += _named(standing, row)
        if not triggers or (not risen and not has_room(self._sent, standing.severity)):
            return
        update = self._update(row, standing, triggers)
        held = expected and self.holds is not None and self.holds(update)
        if held and not standing.suppressed:
            return  # what a person expects of a known episode is neither told nor counted
        if standing.suppressed and not held:
            self._create(row, expected=False)
            return
        self._sent += 1
        (self._held if held else self._alerts).append(update)
        self._standing = _after(standing, update, row, out)

    def _create(self, row: Row, *, expected: bool) -> None:
        """The first alert of an episode, or of one that was suppressed so far."""
        alert = self.make(row, self.context)
        held = expected and self.holds is not None and self.holds(alert)
        (self._held if held else self._alerts).append(alert)
        out = self.context.out(row)
        standing = Standing(
            alert["id"], row["entity_kind"], row["entity"], alert["time"], out.since, row["day"],
            alert["id"], alert["severity"], row["surprise"], out.records, out.records,
            self.before.unknown if self.before else 0, suppressed=held,
        )  # fmt: skip
        self._standing = _after(standing, alert, row, out.records)

    def _update(self, row: Row, standing: Standing, triggers: Sequence[str]) -> Alert:
        made = self.make(row, self.context)
        severity = max(made["severity"], standing.severity, key=LADDER.index)
        last = not has_room(self._sent + 1, severity)
        made = {**made, "severity": severity}
        return update_of(made, standing, triggers, [LAST_WORDS] if last else [])

    def _with_what_was_out(self, end: Row) -> Context:
        """The context, with what was out before the day, where the episode knows."""
        if self.before is None:
            return self.context
        since_then = self.context.week(end).after(self.before.day)
        out = Out(self.before.since, self.before.records_out + since_then)
        return replace(self.context, outs={**self.context.outs, day_of(end): out})


def has_room(sent: int, severity: str) -> bool:
    """Whether another update that raises no severity may follow ``sent`` ones on a day."""
    steps_left = len(LADDER) - 1 - LADDER.index(severity)
    return sent < MOST_UPDATES - steps_left


def _after(standing: Standing, alert: Alert, row: Row, out: float) -> Standing:
    """The standing once ``alert`` was told."""
    named = dict.fromkeys([*standing.evidence, *_evidence(row)])
    return replace(
        standing,
        last=alert["id"],
        severity=alert["severity"],
        surprise=max(standing.surprise, row["surprise"]),
        told=max(standing.told, out),
        evidence=tuple(named)[:MOST_NAMES],
    )


def _grown(standing: Standing, surprise: float, out: float, threshold: float) -> Iterator[str]:
    """What grew by a factor of ten: records out, or the odds against them."""
    power = math.floor(math.log10(max(out, 1.0)))
    if out >= FEWEST and standing.told < 10**power:
        yield f"{10**power:,} records out"
    if worse(surprise, standing.surprise, threshold):
        # Two updates of a day never say the same: by their triggers they are told apart.
        whole = math.floor(surprise)
        yield f"surprise {whole if whole > math.floor(standing.surprise) else round(surprise, 1)}"


def _evidence(row: Row) -> list[str]:
    """Tables and addresses that are new to an account."""
    return [
        *(f"object {name}" for name in row["new_objects_names"] or ()),
        *(f"client address {name}" for name in row["new_addresses_names"] or ()),
    ]


def _named(standing: Standing, row: Row) -> list[str]:
    """The evidence that no message of the episode named yet, in a few words."""
    if len(standing.evidence) >= MOST_NAMES:
        return []  # who comes from everywhere is known to
    fresh = [name for name in _evidence(row) if name not in standing.evidence]
    shown = [name[:LONGEST] for name in fresh[:SHOWN]]
    more = [f"{len(fresh) - SHOWN:,} more"] if len(fresh) > SHOWN else []
    return [f"new: {', '.join([*shown, *more])}"] if fresh else []


def message_id(standing: Standing, day: date, triggers: Sequence[str]) -> str:
    """The same for what is told of the same episode for the same reasons on the same day."""
    said = "\0".join((standing.alert, day.isoformat(), *triggers))
    return hashlib.sha256(said.encode("utf-8", "surrogatepass")).hexdigest()[:20]


def update_of(
    made: Alert, standing: Standing, triggers: Sequence[str], more: Sequence[str] = ()
) -> Alert:
    """``made``, an alert of the moment, as an update of the episode."""
    out = counted(made["records_out"], "record")
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


def close_of(last: Alert, standing: Standing, timezone: str) -> Alert:
    """The end of an episode, whose latest message is ``last``."""
    day = standing.day + timedelta(days=RUN_DAYS + 1)
    moment = datetime.combine(day, time(), ZoneInfo(timezone)).astimezone(UTC)
    out = counted(standing.records_out, "record")
    words = (
        f"the episode that began on {standing.began} has ended: its last anomalous day was "
        f"{standing.day}; {out} above the usual are out since {standing.since}"
    )
    return {
        **last,
        "id": message_id(standing, standing.day, [ENDED]),
        "activity": CLOSE,
        "alert": standing.alert,
        "began": standing.began,
        "triggers": [ENDED],
        "time": moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "date": day.isoformat(),
        "severity": standing.severity,
        "records_out": round(standing.records_out),
        "reasons": [words],
    }
