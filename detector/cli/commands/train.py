"""``detector train``: learn what each account normally reads."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import Annotated

import polars as pl
import typer

from detector import registry
from detector.alerts import lookback_report
from detector.cli import console, options
from detector.cli.ingest_step import ingest_logs
from detector.cli.triage_options import VerdictsFile, load_verdicts, verdicts_path
from detector.core import files
from detector.core.errors import NotEnoughHistory, SettingsError
from detector.core.formatting import path_text, percentage, quantity
from detector.features import timezone_check
from detector.ledger.store import Ledger
from detector.model import store
from detector.model.model import Model
from detector.model.training import train as learn
from detector.normalize import pseudonymize
from detector.privacy.pseudonyms import key_check_for
from detector.triage.training_data import TrainingHistory

#: Groups and accounts shown on screen, and accounts listed in a file.
MAX_SHOWN = 10
MAX_LISTED = 100


def train(
    logs: Annotated[
        list[str] | None,
        typer.Argument(metavar="[LOG]...", help="Files, folders or globs of access logs."),
    ] = None,
    source: options.SourceName = None,
    directory: options.DirectoryFile = None,
    until: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="Last day to learn from; later days stay unseen."),
    ] = None,
    ledger: options.LedgerFolder = options.LEDGER,
    model: options.ModelFolder = options.MODEL,
    alerts_per_day: options.Budget = None,
    verdicts: VerdictsFile = None,
    settings: options.SettingsFile = None,
    from_ledger: Annotated[
        bool,
        typer.Option("--from-ledger", help="Read no logs: learn from what the ledger holds."),
    ] = False,
    as_json: options.JsonFlag = False,
) -> None:
    """Learn from historical logs what each account normally reads.

    Takes the logs into the ledger, learns from all days in it (up to --until), sets the
    threshold for the alert budget on days held out of the learning, and writes a model folder.
    """
    rules = options.load_settings(settings, alerts_per_day)
    people = pseudonymize.load_directory(directory, rules)
    confirmed = load_verdicts(verdicts_path(verdicts, ledger), rules).confirmed_days()
    options.check_writable(model, "--model")
    _check_log_choice(logs, from_ledger=from_ledger)
    if logs:
        ingest_logs(logs, source, ledger, rules, "see detector check")
    book = Ledger.open(ledger, rules.timezone, create=False, pseudonyms=key_check_for(rules))
    days = _training_days(book, until)
    console.say(f"learning from {days[0]} to {days[-1]}")
    activity = book.activity(days[0], days[-1])
    doubt = console.warn(
        timezone_check.activity_warning(activity, rules.timezone, rules.log_timezone)
    )
    past = TrainingHistory(book, days[0], days[-1], confirmed, people, rules)
    data, left_out = past.training_data(registry.families())
    _print_excluded_days(left_out)
    if data.sample_share < 1:
        console.say(
            f"calibration learns from {quantity(data.account_count(), 'account')}, "
            f"{percentage(data.sample_share)} of all; baselines learn from all"
        )
    with console.step_progress() as step:
        found = learn(data, step)
    found = store.save(replace(found, pseudonyms=book.pseudonyms), model, registry.families())
    if as_json:
        told = {**_summary(found, model), "left_out_days": len(left_out), "warnings": doubt}
        typer.echo(json.dumps(told))
    console.say(
        f"{quantity(found.accounts, 'account')}, {quantity(len(days), 'day')}; row counts "
        "known for "
        f"{percentage(found.known_row_share)} of the reading statements",
        f"threshold: surprise {found.threshold:.2f}, for {_budget_text(found.alerts_per_day)} "
        f"a day, set on {quantity(found.held_out_days, 'held-out day')} from {found.held_out_from}",
        f"model {found.id} in {model} (read {model / 'CARD.md'})",
    )
    if people is None:
        _print_groups(found)
    _report_suspects(found, model)


def _check_log_choice(logs: list[str] | None, *, from_ledger: bool) -> None:
    if from_ledger == bool(logs):
        raise SettingsError("name logs, or --from-ledger, and not both", where="detector train")


def _training_days(book: Ledger, until: datetime | None) -> list[date]:
    """The days to learn from. Raises NotEnoughHistory where there is none."""
    last = until.date() if until else date.max
    days = [day for day in book.days() if day <= last]
    if not days:
        raise NotEnoughHistory("no day with data to learn from", where=book.path)
    return days


def _print_excluded_days(days: pl.DataFrame) -> None:
    """Entity-days of confirmed thefts."""
    if days.is_empty():
        return
    names = days.select("entity_kind", "entity").unique().sort("entity_kind", "entity").rows()
    more = f" and {len(names) - MAX_SHOWN:,} more" if len(names) > MAX_SHOWN else ""
    who = ", ".join(f"{kind.replace('_', ' ')} {name}" for kind, name in names[:MAX_SHOWN])
    console.say(
        f"{quantity(len(days), 'day')} of confirmed thefts left out of what is learned: {who}{more}"
    )


def _group_sizes(model: Model) -> list[tuple[str, int]]:
    """Learned peer groups and their accounts, most first."""
    sizes = model.baselines.groups.group_by("group").len()
    return sizes.sort(["len", "group"], descending=[True, False]).rows()


def _print_groups(model: Model) -> None:
    groups = _group_sizes(model)
    more = f", the first {MAX_SHOWN} of {len(groups):,}" if len(groups) > MAX_SHOWN else ""
    console.say(
        f"no directory: accounts are compared by what they use{more}:",
        *(f"  {quantity(size, 'account')} {name}" for name, size in groups[:MAX_SHOWN]),
    )


def _report_suspects(model: Model, path: Path) -> None:
    """Who stands out in the span itself: on screen those who are suspects, in a file the rest."""
    if model.lookback is None:
        return
    shown = lookback_report.to_dicts(model.lookback, registry.families(), MAX_LISTED)
    place = path / "lookback.ndjson"
    files.write_atomically(place, "".join(f"{json.dumps(each)}\n" for each in shown).encode())
    suspects = [each for each in shown if each["suspect"]]
    if suspects:
        more = f", the first {MAX_SHOWN}" if len(suspects) > MAX_SHOWN else ""
        console.say(
            f"look at these before you trust this model{more} (all that was looked at in {place}):",
            *lookback_report.lines(suspects[:MAX_SHOWN]),
        )
    _print_contaminated(model, {each["account"] for each in suspects})


def _print_contaminated(model: Model, said: Collection[str] = ()) -> None:
    """Baselines that may hold a theft, but for those of accounts that were ``said``."""
    names = [name for name in model.contaminated_accounts if name not in said]
    if not names:
        return
    more = f" and {len(names) - MAX_SHOWN:,} more" if len(names) > MAX_SHOWN else ""
    console.say(
        f"{quantity(len(names), 'baseline')} may include a theft: it rose far above its "
        f"lowest month; look at: {', '.join(names[:MAX_SHOWN])}{more}"
    )


def _budget_text(budget: float) -> str:
    return f"{budget:g} false {'alert' if budget == 1 else 'alerts'}"


def _summary(found: Model, path: Path) -> dict[str, object]:
    return {
        "model": found.id,
        "path": path_text(path),
        "accounts": found.accounts,
        "first_day": found.first_day.isoformat(),
        "last_day": found.last_day.isoformat(),
        "held_out_days": found.held_out_days,
        "alerts_per_day": found.alerts_per_day,
        "threshold": found.threshold,
        "rows_known": found.known_row_share,
        "groups": dict(_group_sizes(found)),
        "contaminated": list(found.contaminated_accounts),
    }
