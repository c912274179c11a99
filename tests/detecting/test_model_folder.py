"""A model is data: it comes back the same, and anything else is refused in one line."""

import hashlib
import json
import pickle
import shutil

import numpy as np
import polars as pl
import pytest

from detector import registry
from detector.errors import ModelError
from detector.forests import forest, scoring, store
from detector.settings import Settings


@pytest.fixture
def folder(model, tmp_path):
    store.save(model, tmp_path / "model", registry.families())
    return tmp_path / "model"


def refused(folder):
    with pytest.raises(ModelError) as error:
        store.load(folder, registry.families())
    text = str(error.value)
    assert "\n" not in text
    assert str(folder) in text
    return text


def _rewrite(folder, change):
    head = json.loads((folder / "model.json").read_text())
    change(head)
    del head["checksum"]
    digest = hashlib.sha256(json.dumps(head, sort_keys=True).encode()).hexdigest()
    (folder / "model.json").write_text(json.dumps({**head, "checksum": digest}))


def test_a_stored_model_gives_the_same_scores(folder, model, robbed, scored_days):
    again = store.load(folder, registry.families())
    both = [
        scoring.score(
            robbed.hours, robbed.touched, scored_days[:2], which, None, Settings(),
            registry.families(),
        )["surprise"]
        for which in (model, again)
    ]  # fmt: skip
    assert both[0].equals(both[1])
    assert again.threshold == model.threshold


def test_saving_twice_gives_the_same_id(folder, model, tmp_path):
    other = store.save(model, tmp_path / "other", registry.families())
    assert store.load(folder, registry.families()).id == other.id


def test_the_card_says_span_budget_and_threshold(folder, model):
    card = (folder / "CARD.md").read_text()
    for words in (model.first_day, model.last_day, f"{model.threshold:.3f}", "Limits"):
        assert str(words) in card


@pytest.mark.parametrize(
    "name",
    ["model.json", "accounts.parquet", "groups.parquet", "known.parquet", "forest.skops"],
)
@pytest.mark.parametrize("harm", ["truncated", "flipped", "missing", "emptied"])
def test_harm_to_any_file_is_noticed(folder, name, harm):
    path = folder / name
    data = path.read_bytes()
    if harm == "missing":
        path.unlink()
    elif harm == "flipped":
        middle = len(data) // 2
        path.write_bytes(data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :])
    else:
        path.write_bytes(data[: len(data) // 2] if harm == "truncated" else b"")
    refused(folder)


def test_a_newer_format_is_refused_with_the_cure(folder):
    _rewrite(folder, lambda head: head.update(format=999))
    assert "update detector" in refused(folder)


def test_other_features_are_refused_by_name(folder):
    _rewrite(folder, lambda head: head["features"].append("moon_phase"))
    assert "moon_phase" in refused(folder)


def test_a_foreign_folder_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("hello")
    assert "no model folder" in refused(tmp_path)
    (tmp_path / "model.json").write_text('{"kind": "other"}')
    assert "not a detector model" in refused(tmp_path)


def test_a_missing_folder_is_refused_with_the_cure(tmp_path):
    assert "detector train" in refused(tmp_path / "none")


def test_a_foreign_folder_is_never_overwritten(model, tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(ModelError, match="not empty"):
        store.save(model, tmp_path, registry.families())
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


class _Evil:
    def __reduce__(self):
        return (print, ("code ran",))


@pytest.mark.parametrize("payload", ["pickle", "skops"])
def test_a_forest_that_could_run_code_is_refused(folder, payload, capsys):
    import skops.io

    data = pickle.dumps(_Evil()) if payload == "pickle" else skops.io.dumps([np.linalg.LinAlgError])
    (folder / "forest.skops").write_bytes(data)
    digest = hashlib.sha256(data).hexdigest()
    _rewrite(folder, lambda head: head["files"].update({"forest.skops": digest}))
    refused(folder)
    assert "code ran" not in capsys.readouterr().out


def test_a_model_moved_elsewhere_still_loads(folder, tmp_path):
    shutil.move(folder, tmp_path / "moved")
    assert store.load(tmp_path / "moved", registry.families()).threshold > 0


def test_a_forest_ranks_the_far_point_first():
    rng = np.random.default_rng(0)
    points = np.vstack([rng.normal(size=(500, 4)), np.full((1, 4), 8.0)])
    fitted = forest.fit(points, seed=1)
    assert int(np.argmax(fitted.score(points))) == 500
    again = forest.loads(forest.dumps(fitted))
    assert np.array_equal(again.score(points), fitted.score(points))


def test_known_parquet_of_other_columns_is_refused(folder):
    pl.DataFrame({"a": [1]}).write_parquet(folder / "known.parquet")
    digest = hashlib.sha256((folder / "known.parquet").read_bytes()).hexdigest()
    _rewrite(folder, lambda head: head["files"].update({"known.parquet": digest}))
    assert "does not fit together" in refused(folder)
