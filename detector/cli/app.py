"""The command ``detector``: its commands, and how an error becomes one line and an exit code."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from detector import __version__
from detector.cli import console
from detector.cli.commands.check import check
from detector.cli.commands.deliver import deliver
from detector.cli.commands.drill import drill
from detector.cli.commands.evaluate import evaluate
from detector.cli.commands.ledger import ledger
from detector.cli.commands.lookback import lookback
from detector.cli.commands.outbox import outbox
from detector.cli.commands.reveal import reveal
from detector.cli.commands.score import score
from detector.cli.commands.sinks import sinks
from detector.cli.commands.status import status
from detector.cli.commands.train import train
from detector.cli.commands.verdict import verdict
from detector.cli.commands.watch import watch
from detector.core.errors import DetectorError, write_hint
from detector.core.setting_types import READER_UMASKS

app = typer.Typer(
    help="Finds the theft of records in database access logs while it is still small.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for command in (
    *(check, lookback, train, score, watch, status, drill, evaluate, ledger, verdict, deliver),
    reveal,
):
    app.command()(command)
app.add_typer(sinks, name="sinks")
app.add_typer(outbox, name="outbox")


def _print_version(wanted: bool) -> None:
    if wanted:
        print(__version__)  # noqa: T201 - a version is for machines too
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Finds the theft of records in database access logs while it is still small."""


def run() -> None:
    """Entry point. Exit codes: 0 done, 1 failure or --fail-on-alert, 2 wrong usage, 3 doubts."""
    # What is written names people: for the owner alone, unless the settings say otherwise.
    os.umask(READER_UMASKS["owner"])
    try:
        app()
    except DetectorError as error:
        console.say(f"detector: {error}")
        sys.exit(error.exit_code)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)
    except OSError as error:  # a disk that is full, a file that went away in between
        what = DetectorError(
            str(error.strerror or error), where=error.filename, hint=write_hint(error)
        )
        console.say(f"detector: {what}")
        sys.exit(1)
