"""``detector ledger``: what is in the ledger."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any, Final

import typer

from detector.cli import console, options
from detector.core.formatting import percentage as percent
from detector.core.formatting import quantity
from detector.ledger.manifest import encode
from detector.ledger.store import Ledger
from detector.ledger.summary import Summary, summarize

#: Inputs shown on screen; ``--json`` has them all.
MAX_SHOWN = 20

#: What ``--json`` says of each input: of its manifest, what is not for the ledger alone.
PART_KEYS: Final = (
    *("id", "file", "source", "size", "events", "rejects", "skipped", "first", "last", "days"),
)


def ledger(
    folder: options.LedgerFolder = options.LEDGER,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the same as JSON on stdout.")
    ] = False,
) -> None:
    """Show what is in the ledger: inputs, days, gaps, accounts and totals."""
    summary = summarize(Ledger.open(folder, None, create=False))
    if as_json:
        json.dump(_to_dict(summary), sys.stdout, indent=1)
        sys.stdout.write("\n")
        return
    inputs: list[list[object]] = [
        [part.file, part.source, part.events, part.rejects, part.skipped, part.first, part.last]
        for part in summary.parts[-MAX_SHOWN:]
    ]
    left_out = len(summary.parts) - len(inputs)
    console.say(
        console.table(
            f"The last {len(inputs)} of {len(summary.parts)} inputs" if left_out else "Inputs",
            ["file", "source", "events", "rejects", "skipped", "first", "last"],
            inputs,
            {"events", "rejects", "skipped"},
        ),
        "",
        console.table(
            f"Ledger {console.escape_controls(folder)}",
            ["what", "figure"],
            _figure_rows(summary),
            set(),
        ),
    )
    for first, last in summary.gaps:
        console.say(f"no data from {first} to {last}" if first != last else f"no data on {first}")
    if summary.unknown_share:
        console.say(
            f"{quantity(summary.unknown_rows, 'statement')} returned records without the "
            "log saying "
            "how many: for these, theft can only be seen by their number"
        )


def _figure_rows(summary: Summary) -> list[list[object]]:
    share = summary.unknown_share
    return [
        ["days with data", len(summary.days)],
        ["from", summary.days[0] if summary.days else None],
        ["to", summary.days[-1] if summary.days else None],
        ["days without data in between", _gap_days(summary)],
        ["days are those of", summary.timezone],
        ["accounts", summary.accounts],
        ["statements", summary.statements],
        ["records returned", summary.rows],
        ["reads of unknown size", None if share is None else percent(share)],
        ["failed statements", summary.failures],
        ["rejected lines", sum(part.rejects for part in summary.parts)],
    ]


def _gap_days(summary: Summary) -> int:
    return sum((last - first).days + 1 for first, last in summary.gaps)


def _to_dict(summary: Summary) -> dict[str, Any]:
    """``summary`` for machines."""
    return {
        "timezone": summary.timezone,
        "days": [day.isoformat() for day in summary.days],
        "gaps": [[first.isoformat(), last.isoformat()] for first, last in summary.gaps],
        "accounts": summary.accounts,
        "statements": summary.statements,
        "rows": summary.rows,
        "unknown_rows": summary.unknown_rows,
        "unknown_share": summary.unknown_share,
        "failures": summary.failures,
        "parts": [{key: plain[key] for key in PART_KEYS} for plain in map(encode, summary.parts)],
    }
