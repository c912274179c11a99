"""``detector outbox``: what waits for the sinks, and what was set aside."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Annotated, TypeAlias

import typer

from detector.cli import console, delivery_options, options
from detector.core.errors import SettingsError
from detector.core.formatting import counted
from detector.delivery.outbox import admin
from detector.delivery.outbox.store import Outbox

outbox = typer.Typer(help="Alerts that wait for sinks.", no_args_is_help=True)

Ids: TypeAlias = Annotated[
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
    outbox: delivery_options.OutboxFolder = delivery_options.OUTBOX, as_json: options.Json = False
) -> None:
    """Show what waits for each sink, and what was set aside with the server's words."""
    with Outbox.open(outbox, create=False) as box:
        counts, aside = admin.counts(box), admin.aside(box)
    if as_json:
        told = {
            "sinks": [count.plain() for count in counts],
            "set_aside": [each.plain() for each in aside],
        }
        typer.echo(json.dumps(told))
        return
    figures = ["waiting", "set aside", "delivered", "failed tries"]
    console.say(
        console.table(
            f"Outbox {console.safe(outbox)}",
            ["sink", *figures, "next try", "words"],
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
        tries = counted(each.refusals, "refusal")
        console.say(f"set aside: {each.id} ({who}) for {each.sink} after {tries}: {each.words}")


@outbox.command()
def retry(
    ids: Ids = None,
    sink: SinkName = None,
    outbox: delivery_options.OutboxFolder = delivery_options.OUTBOX,
) -> None:
    """Let alerts that were set aside or wait be tried again, with the next detector deliver."""
    with Outbox.open(outbox, create=False) as box:
        done = admin.retry(box, ids or (), sink)
    console.say(f"{counted(done, 'alert')} to be tried with the next detector deliver")


@outbox.command()
def drop(
    ids: Ids = None,
    sink: SinkName = None,
    outbox: delivery_options.OutboxFolder = delivery_options.OUTBOX,
) -> None:
    """Give up alerts that were set aside or wait: they will not be sent."""
    if not ids and sink is None:
        hint = "name alerts, or a sink with --sink to drop all of its"
        raise SettingsError("nothing to drop was named", hint=hint)
    with Outbox.open(outbox, create=False) as box:
        done = admin.drop(box, ids or (), sink)
    console.say(f"{counted(done, 'alert')} dropped")
