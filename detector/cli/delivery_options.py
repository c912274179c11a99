"""What commands share that send alerts: the sinks, the outbox, and what is said of both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from detector import registry
from detector.alerts.alert import Alert
from detector.cli import console, options
from detector.core.formatting import quantity
from detector.core.settings import Settings
from detector.delivery.outbox.scheduler import DeliveryTimeout, deliver
from detector.delivery.outbox.store import Outbox
from detector.delivery.outbox.worker import Report
from detector.delivery.routing import Route, build_routes

SinkUrls: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--sink",
        metavar="URL",
        help="Where alerts go, beside the sinks of the settings; repeatable.",
    ),
]
OutboxFolder: TypeAlias = Annotated[
    Path, typer.Option("--outbox", help="Folder of the outbox: alerts that wait for sinks.")
]
OptionalOutboxFolder: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--outbox", help="Folder of the outbox: alerts that wait for sinks; beside the ledger."
    ),
]

OUTBOX = Path("outbox")
#: Seconds after which score begins no further batch: what is left waits.
DELIVERY_SECONDS = 30.0


def load_routes(settings: Settings, flags: Sequence[str] | None) -> list[Route]:
    """The sinks of the settings and flags. Raises SettingsError."""
    return build_routes(settings.sinks, flags or (), registry.sinks(), registry.formats())


@dataclass(frozen=True, slots=True)
class AlertDelivery:
    """The way out of a detecting command: nothing at all where no sink is configured."""

    folder: Path
    routes: list[Route]

    @classmethod
    def from_options(
        cls, settings: Settings, flags: Sequence[str] | None, folder: Path | None, ledger: Path
    ) -> AlertDelivery:
        """Checked before the work. Raises SettingsError, InputError and OutboxError."""
        made = cls(folder or ledger.absolute().parent / OUTBOX, load_routes(settings, flags))
        if made.routes:
            options.check_writable(made.folder, "--outbox")
            with Outbox.open(made.folder):
                pass
        return made

    def put(self, alerts: Sequence[Alert], progress: Mapping[str, str]) -> None:
        """Keeps the alerts for the sinks. Raises OutboxError."""
        if self.routes:
            with Outbox.open(self.folder, [route.name for route in self.routes]) as box:
                box.put(alerts, progress)

    def send(self) -> None:
        """Tries delivery once and says what became of it."""
        if self.routes:
            print_reports(
                deliver(self.folder, self.routes, DeliveryTimeout(DELIVERY_SECONDS)), self.folder
            )


def print_reports(reports: Sequence[Report] | None, folder: Path) -> bool:
    """One line for each sink; whether all that was for them is delivered."""
    if reports is None:
        console.say(f"another process delivers from {folder}; what is new is for it to send")
        return False
    for report in reports:
        console.say(f"{report.name}: {_report_text(report, folder)}")
    return not any(report.waiting or report.aside for report in reports)


def _report_text(report: Report, folder: Path) -> str:
    there = "" if folder.absolute() == OUTBOX.absolute() else f" --outbox {folder}"
    done = f"{quantity(report.delivered, 'alert')} delivered"
    if report.waiting:
        at = datetime.fromtimestamp(report.next_try, UTC)
        when = f", next try from {at:%Y-%m-%d %H:%M:%S} UTC" if report.next_try else ""
        done += f", {quantity(report.waiting, 'alert')} waiting{when} (detector deliver{there})"
    if report.aside:
        aside = quantity(report.aside, "alert")
        done += f", {aside} dead letters (detector outbox list{there})"
    return f"{done}: {report.words}" if report.words else done
