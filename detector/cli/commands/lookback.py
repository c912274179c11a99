"""``detector lookback``: who stands out in a ledger, without a model."""

from __future__ import annotations

import json
from datetime import date, datetime
from typing import Annotated

import typer

from detector import registry
from detector.alerts import lookback_report
from detector.cli import console, options
from detector.cli.ingest_step import ingest_logs
from detector.core.errors import NotEnoughHistory
from detector.core.formatting import quantity
from detector.ledger.store import Ledger
from detector.model.lookback import rank_span
from detector.normalize import pseudonymize
from detector.privacy.pseudonyms import key_check_for
from detector.triage.training_data import TrainingHistory


def lookback(
    logs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[LOG]...", help="Logs to take into the ledger first; none: as it is."
        ),
    ] = None,
    source: options.SourceName = None,
    directory: options.DirectoryFile = None,
    ledger: options.LedgerFolder = options.LEDGER,
    until: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Last day to look at.")
    ] = None,
    top: Annotated[int, typer.Option(min=1, help="Accounts to list.")] = 10,
    settings: options.SettingsFile = None,
    as_json: options.JsonFlag = False,
) -> None:
    """Look back over a ledger for a theft that is under way, without any model.

    Judges each half of the days by the baselines of the other half, and every account by what
    its peers do, so that a theft that went on all the time is listed too.
    """
    rules = options.load_settings(settings)
    people = pseudonymize.load_directory(directory, rules)
    if logs:
        ingest_logs(logs, source, ledger, rules, "see detector check")
    book = Ledger.open(ledger, rules.timezone, create=False, pseudonyms=key_check_for(rules))
    last = until.date() if until else date.max
    days = [day for day in book.days() if day <= last]
    if not days:
        raise NotEnoughHistory("no day with data to look back on", where=book.path)
    data, _ = TrainingHistory(book, days[0], days[-1], [], people, rules).training_data(
        registry.families()
    )
    with console.step_progress() as step:
        step("who stands out")
        found = rank_span(data)
    shown = lookback_report.to_dicts(found, registry.families(), top)
    suspects = int(found["suspect"].sum())
    if as_json:
        span = {"first_day": days[0].isoformat(), "last_day": days[-1].isoformat()}
        told = {**span, "accounts": len(found), "suspects": suspects, "found": shown}
        typer.echo(json.dumps(told))
    console.say(
        f"{quantity(len(found), 'account')} looked at on {quantity(len(days), 'day')}, "
        f"{days[0]} to "
        f"{days[-1]}: {quantity(suspects, 'suspect')}, further out than chance makes one of "
        "so many",
        *lookback_report.lines(shown),
    )
