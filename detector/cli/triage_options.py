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
from detector.core.formatting import quantity
from detector.core.settings import Settings
from detector.detection.pipeline import Suppression
from detector.features.aggregates import ACCOUNT
from detector.normalize import pseudonymize
from detector.triage import allow_list, planned_work, store
from detector.triage.history import VerdictHistory
from detector.triage.planned_work import WorkWindow
from detector.triage.propagation import propagate_verdicts
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


def verdicts_path(given: Path | None, ledger: Path) -> Path:
    """Where verdicts are kept."""
    return given or ledger.absolute().parent / store.FILE_NAME


def load_verdicts(path: Path, settings: Settings) -> VerdictHistory:
    """What the verdicts file holds.

    Raises VerdictError, or InputError where its accounts are not as the settings make them.
    """
    try:
        book = store.load(path)
    except VerdictError as error:
        raise pseudonymize.redact_error(error, settings) from None
    subjects = {record.subject.entity_key for record in book.records}
    for name in sorted(name for kind, name in subjects if kind == ACCOUNT):
        pseudonymize.check_accounts(pl.Series([name]), settings, path)
    return book


def _load_allow_list(path: Path, settings: Settings) -> list[Expectation]:
    """What the allow-list expects. Raises VerdictError."""
    families = {family.name for family in registry.families()}
    try:
        found = allow_list.load(path, families, today())
    except VerdictError as error:
        own = (*allow_list.REQUIRED_KEYS, *allow_list.OPTIONAL_KEYS)
        raise pseudonymize.redact_error(error, settings, own) from None
    return [
        replace(each, entity=pseudonymize.stored_account(each.entity, settings))
        if each.entity_kind == ACCOUNT
        else each
        for each in found
    ]


@dataclass(frozen=True, slots=True)
class TriageOptions:
    """``book`` is what ``path`` holds; ``allowed`` what the allow-list expects, ``planned_windows``
    what the calendar of planned work does.
    """

    path: Path
    history: VerdictHistory
    allow_list_entries: list[Expectation]
    growth: float
    planned_windows: list[WorkWindow]

    @classmethod
    def from_options(
        cls, settings: Settings, verdicts: Path | None, listed: Path | None, ledger: Path
    ) -> TriageOptions:
        """Checked before the work. Raises VerdictError."""
        path = verdicts_path(verdicts, ledger)
        listed = listed or (Path(settings.allow_list) if settings.allow_list else None)
        allowed = _load_allow_list(listed, settings) if listed else []
        if past := [each for each in allowed if each.until < today()]:
            what = "entry has" if len(past) == 1 else "entries have"
            console.say(f"{len(past)} {what} expired in {listed}")
        work = Path(settings.planned_work) if settings.planned_work else None
        plans = planned_work.load(work, settings) if work else []
        return cls(path, load_verdicts(path, settings), allowed, settings.expected_growth, plans)

    @property
    def expectations(self) -> Expectations:
        """Of both."""
        items = (*self.history.expectations(), *self.allow_list_entries)
        return Expectations(items, self.growth, registry.families(), self.planned_windows)

    @property
    def suppression(self) -> Suppression | None:
        """What scoring heeds; nothing where nothing is expected."""
        expected = self.expectations
        return Suppression(expected.covers, expected.is_suppressed) if expected.rules else None

    def add_verdicts(self, alerts: Sequence[Alert]) -> list[Alert]:
        """The alerts with what was said before; later ones of a confirmed theft are noted."""
        told, followings = propagate_verdicts(alerts, self.history, registry.families())
        store.append(self.path, followings)
        return told

    def add_objections(self, alerts: Sequence[Alert]) -> list[Alert]:
        """The alerts with why they are more than what is expected of their entity."""
        expected = self.expectations
        return [
            {**alert, "reasons": [*alert["reasons"], *expected.objections(alert)]}
            for alert in alerts
        ]

    def suppressed_alerts(self, alerts: Sequence[Alert]) -> list[Alert]:
        """Those that were held back, by time, each with who answers for it."""
        expected = self.expectations
        order = sorted(alerts, key=lambda each: (each["time"], each["entity_kind"], each["entity"]))
        return [
            {**alert, "held": holder.to_dict()}
            for alert in order
            if (holder := expected.suppressing_rule(alert)) is not None
        ]

    def print_suppressed(self, held: Sequence[Alert], out: Path) -> None:
        """How many were held back, and who says so until when."""
        self._warn_of_confirmed()
        if not held:
            return
        expected = self.expectations
        why = Counter(
            f"{each['entity_kind'].replace('_', ' ')} {each['entity']}, {holder.to_text()}"
            for each in held
            if (holder := expected.suppressing_rule(each)) is not None
        )
        console.say(
            f"{quantity(len(held), 'alert')} suppressed, in {out / 'held.ndjson'}:",
            *(f"  {number} of {words}" for words, number in why.items()),
        )

    def _warn_of_confirmed(self) -> None:
        thieves = self.history.confirmed_entities()
        for each in self.allow_list_entries:
            if (each.entity_kind, each.entity) in thieves:
                kind = each.entity_kind.replace("_", " ")
                console.say(
                    f"the allow-list expects alerts of {kind} {each.entity}, "
                    "of which an alert was confirmed as theft"
                )
