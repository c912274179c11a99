"""All verdicts together: which hold, which days they flag, and what they expect."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import TypeAlias

from detector.alerts.incidents import Entity
from detector.core.days import days_between
from detector.triage.records import CONFIRMED, EXPECTED, FollowUp, Record, Verdict
from detector.triage.suppression import Expectation

#: Kind, name, day.
EntityDay: TypeAlias = tuple[str, str, date]


@dataclass(frozen=True, slots=True)
class VerdictHistory:
    """``records`` in the order in which they were given."""

    records: tuple[Record, ...] = field(default=())

    @property
    def verdicts(self) -> dict[str, Verdict]:
        """Those that hold, by alert: the latest of each, in the order in which they were given."""
        held: dict[str, Verdict] = {}
        for record in self.records:
            if isinstance(record, Verdict):
                held.pop(record.subject.alert, None)
                held[record.subject.alert] = record
        return held

    @property
    def follow_ups(self) -> list[FollowUp]:
        """Later alerts of thefts, as they were noted."""
        return [record for record in self.records if isinstance(record, FollowUp)]

    def confirmed_days(self) -> list[EntityDay]:
        """Days of confirmed alerts, and of later alerts of their incidents; each once, in order.

        They run from the first odd day to the alert's, or to the last of the theft.
        A later alert that was judged itself has its own verdict alone.
        """
        held = self.verdicts
        confirmed = {own for own, each in held.items() if each.verdict == CONFIRMED}
        spans = [(held[own].subject, held[own].until) for own in confirmed]
        spans += [
            (each.subject, None)
            for each in self.follow_ups
            if each.subject.alert not in held and confirmed.intersection(each.confirmed_alerts)
        ]
        days: set[EntityDay] = {
            (subject.entity_kind, subject.entity, day)
            for subject, until in spans
            for day in days_between(subject.since, until or subject.day)
        }
        return sorted(days)

    def confirmed_entities(self) -> set[Entity]:
        """Of which an alert was confirmed."""
        held = self.verdicts.values()
        return {each.subject.entity_key for each in held if each.verdict == CONFIRMED}

    def expectations(self) -> list[Expectation]:
        """What is expected. A theft that is confirmed of an entity ends what was before."""
        found: list[Expectation] = []
        ended: set[Entity] = set()
        for each in reversed(self.verdicts.values()):
            subject = each.subject
            if each.verdict == CONFIRMED:
                ended.add(subject.entity_key)
            if each.verdict != EXPECTED or each.until is None or subject.entity_key in ended:
                continue
            found.append(
                Expectation(
                    entity_kind=subject.entity_kind,
                    entity=subject.entity,
                    families=frozenset(subject.families),
                    after=subject.day,
                    until=each.until,
                    rows=subject.rows,
                    records_out=subject.records_out,
                    unknown_rows_statements=subject.unknown_rows_statements,
                    author=each.author,
                    reason=each.reason,
                    alert=subject.alert,
                )
            )
        return found[::-1]
