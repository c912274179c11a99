"""Under pseudonyms, each account gets the scores it gets under its name."""

from __future__ import annotations

import polars as pl
import pytest
from small_office import CUT, FEW, NAMES, SCORED, Office, directory, score_under_names

from detector.ledger.aggregate import hourly_sums, touched_values
from detector.privacy.pseudonyms import Pseudonyms

OURS = Pseudonyms.from_key(bytes(range(64)))
KEYS = ["entity_kind", "entity", "hour"]
SOME = SCORED[:5]


def _veiled(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(OURS.encrypt_column(frame["account"]))


def _back(scored: pl.DataFrame) -> pl.DataFrame:
    accounts = scored.filter(pl.col("entity_kind") == "account")["entity"].unique()
    own = {account: OURS.reveal(account) for account in accounts}
    assert None not in own.values()
    entity = pl.when(pl.col("entity_kind") == "account").then(pl.col("entity").replace(own))
    return scored.with_columns(entity.otherwise("entity").alias("entity")).sort(KEYS)


@pytest.mark.parametrize(
    "people",
    [
        pytest.param(None, id="no directory", marks=pytest.mark.slow),
        pytest.param(directory(), id="a directory"),
    ],
)
def test_scores_features_and_groups_are_the_same_account_for_account(
    people, robbed, robbed_log, model
):
    """The model's judges are those learned under names: see the next test."""
    scored = []
    theirs = None if people is None else _veiled(people)
    own_name = pl.col("entity")
    pseudonym = own_name.map_batches(OURS.encrypt_column, return_dtype=pl.String())
    for office, directed, name in (
        (robbed, people, own_name), (Office.of(_veiled(robbed_log)), theirs, pseudonym),
    ):  # fmt: skip
        scored.append(score_under_names(office, model, directed, name, SOME))
    own, again = scored[0].sort(KEYS), _back(scored[1])
    columns = [*KEYS, *NAMES, "surprise", "alarming", "group", "rows", "rows_usual"]
    wrong = [name for name in columns if not own[name].equals(again[name], null_equal=True)]
    assert not wrong
    assert own["alarming"].any()


@pytest.mark.slow
def test_a_model_learned_under_pseudonyms_finds_the_thief_as_one_under_names_does(
    robbed_log, model_of_few
):
    """Not to the digit: halves of the honest and staged thieves are drawn from sorted names."""
    log, model = robbed_log.filter(FEW), model_of_few
    robbed = Office.of(log)
    scored = robbed.score(model, SCORED)
    office = Office.of(_veiled(log))
    other = office.before(CUT).model()
    found = _back(office.score(other, SCORED))
    own = {alert["entity"] for alert in robbed.alerts(scored, model)}
    thief = pl.col("entity") == "agent00"
    assert "agent00" in own
    first = found.filter(thief, pl.col("alarming"))["hour"].min()
    assert first == scored.filter(thief, pl.col("alarming"))["hour"].min()
    assert other.threshold == pytest.approx(model.threshold, abs=1)


def test_events_fold_to_the_same_sums_under_pseudonyms(robbed_log):
    for fold in (hourly_sums, lambda events: touched_values(events, "UTC")):
        own, theirs = _veiled(fold(robbed_log)), fold(_veiled(robbed_log))
        assert own.sort(own.columns).equals(theirs.sort(own.columns))
