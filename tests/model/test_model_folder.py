"""A model is data: it comes back the same, and anything else is refused in one line."""

import errno
import os
import pickle
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, replace
from threading import Event

import polars as pl
import pytest
from model_folders import parquet, refused, replaced, rewrite
from small_office import FAMILIES, SCORED

from detector.core import files
from detector.core.errors import ModelError
from detector.model import store

FILES = (
    "model.json",
    "levels.parquet",
    "peers.parquet",
    "seen.parquet",
    "habits.parquet",
    "known.parquet",
    "used.parquet",
    "groups.parquet",
    "forests.parquet",
    "trees.parquet",
    "oddness.parquet",
    "CARD.md",
)
#: The card is for people; nothing is read from it.
CHECKED = [name for name in FILES if name != "CARD.md"]


def test_the_folder_holds_what_the_documentation_says(folder):
    assert {path.name for path in folder.iterdir()} == set(FILES)


def test_a_stored_model_gives_the_same_scores(model, trained, robbed):
    both = [robbed.score(which, SCORED[:2]) for which in (trained, model)]
    assert both[0].equals(both[1], null_equal=True)
    assert set(both[0]["entity_kind"]) == set(trained.kind_models)


def test_a_stored_model_is_the_same_in_every_field(model, trained):
    """Of a field that the folder forgot, the loaded model would not know."""
    # What a lookback found is for people, and stands beside the model.
    apart = ("kind_models", "baselines", "id", "lookback")
    plain = [item.name for item in fields(trained) if item.name not in apart]
    assert {name: getattr(model, name) for name in plain} == {
        name: getattr(trained, name) for name in plain
    }
    for item in fields(trained.baselines):
        assert getattr(model.baselines, item.name).equals(getattr(trained.baselines, item.name)), (
            item.name
        )
    for kind, judge in trained.kind_models.items():
        assert model.kind_models[kind].joint_calibration == judge.joint_calibration
        assert model.kind_models[kind].entity_bias.calibration == judge.entity_bias.calibration
        assert model.kind_models[kind].entity_bias.biases.equals(judge.entity_bias.biases)
        assert model.kind_models[kind].ensemble.calibrations == judge.ensemble.calibrations
        assert model.kind_models[kind].ensemble.forest.nodes.equals(judge.ensemble.forest.nodes)
        assert (model.kind_models[kind].ensemble.trees is None) == (judge.ensemble.trees is None)


def test_a_model_trained_and_saved_again_has_the_same_id(model, trained, tmp_path):
    assert store.save(trained, tmp_path / "other", FAMILIES).id == model.id


def test_the_card_says_span_budget_and_threshold(folder, model):
    card = (folder / "CARD.md").read_text(encoding="utf-8")
    for words in (model.first_day, model.last_day, f"{model.threshold:.3f}", "Limits"):
        assert str(words) in card


@pytest.mark.parametrize("name", CHECKED)
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
    rewrite(folder, lambda head: head.update(format=999))
    assert "update detector" in refused(folder)


def test_other_features_are_refused_by_name(folder):
    rewrite(folder, lambda head: head["features"].append("moon_phase"))
    assert "moon_phase" in refused(folder)


def test_a_foreign_folder_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("hello", encoding="utf-8")
    assert "no model folder" in refused(tmp_path)
    (tmp_path / "model.json").write_text('{"kind": "other"}', encoding="utf-8")
    assert "not a detector model" in refused(tmp_path)


def test_a_missing_folder_is_refused_with_the_cure(tmp_path):
    assert "detector train" in refused(tmp_path / "none")


def test_a_foreign_folder_is_never_overwritten(model, tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work", encoding="utf-8")
    with pytest.raises(ModelError, match="not empty"):
        store.save(model, tmp_path, FAMILIES)
    assert (tmp_path / "thesis.txt").read_text(encoding="utf-8") == "years of work"


class _Evil:
    def __reduce__(self):
        return (print, ("code ran",))


def test_a_forest_that_could_run_code_is_refused(folder, capsys):
    replaced(folder, "forests.parquet", pickle.dumps(_Evil()))
    refused(folder)
    assert "code ran" not in capsys.readouterr().out


def test_a_model_moved_elsewhere_still_loads(folder, tmp_path):
    shutil.move(folder, tmp_path / "moved")
    assert store.load(tmp_path / "moved", FAMILIES).threshold > 0


@pytest.mark.parametrize("name", [name for name in CHECKED if name.endswith(".parquet")])
def test_frames_of_other_columns_are_refused(folder, name):
    replaced(folder, name, parquet(pl.DataFrame({"a": [1]})))
    assert "does not fit together" in refused(folder)


def test_trees_in_a_circle_are_refused(folder):
    """A checksum is no signature: whoever can write the folder can mend it."""
    nodes = pl.read_parquet(folder / "trees.parquet")
    circle = pl.when(pl.col("left") > 0).then(1).otherwise(0).cast(pl.Int32)
    replaced(folder, "trees.parquet", parquet(nodes.with_columns(left=circle)))
    assert "does not fit together" in refused(folder)


def test_a_judge_more_or_less_than_there_are_forests_is_refused(folder):
    rewrite(folder, lambda head: head["judges"].pop("group"))
    assert "kinds that are judged" in refused(folder)


def test_a_file_outside_the_folder_is_refused(folder):
    """Names of files come from the folder itself and could point anywhere."""
    rewrite(folder, lambda head: head["files"].update({"../x": head["files"]["trees.parquet"]}))
    (folder.parent / "x").write_bytes((folder / "trees.parquet").read_bytes())
    assert "other files" in refused(folder)


@pytest.mark.parametrize("exchanges", [True, False])
def test_a_reader_never_misses_a_model_while_another_takes_its_place(
    model, tmp_path, monkeypatch, exchanges
):
    """Also where the file system cannot exchange two names."""
    if not exchanges:
        monkeypatch.setattr(files, "exchange", lambda *_: False)
    path = tmp_path / "model"
    store.save(model, path, FAMILIES)
    found = {}
    saved = Event()

    def write():
        for budget in range(1, 5):
            store.save(replace(model, alerts_per_day=float(budget)), path, FAMILIES)
        saved.set()

    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(write)
        while not saved.is_set() and not done.done():
            found[store.load(path, FAMILIES).alerts_per_day] = True
        done.result()
    assert store.load(path, FAMILIES).alerts_per_day == 4
    assert found
    assert [each.name for each in tmp_path.iterdir()] == ["model"]


def test_a_disk_that_is_full_leaves_the_old_model_and_no_debris(model, folder, monkeypatch):
    before = store.load(folder, FAMILIES).id
    there = sorted(folder.parent.iterdir())

    def full(_handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(ModelError, match=r"No space left.*; free space there"):
            store.save(replace(model, alerts_per_day=9.0), folder, FAMILIES)
    assert store.load(folder, FAMILIES).id == before
    assert sorted(folder.parent.iterdir()) == there


def test_a_model_behind_a_link_is_replaced_where_it_lies(model, tmp_path):
    store.save(model, tmp_path / "first", FAMILIES)
    (tmp_path / "model").symlink_to("first")
    store.save(replace(model, alerts_per_day=7.0), tmp_path / "model", FAMILIES)
    assert store.load(tmp_path / "first", FAMILIES).alerts_per_day == 7
    assert sorted(each.name for each in tmp_path.iterdir()) == ["first", "model"]
