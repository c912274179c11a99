"""``detector drill``: what this model would have found, and when, on the user's own data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import polars as pl
import typer

from detector import registry
from detector.cli import console, options
from detector.core import files
from detector.core.errors import InputError
from detector.core.formatting import percentage, quantity
from detector.core.settings import Settings
from detector.drill.plot import FORMATS, draw
from detector.drill.report import sentences, summary
from detector.drill.run import DrillResult
from detector.drill.run import drill as staged
from detector.drill.schedule import MAX_CROWDS
from detector.drill.window import DEFAULT_DAYS, MIN_DAYS, DrillWindow, day_range
from detector.features.feature_table import FEATURE_DIMENSIONS
from detector.ledger.store import Ledger
from detector.model import store
from detector.model.model import Model
from detector.normalize import pseudonymize
from detector.privacy.pseudonyms import key_check_for

#: Campaigns of each kind: their mean moves little with more, and three minutes are enough.
INSTANCES = 4


def drill(
    ledger: options.LedgerFolder = options.LEDGER,
    model: options.ModelFolder = options.MODEL,
    directory: options.DirectoryFile = None,
    settings: options.SettingsFile = None,
    days: Annotated[
        int | None,
        typer.Option(
            min=MIN_DAYS,
            help=(
                f"Last days of the ledger to stage campaigns on; {DEFAULT_DAYS}, or what there is."
            ),
        ),
    ] = None,
    instances: Annotated[
        int,
        typer.Option(
            min=1, max=100, help=f"Campaigns of each kind; of crowds {MAX_CROWDS} at most."
        ),
    ] = INSTANCES,
    seed: Annotated[
        int, typer.Option(min=0, max=2**32 - 1, help="Other campaigns for another number.")
    ] = 1,
    plot: Annotated[Path | None, typer.Option(help="Write a picture: a .png or .svg file.")] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for drill.parquet: a row per campaign.")
    ] = None,
    as_json: options.JsonFlag = False,
) -> None:
    """Stage thefts of all kinds in the ledger's last days, and say when this model finds them.

    Changes neither the ledger nor the model. Exposure is the share of a campaign's records that is
    out before the first alert.
    """
    _check_outputs(plot, out)
    learned = store.load(model, registry.families())
    rules = options.load_settings(settings, base=learned.settings)
    store.check_pseudonyms(learned, key_check_for(rules), model)
    people = pseudonymize.load_directory(directory, rules)
    stage = _open_window(ledger, people, rules, days)
    console.say(
        f"staging campaigns on {quantity(len(stage.days), 'day')}, {stage.first} to {stage.last}"
    )
    with console.progress("drill", 100, "%") as advance:
        found = staged(
            stage, learned, registry.families(), instances, seed,
            lambda part, words: advance(round(100 * part), words),
        )  # fmt: skip
    if out is not None:
        _write_campaigns(found.campaigns, out)
    if plot is not None:
        _draw_plot(found, learned, plot)
    facts = summary(found, stage, learned, instances, seed)
    if as_json:
        typer.echo(json.dumps(facts))
    _print_summary(facts, stage, learned)


def _check_outputs(plot: Path | None, out: Path | None) -> None:
    """Raises InputError where results cannot be written: before the work."""
    if out is not None:
        options.check_writable(out, "--out")
    if plot is not None:
        if plot.suffix.lower() not in FORMATS:
            raise InputError(
                "is no picture this can draw",
                where=plot,
                hint=f"end its name in {' or '.join(FORMATS)}",
            )
        if plot.is_dir():
            raise InputError("is a folder", where=plot, hint="name a file for --plot")
        options.check_writable(plot.parent, "--plot")


def _open_window(
    folder: Path, people: pl.DataFrame | None, rules: Settings, days: int | None
) -> DrillWindow:
    book = Ledger.open(folder, rules.timezone, create=False, pseudonyms=key_check_for(rules))
    first, last = day_range(book.days(), days)
    hours, touched = book.hours(None, last), book.touched(None, last, FEATURE_DIMENSIONS)
    return DrillWindow(hours, touched, people, rules, first, last)


def _write_campaigns(campaigns: pl.DataFrame, out: Path) -> None:
    try:
        files.make_folder(out)
        with files.replacement(out / "drill.parquet") as fresh:
            campaigns.write_parquet(fresh, compression="zstd")
    except OSError as error:
        raise InputError.not_written(error, out) from error


def _draw_plot(found: DrillResult, model: Model, plot: Path) -> None:
    title = f"Records out before the first alert (budget {model.alerts_per_day:g} a day)"
    try:
        files.make_folder(plot.parent)
        draw(found.campaigns, title, plot)
    except OSError as error:
        raise InputError.not_written(error, plot) from error


def _print_summary(facts: dict[str, Any], stage: DrillWindow, model: Model) -> None:
    rows: list[list[object]] = [
        [
            row["kind"],
            row["staged"],
            row["found"],
            _format_days(row["days"]),
            _format_share(row["exposure"]),
            _format_share(row["by_chance"]),
        ]
        for row in facts["kinds"]
    ]
    columns = ["campaign", "staged", "found", "median time to alert", "mean exposure", "by chance"]
    console.say("", console.table("Campaigns", columns, rows, set(columns[1:])), "")
    console.say(*sentences(facts, stage, model))


def _format_share(value: float | None) -> str | None:
    return None if value is None else percentage(value)


def _format_days(value: float | None) -> str | None:
    """A time in days; in hours, which is how often alerts can come, where it is less than one."""
    if value is None:
        return None
    return quantity(24 * value, "hour") if value < 1 else f"{value:.1f} days"
