"""What was raised before: which episodes go on, and the messages that later ones join."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta

from detector.alerts import incidents
from detector.alerts.alert import CLOSE, CREATE, UPDATE, Alert
from detector.alerts.episodes import (
    MAX_NAME_LENGTH,
    UPDATE_LIMIT_NOTICE,
    EpisodeState,
    can_send_update,
    close_message,
    update_message,
)
from detector.alerts.incidents import Entity, Incident, Joiner
from detector.alerts.severity import DEFAULT_BOUNDS, Bounds
from detector.core.days import days_between
from detector.features.aggregates import ACCOUNT, ENTITY_KINDS
from detector.model import threshold_control
from detector.model.model import Model
from detector.model.threshold import EPISODE_DAYS


@dataclass(frozen=True, slots=True)
class Message:
    """An alert, update or close that was raised when the day ``scored`` was scored."""

    scoring_day: date
    alert: Alert


@dataclass(frozen=True, slots=True)
class Changes:
    """What a run found: standings replace those of the ``rescored_days`` days."""

    rescored_days: frozenset[date]
    states: tuple[EpisodeState, ...]
    messages: tuple[Message, ...]


@dataclass(slots=True)
class EpisodeHistory:
    """``bounds`` say how severe an incident is. Where the history ``adapts_threshold``, what fired
    before moves it, as the budget asks.
    """

    timezone: str = "UTC"
    bounds: Bounds = DEFAULT_BOUNDS
    adapts_threshold: bool = True
    _states: dict[Entity, dict[tuple[date, str], EpisodeState]] = field(default_factory=dict)
    _messages: dict[str, Message] = field(default_factory=dict)
    _unjoined: dict[str, Alert] = field(default_factory=dict)
    _closings: dict[str, tuple[date, date]] = field(default_factory=dict)
    _joiner: Joiner | None = None
    _rescored_days: set[date] = field(default_factory=set)
    _changed_states: set[tuple[Entity, date, str]] = field(default_factory=set)
    _new_messages: list[Message] = field(default_factory=list)

    @classmethod
    def restore(
        cls,
        standings: Iterable[EpisodeState],
        messages: Iterable[Message],
        timezone: str,
        bounds: Bounds = DEFAULT_BOUNDS,
    ) -> EpisodeHistory:
        """From what was kept."""
        made = cls(timezone, bounds)
        for standing in standings:
            made._add_state(standing)
        for message in messages:
            made._add_message(message)
        return made

    def _add_state(self, standing: EpisodeState) -> None:
        mine = self._states.setdefault((standing.entity_kind, standing.entity), {})
        mine[standing.day, standing.alert] = standing

    def _add_message(self, message: Message) -> None:
        alert = message.alert
        self._messages.setdefault(alert["id"], message)
        if alert["activity"] == CLOSE:
            ended = date.fromisoformat(alert["date"]) - timedelta(days=EPISODE_DAYS + 1)
            self._closings.setdefault(alert["alert"], (ended, message.scoring_day))

    def state_before(self, kind: str, entity: str, day: date) -> EpisodeState | None:
        """How the entity's episode that goes on stood before ``day``; None where none does."""
        week = day - timedelta(days=EPISODE_DAYS)
        mine = self._states.get((kind, entity), {}).values()
        return max(
            (each for each in mine if week <= each.day < day), key=_recency_key, default=None
        )

    def record_state(self, standing: EpisodeState, alerts: Iterable[Alert] = ()) -> None:
        """How an episode stood at the end of its day, or stands while that runs; ``alerts`` are its
        messages, which are not joined yet.
        """
        self._add_state(standing)
        self._unjoined.update((alert["id"], alert) for alert in alerts)
        who = standing.entity_kind, standing.entity
        self._changed_states.add((who, standing.day, standing.alert))

    def discard_days(self, days: Collection[date]) -> None:
        """``days`` are scored anew: what is known of them follows from the days before."""
        self._rescored_days.update(days)
        for mine in self._states.values():
            for key in [key for key in mine if key[0] in days]:
                del mine[key]
        self._changed_states = {each for each in self._changed_states if each[1] not in days}

    def close_messages(self, days: Iterable[date]) -> list[Alert]:
        """The ends of episodes that are over on ``days``, each told on the first of them."""
        found = []
        for day in sorted(days):
            for standing in self._latest_states(day):
                known = self._closings.get(standing.alert)
                told = known is not None and known[0] == standing.day and known[1] < day
                last = self.last_message(standing)
                over = (day - standing.day).days > EPISODE_DAYS
                if over and not told and last is not None:
                    self._closings[standing.alert] = standing.day, day
                    found.append(close_message(last, standing, self.timezone))
        return found

    def _latest_states(self, day: date) -> Iterator[EpisodeState]:
        """How each episode stood at its latest day before ``day``, but for suppressed ones."""
        for mine in self._states.values():
            last: dict[str, EpisodeState] = {}
            for standing in mine.values():
                if standing.day < day and not standing.suppressed:
                    other = last.get(standing.alert)
                    if other is None or other.day < standing.day:
                        last[standing.alert] = standing
            yield from last.values()

    def open_episodes(self, day: date) -> list[EpisodeState]:
        """The episodes that go on at the end of ``day``, those with most records out first."""
        found = [
            each
            for each in self._latest_states(day + timedelta(days=1))
            if (day - each.day).days <= EPISODE_DAYS
        ]
        return sorted(found, key=lambda each: (-each.records_out, each.alert))

    def model_for_day(self, model: Model, day: date) -> Model:
        """``model`` with the threshold of ``day``, which follows what fired before it."""
        if not self.adapts_threshold:
            return model
        offset = threshold_control.threshold_offset(
            self._episodes_per_day(model.last_day, day), model.alerts_per_day, day
        )
        return replace(model, threshold=model.threshold + offset)

    def _episodes_per_day(self, trained_until: date, day: date) -> dict[date, int]:
        """How many episodes began on each of the days before ``day``, since the first that is known
        after training.
        """
        alerts = {own: message.alert for own, message in self._messages.items()} | self._unjoined
        began = Counter(
            date.fromisoformat(alert["date"])
            for alert in alerts.values()
            if alert["activity"] == CREATE and alert["entity_kind"] in ENTITY_KINDS
        )
        since = max(
            trained_until + timedelta(days=1), day - timedelta(days=threshold_control.MEMORY_DAYS)
        )
        known = [each for each in began if since <= each < day]
        if not known:
            return {}
        return {each: began[each] for each in days_between(min(known), day - timedelta(days=1))}

    def last_message(self, standing: EpisodeState) -> Alert | None:
        """The latest that was told of an episode."""
        message = self._messages.get(standing.last)
        return message.alert if message else self._unjoined.get(standing.last)

    def join_messages(self, found: Sequence[Alert], days: Collection[date]) -> list[Alert]:
        """``found`` when ``days`` were scored, joined with what was raised before, and updates of
        the incidents that they join. Days come in order.
        """
        if self._joiner is None:
            first = min(days, default=date.max)
            before = [each.alert for each in self._messages.values() if each.scoring_day < first]
            self._joiner = Joiner.restore(before, self.bounds)
        joined = []
        for alert in incidents.sort_by_time(found):
            own = self._joiner.add(alert)
            joined.append(own)
            self.record_message(own, days)
            joined += self._incident_updates(own, joined, days)
        return joined

    def _incident_updates(
        self, own: Alert, told: Sequence[Alert], days: Collection[date]
    ) -> list[Alert]:
        """The update of the incident that an alert joined, where that may have one more."""
        assert self._joiner is not None
        update = self.incident_update(own, told)
        if update is None:
            return []
        update = self._joiner.add(update)
        self.record_message(update, days)
        return [update]

    def incident_update(self, own: Alert, told: Iterable[Alert]) -> Alert | None:
        """An update of the first alert of the incident that ``own`` joined, while that goes on.

        ``told`` are messages of the same day.
        """
        if own["activity"] != CREATE or own["incident"] == own["id"]:
            return None
        if own["entity_kind"] != ACCOUNT:
            return None  # its address, its group and its table are the same theft seen from aside
        day = date.fromisoformat(own["date"])
        root = self._open_state(own["incident"], day)
        if root is None or (root.entity_kind, root.entity) == (own["entity_kind"], own["entity"]):
            return None
        same = [
            each for each in told if each["alert"] == root.alert and each["date"] == own["date"]
        ]
        sent = sum(each["activity"] == UPDATE for each in same)
        last = same[-1] if same else self.last_message(root)
        if last is None or not can_send_update(sent, last["severity"]):
            return None
        made: Alert = {
            **last, "time": own["time"], "date": own["date"], "reasons": last["reasons"][-1:],
        }  # fmt: skip
        more = [] if can_send_update(sent + 1, last["severity"]) else [UPDATE_LIMIT_NOTICE]
        return update_message(
            made, root, [f"joined by account {own['entity'][:MAX_NAME_LENGTH]}"], more
        )

    def _open_state(self, alert: str, day: date) -> EpisodeState | None:
        """How the episode of an alert stood lately, if it goes on on ``day``."""
        message = self._messages.get(alert)
        if message is None:
            return None
        who = message.alert["entity_kind"], message.alert["entity"]
        mine = (each for each in self._states.get(who, {}).values() if each.alert == alert)
        lately = (each for each in mine if 0 <= (day - each.day).days <= EPISODE_DAYS)
        return max(lately, key=lambda each: each.day, default=None)

    def record_message(self, alert: Alert, days: Collection[date]) -> None:
        """A message was raised, when some ``days`` were scored."""
        own = date.fromisoformat(alert["date"])
        message = Message(own if own in days else max(days, default=own), alert)
        if alert["activity"] == CLOSE:
            scored = self._closings.get(alert["alert"], (own, message.scoring_day))[1]
            message = replace(message, scoring_day=scored)
        self._add_message(message)
        self._new_messages.append(message)
        self._unjoined.pop(alert["id"], None)

    def incidents(self, of: Iterable[Alert]) -> list[Incident]:
        """Those of some messages that were settled, with what they joined; oddest first."""
        return self._joiner.incidents({alert["id"] for alert in of}) if self._joiner else []

    def take_changes(self) -> Changes:
        """What is to be kept; from now on nothing is."""
        standings = tuple(
            self._states[who][day, own] for who, day, own in sorted(self._changed_states)
        )
        made = Changes(frozenset(self._rescored_days), standings, tuple(self._new_messages))
        self._rescored_days, self._changed_states, self._new_messages = set(), set(), []
        return made


def _recency_key(standing: EpisodeState) -> tuple[date, bool, str]:
    """Of two episodes of an entity, the one that goes on: the latest, and no suppressed one."""
    return standing.day, not standing.suppressed, standing.alert
