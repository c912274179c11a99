"""``detector lookback``: who stands out in a ledger, without a model."""

from __future__ import annotations

import json
from datetime import date, datetime
from typing import Annotated

import typer

from detector import registry
from detector.alerts import standouts
from detector.cli import options, screen
from detector.cli.intake import take_in
from detector.errors import NotEnoughHistory
from detector.forests.lookback import at_once
from detector.ledger.store import Ledger
from detector.phrases import counted
from detector.pseudonyms.names import check_of
from detector.reading import veil
from detector.verdicts.history import History


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
    as_json: options.Json = False,
) -> None:
    """Look back over a ledger for a theft that is under way, without any model.

    Judges each half of the days by what the other half says is usual, and every account by what
    its peers do, so that a theft that went on all the time is listed too.
    """
    rules = options.settings_of(settings)
    people = veil.directory(directory, rules)
    if logs:
        take_in(logs, source, ledger, rules, "see detector check")
    book = Ledger.open(ledger, rules.timezone, create=False, pseudonyms=check_of(rules))
    last = until.date() if until else date.max
    days = [day for day in book.days() if day <= last]
    if not days:
        raise NotEnoughHistory("no day with data to look back on", where=book.path)
    data, _ = History(book, days[0], days[-1], [], people, rules).data(registry.families())
    with screen.steps() as step:
        step("who stands out")
        found = at_once(data)
    shown = standouts.plain(found, registry.families(), top)
    suspects = int(found["suspect"].sum())
    if as_json:
        span = {"first_day": days[0].isoformat(), "last_day": days[-1].isoformat()}
        told = {**span, "accounts": len(found), "suspects": suspects, "found": shown}
        typer.echo(json.dumps(told))
    screen.say(
        f"{counted(len(found), 'account')} looked at on {counted(len(days), 'day')}, {days[0]} to "
        f"{days[-1]}: {counted(suspects, 'suspect')}, further out than chance makes one of so many",
        *standouts.lines(shown),
    )
