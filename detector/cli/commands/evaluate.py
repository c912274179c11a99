"""``detector evaluate``: scores beside incidents that are known."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import polars as pl
import typer

from detector import registry
from detector.cli import console, options
from detector.core import settings as settings_file
from detector.core.errors import InputError
from detector.core.formatting import percentage, quantity
from detector.core.schema import SCORES, check
from detector.drill.evaluation import Evaluation
from detector.drill.evaluation import evaluate as measure
from detector.features.aggregates import ACCOUNT
from detector.model import store
from detector.normalize import pseudonymize
from detector.privacy.pseudonyms import key_check_for

SCORES_FILE = "scores.parquet"
#: Incidents shown on screen; ``--json`` has them all.
MAX_SHOWN = 40


def evaluate(
    scores: Annotated[
        Path,
        typer.Argument(metavar="SCORES", help=f"Folder that score wrote, or its {SCORES_FILE}."),
    ],
    incidents: Annotated[Path, typer.Option(help="CSV of known incidents: account, start, end.")],
    model: Annotated[
        Path | None,
        typer.Option(
            "--model", help="Folder of the model: its budget, and which days it has not seen."
        ),
    ] = None,
    settings: options.SettingsFile = None,
    as_json: options.JsonFlag = False,
) -> None:
    """Measure scores against known incidents: found or missed, exposure, precision, false alerts.

    Exposure is the share of an incident's records that is out before its first alert.
    """
    learned = store.load(model, registry.families()) if model else None
    rules = settings_file.load(settings, learned.settings if learned else None)
    if model is not None and learned is not None:
        store.check_pseudonyms(learned, key_check_for(rules), model)
    table = pseudonymize.load_incidents(incidents, rules)
    scored = _read_scores(scores)
    accounts = scored.filter(pl.col("entity_kind") == ACCOUNT)["entity"]
    pseudonymize.check_accounts(accounts, rules, scores)
    found = measure(scored, table, learned.last_day if learned else date.min)
    facts = summary(found, learned.alerts_per_day if learned else None)
    if as_json:
        typer.echo(json.dumps(facts))
    _print_report(found, facts)


def _read_scores(path: Path) -> pl.DataFrame:
    """The scores in a file or folder. Raises InputError."""
    file = path / SCORES_FILE if path.is_dir() else path
    hint = "name the folder that detector score wrote (--out), or its scores.parquet"
    if not file.exists():
        raise InputError("no such file", where=file, hint=hint)
    try:
        frame = check(pl.read_parquet(file), SCORES, "scores")
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, TypeError) as error:
        raise InputError("holds no scores of detector's", where=file, hint=hint) from error
    if frame.is_empty():
        raise InputError("holds no scored hour", where=file, hint="score some days first")
    return frame


def summary(found: Evaluation, budget: float | None) -> dict[str, Any]:
    """Plain JSON; its keys are described in docs/drill.md."""
    moments = [
        pl.col(name).dt.strftime("%Y-%m-%dT%H:%M:%SZ") for name in ("first_act", "first_alert")
    ]
    missed = found.incidents.filter(pl.col("first_alert").is_null())
    return {
        "incidents": len(found.incidents),
        "found": len(found.incidents) - len(missed),
        "missed": missed["campaign"].to_list(),
        "not_in_scores": found.campaigns_without_scores,
        "mean_exposure": found.incidents["exposure"].mean(),
        "days": found.days,
        "alerts": found.alerts,
        "alerts_a_day": _alerts_per_day(found.alerts, found.days),
        "benign_alerts_a_day": _alerts_per_day(found.alerts - found.true_positives, found.days),
        "budget": budget,
        "precision": found.precision,
        "each": found.incidents.with_columns(moments).to_dicts(),
    }


def _alerts_per_day(alerts: int, days: int) -> float | None:
    """Alerts a day; null where no day counts, since the model has seen all of them."""
    return alerts / days if days else None


def _print_report(found: Evaluation, facts: dict[str, Any]) -> None:
    rows: list[list[object]] = [
        [
            row["campaign"],
            row["kind"],
            _entity_names(row["entities"]),
            "found" if row["first_alert"] else "missed",
            row["first_alert"],
            row["days"],
            row["records"],
            None if row["exposure"] is None else percentage(row["exposure"]),
        ]
        for row in found.incidents.head(MAX_SHOWN).iter_rows(named=True)
    ]
    columns = ["incident", "kind", "who", "", "first alert", "days", "records", "exposure"]
    left = len(found.incidents) - len(rows)
    title = f"Incidents ({left} more in --json)" if left else "Incidents"
    console.say(console.table(title, columns, rows, {"days", "records", "exposure"}), "")
    console.say(*_report_lines(facts))


def _entity_names(entities: list[str]) -> str:
    names = [name.removeprefix("account ") for name in entities[:2]]
    return ", ".join(names) + (f" and {len(entities) - 2} more" if len(entities) > 2 else "")


def _report_lines(facts: dict[str, Any]) -> list[str]:
    mean, budget, precision = facts["mean_exposure"], facts["budget"], facts["precision"]
    said = [f"{facts['found']} of {quantity(facts['incidents'], 'incident')} found"]
    if mean is not None:
        said[0] += (
            f"; mean exposure {mean:.3f}: on average {percentage(mean)} of what was read was out "
            "before the first alert"
        )
    beside = "" if budget is None else f" (budget {budget:g})"
    unseen = "" if budget is None else " after training"
    if facts["days"]:
        said.append(
            f"{facts['alerts_a_day']:.2f} alerts a day on "
            f"{quantity(facts['days'], 'day')}{unseen}, "
            f"of them {facts['benign_alerts_a_day']:.2f} on no incident{beside}"
        )
    else:
        said.append("all scored days are of the model's training: the rate of alerts is not known")
    if precision is not None:
        said.append(f"precision: {percentage(precision)} of the alerts fall on incidents")
    if facts["not_in_scores"]:
        names = ", ".join(facts["not_in_scores"][:5])
        said.append(
            f"{quantity(len(facts['not_in_scores']), 'incident')} not in the scores, counted as "
            f"missed: {names}; either these days were not scored, or the accounts' names differ"
        )
    return said
