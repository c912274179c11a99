"""Watch ends where batch ends, however the log came in."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from properties import examples
from small_office import CUT, FEW, Office, honest_events
from watched import (
    Kit,
    append,
    as_csv,
    as_lines,
    counted,
    events_on,
    of_batch,
    of_watch,
)

from detector import registry
from detector.features import distinct_subjects
from detector.ledger import distinct_sketch
from detector.ledger.ingest import ingest
from detector.ledger.store import Ledger
from detector.normalize.format_detection import detect
from detector.privacy.subject_hash import hash_subjects
from detector.readers.compression import chunks
from detector.readers.log_input import LocalFile
from detector.sources.exports.preset import Preset

DATA = Path(__file__).parents[1] / "data"
#: Folders of samples whose sources are followed while they grow.
LIVE = ("mysql_slow_log", "mariadb_server_audit", "mysql_audit_json", "mongodb_log",
        "mongodb_profiler")  # fmt: skip
START = datetime(2024, 3, 4, 23, 50, tzinfo=UTC)
SOME = events_on(START, 400, timedelta(seconds=37))
BAD = b'{"timestamp": "yesterday", "account": "x"}\nno json at all\n'


def samples() -> dict[str, bytes]:
    lines = as_lines(SOME)
    found = {
        "lines.ndjson": lines[: len(lines) // 2 + 1] + b"\n" + BAD + lines[len(lines) // 2 + 1 :],
        "table.csv": as_csv(SOME) + b"half,a,record",
    }
    for path in sorted((DATA / "postgresql").rglob("*")):
        if path.suffix in {".csv", ".json"} and path.is_file():
            found[path.name] = path.read_bytes()
    for folder in LIVE:
        for path in sorted((DATA / folder).iterdir()):
            found[path.name.removesuffix(".gz")] = b"".join(
                data for data, _ in chunks(LocalFile(path))
            )
    return found


def exports() -> dict[str, tuple[str, bytes]]:
    """By source: an export with an entry a line, its name, and the file."""
    return {
        name: (path.name, path.read_bytes())
        for name, source in registry.sources().items()
        if isinstance(getattr(source.accepts, "__self__", None), Preset)
        for path in sorted((DATA / name).glob("*.ndjson"))
        if source.can_follow(path.read_bytes())
    }


SAMPLES = samples()
EXPORTS = exports()


def pieces(data: bytes, cuts: list[int]) -> Iterator[bytes]:
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return (data[one:other] for one, other in pairwise(places))


def follow(kit: Kit, logs: dict[str, Iterator[bytes]], chance: random.Random) -> None:
    """Appends the pieces of all logs in any interleaving, with kills between."""
    with ExitStack() as stack:
        watcher = stack.enter_context(kit.watching(settle=1.0))
        while logs:
            name = chance.choice(sorted(logs))
            piece = next(logs[name], None)
            if piece is None:
                del logs[name]
                continue
            append(kit.logs / name, piece)
            if chance.random() < 0.7:
                watcher.run_cycle()
            if chance.random() < 0.3:
                stack.close()
                watcher = stack.enter_context(kit.watching(settle=1.0))
        watcher.finish()


@pytest.mark.usefixtures("unscored")
@given(
    names=st.lists(st.sampled_from(sorted(SAMPLES)), min_size=1, max_size=2, unique=True),
    cuts=st.lists(st.integers(0, 1 << 20), max_size=12),
    seed=st.integers(0, 1 << 16),
)
@settings(
    max_examples=examples(40),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
def test_any_pieces_of_any_logs_with_kills_between_count_as_one_batch_run(
    kit: Kit, names: list[str], cuts: list[int], seed: int
) -> None:
    kit.clear()
    follow(kit, {name: pieces(SAMPLES[name], cuts) for name in names}, random.Random(seed))
    wanted = of_ledger_alone(kit, sorted(names))
    demand_counted(kit, wanted)


@pytest.mark.slow
@pytest.mark.usefixtures("unscored")
@pytest.mark.parametrize("name", sorted(EXPORTS))
@given(cuts=st.lists(st.integers(0, 1 << 20), max_size=9), seed=st.integers(0, 1 << 16))
@settings(
    max_examples=examples(5),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
def test_an_export_of_lines_that_grows_counts_as_one_batch_run(
    kit: Kit, name: str, cuts: list[int], seed: int
) -> None:
    kit.clear()
    file, data = EXPORTS[name]
    # Without the last newline, as some write them.
    follow(kit, {file: pieces(data.rstrip(), cuts)}, random.Random(seed))
    wanted = of_ledger_alone(kit, [file])
    assert wanted[0].height
    demand_counted(kit, wanted)


def test_exports_that_are_followed_have_samples() -> None:
    assert {"access_log", "bigquery", "clickhouse", "databricks", "ecs",
            "elasticsearch_audit", "ocsf", "opensearch_audit", "oracle", "redshift",
            "snowflake", "sqlserver_audit",
            "sqlserver_events", "trino"} <= set(EXPORTS)  # fmt: skip


def demand_counted(kit: Kit, wanted: tuple[pl.DataFrame, list]) -> None:
    """The watcher's hours and rejects are those of ``of_ledger_alone``."""
    with kit.watching() as watcher:
        days = watcher.ledger_view.days()
        assert wanted[0].equals(watcher.ledger_view.hours(days[0], days[-1]))
        assert wanted[1] == sorted(
            watcher.ledger.rejects([part.id for part in watcher.ledger.parts()])
            .collect().select("line", "reason").rows(), key=repr,
        )  # fmt: skip


def of_ledger_alone(kit: Kit, names: list[str]) -> tuple[pl.DataFrame, list]:
    ledger = Ledger.open(kit.folder / "batch", "UTC")
    found, _ = detect(
        [LocalFile(kit.logs / name) for name in names], registry.sources(), kit.settings
    )
    done = ingest(found, ledger, kit.settings, lambda *_: None)
    rejects = ledger.rejects(done.part_ids).collect().select("line", "reason").rows()
    return ledger.hours(), sorted(rejects, key=repr)


@pytest.mark.parametrize(
    "encode",
    [as_lines, pytest.param(lambda log: log.write_csv().encode(), marks=pytest.mark.slow)],
)
def test_a_robbed_office_gives_the_same_ledger_scores_and_alerts(
    kit: Kit, office_log: pl.DataFrame, encode
) -> None:
    data = encode(office_log)
    chance = random.Random(3)
    cuts = [chance.randrange(len(data)) for _ in range(25)]
    follow(kit, {"office.log": pieces(data, cuts)}, chance)
    wanted = of_batch(kit, [kit.logs / "office.log"])
    assert wanted.alerts
    of_watch(kit).demand(wanted)


def whose(log: pl.DataFrame) -> pl.DataFrame:
    """The log with whose record each read was: of a few people, or of many where much is read."""
    people = pl.concat_str(pl.col("account"), pl.col("rows") % pl.col("rows").log1p().pow(3).ceil())
    return log.with_columns(subject=people)


@pytest.mark.slow
def test_whose_records_were_read_is_counted_alike(
    kit: Kit, office_log: pl.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (distinct_sketch, distinct_subjects):  # so that the thief's are sampled
        monkeypatch.setattr(module, "K", 32)
    hashes = whose(honest_events().filter(FEW)).with_columns(
        pl.col("subject").map_batches(
            lambda ids: pl.Series(hash_subjects(ids, kit.settings)), pl.String
        )
    )
    kit = replace(kit, model=Office.of(hashes).before(CUT).model())
    data = as_lines(whose(office_log.filter(FEW)))
    chance = random.Random(4)
    cuts = [chance.randrange(len(data)) for _ in range(9)]
    follow(kit, {"office.log": pieces(data, cuts)}, chance)
    wanted = of_batch(kit, [kit.logs / "office.log"])
    kept = wanted.touched.filter(pl.col("dimension") == "subject").group_by("day", "account").len()
    assert kept["len"].max() > 32
    assert any(alert["features"]["subjects_vs_own"]["surprise"] > 2 for alert in wanted.alerts)
    of_watch(kit).demand(wanted)


@pytest.mark.slow
def test_days_that_arrive_late_are_scored_anew(kit: Kit, office_log: pl.DataFrame) -> None:
    late = pl.col("account").str.ends_with("7") & (pl.col("timestamp").dt.day() % 3 == 0)
    append(kit.logs / "a.ndjson", as_lines(office_log.filter(~late)))
    with kit.watching() as watcher:
        while not watcher.run_cycle().is_idle:
            pass
        before = {alert["id"] for alert in watcher.alerts}
        append(kit.logs / "b.ndjson", as_lines(office_log.filter(late)))
        watcher.finish()
        after = {alert["id"] for alert in watcher.alerts}
    wanted = of_batch(kit, [kit.logs / "a.ndjson", kit.logs / "b.ndjson"])
    found = of_watch(kit)
    assert found.scores.drop("alert_id").equals(wanted.scores.drop("alert_id"))
    assert found.hours.equals(wanted.hours)
    assert before <= after
    assert {alert["id"] for alert in wanted.alerts} <= after


@pytest.mark.usefixtures("unscored")
def test_what_batch_took_in_before_is_not_counted_again(kit: Kit) -> None:
    data = as_csv(SOME)
    cut = data.index(b"\n2024-03-05T00:") + 1
    append(kit.logs / "a.csv", data[:cut])
    found, _ = detect([LocalFile(kit.logs / "a.csv")], registry.sources(), kit.settings)
    ledger = Ledger.open(kit.folder / "ledger", "UTC")
    begun = ingest(found, ledger, kit.settings, lambda *_: None)
    assert 0 < begun.events < SOME.height
    append(kit.logs / "a.csv", data[cut:])
    with kit.watching() as watcher:
        watcher.finish()
        assert counted(watcher) == SOME.height


@pytest.mark.usefixtures("unscored")
def test_batch_knows_a_file_that_was_watched_to_its_end(kit: Kit) -> None:
    append(kit.logs / "a.ndjson", as_lines(SOME))
    with kit.watching() as watcher:
        watcher.finish()
        ledger = watcher.ledger
    found, _ = detect([LocalFile(kit.logs / "a.ndjson")], registry.sources(), kit.settings)
    done = ingest(found, ledger, kit.settings, lambda *_: None)
    assert [file.state for file in done.files] == ["known"]
