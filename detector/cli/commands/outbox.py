"""``detector outbox``: alerts that wait for the sinks, and dead letters."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Annotated, TypeAlias

import typer

from detector.cli import console, delivery_options, options
from detector.core.errors import SettingsError
from detector.core.formatting import quantity
from detector.delivery.outbox import admin
from detector.delivery.outbox.store import Outbox

outbox = typer.Typer(help="Alerts that wait for sinks.", no_args_is_help=True)

AlertIds: TypeAlias = Annotated[
    list[str] | None,
    typer.Argument(metavar="[ALERT_ID]...", help="Alerts; all when none is given."),
]
SinkName: TypeAlias = Annotated[
    str | None, typer.Option("--sink", metavar="NAME", help="Only those of this sink.")
]


@outbox.callback()
def about() -> None:
    """Show, retry or drop the alerts that wait for sinks."""


@outbox.command("list")
def list_(
    outbox: delivery_options.OutboxFolder = delivery_options.OUTBOX,
    as_json: options.JsonFlag = False,
) -> None:
    """Show the alerts that wait for each sink, and dead letters with the server's answer."""
    with Outbox.open(outbox, create=False) as box:
        counts, aside = admin.counts(box), admin.dead_letters(box)
    if as_json:
        told = {
            "sinks": [count.to_dict() for count in counts],
            "set_aside": [each.to_dict() for each in aside],
        }
        typer.echo(json.dumps(told))
        return
    figures = ["waiting", "dead letters", "delivered", "failed tries"]
    console.say(
        console.table(
            f"Outbox {console.escape_controls(outbox)}",
            ["sink", *figures, "next try", "last answer"],
            [
                [count.sink, count.waiting, count.aside, count.delivered, count.attempts,
                 datetime.fromtimestamp(count.next_try, UTC) if count.next_try else None,
                 count.words] for count in counts
            ],
            set(figures),
        )
    )  # fmt: skip
    for each in aside:
        who = f"{each.entity_kind.replace('_', ' ')} {each.entity}"
        tries = quantity(each.refusals, "refusal")
        console.say(f"dead letter: {each.id} ({who}) for {each.sink} after {tries}: {each.words}")


@outbox.command()
def retry(
    ids: AlertIds = None,
    sink: SinkName = None,
    outbox: delivery_options.OutboxFolder = delivery_options.OUTBOX,
) -> None:
    """Try dead letters and waiting alerts again, with the next detector deliver."""
    with Outbox.open(outbox, create=False) as box:
        done = admin.retry(box, ids or (), sink)
    console.say(f"{quantity(done, 'alert')} to be tried with the next detector deliver")


@outbox.command()
def drop(
    ids: AlertIds = None,
    sink: SinkName = None,
    outbox: delivery_options.OutboxFolder = delivery_options.OUTBOX,
) -> None:
    """Give up dead letters or waiting alerts: they will not be sent."""
    if not ids and sink is None:
        hint = "name alerts, or a sink with --sink to drop all of its"
        raise SettingsError("nothing to drop was named", hint=hint)
    with Outbox.open(outbox, create=False) as box:
        done = admin.drop(box, ids or (), sink)
    console.say(f"{quantity(done, 'alert')} dropped")
