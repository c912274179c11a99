"""``detector deliver``: send what waits in the outbox."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from detector.cli import console, delivery_options, options
from detector.core.errors import SettingsError
from detector.delivery.outbox.scheduler import DeliveryTimeout
from detector.delivery.outbox.scheduler import deliver as send
from detector.delivery.outbox.store import Outbox

#: Seconds a command without --wait may take to send what is due.
MAX_SECONDS = 86_400.0


def deliver(
    sink: delivery_options.SinkUrls = None,
    outbox: delivery_options.OutboxFolder = delivery_options.OUTBOX,
    wait: Annotated[
        float,
        typer.Option(
            min=0, help="Seconds to go on for, waiting for sinks that do not take alerts yet."
        ),
    ] = 0.0,
    settings: options.SettingsFile = None,
    as_json: options.JsonFlag = False,
) -> None:
    """Send the alerts that wait in the outbox.

    Exits with 1 while any waits or is a dead letter.
    """
    routes = delivery_options.load_routes(options.load_settings(settings), sink)
    if not routes:
        hint = "name one with --sink, or as [[sinks]] in the settings"
        raise SettingsError("no sink is configured", hint=hint)
    with Outbox.open(outbox, create=False):
        pass
    patience = (
        DeliveryTimeout(wait, waits_for_retries=True) if wait else DeliveryTimeout(MAX_SECONDS)
    )
    reports = send(outbox, routes, patience)
    done = delivery_options.print_reports(reports, outbox)
    if as_json:
        typer.echo(json.dumps({"sinks": [asdict(report) for report in reports or ()]}))
    if not done:
        console.say("not everything is delivered")
        raise typer.Exit(1)
