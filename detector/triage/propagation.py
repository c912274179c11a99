"""Verdicts in the later alerts of their incidents.

Within a run of ``score`` the incident says which alerts are later ones of it. A run knows nothing
of the alerts of another; across runs the same rules are asked of each pair (``incidents.join``).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from typing import Final, TypeAlias

from detector.alerts.alert import Alert
from detector.alerts.incidents import RELATED_DAYS, SAME_ENTITY_DAYS, Entity, named_entities
from detector.features.aggregates import OBJECT
from detector.features.feature import Family
from detector.triage.history import VerdictHistory
from detector.triage.records import CONFIRMED, FollowUp
from detector.triage.subjects import Subject

#: Verdicts that stand in an alert, the latest: an alert must stay small enough for a SIEM to take.
MAX_VERDICTS: Final = 10
#: By day, alerts that are known and the judged alerts whose verdicts they carry on.
AlertsByDay: TypeAlias = dict[date, list[tuple[Subject, tuple[str, ...]]]]


def propagate_verdicts(
    alerts: Iterable[Alert], book: VerdictHistory, families: Sequence[Family]
) -> tuple[list[Alert], list[FollowUp]]:
    """``alerts``, which come by time, with ``verdicts``; and those that follow a confirmed one.

    An alert's own verdict does not stand in it: what was raised says the same ever after. Of the
    followings those that ``book`` has are left out.
    """
    held = book.verdicts
    known = _alerts_by_day(book)
    noted = {(each.subject.alert, each.confirmed_alerts) for each in book.follow_ups}
    reached: dict[str, set[str]] = {}
    told, followings = list[Alert](), list[FollowUp]()
    for alert in alerts:
        mine = reached[alert["id"]] = _reaching_verdicts(alert, known)
        for other in alert["related"]:
            mine |= reached.get(other, set()) | ({other} & set(held))
        mine.discard(alert["id"])
        if mine:
            subject = Subject.from_alert(alert, families)
            known[subject.day].append((subject, tuple(mine)))
        order = [own for own in held if own in mine]
        told.append({**alert, "verdicts": [held[own].to_dict() for own in order[-MAX_VERDICTS:]]})
        confirmed = tuple(sorted(own for own in mine if held[own].verdict == CONFIRMED))
        if confirmed and (alert["id"], confirmed) not in noted:
            followings.append(FollowUp(Subject.from_alert(alert, families), confirmed))
    return told, followings


def _alerts_by_day(book: VerdictHistory) -> AlertsByDay:
    held = book.verdicts
    days: AlertsByDay = defaultdict(list)
    for alert, verdict in held.items():
        days[verdict.subject.day].append((verdict.subject, (alert,)))
    for each in book.follow_ups:
        # What a verdict was changed to reaches no further than the verdict alone.
        still = [
            own for own in each.confirmed_alerts if own in held and held[own].verdict == CONFIRMED
        ]
        days[each.subject.day].append((each.subject, tuple(still)))
    return days


def _reaching_verdicts(alert: Alert, known: AlertsByDay) -> set[str]:
    day, named = date.fromisoformat(alert["date"]), named_entities(alert)
    return {
        own
        for back in range(SAME_ENTITY_DAYS + 1)
        for subject, owns in known.get(day - timedelta(days=back), ())
        if is_linked(subject, alert, named, back)
        for own in owns
    }


def is_linked(earlier: Subject, later: Alert, named: Sequence[Entity], days: int) -> bool:
    """Whether ``later``, which names ``named``, joins the incident of ``earlier``."""
    who: Entity = (later["entity_kind"], later["entity"])
    if (earlier.time, *earlier.entity_key) >= (later["time"], *who):
        return False
    if earlier.entity_key == who:
        return days <= SAME_ENTITY_DAYS
    naming, back = earlier.entity_key in named, who in earlier.names
    if OBJECT in (earlier.entity_kind, who[0]) and not (naming and back):
        return False
    return (naming and days <= RELATED_DAYS) or (back and days == 0)
