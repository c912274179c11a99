"""The allow-list: what it takes, and what it refuses."""

from __future__ import annotations

import re
from datetime import date, timedelta
from pathlib import Path

import pytest
from verdicts_made_up import DAY, FIRST

from detector.core.errors import VerdictError
from detector.triage.allow_list import REQUIRED_KEYS, load

TODAY = DAY
WHOLE = {
    "entity_kind": '"account"', "entity": '"svc.backup"', "reason": '["volume", "exports"]',
    "until": "2024-06-30", "by": '"ann"', "why": '"nightly copy"', "rows": "50_000",
}  # fmt: skip


def read(path, **other):
    table = {**WHOLE, **other}
    text = "".join(f"{key} = {value}\n" for key, value in table.items() if value is not None)
    file = path / "expected.toml"
    file.write_text(f"[[expected]]\n{text}\n[[expected]]\n{text}", encoding="utf-8")
    return load(file, set(FIRST), TODAY)


def test_it_gives_expectations(tmp_path):
    found, again = read(tmp_path, unknown_rows_statements="7")
    assert found == again
    assert found.families == {"volume", "exports"}
    assert (found.rows, found.records_out, found.unknown_rows_statements) == (50_000, None, 7)
    assert (found.after, found.until, found.alert) == (None, date(2024, 6, 30), None)
    assert read(tmp_path, reason='"volume"')[0].families == {"volume"}


def test_one_whose_day_has_passed_is_taken_for_days_before(tmp_path):
    assert read(tmp_path, until="2020-01-01")[0].until == date(2020, 1, 1)


@pytest.mark.parametrize("key", REQUIRED_KEYS)
def test_each_key_is_needed(key, tmp_path):
    with pytest.raises(VerdictError, match=rf"expected.toml: \[\[expected\]\] 1: has no {key};"):
        read(tmp_path, **{key: None})


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"until": f"{DAY + timedelta(days=367)}"}, "is more than 366 days ahead"),
        ({"until": '"2024-06-30"'}, "until is no date"),
        ({"until": "2024-06-30T10:00:00"}, "until is no date"),
        ({"reason": '["volume", "greed"]'}, "reason = ['volume', 'greed'] is not known"),
        ({"reason": "[]"}, "reason = [] is not known"),
        ({"reason": "{a = 1}"}, "is not known"),
        ({"reason": "[[1]]"}, "is not known"),
        ({"entity_kind": '"user"'}, "entity_kind = 'user'; it is account"),
        ({"entity_kind": "[1]"}, "entity_kind = [1]"),
        ({"entity": '""'}, "entity is no name"),
        ({"by": '" "'}, "by: is empty"),
        ({"why": "5"}, "why is no text"),
        ({"rows": "-1"}, "rows = -1"),
        ({"rows": "true"}, "rows = True"),
        ({"rows": "1.5"}, "rows = 1.5"),
        ({"row": "5"}, "unknown key 'row'; did you mean 'rows'?"),
        ({"records_out": '"all"'}, "records_out = 'all'"),
    ],
)
def test_what_makes_no_sense_is_one_line_with_file_and_table(other, said, tmp_path):
    with pytest.raises(VerdictError) as refused:
        read(tmp_path, **other)
    words = str(refused.value)
    assert said in words
    assert "expected.toml: [[expected]] 1" in words
    assert "\n" not in words


@pytest.mark.parametrize(
    "text", ["[[expected", "[allowed]\na = 1", "expected = 5", 'expected = ["x"]', "\ud800"]
)
def test_what_is_no_allow_list_is_refused_by_name(text, tmp_path):
    file = tmp_path / "expected.toml"
    file.write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(VerdictError, match=r"expected\.toml"):
        load(file, set(FIRST), TODAY)
    with pytest.raises(VerdictError, match="no such allow-list"):
        load(tmp_path / "none.toml", set(FIRST), TODAY)


def test_an_empty_list_expects_nothing(tmp_path):
    (tmp_path / "expected.toml").write_text("# nothing yet\n", encoding="utf-8")
    assert load(tmp_path / "expected.toml", set(FIRST), TODAY) == []


def test_the_example_in_the_docs_is_accepted(tmp_path):
    text = (Path(__file__).parents[2] / "docs" / "verdicts.md").read_text(encoding="utf-8")
    examples = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    (example,) = [each for each in examples if "[[expected]]" in each]
    (tmp_path / "expected.toml").write_text(example, encoding="utf-8")
    assert load(tmp_path / "expected.toml", set(FIRST), date(2026, 6, 1))
    for key in REQUIRED_KEYS:
        assert f"\n{key} = " in example
