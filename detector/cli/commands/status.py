"""``detector status``: how a watcher stands."""

from __future__ import annotations

import json
import time
from datetime import UTC, date, datetime
from typing import Annotated, Any

import typer

from detector.alerts import ongoing
from detector.alerts.alert_rate import Rate
from detector.cli import console, options
from detector.cli.commands.watch import STATE, StateFolder
from detector.core.formatting import quantity
from detector.delivery.outbox import admin
from detector.delivery.outbox.store import Outbox
from detector.watch import status as standing

#: Seconds without a word after which a watcher is taken for gone.
LATE_SECONDS = 30.0
#: Logs shown on screen, those that are furthest behind first; ``--json`` has them all.
MAX_SHOWN = 20


def status(
    state: StateFolder = STATE,
    as_json: options.JsonFlag = False,
    fail_when_late: Annotated[
        bool,
        typer.Option("--fail-when-late", help="Exit with 1 when no watcher wrote status lately."),
    ] = False,
) -> None:
    """Show the state of a watcher: logs and their lag, events, alerts, sinks, the model."""
    found = standing.load(state)
    age = time.time() - float(found.get("time", 0.0))
    with Outbox.open(state, create=False) as box:
        sinks = [count.to_dict() for count in admin.counts(box)]
    if as_json:
        typer.echo(json.dumps({**found, "seconds_since": round(age, 1), "sinks": sinks}))
    else:
        _print_status(found, age, sinks)
    if fail_when_late and age > LATE_SECONDS:
        raise typer.Exit(1)


def _print_status(found: dict[str, Any], age: float, sinks: list[dict[str, Any]]) -> None:
    figures = ["events", "rejected", "bytes behind"]
    logs = sorted(found["logs"], key=lambda log: (-log["lag_bytes"], log["path"]))
    console.say(
        console.table(
            f"{quantity(len(logs), 'log')} followed",
            ["log", "format", *figures, "last event"],
            [
                [log["path"], log["source"], log["events"], log["rejects"], log["lag_bytes"],
                 _parse_time(log["last_event"])] for log in logs[:MAX_SHOWN]
            ],
            set(figures),
        )
    )  # fmt: skip
    for path, reason in found["left_out"].items():
        console.say(f"left out {path}: {reason}")
    for each in found.get("wrong", []):
        console.say(f"{each['what']}: {each['name']} {each['words']}")
    running = "running" if age <= LATE_SECONDS else f"no status for {_format_age(age)}"
    last = date.fromisoformat(found["model_last_day"])
    old = (datetime.now(UTC).date() - last).days
    newest = console.format_cell(_parse_time(found["last_event"]))
    console.say(
        f"watcher {found['pid']}: {running}; {found['events_per_second']:,} events/s, "
        f"{found['lag_bytes']:,} bytes behind, last event {newest}",
        f"{quantity(found['alerts'], 'alert')} raised, "
        f"{quantity(found.get('updates', 0), 'update')} of them; "
        f"{quantity(found['days_to_score'], 'day')} to be scored, "
        f"{quantity(len(found['open_days']), 'day')} not in the ledger yet",
        f"model {found['model']}, trained to {last} ({quantity(old, 'day')} ago)",
    )
    _print_rate(found)
    _print_doubts(found)
    for sink in sinks:
        console.say(
            f"{sink['sink']}: {sink['delivered']:,} delivered, {sink['waiting']:,} waiting, "
            f"{sink['aside']:,} dead letters"
        )


def _print_doubts(found: dict[str, Any]) -> None:
    """What is doubtful, what could not be judged, and what goes on."""
    console.warn(found.get("timezone_doubt") or "")
    if unknown := found.get("not_judged"):
        some = ", ".join(unknown[:MAX_SHOWN])
        console.say(f"{quantity(len(unknown), 'account')} not judged on the last day: {some}")
    for each in found.get("going_on", []):
        console.say(f"still going on: {ongoing.to_text(each)}")


def _print_rate(found: dict[str, Any]) -> None:
    """Of a watcher of before, which did not tell it, nothing."""
    if "unseen_days" in found:
        rate = Rate(found["unseen_alerts"], found["unseen_days"], found["budget"])
        console.say(rate.to_text(), *filter(None, [rate.drift_warning()]))


def _parse_time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _format_age(seconds: float) -> str:
    return f"{seconds:,.0f} seconds" if seconds < 600 else f"{seconds / 3600:,.1f} hours"
