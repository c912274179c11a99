"""The verdicts file: what goes in comes out, and what is damaged is refused by line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from verdicts_made_up import DAY, FAMILIES, HOSTILE, NOW, alert, verdict

from detector.core.errors import SettingsError, VerdictError
from detector.triage import store
from detector.triage.records import MAX_TEXT_LENGTH, FollowUp, decode, encode, make_verdict
from detector.triage.subjects import Subject


def following():
    return FollowUp(Subject.from_alert(alert(day=2), FAMILIES), ("account-eve-2024-02-05",))


@pytest.mark.parametrize("said", ["benign", "confirmed", "expected"])
def test_a_verdict_comes_back_as_it_was_given(said, tmp_path):
    given_ = verdict(said, alert("b\x00\n\u2028", group="g"), reason=HOSTILE)
    store.append(tmp_path / "v", [given_, following()])
    store.append(tmp_path / "v", [given_])
    assert store.load(tmp_path / "v").records == (given_, following(), given_)
    data = (tmp_path / "v").read_bytes()
    assert data.isascii()
    assert data.count(b"\n") == 3
    assert (tmp_path / "v").stat().st_mode & 0o777 == 0o600


@given(st.text(max_size=MAX_TEXT_LENGTH))
def test_any_reason_is_one_line_and_comes_back_or_is_refused_as_empty(reason):
    if not reason.encode("utf-8", "replace").strip():
        with pytest.raises(SettingsError, match="--reason: is empty"):
            verdict("benign", alert(), reason=reason)
        return
    try:
        given_ = verdict("benign", alert(), reason=reason)
    except SettingsError as refused:
        assert not reason.strip() or "longer" in str(refused)  # noqa: PT017
        return
    line = encode(given_)
    assert line.count(b"\n") == 1
    assert decode(line) == given_
    assert given_.reason == reason.encode("utf-8", "surrogatepass").decode(
        "utf-8", "replace"
    ).strip()  # fmt: skip


def test_no_file_is_no_verdict(tmp_path):
    assert store.load(tmp_path / "none").records == ()
    store.append(tmp_path / "none", [])
    assert not (tmp_path / "none").exists()


def line(**other):
    raw = json.loads(encode(verdict("expected", alert())))
    return json.dumps({**raw, **other}).encode() + b"\n"


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (b"\n", "line 2 is no JSON"),
        (b"{\n", "line 2 is no JSON"),
        (b"[" * 100_000 + b"\n", "line 2 is no JSON"),
        (b"\xff\xfe\n", "line 2 is no JSON"),
        (b"[]\n", "line 2 is no verdict"),
        (b"{}\n", "line 2 is no verdict"),
        (line()[:-1], "line 2 breaks off"),
        (line()[:40], "line 2 breaks off"),
        (line(format=2), "line 2 is of a newer detector"),
        (line(kind="other"), "line 2 holds no verdict that is known"),
        (line(verdict="fine"), "line 2 holds no verdict that is known"),
        (line(verdict="benign"), "line 2 is benign with an end"),
        (line(until=None), "line 2 is expected without an end"),
        (line(until="2099-01-01"), "line 2 says until 2099-01-01"),
        (line(until="soon"), "line 2 has no until"),
        (line(by=" "), "line 2 has no reason or no author"),
        (line(by=None), "line 2 has no by"),
        (line(reason=5), "line 2 has no reason"),
        (line(entity_kind="planet"), "line 2 has the entity_kind 'planet'"),
        (line(rows=-1), "line 2 has no rows"),
        (line(rows=True), "line 2 has no rows"),
        (line(date="2024-13-01"), "line 2 has no date"),
        (line(since="1000-01-01"), "line 2 flags 1000-01-01 to"),
        (line(since="2024-02-06"), "line 2 flags 2024-02-06 to"),
        (line(names=[["account"]]), "line 2 has no names"),
        (line(families="volume"), "line 2 has no families"),
        (line(at="then"), "line 2 has no at"),
        (line(alert=None), "line 2 has no alert"),
    ],
)
def test_a_damaged_line_is_refused_with_file_and_line(damage, said, tmp_path):
    path = tmp_path / "verdicts.ndjson"
    path.write_bytes(line() + damage)
    before = path.read_bytes()
    for use in (store.load, lambda path: store.append(path, [verdict("benign", alert())])):
        with pytest.raises(VerdictError) as refused:
            use(path)
        assert str(refused.value).startswith(f"{path}: {said}")
        assert "\n" not in str(refused.value)
    assert path.read_bytes() == before


@given(st.binary(max_size=80))
def test_nothing_but_a_value_error_comes_of_any_line(data):
    try:
        decode(data)
    except ValueError as refused:
        assert str(refused)  # noqa: PT017


def test_a_disk_that_is_full_leaves_the_file_as_it_was(tmp_path, monkeypatch):
    path = tmp_path / "v"
    store.append(path, [verdict("benign", alert())])
    before = path.read_bytes()
    real = os.write

    def full(handle, data):
        if len(data) < 100:
            raise OSError(28, "No space left on device")
        return real(handle, data[:-50])

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(VerdictError, match="No space left on device"):
        store.append(path, [verdict("confirmed", alert())])
    monkeypatch.undo()
    assert path.read_bytes() == before


def test_processes_that_append_at_once_lose_nothing(tmp_path):
    code = (
        "import sys; sys.path.insert(0, sys.argv[2])\n"
        "from pathlib import Path\n"
        "from verdicts_made_up import alert, verdict\n"
        "from detector.triage import store\n"
        "for n in range(20):\n"
        "    store.append(Path(sys.argv[1]), [verdict('benign', alert(), reason=f'{n} ' * 200)])\n"
    )
    here = Path(__file__).parents[1] / "support"
    command = [sys.executable, "-c", code, str(tmp_path / "v"), str(here)]
    running = [subprocess.Popen(command) for _ in range(3)]
    assert [each.wait() for each in running] == [0, 0, 0]
    assert len(store.load(tmp_path / "v").records) == 60


@pytest.mark.parametrize(
    ("said", "until", "refused"),
    [
        ("expected", None, "--until: is missing: nothing is expected for ever"),
        ("benign", 30, "--until: has no meaning for benign"),
        ("confirmed", -1, "--until: 2024-02-04 is no later than the alert itself"),
        ("confirmed", 500, "--until: 2025-06-19 is more than 366 days ahead"),
        ("expected", 0, "--until: 2024-02-05 is no later than the alert itself"),
        ("expected", 500, "--until: 2025-06-19 is more than 366 days ahead"),
    ],
)
def test_what_is_expected_has_an_end_within_a_year_and_nothing_else_has(said, until, refused):
    end = None if until is None else DAY + timedelta(days=until)
    with pytest.raises(SettingsError) as error:
        make_verdict(Subject.from_alert(alert(), FAMILIES), said, "audit", "ann", NOW, end)
    assert str(error.value).startswith(refused)


@pytest.mark.parametrize("author", ["", "  ", "\n"])
def test_no_one_is_no_author(author):
    with pytest.raises(SettingsError, match="--by: is empty"):
        verdict("benign", alert(), by=author)
    with pytest.raises(SettingsError, match="longer than 1,000"):
        verdict("benign", alert(), by="x" * 1001)


@pytest.mark.parametrize("harm", ["deleted", "emptied", "shortened by a line"])
def test_verdicts_that_are_gone_are_missed_until_a_person_says_otherwise(tmp_path, harm):
    path = tmp_path / "v"
    store.append(path, [verdict("benign", alert())])
    store.append(path, [verdict("confirmed", alert())])
    if harm == "deleted":
        path.unlink()
    else:
        path.write_bytes(b"" if harm == "emptied" else path.read_bytes().split(b"\n")[0] + b"\n")
    for use in (store.load, lambda path: store.append(path, [verdict("benign", alert())])):
        with pytest.raises(VerdictError, match="verdicts are gone: 2 were given, and it has") as no:
            use(path)
        assert "\n" not in str(no.value)
    (tmp_path / "v.count").unlink()
    store.append(path, [verdict("benign", alert())])
    assert store.load(path).records


def test_a_count_that_is_no_number_is_refused(tmp_path):
    store.append(tmp_path / "v", [verdict("benign", alert())])
    (tmp_path / "v.count").write_bytes(b"")
    with pytest.raises(VerdictError, match=r"v.count: cannot be read"):
        store.load(tmp_path / "v")
