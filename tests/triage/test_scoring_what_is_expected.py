"""What is expected neither rings nor silences what is not; the days scored are the sample's."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import polars as pl
import pytest

from detector import registry
from detector.detection.batch import MAX_ACCOUNTS, score_by_week
from detector.detection.pipeline import Pipeline, Suppression
from detector.ledger.ingest import ingest
from detector.ledger.store import Ledger
from detector.model import store
from detector.normalize import account_directory as directories
from detector.normalize.format_detection import detect
from detector.readers.log_input import LocalFile

TOP = Path(__file__).parents[2]
AGENCY = TOP / "data" / "sample" / "agency"
THIEF = "partner.maillard"
DAYS = [date(2024, 2, day) for day in range(5, 16)]


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    """Ledger, model and directory of the agency, with the theft of February 2024."""
    model = store.load(TOP / "models" / "agency", registry.families())
    book = Ledger.open(tmp_path_factory.mktemp("ledger") / "ledger", model.settings.timezone)
    logs = [AGENCY / "2024-01.parquet", AGENCY / "2024-02a.parquet"]
    files, _ = detect(list(map(LocalFile, logs)), registry.sources(), model.settings, None)
    ingest(files, book, model.settings, lambda *_: None)
    return book, model, directories.load(AGENCY / "directory.csv")


@pytest.fixture(scope="module")
def score(sample):
    book, model, people = sample

    def scored(hush=None, days=DAYS):
        pipeline = Pipeline(model, people, model.settings, registry.families(), hush)
        parts = list(score_by_week(pipeline, book, days, MAX_ACCOUNTS))
        scores = pl.concat([part.scores for part in parts])
        alerts = [each for part in parts for each in part.alerts]
        return scores, alerts, [each for part in parts for each in part.suppressed]

    return scored


def of_thief(alerts):
    """Day and hour of what begins an episode of the thief."""
    return [
        (each["date"], each["time"][11:13]) for each in begun(alerts) if each["entity"] == THIEF
    ]


def begun(alerts):
    return [each for each in alerts if each["activity"] == "create"]


def hush(when, holds=lambda _: True):
    """Covers the thief's rows where ``when``, a polars expression over the scored table."""
    return Suppression(
        lambda frame: frame.select(
            ((pl.col("entity") == THIEF) & when).fill_null(value=False)
        ).to_series(),
        holds,
    )


@pytest.fixture(scope="module")
def plain(score):
    return score()


@pytest.mark.slow
def test_nothing_expected_changes_nothing(score, plain):
    none = score(hush(pl.lit(value=False)))
    assert none[0].equals(plain[0])
    assert none[1:] == plain[1:]
    assert plain[2] == []
    assert of_thief(plain[1]) == [("2024-02-05", "08")]


def test_what_is_expected_is_held_as_it_would_have_rung_and_bears_no_id_in_the_scores(score, plain):
    scores, alerts, held = score(hush(pl.lit(value=True)))
    assert held == [each for each in plain[1] if each["entity"] == THIEF]
    assert alerts == [each for each in plain[1] if each["entity"] != THIEF]
    assert set(scores["alert_id"].drop_nulls()) == {
        each["alert"] for each in alerts if each["activity"] != "close"
    }
    assert scores.drop("alert_id").equals(plain[0].drop("alert_id"))


@pytest.mark.slow
def test_growth_within_the_day_rings_at_the_hour_it_comes(score):
    _, alerts, held = score(hush(pl.col("rows") <= 100_000))
    ((day, hour),) = of_thief(alerts)
    assert of_thief(held) == [("2024-02-05", "08")]
    assert day == "2024-02-05"
    assert hour > "08"
    (alert,) = [each for each in begun(alerts) if each["entity"] == THIEF]
    assert alert["rows"] > 100_000


@pytest.mark.slow
def test_a_day_that_is_expected_does_not_silence_the_days_after_it(score):
    """The thief's later days are no ten times rarer than its first: alone they would not ring."""
    _, alerts, held = score(hush(pl.col("day") == date(2024, 2, 5)))
    assert of_thief(alerts)[0][0] == "2024-02-06"
    assert of_thief(held) == [("2024-02-05", "08")]


@pytest.mark.slow
def test_what_one_looks_at_whole_and_does_not_hold_rings(score, plain):
    scores, alerts, held = score(hush(pl.lit(value=True), lambda each: each["records_out"] < 100))
    assert held == []
    assert begun(alerts) == begun(plain[1])
    others = [[each for each in some if each["entity"] != THIEF] for some in (alerts, plain[1])]
    assert others[0] == others[1]
    assert scores.drop("alert_id").equals(plain[0].drop("alert_id"))


#: What is expected up to a growth that comes within SOME days.
UP_TO_A_MILLION = hush(pl.col("rows") <= 1_000_000)
SOME = DAYS[:6]


@pytest.fixture(scope="module")
def together(score):
    return score(UP_TO_A_MILLION, SOME)


@pytest.mark.slow
def test_days_scored_apart_are_held_as_days_scored_together(sample, together):
    book, model, people = sample
    pipeline = Pipeline(model, people, model.settings, registry.families(), UP_TO_A_MILLION)
    apart = [part for day in SOME for part in score_by_week(pipeline, book, [day], MAX_ACCOUNTS)]
    assert pl.concat([part.scores for part in apart]).equals(together[0])
    assert [each for part in apart for each in part.alerts] == together[1]
    assert [each for part in apart for each in part.suppressed] == together[2]


@pytest.mark.slow
def test_what_is_expected_of_some_accounts_after_the_others_is_held_as_of_all(sample, together):
    book, model, people = sample
    judging = Pipeline(model, people, model.settings, registry.families(), UP_TO_A_MILLION)
    apart = list(score_by_week(judging, book, SOME, 80))
    assert [part.days for part in apart] == [[day] for day in SOME]
    assert pl.concat([part.scores for part in apart]).equals(together[0])
    assert [each for part in apart for each in part.alerts] == together[1]
    assert [each for part in apart for each in part.suppressed] == together[2]
    assert together[2]
