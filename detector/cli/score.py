"""``detector score``: take in new logs, score the days they cover, write alerts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import polars as pl
import typer

from detector import registry
from detector.alerts import incidents, output
from detector.alerts.alert import Alert
from detector.alerts.batch import score_days
from detector.alerts.drift import drifting
from detector.alerts.incidents import Incident
from detector.cli import mistakes, options, outlet, screen
from detector.cli.feedback import AllowList, Feedback, VerdictsFile
from detector.cli.intake import take_in
from detector.errors import InputError
from detector.features.measures import ACCOUNT
from detector.forests import store
from detector.forests.model import Model
from detector.ledger.ingest import Ingested
from detector.ledger.store import Ledger
from detector.phrases import counted
from detector.pseudonyms.names import check_of
from detector.reading import veil

#: Incidents, and entities of each, shown on screen; all alerts are in alerts.ndjson.
SHOWN = 10
ENTITIES = 5


def score(
    logs: options.Logs,
    source: options.SourceName = None,
    directory: options.DirectoryFile = None,
    ledger: options.LedgerFolder = options.LEDGER,
    model: options.ModelFolder = options.MODEL,
    out: Annotated[Path, typer.Option(help="Folder for what is found.")] = Path("out"),
    sink: outlet.SinkUrls = None,
    outbox: outlet.OutboxBeside = None,
    verdicts: VerdictsFile = None,
    allow_list: AllowList = None,
    settings: options.SettingsFile = None,
    alert_format: options.FormatName = None,
    as_json: options.Json = False,
    fail_on_alert: Annotated[
        bool, typer.Option("--fail-on-alert", help="Exit with 1 when there are alerts.")
    ] = False,
) -> None:
    """Score the days that the logs cover and write alerts.

    Writes alerts.ndjson, held.ndjson, rejects.ndjson and scores.parquet to --out.
    """
    options.demand_writable(out, "--out")
    learned = store.load(model, registry.families())
    rules = options.settings_of(settings, base=learned.settings)
    store.demand_pseudonyms(learned, check_of(rules), model)
    shape = options.file_format(alert_format, rules)
    heed = Feedback.of(rules, verdicts, allow_list, ledger)
    way_out = outlet.Outlet.of(rules, sink, outbox, ledger)
    people = veil.directory(directory, rules)
    mistakes.look(learned, rules, directory, ledger)
    taken = take_in(logs, source, ledger, rules, f"see {out / 'rejects.ndjson'}")
    book = Ledger.open(ledger, rules.timezone)
    results = []
    days = taken.ingested.days
    with screen.progress("scoring", len(days), "days") as advance:
        for some in score_days(book, days, learned, people, rules, registry.families(), heed.hush):
            results.append(some)
            advance(sum(len(part.days) for part in results), f"scored {some.days[-1]}")
    scores = output.joined([part.scores for part in results])
    rung = heed.explained([alert for part in results for alert in part.alerts])
    alerts, found = incidents.join(rung)
    alerts = heed.stand(alerts)
    held = heed.held([alert for part in results for alert in part.held])
    way_out.put(alerts, {f"scored {day}": learned.id for day in days})
    rejects = book.rejects(taken.ingested.part_ids)
    output.write(out, scores, alerts, pl.concat([taken.unused.lazy(), rejects]), shape.encode)
    output.write_held(out, held)
    _demand_events(taken.ingested, rejects, out / "rejects.ndjson")
    if as_json:
        typer.echo(json.dumps({**_summary(scores, alerts, found, learned, out), "held": held}))
    _say(scores, alerts, found, learned, out)
    heed.say(held, out)
    way_out.send()
    if fail_on_alert and alerts:
        raise typer.Exit(1)
    if taken.doubts:
        raise typer.Exit(int(rules.limit("exit_status")))


def _demand_events(ingested: Ingested, rejects: pl.LazyFrame, kept: Path) -> None:
    """Raises InputError where all that the logs hold was rejected: not scored is not quiet."""
    if ingested.events or not ingested.rejects:
        return
    file, line, reason = rejects.head(1).collect().row(0)
    place = file if line is None else f"line {line} of {file}"
    raise InputError(
        f"nothing was scored: not one record could be used, {counted(ingested.rejects, 'record')} "
        f"rejected, such as {place}: {reason}",
        hint=f"all are in {kept}; detector check says how the logs are understood",
    )


def _summary(
    scores: pl.DataFrame, alerts: list[Alert], found: list[Incident], learned: Model, out: Path
) -> dict[str, Any]:
    return {
        "model": learned.id,
        "out": str(out),
        "first_day": str(scores["date"].min()) if len(scores) else None,
        "last_day": str(scores["date"].max()) if len(scores) else None,
        "accounts": _accounts(scores),
        "alerts_a_day": len(alerts) / max(1, scores["date"].n_unique()),
        "budget": learned.alerts_per_day,
        "incidents": [incident.plain() for incident in found],
        "alerts": alerts,
    }


def _say(
    scores: pl.DataFrame, alerts: list[Alert], found: list[Incident], model: Model, out: Path
) -> None:
    days = scores["date"].unique().sort().to_list()
    if not days:
        screen.say("nothing to score: the logs hold no access by any account")
        return
    seen = [day for day in days if day <= model.last_day]
    if seen:
        screen.say(
            f"{len(seen)} of {counted(len(days), 'scored day')} within the model's training "
            f"(to {model.last_day}): what they hold was learned as usual"
        )
    screen.say(
        f"{counted(_accounts(scores), 'account')} scored on {counted(len(days), 'day')}, "
        f"{days[0]} to {days[-1]}: {counted(len(alerts), 'alert')}, "
        f"{len(alerts) / len(days):.1f} a day (budget {model.alerts_per_day:g}) in {out}"
    )
    if drift := drifting(len(alerts), len(days), model.alerts_per_day):
        screen.say(drift)
    if found:
        _show(scores, found)


def _accounts(scores: pl.DataFrame) -> int:
    return scores.filter(pl.col("entity_kind") == ACCOUNT)["entity"].n_unique()


def _show(scores: pl.DataFrame, found: list[Incident]) -> None:
    """A block per incident: who, since when, what is out; why its first alert rang."""
    shown = found[:SHOWN]
    what = counted(len(found), "incident")
    more = f", the first {len(shown)}" if len(found) > len(shown) else ""
    screen.say("", f"{what}{more}, oddest first:")
    for place, incident in enumerate(shown, start=1):
        first = incident.alerts[0]
        screen.say(
            "",
            f"{place:>2}. {_entities(incident)}: severity {incident.severity}, "
            f"{counted(len(incident.alerts), 'alert')}, "
            f"first {first['time'].replace('T', ' ').removesuffix(':00Z')} UTC; "
            f"{counted(first['records_out'], 'record')} above the usual out by then, "
            f"{incident.records_out:,} by its last alert; "
            f"{output.rows_since(scores, incident):,} read since that day",
            f"    {'; '.join(first['reasons'])}",
        )


def _entities(incident: Incident) -> str:
    groups = {(alert["entity_kind"], alert["entity"]): alert["group"] for alert in incident.alerts}
    names = [
        f"{name} ({groups[kind, name]})" if kind == ACCOUNT else f"{kind.replace('_', ' ')} {name}"
        for kind, name in incident.entities
    ]
    more = f" and {len(names) - ENTITIES:,} more" if len(names) > ENTITIES else ""
    return ", ".join(names[:ENTITIES]) + more
