"""The pages that are made from the code are what the code makes of them now."""

from __future__ import annotations

import json
from pathlib import Path

import feature_entities
import pytest
import reference

from detector import registry
from detector.features.aggregates import ENTITY_KINDS

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", reference.PAGES)
def test_a_page_of_the_reference_is_what_the_code_says(name: str) -> None:
    """To mend it: .venv/bin/python scripts/reference.py"""
    assert (ROOT / "docs" / name).read_text(encoding="utf-8") == reference.PAGES[name]()


def test_no_page_of_the_reference_is_left_over() -> None:
    here = {f"reference/{path.name}" for path in (ROOT / "docs/reference").iterdir()}
    assert here == {name for name in reference.PAGES if name.startswith("reference/")}


def test_the_sample_model_saw_each_feature_only_of_kinds_that_have_it() -> None:
    """A feature that a kind does not have is null on all days, so its tail is a single value."""
    kinds = feature_entities.kinds()
    model = json.loads((ROOT / "models/agency/model.json").read_text(encoding="utf-8"))
    seen = {
        (name, kind)
        for kind, judge in model["judges"].items()
        for name, tail in zip(model["features"], judge["tails"], strict=True)
        if len(tail["values"]) > 1
    }
    assert len({kind for _, kind in seen}) > 1
    assert {(name, kind) for name, kind in seen if kind not in kinds[name]} == set()


def test_every_feature_is_of_some_kind_and_every_kind_has_some() -> None:
    kinds = feature_entities.kinds()
    assert set(kinds) == {each.name for family in registry.families() for each in family.features}
    assert all(kinds.values())
    assert {kind for of in kinds.values() for kind in of} == set(ENTITY_KINDS)


def test_a_meaning_is_found_by_its_column_and_its_links_lead_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reference, "DOCS", tmp_path)
    (tmp_path / "a.md").write_text(
        "| key | meaning | unset |\n|---|---|---|\n"
        "| `one` | see [below](#two) or [b](b.md) \\| more | 1 |\n"
        "| two | [c](https://c.example) | |\n"
        "\n| key | other |\n|---|---|\n| `three` | no meaning |\n",
        encoding="utf-8",
    )
    assert reference.meanings("a.md") == {
        "one": "see [a](../a.md#two) or [b](../b.md) \\| more",
        "two": "[c](https://c.example)",
    }
    (tmp_path / "settings.md").write_text("", encoding="utf-8")
    with pytest.raises(SystemExit, match="columns"):
        reference.settings_page()
