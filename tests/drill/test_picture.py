from __future__ import annotations

import polars as pl
import pytest

from detector.core.schema import DRILL_RESULTS, empty
from detector.drill.plot import draw


def campaigns():
    rows = {
        "kind": ["fold", "fold", "burst"],
        "exposure": [0.25, 1.0, 0.5],
        "found_by": ["account", None, "account"],
    }
    alert = pl.Series("first_alert", [1, None, 2]).cast(pl.Datetime("us", "UTC"))
    return pl.concat([empty(DRILL_RESULTS), pl.DataFrame(rows).with_columns(alert)], how="diagonal")


@pytest.mark.parametrize(("name", "magic"), [("a.png", b"\x89PNG"), ("a.SVG", b"<?xml")])
def test_the_picture_is_what_its_name_says_and_the_same_each_time(tmp_path, name, magic):
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        draw(campaigns(), "A drill", tmp_path / folder / name)
    drawn = (tmp_path / "one" / name).read_bytes()
    assert drawn.startswith(magic)
    assert drawn == (tmp_path / "two" / name).read_bytes()


def test_the_picture_names_each_kind_and_tells_found_from_missed(tmp_path):
    draw(campaigns(), "A drill of <b>", tmp_path / "a.svg")
    text = (tmp_path / "a.svg").read_text(encoding="utf-8")
    for words in ("fold", "burst", "never found", "exposure"):
        assert f"<!-- {words}" in text


def test_a_drill_without_campaigns_can_be_drawn(tmp_path):
    draw(empty(DRILL_RESULTS), "Nothing", tmp_path / "a.svg")
    assert (tmp_path / "a.svg").stat().st_size > 0
