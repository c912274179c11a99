"""``detector verdict``: what a person makes of an alert."""

from __future__ import annotations

import json
import os
import pwd
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

import typer

from detector import registry
from detector.alerts.alert import Alert
from detector.cli import console, delivery_options, options, triage_options
from detector.core.errors import SettingsError, VerdictError
from detector.core.formatting import quantity
from detector.delivery.outbox import schema
from detector.delivery.outbox.store import Outbox
from detector.triage import store
from detector.triage.alert_lookup import read_alerts
from detector.triage.history import VerdictHistory
from detector.triage.propagation import propagate_verdicts
from detector.triage.records import CONFIRMED, EXPECTED, FollowUp, Verdict, make_verdict
from detector.triage.subjects import Subject


def verdict(
    alert_id: Annotated[str, typer.Argument(metavar="ALERT_ID", help="Id of the alert.")],
    verdict: Annotated[
        Literal["benign", "confirmed", "expected"],
        typer.Argument(metavar="VERDICT", help="benign, confirmed (a theft) or expected."),
    ],
    reason: Annotated[str, typer.Option(help="Why, for those who come after.")],
    until: Annotated[
        datetime | None,
        typer.Option(
            formats=["%Y-%m-%d"], help="Last day on which it is expected, or of the theft."
        ),
    ] = None,
    by: Annotated[
        str | None, typer.Option(metavar="NAME", help="Who says so; the system's user by default.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder that detector score wrote to.")] = Path("out"),
    ledger: options.LedgerFolder = options.LEDGER,
    outbox: delivery_options.OptionalOutboxFolder = None,
    verdicts: triage_options.VerdictsFile = None,
    as_json: options.JsonFlag = False,
) -> None:
    """Say what an alert was: benign, a confirmed theft, or expected until a day.

    Training leaves out the days of confirmed thefts; expected alerts are suppressed.
    """
    path = triage_options.verdicts_path(verdicts, ledger)
    book = store.load(path)
    box = outbox or ledger.absolute().parent / delivery_options.OUTBOX
    known = _load_alerts(out, box)
    if alert_id not in known:
        raise VerdictError(
            f"no alert {alert_id!r} in {out / 'alerts.ndjson'}, held.ndjson beside it, or {box}",
            hint="name the folders with --out and --outbox; delivered alerts leave after 30 days",
        )
    said = make_verdict(
        Subject.from_alert(known[alert_id], registry.families()), verdict, reason,
        by or _user_name(),
        datetime.now(UTC), until.date() if until else None,
    )  # fmt: skip
    followings: list[FollowUp] = []
    if verdict == CONFIRMED:
        order = sorted(known.values(), key=lambda alert: str(alert["time"]))
        _, followings = propagate_verdicts(
            order, VerdictHistory((*book.records, said)), registry.families()
        )
    store.append(path, [said, *followings])
    if as_json:
        typer.echo(json.dumps(said.to_dict()))
    _print_verdict(said, len(followings), path)


def _load_alerts(out: Path, box: Path) -> dict[str, Alert]:
    """By id: alerts of the last run, those it held back, and what the outbox still has."""
    families = registry.families()
    found = [
        *_outbox_alerts(box),
        *read_alerts(out / "held.ndjson", families),
        *read_alerts(out / "alerts.ndjson", families),
    ]
    return {alert["id"]: alert for alert in found}


def _outbox_alerts(folder: Path) -> list[Alert]:
    if not (folder / schema.FILE).exists():
        return []
    with Outbox.open(folder, create=False) as box:
        return box.alerts()


def _user_name() -> str:
    """Of the process, not of its environment: that anyone can set."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        what = f"user {os.getuid()} has no name"
        raise SettingsError(what, where="--by", hint="name who says so with --by") from None


def _print_verdict(said: Verdict, followings: int, path: Path) -> None:
    subject = said.subject
    who = f"{subject.entity_kind.replace('_', ' ')} {subject.entity}"
    console.say(f"{said.verdict}: alert {subject.alert} of {who}, {subject.day}, by {said.author}")
    if said.verdict == CONFIRMED:
        more = (
            f" and of {quantity(followings, 'later alert')} of its incident" if followings else ""
        )
        last = said.until or subject.day
        console.say(f"its days {subject.since} to {last}{more} are left out of the next training")
    if said.verdict == EXPECTED:
        reasons = ", ".join(subject.families) or "no reason, so none"
        console.say(f"alerts like it are suppressed until {said.until}, for {reasons}")
        if said.until and said.until < triage_options.today():
            console.say("that day has passed: only older days, scored again, are suppressed")
    console.say(f"kept in {path}")
