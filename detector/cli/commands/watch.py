"""``detector watch``: follow logs while they are written, and alert while a theft is under way."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from detector import registry
from detector.alerts import ongoing
from detector.alerts.alert import CREATE, Alert
from detector.cli import console, delivery_options, input_checks, options
from detector.cli.triage_options import AllowList, Feedback, VerdictsFile
from detector.core.errors import SettingsError
from detector.core.formatting import counted
from detector.core.settings import Settings
from detector.detection.pipeline import Judging
from detector.ledger.store import Ledger
from detector.model import store
from detector.model.model import Model
from detector.normalize import pseudonymize, shared_accounts
from detector.normalize.source import Source
from detector.privacy import pseudonyms
from detector.watch import memory, open_files
from detector.watch.deduplication import Before
from detector.watch.health import Health
from detector.watch.kafka_input import SCHEMES, Topic
from detector.watch.ledger_lease import Holding
from detector.watch.log_tracker import Shelf
from detector.watch.metrics import serve
from detector.watch.new_files import Looks, Strangers
from detector.watch.sender import Sending
from detector.watch.service import Renewed, Say, Service, heeded, tell_health
from detector.watch.state import State
from detector.watch.stdin_input import StandardInput
from detector.watch.stream_inputs import DASH, Inlet, Streams
from detector.watch.watcher import Watcher

STATE = Path("state")

StateFolder = Annotated[
    Path, typer.Option("--state", help="Folder of the watcher's state; also its outbox.")
]


def watch(
    logs: Annotated[
        list[str],
        typer.Argument(
            metavar="LOG",
            help="Files, folders, globs; - for stdin; kafka://host:9092/topic.",
        ),
    ],
    state: StateFolder = STATE,
    source: options.SourceName = None,
    directory: options.DirectoryFile = None,
    ledger: options.LedgerFolder = options.LEDGER,
    model: options.ModelFolder = options.MODEL,
    out: Annotated[Path, typer.Option(help="Folder for what is found.")] = Path("out"),
    sink: delivery_options.SinkUrls = None,
    verdicts: VerdictsFile = None,
    allow_list: AllowList = None,
    settings: options.SettingsFile = None,
    once: Annotated[
        bool, typer.Option("--once", help="Read and score what is there, then end.")
    ] = False,
    settle: Annotated[
        float,
        typer.Option(min=0, help="Seconds without change after which a file is complete."),
    ] = 5.0,
    silent_after: Annotated[
        float,
        typer.Option(min=0, help="Minutes without an event that are told as an alert; 0 never."),
    ] = 60.0,
    metrics: Annotated[
        int | None,
        typer.Option(min=1, max=65535, help="Port on 127.0.0.1 for Prometheus; none by default."),
    ] = None,
    log_json: Annotated[
        bool, typer.Option("--log-json", help="Say everything as JSON, a line each, on stderr.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print each alert as a line of JSON on stdout.")
    ] = False,
) -> None:
    """Follow logs while they are written, and alert while a theft is under way.

    Ends on SIGTERM, or when standard input does, if that is all it follows. Started again, it goes
    on where it was. SIGHUP reads model, settings and sinks anew.
    """
    with ExitStack() as stack:
        hup = heeded(stack)
        options.demand_writable(out, "--out")
        _prepare()
        say = voice(as_json=log_json)
        makes = Makes(model, directory, ledger, settings, verdicts, allow_list)
        rules, judging = makes.judging()
        makes.look_at(judging.model, rules, logs, say)
        routes = delivery_options.configured(rules, sink)
        check = pseudonyms.check_of(rules)
        kept = stack.enter_context(State.open(state))
        book = Ledger.open(ledger, rules.timezone, pseudonyms=check)
        book.demand_pseudonyms(check)
        stack.enter_context(book.writing(kept.facts()["id"]))
        holding = Holding(book, kept)
        stack.callback(holding.leave)
        holding.tell()
        shelf = _shelf(logs, source, rules, kept, book, settle)
        stack.callback(shelf.close)
        sinks = tuple(route.name for route in routes)
        watcher = Watcher(kept, book, judging, shelf, out, sinks, time.time)
        stack.callback(watcher.close)
        sending = stack.enter_context(Sending(state, routes, lambda said: say("sinks", said, {})))
        rang = _ring(say, sending, as_json=as_json)
        health = _health(silent_after, judging.model.id, rules)
        if once:
            rang([*watcher.finish(), *tell_health(watcher, health, time.time())])
            _say_done(watcher, say)
            return
        serving = serve(metrics) if metrics is not None else lambda _: None

        def told(found: dict[str, Any]) -> None:
            holding.tell()
            serving(found)

        renewal = Renewal(makes, sink, rules, watcher, sending)
        service = Service(watcher, health, renewal.renewed, model, say, rang, told, hup=hup)
        say("started", f"following {_named(logs)}; model {judging.model.id}", {})
        service.run()


def _prepare() -> None:
    """What the process needs that follows logs for months."""
    memory.lean()
    open_files.raise_limit()


def _named(logs: Sequence[str]) -> str:
    return ", ".join(log.partition("#")[0] for log in logs)


@dataclass(frozen=True, slots=True)
class Makes:
    """Where what days are judged by is made from, at the start and when the model changes."""

    model: Path
    directory: Path | None
    ledger: Path
    settings: Path | None
    verdicts: Path | None
    allow_list: Path | None

    def judging(self) -> tuple[Settings, Judging]:
        """From the files as they are now. Raises DetectorError."""
        families = registry.families()
        learned = store.load(self.model, families)
        rules = options.settings_of(self.settings, base=learned.settings)
        store.demand_pseudonyms(learned, pseudonyms.check_of(rules), self.model)
        heed = Feedback.of(rules, self.verdicts, self.allow_list, self.ledger)
        people = pseudonymize.directory(self.directory, rules)
        return rules, Judging(
            learned, people, rules, families, heed.hush, heed.explained, heed.stand
        )

    def look_at(self, learned: Model, rules: Settings, logs: Sequence[str], say: Say) -> None:
        """Says what was mistyped or forgotten. Raises SettingsError."""
        input_checks.look(
            learned, rules, self.directory, self.ledger, _inlets(logs)[0],
            lambda words: say("warning", words, {}),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Renewal:
    """What is read anew while a watcher runs: all but how logs are read, which ``rules`` say."""

    makes: Makes
    flags: Sequence[str] | None
    rules: Settings
    watcher: Watcher
    sending: Sending

    def renewed(self) -> Renewed:
        """All of it checked, nothing of it in force. Raises DetectorError."""
        rules, judging = self.makes.judging()
        book = self.watcher.ledger
        if rules.timezone != book.timezone:
            what = f"the ledger counts days in {book.timezone}, not in {rules.timezone}"
            raise SettingsError(what, where="timezone", hint="name another ledger and state")
        book.demand_pseudonyms(pseudonyms.check_of(rules))
        routes = delivery_options.configured(rules, self.flags)
        sources = _sources(self.rules, rules)

        def take() -> None:
            self.watcher.names = tuple(route.name for route in routes)
            self.sending.renew(routes)
            shelf = self.watcher.shelf
            shelf.looks = replace(shelf.looks, sources=sources)

        told = ", ".join(route.name for route in routes)
        return Renewed(judging, f"alerts go to {told}" if told else "no sink", take)


def _health(silent_after: float, model: str, rules: Settings) -> Health:
    """Who looks at the logs, by the limits of the settings."""
    found = Health(silent_after * 60, model)
    found.most_rejects = rules.limit("most_rejects")
    found.most_new = rules.limit("most_new_accounts")
    found.most_unknown = rules.limit("most_unknown")
    return found


def _sources(rules: Settings, keys: Settings) -> dict[str, Source]:
    """All sources, as ``rules`` say, behind the veil of ``keys``."""
    found = pseudonyms.of(keys)
    return {
        name: pseudonymize.veiled(shared_accounts.mapped(each, rules), found)
        for name, each in registry.sources().items()
    }


def _inlets(logs: Sequence[str]) -> tuple[list[str], list[Inlet]]:
    """The files, folders and globs among the arguments, and what comes in by itself."""
    inlets: list[Inlet] = [StandardInput.of()] if DASH in logs else []
    topics = [log for log in logs if log.startswith(SCHEMES)]
    inlets += map(Topic.of, topics)
    return [log for log in logs if log != DASH and log not in topics], inlets


def _shelf(
    logs: Sequence[str],
    source: str | None,
    rules: Settings,
    kept: State,
    book: Ledger,
    settle: float,
) -> Shelf:
    """What is followed, and what is known of it."""
    known = {log.id: log for log in kept.logs()}
    before = Before(book.parts(), known, rules)
    files, inlets = _inlets(logs)
    looks = Looks(files, _sources(rules, rules), rules, source, settle)
    return Shelf(looks, known, Strangers(before), Streams(inlets))


def voice(*, as_json: bool) -> Say:
    """How the service speaks: lines for people, or JSON for machines; both on stderr."""

    def say(event: str, words: str, figures: Mapping[str, Any]) -> None:
        if not as_json:
            (console.warn if event == "warning" else console.say)(words)
            return
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        line = {"time": at, "event": event, "message": words, **figures}
        sys.stderr.write(f"{json.dumps(line, ensure_ascii=True)}\n")
        sys.stderr.flush()

    return say


def _ring(say: Say, sending: Sending, *, as_json: bool) -> Callable[[Sequence[Alert]], None]:
    def rang(alerts: Sequence[Alert]) -> None:
        sending.wake()
        for alert in alerts:
            if as_json:
                typer.echo(json.dumps(alert))
            kind = alert["entity_kind"].replace("_", " ")
            what = "alert" if alert["activity"] == CREATE else alert["activity"]
            words = f"{what} {alert['id']}: {kind} {alert['entity']}, severity {alert['severity']}"
            figures = {"alert": alert["alert"], "id": alert["id"]}
            say(what, f"{words}: {'; '.join(alert['reasons'])}", figures)

    return rang


def _say_done(watcher: Watcher, say: Say) -> None:
    for words in watcher.shelf.said:
        say("log", words, {})
    logs = watcher.shelf.logs.values()
    events, rejects = sum(log.events for log in logs), sum(log.rejects for log in logs)
    more = f"; {counted(rejects, 'record')} rejected" if rejects else ""
    begun = sum(alert["activity"] == CREATE for alert in watcher.raised)
    words = f"{counted(events, 'event')} in all, {counted(begun, 'alert')}{more}"
    say("done", words, {"events": events, "rejects": rejects, "alerts": begun})
    for told in watcher.going_on:
        say("going on", f"still going on: {ongoing.words(told)}", told)
