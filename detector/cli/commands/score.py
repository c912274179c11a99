"""``detector score``: take in new logs, score the days they cover, write alerts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated, Any

import polars as pl
import typer

from detector import registry
from detector.alerts import episode_store, feature_drift, ongoing, writer
from detector.alerts.alert import CLOSE, CREATE, Alert
from detector.alerts.alert_rate import Rate
from detector.alerts.episode_history import Memory
from detector.alerts.episodes import Standing
from detector.alerts.incidents import Incident
from detector.cli import console, delivery_options, input_checks, options
from detector.cli.ingest_step import take_in
from detector.cli.triage_options import AllowList, Feedback, VerdictsFile
from detector.core.errors import InputError
from detector.core.formatting import counted
from detector.core.settings import Settings
from detector.detection import new_accounts
from detector.detection.batch import MANY, by_week
from detector.detection.pipeline import Judging
from detector.detection.results import Scored, not_judged
from detector.features import timezone_check
from detector.features.aggregates import ACCOUNT
from detector.ledger import episodes
from detector.ledger.ingest import Ingested
from detector.ledger.store import Ledger
from detector.model import store
from detector.model.model import Model
from detector.normalize import pseudonymize
from detector.privacy.pseudonyms import check_of

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
    sink: delivery_options.SinkUrls = None,
    outbox: delivery_options.OutboxBeside = None,
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
    way_out = delivery_options.Outlet.of(rules, sink, outbox, ledger)
    people = pseudonymize.directory(directory, rules)
    input_checks.look(learned, rules, directory, ledger)
    taken = take_in(logs, source, ledger, rules, f"see {out / 'rejects.ndjson'}")
    book = Ledger.open(ledger, rules.timezone)
    days = taken.ingested.days
    with episodes.locked(ledger):
        memory = episode_store.load(ledger, min(days, default=None), learned, rules)
        results, joined = _scored(book, days, Judging(
            learned, people, rules, registry.families(), heed.hush, heed.explained, memory=memory,
        ))  # fmt: skip
        # What is in the outbox is sent; what is kept then says that it was raised. Killed between,
        # the next run raises it once more.
        way_out.put(alerts := heed.stand(joined), {f"scored {day}": learned.id for day in days})
        episode_store.save(ledger, memory)
    found = memory.incidents(alerts)
    scores = writer.joined([part.scores for part in results])
    held = heed.held(_suppressed(results))
    rejects = book.rejects(taken.ingested.part_ids)
    writer.write(out, scores, alerts, pl.concat([taken.unused.lazy(), rejects]), shape.encode)
    writer.write_held(out, held)
    _demand_events(taken.ingested, rejects, out / "rejects.ndjson")
    warnings = console.warn(*_warnings(book, days, rules), new_accounts.words(_folded(results)))
    moves, going_on = _moves(results, learned), _going_on(memory, days)
    if as_json:
        standing = [_plain(memory, each) for each in going_on]
        more = {"going_on": standing, "held": held, **_doubts(warnings, moves, results)}
        typer.echo(json.dumps({**_summary(scores, alerts, found, learned, out), **more}))
    _say(scores, alerts, found, learned, out)
    _say_going_on(going_on, memory)
    console.say(*feature_drift.words(moves))
    heed.say(held, out)
    way_out.send()
    _leave(alerts if fail_on_alert else [], _status(rules, taken.doubts, results))


def _doubts(
    warnings: Sequence[str],
    moves: Sequence[feature_drift.Movement],
    results: Sequence[Scored],
) -> dict[str, Any]:
    return {
        "folded_accounts": _folded(results),
        "warnings": list(warnings),
        "moved_features": [each.plain() for each in moves],
    }


def _status(rules: Settings, doubts: Sequence[str], results: Sequence[Scored]) -> int:
    """The exit status: that of doubtful logs where there is anything to doubt."""
    return int(rules.limit("exit_status")) if doubts or _folded(results) else 0


def _folded(results: Sequence[Scored]) -> int:
    """The accounts that nobody knows and that were judged as one, of the day that had most."""
    return max((part.folded for part in results), default=0)


def _suppressed(results: Sequence[Scored]) -> list[Alert]:
    return [alert for part in results for alert in part.held]


def _leave(alerts: Sequence[Alert], doubts: int) -> None:
    """Ends with 1 where there are ``alerts`` that go on, else with what ``doubts`` ask for."""
    if any(alert["activity"] != CLOSE for alert in alerts):
        raise typer.Exit(1)
    if doubts:
        raise typer.Exit(doubts)


def _moves(results: Sequence[Scored], model: Model) -> list[feature_drift.Movement]:
    """The features that are not as they were in training."""
    counts = [part.counts for part in results]
    return feature_drift.movements(counts, model, registry.families())


def _scored(
    book: Ledger, days: Sequence[date], judging: Judging
) -> tuple[list[Scored], list[Alert]]:
    """What the days say, and its messages, joined with what was raised before."""
    results: list[Scored] = []
    joined: list[Alert] = []
    assert judging.memory is not None
    with console.progress("scoring", len(days), "days") as advance:
        for some in by_week(judging, book, days, MANY):
            results.append(some)
            joined += judging.memory.settle(judging.explained(some.alerts), days)
            advance(sum(len(part.days) for part in results), f"scored {some.days[-1]}")
    return results, joined


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


def _warnings(book: Ledger, days: Sequence[date], rules: Settings) -> list[str]:
    """Where the hours at which people are active contradict the time zone that is set."""
    if not days:
        return []
    activity = book.activity(min(days) - timedelta(days=timezone_check.LOOKBACK), max(days))
    return [timezone_check.doubt(activity, rules.timezone, rules.log_timezone)]


def _summary(
    scores: pl.DataFrame, alerts: list[Alert], found: list[Incident], learned: Model, out: Path
) -> dict[str, Any]:
    return {
        "model": learned.id,
        "out": str(out),
        "first_day": str(scores["date"].min()) if len(scores) else None,
        "last_day": str(scores["date"].max()) if len(scores) else None,
        "accounts": _accounts(scores),
        **_rate(scores, alerts, learned).plain(),
        "not_judged": not_judged(scores),
        "incidents": [incident.plain() for incident in found],
        "alerts": alerts,
    }


def _say(
    scores: pl.DataFrame, alerts: list[Alert], found: list[Incident], model: Model, out: Path
) -> None:
    days = scores["date"].unique().sort().to_list()
    if not days:
        console.say("nothing to score: the logs hold no access by any account")
        return
    begun = _begun(alerts)
    seen = [day for day in days if day <= model.last_day]
    if seen:
        console.say(
            f"{len(seen)} of {counted(len(days), 'scored day')} within the model's training "
            f"(to {model.last_day}): what they hold was learned as usual"
        )
    console.say(
        f"{counted(_accounts(scores), 'account')} scored on {counted(len(days), 'day')}, "
        f"{days[0]} to {days[-1]}: {counted(begun, 'alert')} and "
        f"{counted(len(alerts) - begun, 'update')} of them in {out}"
    )
    if names := not_judged(scores):
        more = f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
        console.say(
            f"{counted(len(names), 'account')} not judged, which is not normal: no past, and "
            f"too few others to compare with: {', '.join(names[:SHOWN])}{more}"
        )
    rate = _rate(scores, alerts, model)
    console.say(rate.words(), *filter(None, [rate.drift()]))
    if found:
        _show(scores, found)


def _rate(scores: pl.DataFrame, alerts: list[Alert], model: Model) -> Rate:
    """How many alerts came a day, on days that the model has not seen."""
    return Rate.of(alerts, scores["date"].unique(), model.last_day, model.alerts_per_day)


def _begun(alerts: Sequence[Alert]) -> int:
    """Alerts that open an episode: what the budget counts."""
    return sum(alert["activity"] == CREATE for alert in alerts)


def _going_on(memory: Memory, days: Sequence[date]) -> list[Standing]:
    """The episodes that go on at the end of the last of ``days``."""
    return memory.going_on(max(days)) if days else []


def _plain(memory: Memory, standing: Standing) -> dict[str, Any]:
    return ongoing.plain(standing, memory.last_message(standing))


def _say_going_on(found: Sequence[Standing], memory: Memory) -> None:
    if not found:
        return
    more = f", the first {SHOWN} by records out" if len(found) > SHOWN else ""
    console.say("", f"{counted(len(found), 'episode')} still going on{more}:")
    for standing in found[:SHOWN]:
        console.say(f"    {ongoing.words(_plain(memory, standing))}")


def _accounts(scores: pl.DataFrame) -> int:
    return scores.filter(pl.col("entity_kind") == ACCOUNT)["entity"].n_unique()


def _show(scores: pl.DataFrame, found: list[Incident]) -> None:
    """A block per incident: who, since when, what is out; why its first alert rang."""
    shown = found[:SHOWN]
    what = counted(len(found), "incident")
    more = f", the first {len(shown)}" if len(found) > len(shown) else ""
    console.say("", f"{what}{more}, oddest first:")
    for place, incident in enumerate(shown, start=1):
        first = incident.alerts[0]
        console.say(
            "",
            f"{place:>2}. {_entities(incident)}: severity {incident.severity}, "
            f"{counted(_begun(incident.alerts), 'alert')}, "
            f"first {first['time'].replace('T', ' ').removesuffix(':00Z')} UTC; "
            f"{counted(first['records_out'], 'record')} above the usual out by then, "
            f"{incident.records_out:,} by its last alert; "
            f"{writer.rows_since(scores, incident):,} read since that day"
            f"{_as_far_as_scored(scores, incident)}",
            f"    {'; '.join(first['reasons'])}",
        )


def _as_far_as_scored(scores: pl.DataFrame, incident: Incident) -> str:
    """That an incident began before the days that were scored just now."""
    first = scores["date"].min()
    began = date.fromisoformat(incident.alerts[0]["date"])
    return f", from {first} on" if isinstance(first, date) and began < first else ""


def _entities(incident: Incident) -> str:
    groups = {(alert["entity_kind"], alert["entity"]): alert["group"] for alert in incident.alerts}
    names = [
        f"{name} ({groups[kind, name]})" if kind == ACCOUNT else f"{kind.replace('_', ' ')} {name}"
        for kind, name in incident.entities
    ]
    more = f" and {len(names) - ENTITIES:,} more" if len(names) > ENTITIES else ""
    return ", ".join(names[:ENTITIES]) + more
