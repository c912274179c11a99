"""``detector reveal``: turns pseudonyms back into names, and keeps who asked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from detector.cli import console, options
from detector.core.settings import Settings
from detector.privacy import audit_log
from detector.privacy import pseudonyms as names
from detector.privacy.audit_log import RevealAttempt


def reveal(
    pseudonyms: Annotated[
        list[str], typer.Argument(metavar="PSEUDONYM...", help="Such as alerts have them.")
    ],
    reason: Annotated[
        str | None, typer.Option("--reason", help="Why the name is needed, for the audit.")
    ] = None,
    by: Annotated[
        str | None, typer.Option("--by", help="Who asks, for the audit; a person or a ticket.")
    ] = None,
    ledger: options.LedgerFolder = options.LEDGER,
    settings: options.SettingsFile = None,
    as_json: options.JsonFlag = False,
) -> None:
    """Turn pseudonyms of accounts back into names, with the key that the settings name.

    Prints a name a line, and first appends a line for each to the audit: reveal_audit, or
    reveal-audit.ndjson beside the ledger. It never holds a name.
    """
    rules = options.load_settings(settings)
    found = names.load(rules)
    given = [text.strip().lower() for text in pseudonyms]
    attempts = [
        RevealAttempt(text if names.is_pseudonym(text) else None, found.reveal(text))
        for text in given
    ]
    audit_log.write(_audit_path(rules, ledger), attempts, by, reason)
    if as_json:
        told = [{"pseudonym": each.pseudonym, "name": each.name} for each in attempts]
        typer.echo(json.dumps(told))
    for place, attempt in enumerate(attempts, start=1):
        if attempt.pseudonym is None:
            # Not shown: it may be a name, and what goes to stderr may be kept.
            console.say(f"argument {place} is no pseudonym; one looks like {names.PREFIX}k5qw2...")
        elif attempt.name is None:
            console.say(
                f"{attempt.pseudonym}: was made with another key, or is altered or incomplete"
            )
        elif not as_json:
            typer.echo(console.escape_controls(attempt.name))
    if any(attempt.name is None for attempt in attempts):
        raise typer.Exit(1)


def _audit_path(rules: Settings, ledger: Path) -> Path:
    if rules.reveal_audit is not None:
        return Path(rules.reveal_audit)
    return ledger.absolute().parent / audit_log.FILE_NAME
