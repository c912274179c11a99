"""What commands share that heed what people said of alerts: the verdicts and the allow-list."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, TypeAlias

import polars as pl
import typer

from detector import registry
from detector.alerts.alert import Alert
from detector.cli import console
from detector.core.errors import VerdictError
from detector.core.formatting import counted
from detector.core.settings import Settings
from detector.detection.results import Hush
from detector.features.aggregates import ACCOUNT
from detector.normalize import pseudonymize
from detector.triage import allow_list, planned_work, store
from detector.triage.history import Book
from detector.triage.planned_work import Work
from detector.triage.propagation import stand
from detector.triage.suppression import Expectation, Expectations

VerdictsFile: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--verdicts", help="File of verdicts; verdicts.ndjson beside the ledger by default."
    ),
]
AllowList: TypeAlias = Annotated[
    Path | None,
    typer.Option("--allow-list", help="TOML file of expected alerts; that of the settings if any."),
]


def today() -> date:
    """Of the clock, in UTC."""
    return datetime.now(UTC).date()


def path_of(given: Path | None, ledger: Path) -> Path:
    """Where verdicts are kept."""
    return given or ledger.absolute().parent / store.NAME


def load_book(path: Path, settings: Settings) -> Book:
    """What the verdicts file holds.

    Raises VerdictError, or InputError where its accounts are not as the settings make them.
    """
    try:
        book = store.load(path)
    except VerdictError as error:
        raise pseudonymize.unquoted(error, settings) from None
    subjects = {record.subject.who for record in book.records}
    for name in sorted(name for kind, name in subjects if kind == ACCOUNT):
        pseudonymize.demand(pl.Series([name]), settings, path)
    return book


def _allowed(path: Path, settings: Settings) -> list[Expectation]:
    """What the allow-list expects. Raises VerdictError."""
    families = {family.name for family in registry.families()}
    try:
        found = allow_list.load(path, families, today())
    except VerdictError as error:
        own = (*allow_list.KEYS, *allow_list.MORE)
        raise pseudonymize.unquoted(error, settings, own) from None
    return [
        replace(each, entity=pseudonymize.account(each.entity, settings))
        if each.entity_kind == ACCOUNT
        else each
        for each in found
    ]


@dataclass(frozen=True, slots=True)
class Feedback:
    """``book`` is what ``path`` holds; ``allowed`` what the allow-list expects, ``planned``
    what the calendar of planned work does.
    """

    path: Path
    book: Book
    allowed: list[Expectation]
    growth: float
    planned: list[Work]

    @classmethod
    def of(
        cls, settings: Settings, verdicts: Path | None, listed: Path | None, ledger: Path
    ) -> Feedback:
        """Checked before the work. Raises VerdictError."""
        path = path_of(verdicts, ledger)
        listed = listed or (Path(settings.allow_list) if settings.allow_list else None)
        allowed = _allowed(listed, settings) if listed else []
        if past := [each for each in allowed if each.until < today()]:
            what = "entry has" if len(past) == 1 else "entries have"
            console.say(f"{len(past)} {what} expired in {listed}")
        work = Path(settings.planned_work) if settings.planned_work else None
        plans = planned_work.load(work, settings) if work else []
        return cls(path, load_book(path, settings), allowed, settings.expected_growth, plans)

    @property
    def expectations(self) -> Expectations:
        """Of both."""
        items = (*self.book.expectations(), *self.allowed)
        return Expectations(items, self.growth, registry.families(), self.planned)

    @property
    def hush(self) -> Hush | None:
        """What scoring heeds; nothing where nothing is expected."""
        expected = self.expectations
        return Hush(expected.covers, expected.holds) if expected.every else None

    def stand(self, alerts: Sequence[Alert]) -> list[Alert]:
        """The alerts with what was said before; later ones of a confirmed theft are noted."""
        told, followings = stand(alerts, self.book, registry.families())
        store.append(self.path, followings)
        return told

    def explained(self, alerts: Sequence[Alert]) -> list[Alert]:
        """The alerts with why they are more than what is expected of their entity."""
        expected = self.expectations
        return [
            {**alert, "reasons": [*alert["reasons"], *expected.objections(alert)]}
            for alert in alerts
        ]

    def held(self, alerts: Sequence[Alert]) -> list[Alert]:
        """Those that were held back, by time, each with who answers for it."""
        expected = self.expectations
        order = sorted(alerts, key=lambda each: (each["time"], each["entity_kind"], each["entity"]))
        return [
            {**alert, "held": holder.plain()}
            for alert in order
            if (holder := expected.holder(alert)) is not None
        ]

    def say(self, held: Sequence[Alert], out: Path) -> None:
        """How many were held back, and who says so until when."""
        self._warn()
        if not held:
            return
        expected = self.expectations
        why = Counter(
            f"{each['entity_kind'].replace('_', ' ')} {each['entity']}, {holder.words()}"
            for each in held
            if (holder := expected.holder(each)) is not None
        )
        console.say(
            f"{counted(len(held), 'alert')} held back, in {out / 'held.ndjson'}:",
            *(f"  {number} of {words}" for words, number in why.items()),
        )

    def _warn(self) -> None:
        thieves = self.book.confirmed_entities()
        for each in self.allowed:
            if (each.entity_kind, each.entity) in thieves:
                kind = each.entity_kind.replace("_", " ")
                console.say(
                    f"the allow-list expects alerts of {kind} {each.entity}, "
                    "of which an alert was confirmed as theft"
                )
