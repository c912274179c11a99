"""``detector watch``: follow logs while they are written, and alert while a theft is under way."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from detector import registry
from detector.alerts import ongoing
from detector.alerts.alert import CREATE, Alert
from detector.cli import console, delivery_options, input_checks, options
from detector.cli.triage_options import AllowList, TriageOptions, VerdictsFile
from detector.core.errors import SettingsError
from detector.core.formatting import quantity
from detector.core.settings import Settings
from detector.detection.pipeline import Pipeline
from detector.ledger.store import Ledger
from detector.model import store
from detector.model.model import Model
from detector.normalize import pseudonymize, shared_accounts
from detector.normalize.source import Source
from detector.privacy import pseudonyms
from detector.watch import memory, open_files
from detector.watch.deduplication import LedgerContents
from detector.watch.health import Health
from detector.watch.kafka_input import SCHEMES, Topic
from detector.watch.ledger_lease import LedgerLease
from detector.watch.log_tracker import LogTracker
from detector.watch.metrics import serve
from detector.watch.new_files import FileSearch, UnknownFiles
from detector.watch.sender import Sender
from detector.watch.service import Reload, Reporter, Service, heeded, raise_health_alerts
from detector.watch.state import State
from detector.watch.stdin_input import StandardInput
from detector.watch.stream_inputs import STDIN_ARGUMENT, StreamInput, Streams
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
        typer.Option(min=0, help="Minutes without an event before a health alert; 0 never."),
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
        options.check_writable(out, "--out")
        _prepare()
        say = build_reporter(as_json=log_json)
        makes = PipelineFactory(model, directory, ledger, settings, verdicts, allow_list)
        rules, judging = makes.load()
        makes.check_inputs(judging.model, rules, logs, say)
        routes = delivery_options.load_routes(rules, sink)
        check = pseudonyms.key_check_for(rules)
        kept = stack.enter_context(State.open(state))
        book = Ledger.open(ledger, rules.timezone, pseudonyms=check)
        book.check_pseudonyms(check)
        stack.enter_context(book.write_lock(kept.facts()["id"]))
        holding = LedgerLease(book, kept)
        stack.callback(holding.release)
        holding.save()
        shelf = _build_tracker(logs, source, rules, kept, book, settle)
        stack.callback(shelf.close)
        sinks = tuple(route.name for route in routes)
        watcher = Watcher(kept, book, judging, shelf, out, sinks, time.time)
        stack.callback(watcher.close)
        sending = stack.enter_context(Sender(state, routes, lambda said: say("sinks", said, {})))
        rang = _alert_printer(say, sending, as_json=as_json)
        health = _build_health(silent_after, judging.model.id, rules)
        if once:
            rang([*watcher.finish(), *raise_health_alerts(watcher, health, time.time())])
            _report_done(watcher, say)
            return
        serving = serve(metrics) if metrics is not None else lambda _: None

        def told(found: dict[str, Any]) -> None:
            holding.save()
            serving(found)

        renewal = Reloader(makes, sink, rules, book, watcher.update_inputs, sending)
        service = Service(watcher, health, renewal.reload, model, say, rang, told, reload_event=hup)
        say("started", f"following {_log_names(logs)}; model {judging.model.id}", {})
        service.run()


def _prepare() -> None:
    """What the process needs that follows logs for months."""
    memory.reduce_memory()
    open_files.raise_limit()


def _log_names(logs: Sequence[str]) -> str:
    return ", ".join(log.partition("#")[0] for log in logs)


@dataclass(frozen=True, slots=True)
class PipelineFactory:
    """Where what days are judged by is made from, at the start and when the model changes."""

    model: Path
    directory: Path | None
    ledger: Path
    settings: Path | None
    verdicts: Path | None
    allow_list: Path | None

    def load(self) -> tuple[Settings, Pipeline]:
        """From the files as they are now. Raises DetectorError."""
        families = registry.families()
        learned = store.load(self.model, families)
        rules = options.load_settings(self.settings, base=learned.settings)
        store.check_pseudonyms(learned, pseudonyms.key_check_for(rules), self.model)
        heed = TriageOptions.from_options(rules, self.verdicts, self.allow_list, self.ledger)
        people = pseudonymize.load_directory(self.directory, rules)
        return rules, Pipeline(
            learned,
            people,
            rules,
            families,
            heed.suppression,
            heed.add_objections,
            heed.add_verdicts,
        )

    def check_inputs(
        self, learned: Model, rules: Settings, logs: Sequence[str], say: Reporter
    ) -> None:
        """Says what was mistyped or forgotten. Raises SettingsError."""
        input_checks.check_against_model(
            learned, rules, self.directory, self.ledger, _split_inputs(logs)[0],
            lambda words: say("warning", words, {}),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Reloader:
    """What is read anew while a watcher runs: all but how logs are read, which ``rules`` say."""

    factory: PipelineFactory
    flags: Sequence[str] | None
    rules: Settings
    ledger: Ledger
    update_inputs: Callable[[Mapping[str, Source], tuple[str, ...]], None]
    sender: Sender

    def reload(self) -> Reload:
        """All of it checked, nothing of it in force. Raises DetectorError."""
        rules, judging = self.factory.load()
        if rules.timezone != self.ledger.timezone:
            what = f"the ledger counts days in {self.ledger.timezone}, not in {rules.timezone}"
            raise SettingsError(what, where="timezone", hint="name another ledger and state")
        self.ledger.check_pseudonyms(pseudonyms.key_check_for(rules))
        routes = delivery_options.load_routes(rules, self.flags)
        sources = _load_sources(self.rules, rules)

        def take() -> None:
            self.update_inputs(sources, tuple(route.name for route in routes))
            self.sender.update_routes(routes)

        told = ", ".join(route.name for route in routes)
        return Reload(judging, f"alerts go to {told}" if told else "no sink", take)


def _build_health(silent_after: float, model: str, rules: Settings) -> Health:
    """Who looks at the logs, by the limits of the settings."""
    found = Health(silent_after * 60, model)
    found.most_rejects = rules.health_limit("most_rejects")
    found.most_new = rules.health_limit("most_new_accounts")
    found.most_unknown = rules.health_limit("most_unknown")
    return found


def _load_sources(rules: Settings, keys: Settings) -> dict[str, Source]:
    """All sources, as ``rules`` say, behind the veil of ``keys``."""
    found = pseudonyms.load_if_enabled(keys)
    return {
        name: pseudonymize.wrap_source(shared_accounts.wrap_source(each, rules), found)
        for name, each in registry.sources().items()
    }


def _split_inputs(logs: Sequence[str]) -> tuple[list[str], list[StreamInput]]:
    """The files, folders and globs among the arguments, and what comes in by itself."""
    inlets: list[StreamInput] = [StandardInput.from_handle()] if STDIN_ARGUMENT in logs else []
    topics = [log for log in logs if log.startswith(SCHEMES)]
    inlets += map(Topic.from_url, topics)
    return [log for log in logs if log != STDIN_ARGUMENT and log not in topics], inlets


def _build_tracker(
    logs: Sequence[str],
    source: str | None,
    rules: Settings,
    kept: State,
    book: Ledger,
    settle: float,
) -> LogTracker:
    """What is followed, and what is known of it."""
    known = {log.id: log for log in kept.logs()}
    before = LedgerContents(book.parts(), known, rules)
    files, inlets = _split_inputs(logs)
    looks = FileSearch(files, _load_sources(rules, rules), rules, source, settle)
    return LogTracker(looks, known, UnknownFiles(before), Streams(inlets))


def build_reporter(*, as_json: bool) -> Reporter:
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


def _alert_printer(
    say: Reporter, sending: Sender, *, as_json: bool
) -> Callable[[Sequence[Alert]], None]:
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


def _report_done(watcher: Watcher, say: Reporter) -> None:
    for words in watcher.take_notices():
        say("log", words, {})
    logs = watcher.logs
    events, rejects = sum(log.events for log in logs), sum(log.rejects for log in logs)
    more = f"; {quantity(rejects, 'record')} rejected" if rejects else ""
    begun = sum(alert["activity"] == CREATE for alert in watcher.alerts)
    words = f"{quantity(events, 'event')} in all, {quantity(begun, 'alert')}{more}"
    say("done", words, {"events": events, "rejects": rejects, "alerts": begun})
    for told in watcher.open_episodes:
        say("going on", f"still going on: {ongoing.to_text(told)}", told)
