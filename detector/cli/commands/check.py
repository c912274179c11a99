"""``detector check``: what a log says, before anyone trains on it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import polars as pl
import typer

from detector import registry
from detector.cli import console, options
from detector.core import settings
from detector.core.formatting import readable, share
from detector.core.schema import TIMESTAMP
from detector.features import timezone_check
from detector.normalize import format_detection
from detector.normalize.log_report import FileSurvey, Survey, survey
from detector.readers import discovery


def check(
    logs: options.Logs,
    source: Annotated[str | None, typer.Option(help="Log format; guessed by default.")] = None,
    settings_file: Annotated[
        Path | None, typer.Option("--settings", help="Settings; ./detector.toml by default.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")] = False,
) -> None:
    """Say what a log contains and how it is understood, without learning from it."""
    chosen = settings.load(settings_file)
    files = discovery.expand(logs)
    known, unused = format_detection.recognise(files, registry.sources(), chosen, source)
    total = sum(path.stat().st_size for path, _ in known)
    with console.progress("Reading", total) as advance:
        found = survey(known, chosen, advance, unused)
    warnings = [*found.warnings(), *_zone(found, chosen)]
    if as_json:
        typer.echo(json.dumps(as_data(found, warnings, guessed=source is None), indent=2))
    else:
        _show(found, warnings, guessed=source is None)


def _zone(found: Survey, chosen: settings.Settings) -> list[str]:
    """Whether the hours at which people are active contradict the time zone that is set."""
    activity = pl.DataFrame(
        {"hour": list(found.active), "accounts": list(found.active.values())},
        schema={"hour": TIMESTAMP, "accounts": pl.Int64},
    )
    doubt = timezone_check.doubt(activity, chosen.timezone, chosen.log_timezone)
    return [doubt] if doubt else []


def as_data(found: Survey, warnings: list[str], *, guessed: bool) -> dict[str, Any]:
    """The survey as plain JSON data."""
    return {
        "events": found.events,
        "rejected": sum(count for count, _ in found.rejects.values()),
        "skipped": found.skipped,
        "accounts": found.accounts,
        "first": found.first.isoformat() if found.first else None,
        "last": found.last.isoformat() if found.last else None,
        "reads": found.reads,
        "unknown_rows": found.unknown_rows,
        "actions": found.actions,
        "top_accounts": [
            {"account": account, "statements": statements, "rows": rows}
            for account, statements, rows in found.top
        ],
        "rejects": [
            {"reason": reason, "count": count, "example": example}
            for reason, (count, example) in found.rejects.items()
        ],
        "files": [
            {
                "file": str(file.path),
                "source": file.source,
                "guessed": guessed,
                "events": file.events,
                "rejected": file.rejects,
                "skipped": file.skipped,
                "mapping": file.mapping,
            }
            for file in found.files
        ],
        "unused": [{"file": readable(path), "reason": reason} for path, reason in found.unused],
        "warnings": warnings,
    }


def _show(found: Survey, warnings: list[str], *, guessed: bool) -> None:
    how = "source, guessed" if guessed else "source"
    columns = ["file", how, "events", "rejected", "no access"]
    rows: list[list[object]] = [
        [file.path, file.source, file.events, file.rejects, file.skipped] for file in found.files
    ]
    console.say(console.table("Files", columns, rows, {"events", "rejected", "no access"}))
    for mapping, files in _mappings(found.files):
        named = files[0].path if len(files) == 1 else f"{len(files)} files like {files[0].path}"
        pairs: list[list[object]] = [[name, phrase] for name, phrase in mapping]
        console.say(
            console.table(f"Columns of {console.safe(named)}", ["column", "from"], pairs, set())
        )
    span = f"{console.show(found.first)} to {console.show(found.last)}" if found.first else "-"
    facts: list[list[object]] = [
        ["events", found.events],
        ["time", span],
        ["accounts", found.accounts],
        ["reads without a row count", share(found.unknown_share) if found.reads else None],
        *([f"action {action}", count] for action, count in found.actions.items()),
    ]
    console.say(console.table("Contents", ["what", "figure"], facts, {"figure"}))
    top: list[list[object]] = [list(row) for row in found.top[:10]]
    console.say(
        console.table(
            "Accounts that read most",
            ["account", "statements", "rows"],
            top,
            {"statements", "rows"},
        )
    )
    if found.rejects:
        bad: list[list[object]] = [
            [reason, count, example] for reason, (count, example) in found.rejects.items()
        ]
        console.say(console.table("Rejects", ["reason", "count", "such as"], bad, {"count"}))
    console.warn(*warnings)


def _mappings(
    files: list[FileSurvey],
) -> list[tuple[tuple[tuple[str, str], ...], list[FileSurvey]]]:
    """Files grouped by how their columns are understood."""
    groups: dict[tuple[tuple[str, str], ...], list[FileSurvey]] = {}
    for file in files:
        groups.setdefault(tuple(file.mapping.items()), []).append(file)
    return list(groups.items())
