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
from detector.alerts.episode_history import EpisodeHistory
from detector.alerts.episodes import EpisodeState
from detector.alerts.incidents import Incident
from detector.cli import console, delivery_options, input_checks, options
from detector.cli.ingest_step import ingest_logs
from detector.cli.triage_options import AllowList, TriageOptions, VerdictsFile
from detector.core.errors import InputError
from detector.core.formatting import quantity
from detector.core.settings import Settings
from detector.detection import new_accounts
from detector.detection.batch import MAX_ACCOUNTS, score_by_week
from detector.detection.pipeline import Pipeline
from detector.detection.results import DetectionResult, unscored_accounts
from detector.features import timezone_check
from detector.features.aggregates import ACCOUNT
from detector.ledger import episodes
from detector.ledger.ingest import IngestResult
from detector.ledger.store import Ledger
from detector.model import store
from detector.model.model import Model
from detector.normalize import pseudonymize
from detector.privacy.pseudonyms import key_check_for

#: Incidents, and entities of each, shown on screen; all alerts are in alerts.ndjson.
MAX_INCIDENTS = 10
MAX_ENTITIES = 5


def score(
    logs: options.Logs,
    source: options.SourceName = None,
    directory: options.DirectoryFile = None,
    ledger: options.LedgerFolder = options.LEDGER,
    model: options.ModelFolder = options.MODEL,
    out: Annotated[Path, typer.Option(help="Folder for what is found.")] = Path("out"),
    sink: delivery_options.SinkUrls = None,
    outbox: delivery_options.OptionalOutboxFolder = None,
    verdicts: VerdictsFile = None,
    allow_list: AllowList = None,
    settings: options.SettingsFile = None,
    alert_format: options.FormatName = None,
    as_json: options.JsonFlag = False,
    fail_on_alert: Annotated[
        bool, typer.Option("--fail-on-alert", help="Exit with 1 when there are alerts.")
    ] = False,
) -> None:
    """Score the days that the logs cover and write alerts.

    Writes alerts.ndjson, held.ndjson, rejects.ndjson and scores.parquet to --out.
    """
    options.check_writable(out, "--out")
    learned = store.load(model, registry.families())
    rules = options.load_settings(settings, base=learned.settings)
    store.check_pseudonyms(learned, key_check_for(rules), model)
    shape = options.file_format(alert_format, rules)
    heed = TriageOptions.from_options(rules, verdicts, allow_list, ledger)
    way_out = delivery_options.AlertDelivery.from_options(rules, sink, outbox, ledger)
    people = pseudonymize.load_directory(directory, rules)
    input_checks.check_against_model(learned, rules, directory, ledger)
    taken = ingest_logs(logs, source, ledger, rules, f"see {out / 'rejects.ndjson'}")
    book, days = Ledger.open(ledger, rules.timezone), taken.result.days
    with episodes.exclusive_lock(ledger):
        history = episode_store.load(ledger, min(days, default=None), learned, rules)
        results, joined = _score_days(book, days, Pipeline(
            learned, people, rules, registry.families(), heed.suppression, heed.add_objections,
            history=history,
        ))  # fmt: skip
        # What is in the outbox is sent; what is kept then says that it was raised. Killed between,
        # the next run raises it once more.
        alerts = heed.add_verdicts(joined)
        way_out.put(alerts, {f"scored {day}": learned.id for day in days})
        episode_store.save(ledger, history)
    found = history.incidents(alerts)
    scores = writer.concat_scores([part.scores for part in results])
    held = heed.suppressed_alerts(_suppressed_alerts(results))
    rejects = book.rejects(taken.result.part_ids)
    writer.write(out, scores, alerts, pl.concat([taken.unused_files.lazy(), rejects]), shape.encode)
    writer.write_suppressed(out, held)
    _check_events(taken.result, rejects, out / "rejects.ndjson")
    warnings = _warn(book, days, rules, results)
    moves, going_on = _feature_shifts(results, learned), _open_episodes(history, days)
    if as_json:
        more = {"held": held, **_warning_fields(warnings, moves, results, history, going_on)}
        typer.echo(json.dumps({**_summary(scores, alerts, found, learned, out), **more}))
    _print_summary(scores, alerts, found, learned, out)
    _print_open_episodes(going_on, history)
    console.say(*feature_drift.report_lines(moves))
    heed.print_suppressed(held, out)
    way_out.send()
    _exit(alerts if fail_on_alert else [], _status(rules, taken.doubts, results))


def _warn(
    book: Ledger, days: Sequence[date], rules: Settings, results: Sequence[DetectionResult]
) -> list[str]:
    folded = new_accounts.warning_text(_folded(results))
    return console.warn(*_timezone_warnings(book, days, rules), folded)


def _warning_fields(
    warnings: Sequence[str],
    moves: Sequence[feature_drift.Shift],
    results: Sequence[DetectionResult],
    history: EpisodeHistory,
    going_on: Sequence[EpisodeState],
) -> dict[str, Any]:
    return {
        "going_on": [_episode_dict(history, each) for each in going_on],
        "folded_accounts": _folded(results),
        "warnings": list(warnings),
        "moved_features": [each.to_dict() for each in moves],
    }


def _status(rules: Settings, doubts: Sequence[str], results: Sequence[DetectionResult]) -> int:
    """The exit status: that of doubtful logs where there is anything to doubt."""
    return int(rules.health_limit("exit_status")) if doubts or _folded(results) else 0


def _folded(results: Sequence[DetectionResult]) -> int:
    """The accounts that nobody knows and that were judged as one, of the day that had most."""
    return max((part.folded for part in results), default=0)


def _suppressed_alerts(results: Sequence[DetectionResult]) -> list[Alert]:
    return [alert for part in results for alert in part.suppressed]


def _exit(alerts: Sequence[Alert], doubts: int) -> None:
    """Ends with 1 where there are ``alerts`` that go on, else with what ``doubts`` ask for."""
    if any(alert["activity"] != CLOSE for alert in alerts):
        raise typer.Exit(1)
    if doubts:
        raise typer.Exit(doubts)


def _feature_shifts(results: Sequence[DetectionResult], model: Model) -> list[feature_drift.Shift]:
    """The features that are not as they were in training."""
    counts = [part.drift_counts for part in results]
    return feature_drift.find_shifts(counts, model, registry.families())


def _score_days(
    book: Ledger, days: Sequence[date], judging: Pipeline
) -> tuple[list[DetectionResult], list[Alert]]:
    """What the days say, and its messages, joined with what was raised before."""
    results: list[DetectionResult] = []
    joined: list[Alert] = []
    with console.progress("scoring", len(days), "days") as advance:
        for some in score_by_week(judging, book, days, MAX_ACCOUNTS):
            results.append(some)
            joined += judging.history.join_messages(judging.add_objections(some.alerts), days)
            advance(sum(len(part.days) for part in results), f"scored {some.days[-1]}")
    return results, joined


def _check_events(ingested: IngestResult, rejects: pl.LazyFrame, kept: Path) -> None:
    """Raises InputError where all that the logs hold was rejected: not scored is not quiet."""
    if ingested.events or not ingested.rejects:
        return
    file, line, reason = rejects.head(1).collect().row(0)
    place = file if line is None else f"line {line} of {file}"
    raise InputError(
        f"nothing was scored: not one record could be used, {quantity(ingested.rejects, 'record')} "
        f"rejected, such as {place}: {reason}",
        hint=f"all are in {kept}; detector check says how the logs are understood",
    )


def _timezone_warnings(book: Ledger, days: Sequence[date], rules: Settings) -> list[str]:
    """Where the hours at which people are active contradict the time zone that is set."""
    if not days:
        return []
    activity = book.activity(min(days) - timedelta(days=timezone_check.LOOKBACK_DAYS), max(days))
    return [timezone_check.activity_warning(activity, rules.timezone, rules.log_timezone)]


def _summary(
    scores: pl.DataFrame, alerts: list[Alert], found: list[Incident], learned: Model, out: Path
) -> dict[str, Any]:
    return {
        "model": learned.id,
        "out": str(out),
        "first_day": str(scores["date"].min()) if len(scores) else None,
        "last_day": str(scores["date"].max()) if len(scores) else None,
        "accounts": _count_accounts(scores),
        **_alert_rate(scores, alerts, learned).to_dict(),
        "not_judged": unscored_accounts(scores),
        "incidents": [incident.to_dict() for incident in found],
        "alerts": alerts,
    }


def _print_summary(
    scores: pl.DataFrame, alerts: list[Alert], found: list[Incident], model: Model, out: Path
) -> None:
    days = scores["date"].unique().sort().to_list()
    if not days:
        console.say("nothing to score: the logs hold no access by any account")
        return
    begun = _count_new_alerts(alerts)
    seen = [day for day in days if day <= model.last_day]
    if seen:
        console.say(
            f"{len(seen)} of {quantity(len(days), 'scored day')} within the model's training "
            f"(to {model.last_day}): what they hold was learned as usual"
        )
    console.say(
        f"{quantity(_count_accounts(scores), 'account')} scored on {quantity(len(days), 'day')}, "
        f"{days[0]} to {days[-1]}: {quantity(begun, 'alert')} and "
        f"{quantity(len(alerts) - begun, 'update')} of them in {out}"
    )
    if names := unscored_accounts(scores):
        more = f" and {len(names) - MAX_INCIDENTS:,} more" if len(names) > MAX_INCIDENTS else ""
        console.say(
            f"{quantity(len(names), 'account')} not judged, which is not normal: no past, and "
            f"too few others to compare with: {', '.join(names[:MAX_INCIDENTS])}{more}"
        )
    rate = _alert_rate(scores, alerts, model)
    console.say(rate.to_text(), *filter(None, [rate.drift_warning()]))
    if found:
        _print_incidents(scores, found)


def _alert_rate(scores: pl.DataFrame, alerts: list[Alert], model: Model) -> Rate:
    """How many alerts came a day, on days that the model has not seen."""
    return Rate.from_alerts(alerts, scores["date"].unique(), model.last_day, model.alerts_per_day)


def _count_new_alerts(alerts: Sequence[Alert]) -> int:
    """Alerts that open an episode: what the budget counts."""
    return sum(alert["activity"] == CREATE for alert in alerts)


def _open_episodes(history: EpisodeHistory, days: Sequence[date]) -> list[EpisodeState]:
    """The episodes that go on at the end of the last of ``days``."""
    return history.open_episodes(max(days)) if days else []


def _episode_dict(history: EpisodeHistory, standing: EpisodeState) -> dict[str, Any]:
    return ongoing.to_dict(standing, history.last_message(standing))


def _print_open_episodes(found: Sequence[EpisodeState], history: EpisodeHistory) -> None:
    if not found:
        return
    more = f", the first {MAX_INCIDENTS} by records out" if len(found) > MAX_INCIDENTS else ""
    console.say("", f"{quantity(len(found), 'episode')} still going on{more}:")
    for standing in found[:MAX_INCIDENTS]:
        console.say(f"    {ongoing.to_text(_episode_dict(history, standing))}")


def _count_accounts(scores: pl.DataFrame) -> int:
    return scores.filter(pl.col("entity_kind") == ACCOUNT)["entity"].n_unique()


def _print_incidents(scores: pl.DataFrame, found: list[Incident]) -> None:
    """A block per incident: who, since when, what is out; why its first alert rang."""
    shown = found[:MAX_INCIDENTS]
    what = quantity(len(found), "incident")
    more = f", the first {len(shown)}" if len(found) > len(shown) else ""
    console.say("", f"{what}{more}, oddest first:")
    for place, incident in enumerate(shown, start=1):
        first = incident.alerts[0]
        console.say(
            "",
            f"{place:>2}. {_entity_names(incident)}: severity {incident.severity}, "
            f"{quantity(_count_new_alerts(incident.alerts), 'alert')}, "
            f"first {first['time'].replace('T', ' ').removesuffix(':00Z')} UTC; "
            f"{quantity(first['records_out'], 'record')} above the usual out by then, "
            f"{incident.records_out:,} by its last alert; "
            f"{writer.rows_since(scores, incident):,} read since that day"
            f"{_first_day_note(scores, incident)}",
            f"    {'; '.join(first['reasons'])}",
        )


def _first_day_note(scores: pl.DataFrame, incident: Incident) -> str:
    """That an incident began before the days that were scored just now."""
    first = scores["date"].min()
    began = date.fromisoformat(incident.alerts[0]["date"])
    return f", from {first} on" if isinstance(first, date) and began < first else ""


def _entity_names(incident: Incident) -> str:
    groups = {(alert["entity_kind"], alert["entity"]): alert["group"] for alert in incident.alerts}
    names = [
        f"{name} ({groups[kind, name]})" if kind == ACCOUNT else f"{kind.replace('_', ' ')} {name}"
        for kind, name in incident.entities
    ]
    more = f" and {len(names) - MAX_ENTITIES:,} more" if len(names) > MAX_ENTITIES else ""
    return ", ".join(names[:MAX_ENTITIES]) + more
