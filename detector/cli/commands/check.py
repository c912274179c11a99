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
from detector.core.formatting import path_text, percentage
from detector.core.schema import TIMESTAMP
from detector.features import timezone_check
from detector.normalize import format_detection
from detector.normalize.log_report import FileSummary, LogReport, build_report
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
    known, unused = format_detection.detect(files, registry.sources(), chosen, source)
    total = sum(log.size() for log, _ in known)
    with console.progress("Reading", total) as advance:
        found = build_report(known, chosen, advance, unused)
    warnings = [*found.warnings(), *_timezone_warnings(found, chosen)]
    if as_json:
        typer.echo(json.dumps(to_dict(found, warnings, guessed=source is None), indent=2))
    else:
        _print_report(found, warnings, guessed=source is None)


def _timezone_warnings(found: LogReport, chosen: settings.Settings) -> list[str]:
    """Whether the hours at which people are active contradict the time zone that is set."""
    activity = pl.DataFrame(
        {"hour": list(found.active_accounts), "accounts": list(found.active_accounts.values())},
        schema={"hour": TIMESTAMP, "accounts": pl.Int64},
    )
    doubt = timezone_check.activity_warning(activity, chosen.timezone, chosen.log_timezone)
    return [doubt] if doubt else []


def to_dict(found: LogReport, warnings: list[str], *, guessed: bool) -> dict[str, Any]:
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
            for account, statements, rows in found.top_accounts
        ],
        "rejects": [
            {"reason": reason, "count": count, "example": example}
            for reason, (count, example) in found.rejects.items()
        ],
        "files": [
            {
                "file": file.file,
                "source": file.source,
                "guessed": guessed,
                "events": file.events,
                "rejected": file.rejects,
                "skipped": file.skipped,
                "mapping": file.mapping,
            }
            for file in found.files
        ],
        "unused": [{"file": path_text(name), "reason": reason} for name, reason in found.unused],
        "warnings": warnings,
    }


def _print_report(found: LogReport, warnings: list[str], *, guessed: bool) -> None:
    how = "source, guessed" if guessed else "source"
    columns = ["file", how, "events", "rejected", "no access"]
    rows: list[list[object]] = [
        [file.file, file.source, file.events, file.rejects, file.skipped] for file in found.files
    ]
    console.say(console.table("Files", columns, rows, {"events", "rejected", "no access"}))
    for mapping, files in _files_by_mapping(found.files):
        named = files[0].file if len(files) == 1 else f"{len(files)} files like {files[0].file}"
        pairs: list[list[object]] = [[name, phrase] for name, phrase in mapping]
        console.say(
            console.table(
                f"Columns of {console.escape_controls(named)}", ["column", "from"], pairs, set()
            )
        )
    facts: list[list[object]] = [
        ["events", found.events],
        ["time", _time_span(found)],
        ["accounts", found.accounts],
        ["reads without a row count", percentage(found.unknown_share) if found.reads else None],
        *([f"action {action}", count] for action, count in found.actions.items()),
    ]
    console.say(console.table("Contents", ["what", "figure"], facts, {"figure"}))
    top: list[list[object]] = [list(row) for row in found.top_accounts[:10]]
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


def _time_span(found: LogReport) -> str:
    if not found.first:
        return "-"
    return f"{console.format_cell(found.first)} to {console.format_cell(found.last)}"


def _files_by_mapping(
    files: list[FileSummary],
) -> list[tuple[tuple[tuple[str, str], ...], list[FileSummary]]]:
    """Files grouped by how their columns are understood."""
    groups: dict[tuple[tuple[str, str], ...], list[FileSummary]] = {}
    for file in files:
        groups.setdefault(tuple(file.mapping.items()), []).append(file)
    return list(groups.items())
