"""More accounts than memory should hold: learned in shards, with a sample of honest days."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from properties import examples
from small_office import CUT, FAMILIES, PEOPLE, START, Office

from detector.features import baseline_training
from detector.ledger.ingest import ingest
from detector.ledger.store import Ledger
from detector.model import sampling
from detector.model.lookback import restrict_suspects
from detector.model.sampling import sample_accounts
from detector.model.training import train
from detector.readers.log_input import LocalFile
from detector.registry import sources
from detector.triage import training_data
from detector.triage.training_data import TrainingHistory

FRAMES = ("levels", "peers", "seen", "habits", "known", "used", "groups")


@pytest.mark.slow
@given(st.integers(1, 5), st.integers(0, 1000))
@hypothesis_settings(max_examples=examples(6))
def test_what_is_learned_in_shards_is_what_is_learned_at_once(honest: Office, many, seed):
    past = honest.before(CUT)
    whole = baseline_training.train_baselines(past.hours, past.touched, None, past.settings)
    place = pl.col("account").hash(seed) % many

    def shards() -> Iterator[baseline_training.Shard]:
        for number in range(many):
            yield past.hours.filter(place == number), past.touched.filter(place == number)

    parts = baseline_training.train_shards(shards, None, past.settings)
    for name in FRAMES:
        assert_frame_equal(getattr(parts, name), getattr(whole, name), check_exact=True)


def _groups(sizes: dict[str, int]) -> pl.DataFrame:
    rows = [(f"{name}.{at}", name) for name, size in sizes.items() for at in range(size)]
    return pl.DataFrame(rows, schema=["account", "group"], orient="row")


def test_groups_come_whole_into_a_sample_but_for_the_last():
    groups = _groups({f"desk{n}": 5 + n for n in range(60)})
    chosen = groups.filter(pl.col("account").is_in(sample_accounts(groups, 400).implode()))
    assert len(chosen) == 400
    whole = groups.group_by("group").len("all").join(chosen.group_by("group").len(), on="group")
    assert len(whole.filter(pl.col("all") != pl.col("len"))) <= 1


def test_one_large_group_leaves_room_for_the_others():
    groups = _groups({"all the rest": 1000} | {f"desk{n}": 10 for n in range(50)})
    chosen = groups.filter(pl.col("account").is_in(sample_accounts(groups, 400).implode()))
    assert len(chosen) == 400
    assert len(chosen.filter(pl.col("group") == "all the rest")) <= 400 * sampling.MAX_GROUP_SHARE


def test_a_single_group_fills_the_sample():
    groups = _groups({"unlisted": 1000})
    assert len(sample_accounts(groups, 400)) == 400


def test_a_sample_is_the_same_however_its_accounts_are_given():
    groups = _groups({f"desk{n}": 5 + n for n in range(40)})
    mixed = groups.sample(fraction=1, shuffle=True, seed=4)
    assert sample_accounts(groups, 300).equals(sample_accounts(mixed, 300))


def test_few_accounts_are_all_taken():
    groups = _groups({"desk": 30})
    assert len(sample_accounts(groups, 400)) == 30


@pytest.fixture(scope="module")
def past(honest_log: pl.DataFrame, honest: Office, tmp_path_factory) -> TrainingHistory:
    """The office's log in a ledger, up to CUT."""
    folder = tmp_path_factory.mktemp("many")
    log = folder / "log.parquet"
    honest_log.drop("other_objects").write_parquet(log)
    ledger = Ledger.open(folder / "ledger", honest.settings.timezone)
    ingest(
        [(LocalFile(log), sources()["parquet"])],
        ledger,
        honest.settings,
        lambda _done, _words: None,
    )
    day = CUT.replace(day=CUT.day - 1)
    return TrainingHistory(ledger, START, day, (), None, honest.settings)


def test_few_accounts_are_read_at_once(past):
    data, _ = past.training_data(FAMILIES)
    assert data.sample_share == 1
    assert data.all_shards is None


@pytest.mark.slow
def test_a_model_of_a_sample_knows_every_account(past, monkeypatch):
    monkeypatch.setattr(training_data, "SHARD_SIZE", 30)
    data, _ = past.training_data(FAMILIES, most=60)
    assert data.account_count() == 60
    assert data.sample_share == pytest.approx(60 / (PEOPLE + 1))
    found = train(data)
    known = found.baselines.levels.filter(pl.col("entity_kind") == "account")
    assert len(known) == found.accounts == PEOPLE + 1
    whole = baseline_training.train_baselines(
        past.ledger.hours(past.since, past.until), past.ledger.touched(past.since, past.until),
        None, past.settings,
    )  # fmt: skip
    whole = restrict_suspects(whole, found.lookback.filter("suspect")["entity"])
    assert_frame_equal(found.baselines.levels, whole.levels, rel_tol=1e-12, abs_tol=1e-12)
    assert 0.5 < found.threshold < 10


def test_confirmed_days_are_left_out_of_sample_and_shards_alike(past, monkeypatch):
    monkeypatch.setattr(training_data, "SHARD_SIZE", 30)
    days = [("account", f"agent{number:02}", START) for number in range(PEOPLE)]
    data, left_out = TrainingHistory(
        past.ledger, past.since, past.until, days, None, past.settings
    ).training_data(FAMILIES, most=60)
    assert len(left_out) > 60
    assert data.all_shards is not None
    for hours, touched in data.all_shards():
        assert START not in touched.filter(pl.col("account") != "svc.nightly")["day"]
        assert not len(
            hours.filter(pl.col("hour").dt.date() == START, pl.col("account") != "svc.nightly")
        )
