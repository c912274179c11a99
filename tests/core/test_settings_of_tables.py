"""``[tables]`` and ``sensitive`` in detector.toml: what is taken, and what is refused."""

import json
from dataclasses import asdict, fields

import pytest

from detector.alerts.severity import SEVERITY_ORDER
from detector.core import setting_types as types
from detector.core.errors import SettingsError
from detector.core.settings import HEALTH_DEFAULTS, ImpactBounds, Settings, from_mapping, load
from detector.delivery.config import parse_table


def test_bounds_of_impact_are_read_and_kept_by_a_model(tmp_path):
    file = tmp_path / "detector.toml"
    file.write_text("[impact]\nhigh = 5_000\nrecords_a_day = 20_000\n", encoding="utf-8")
    settings = load(file)
    assert settings.impact == ImpactBounds(high=5_000, records_a_day=20_000)
    kept = json.loads(json.dumps(asdict(settings)))
    assert from_mapping(kept).impact == settings.impact


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("impact = 5", "must be a table"),
        ("[impact]\nhuge = 5", "no setting 'huge'"),
        ("[impact]\nhigh = 0", "high = 0"),
        ("[impact]\nhigh = true", "high = True"),
        ("[impact]\nrecords_a_day = 1.5", "records_a_day = 1.5"),
        ("[impact]\nmedium = 10\ncritical = 5", "must rise"),
    ],
)
def test_bounds_that_make_no_sense_are_refused(text, said, tmp_path):
    file = tmp_path / "detector.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError, match=r"detector\.toml") as refused:
        load(file)
    assert said in str(refused.value)
    assert "[impact]" in str(refused.value)


def test_each_setting_has_a_type_and_each_type_a_setting():
    assert set(types.SETTINGS) == {item.name for item in fields(Settings)}
    assert set(types.IMPACT) == {item.name for item in fields(ImpactBounds)}
    assert set(types.HEALTH) == set(HEALTH_DEFAULTS)
    for name in types.READER_UMASKS:
        assert from_mapping({"readable_by": name}).readable_by == name
    for severity in SEVERITY_ORDER:
        table = {"url": "file:///a", "minimum_severity": severity}
        assert parse_table(table, "a").minimum_severity == severity


def test_what_is_no_text_in_any_encoding_is_refused_in_one_line_too():
    with pytest.raises(SettingsError, match="readable_by = ") as refused:
        from_mapping({"readable_by": "\udcff"}, "detector.toml")
    assert "\n" not in str(refused.value)


def test_tables_and_sensitive_are_read(tmp_path):
    file = tmp_path / "detector.toml"
    file.write_text(
        'sensitive = ["a b"]\n[tables]\n"public.person" = 43_000_000\n', encoding="utf-8"
    )
    settings = load(file)
    assert settings.tables == {"public.person": 43_000_000}
    assert settings.sensitive == ("a b",)
    # As a model keeps them.
    assert from_mapping({**asdict(settings), "alerts_per_day": 1.0}).sensitive == ("a b",)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[tables]\npublic.person = 5", "[tables] gives 'public'"),
        ('[tables]\n"t" = 0', "the size 0"),
        ('[tables]\n"t" = -4', "the size -4"),
        ('[tables]\n"t" = 1.5', "the size 1.5"),
        ('[tables]\n"t" = true', "the size True"),
        ('[tables]\n"t" = "many"', "the size 'many'"),
        ('[tables]\n"" = 5', "[tables] gives ''"),
        ('tables = ["t"]', "[tables] must map"),
        ('sensitive = "public.person"', "sensitive must be a list"),
        ("sensitive = [1]", "sensitive must be a list"),
        ('sensitive = [""]', "sensitive must be a list"),
        ("[sensitive]\nt = 1", "sensitive must be a list"),
    ],
)
def test_nonsense_is_refused_in_one_line_that_names_file_and_setting(text, said, tmp_path):
    file = tmp_path / "detector.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError) as refused:
        load(file)
    words = str(refused.value)
    assert said in words
    assert "detector.toml" in words
    assert "\n" not in words
    assert "public.person" in words
