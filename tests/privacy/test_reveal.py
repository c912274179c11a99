"""``detector reveal`` gives names to who has the key, and keeps who asked; never the names."""

from __future__ import annotations

import json
import pwd

import pytest

from detector.privacy import audit_log
from detector.privacy.pseudonyms import Pseudonyms

KEY = bytes(range(64))
OURS = Pseudonyms.from_key(KEY)
THEIRS = Pseudonyms.from_key(bytes(range(1, 65)))
ANN = OURS.encrypt("ann.quill")


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MY_KEY", KEY.hex())
    (tmp_path / "detector.toml").write_text('pseudonym_key_env = "MY_KEY"\n', encoding="utf-8")
    return tmp_path


def _audit(file):
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def test_a_pseudonym_is_turned_back_and_the_audit_says_who_asked_and_why(detector, place):
    ran = detector("reveal", ANN, "--reason", "ticket 4711", "--by", "dpo")
    assert (ran.code, ran.out, ran.err) == (0, "ann.quill\n", "")
    (line,) = _audit(place / "reveal-audit.ndjson")
    assert list(line) == ["time", "by", "os_user", "pseudonym", "revealed", "reason"]
    assert line["pseudonym"] == ANN
    assert (line["by"], line["reason"], line["revealed"]) == ("dpo", "ticket 4711", True)
    assert line["os_user"]
    assert line["time"].endswith("Z")
    assert (place / "reveal-audit.ndjson").stat().st_mode & 0o777 == 0o600


def test_several_are_printed_a_line_each_in_order(detector, place):
    ran = detector("reveal", OURS.encrypt("b"), ANN, f" {OURS.encrypt('c').upper()} ")
    assert ran.out == "b\nann.quill\nc\n"
    assert len(_audit(place / "reveal-audit.ndjson")) == 3


def test_json_says_which_name_is_whose(detector):
    name = "zo\xe9\n\x1b[2J"
    ran = detector("reveal", OURS.encrypt(name), "--json")
    assert json.loads(ran.out) == [{"pseudonym": OURS.encrypt(name), "name": name}]
    assert ran.out.isascii()


def test_a_hostile_name_does_not_reach_the_terminal_raw(detector):
    ran = detector("reveal", OURS.encrypt("a\nb\x1b[2J"))
    assert ran.out == "a\\x0ab\\x1b[2J\n"


@pytest.mark.parametrize("forged", [THEIRS.encrypt("ann.quill"), ANN[:-2] + "aa", "p-" + "a" * 52])
def test_a_wrong_key_or_a_forged_pseudonym_is_one_line_and_audited(detector, place, forged):
    ran = detector("reveal", forged, "--by", "me")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.count("\n") == 1
    (line,) = _audit(place / "reveal-audit.ndjson")
    assert (line["pseudonym"], line["revealed"], line["by"]) == (forged, False, "me")


def test_what_is_no_pseudonym_is_audited_and_shown_nowhere(detector, place):
    ran = detector("reveal", "ann.quill", ANN)
    assert (ran.code, ran.out) == (1, "ann.quill\n")
    assert "argument 1 is no pseudonym" in ran.err
    assert "quill" not in ran.err
    first, second = _audit(place / "reveal-audit.ndjson")
    assert (first["pseudonym"], first["revealed"]) == (None, False)
    assert second["revealed"]
    assert "quill" not in (place / "reveal-audit.ndjson").read_text(encoding="utf-8")


def test_the_audit_has_neither_name_nor_key_even_where_the_reason_guessed_it(detector, place):
    detector("reveal", ANN, "--reason", "is it Ann.Quill, or ann.quills?")
    text = (place / "reveal-audit.ndjson").read_text(encoding="utf-8")
    assert json.loads(text)["reason"] == f"is it {ANN}, or ann.quills?"
    assert KEY.hex() not in text


def test_without_its_audit_line_nothing_is_turned_back(detector, place):
    (place / "reveal-audit.ndjson").mkdir()
    ran = detector("reveal", ANN)
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.count("\n") == 1
    assert "no pseudonym is turned back without its audit line" in ran.err


def test_the_audit_is_on_disk_before_the_name_is_printed(detector, place, monkeypatch):
    seen = []
    monkeypatch.setattr(
        "detector.cli.commands.reveal.typer.echo",
        lambda _: seen.append(len(_audit(place / "reveal-audit.ndjson"))),
    )
    detector("reveal", ANN)
    assert seen == [1]


def test_the_audit_stands_beside_the_ledger_or_where_the_settings_say(detector, place):
    (place / "kept").mkdir()
    detector("reveal", ANN, "--ledger", place / "kept" / "ledger")
    assert len(_audit(place / "kept" / "reveal-audit.ndjson")) == 1
    (place / "detector.toml").write_text(
        'pseudonym_key_env = "MY_KEY"\nreveal_audit = "elsewhere.ndjson"\n', encoding="utf-8"
    )
    detector("reveal", ANN, "--ledger", place / "kept" / "ledger")
    assert len(_audit(place / "elsewhere.ndjson")) == 1


def test_lines_are_added_to_those_that_are_there_also_after_one_that_a_crash_cut(place):
    file = place / "audit.ndjson"
    file.write_text('{"time": "2024-02-06T', encoding="utf-8")
    audit_log.write(file, [audit_log.RevealAttempt(ANN, None)], None, None)
    audit_log.write(file, [audit_log.RevealAttempt(ANN, None)], None, None)
    lines = file.read_text(encoding="utf-8").splitlines()
    assert len(lines) == 3
    assert all(json.loads(line)["pseudonym"] == ANN for line in lines[1:])


def test_hostile_words_stay_in_their_line(detector, place):
    detector("reveal", ANN, "--reason", 'x\n{"time": 1}\u2028', "--by", "\x1b[2J\n")
    text = (place / "reveal-audit.ndjson").read_text(encoding="utf-8")
    assert text.count("\n") == 1
    assert text.isascii()
    assert json.loads(text)["by"] == "\x1b[2J\n"


def test_without_a_key_there_is_one_line(detector, place):
    (place / "detector.toml").write_text("", encoding="utf-8")
    ran = detector("reveal", ANN)
    assert ran.code == 2
    assert "pseudonym_key_file or pseudonym_key_env" in ran.err
    assert ran.err.count("\n") == 1


@pytest.mark.parametrize(
    ("said", "number"),
    [
        ("0", 0), ("54321", 54321),
        # Nobody logged in (a service), no number, no such file: whose process it is.
        ("4294967295", 0), ("x", 0), (None, 0),
    ],
)  # fmt: skip
def test_the_audit_names_who_logged_in_and_not_who_they_became(
    detector, place, monkeypatch, said, number
):
    """``sudo`` changes whose a process is, and not whose login it came from."""
    login = place / "loginuid"
    if said is not None:
        login.write_text(said, encoding="ascii")
    monkeypatch.setattr(audit_log, "_LOGINUID_FILE", login)
    monkeypatch.setattr("os.getuid", lambda: 0)
    detector("reveal", ANN)
    (line,) = _audit(place / "reveal-audit.ndjson")
    assert line["os_user"] == (pwd.getpwuid(0).pw_name if number == 0 else "54321")
