"""What runs of the tests rest on: what is made once, and how much a quick run draws."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings
from properties import examples
from shared import made_once


def test_what_is_made_once_is_made_anew_where_it_failed(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    made = []

    def fail(folder: Path) -> None:
        (folder / "half").touch()
        raise OSError

    def make(folder: Path) -> None:
        made.append(folder)
        (folder / "all").touch()

    with pytest.raises(OSError):  # noqa: PT011 - as raised above
        made_once(tmp_path_factory, "of-this-test", fail)
    first, again = (made_once(tmp_path_factory, "of-this-test", make) for _ in range(2))
    assert made == [first] == [again]
    assert [path.name for path in first.iterdir()] == ["all"]


def test_a_quick_run_draws_a_fifth_and_another_one_all(monkeypatch: pytest.MonkeyPatch) -> None:
    for profile, drawn in (("default", [60, 6, 3, 2]), ("quick", [12, 3, 3, 2])):
        chosen = settings.get_profile(profile)
        monkeypatch.setattr("properties.settings", lambda chosen=chosen: chosen)
        assert [examples(most) for most in (60, 6, 3, 2)] == drawn
