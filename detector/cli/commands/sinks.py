"""``detector sinks``: try where alerts go."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import typer

from detector.cli import console, delivery_options, options
from detector.core.errors import SettingsError
from detector.delivery.test_alert import build_test_alert, send_test_alert

sinks = typer.Typer(help="Try where alerts go.", no_args_is_help=True)


@sinks.callback()
def about() -> None:
    """Try where alerts go."""


@sinks.command("test")
def send_trial(
    sink: delivery_options.SinkUrls = None,
    settings: options.SettingsFile = None,
) -> None:
    """Send a test alert, marked as one, to each sink, and say in one line each what happened.

    Exits with 1 where any failed.
    """
    routes = delivery_options.load_routes(options.load_settings(settings), sink)
    if not routes:
        hint = "name one with --sink, or as [[sinks]] in the settings"
        raise SettingsError("no sink is configured", hint=hint)
    alert = build_test_alert(datetime.now(UTC))
    with ThreadPoolExecutor(len(routes)) as pool:
        results = list(pool.map(lambda route: send_test_alert(route, alert), routes))
    for result in results:
        console.say(f"{result.name}: {result.words}")
    if not all(result.delivered for result in results):
        raise typer.Exit(1)
