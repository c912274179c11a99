"""With pseudonyms on, no byte that is written or printed holds a name."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path

import planted
import polars as pl
import pytest

from detector import registry
from detector.cli.app import run
from detector.core import settings
from detector.core.errors import LedgerError
from detector.delivery.outbox.store import Outbox
from detector.ledger.ingest import ingest
from detector.ledger.store import Ledger
from detector.privacy import pseudonyms
from detector.privacy.pseudonyms import Pseudonyms

KEY = bytes(range(64))
#: The variable of another key.
OTHER = "ANOTHER_KEY_OF_THE_TEST"
#: Each alert goes into a file in each, as the sinks that speak it would send it.
FORMATS = sorted(registry.formats())
#: Takes nothing, so that all alerts wait in the outbox.
UNREACHABLE = "syslog+tcp://127.0.0.1:1#name=unreachable"


@pytest.fixture(scope="module")
def logs(tmp_path_factory):
    place = tmp_path_factory.mktemp("planted")
    planted.write(place)
    families = sorted(family.name for family in registry.families())
    (place / "expected.toml").write_text(
        f'[[expected]]\nentity_kind = "account"\nentity = "{planted.THIEF}"\nreason = {families}\n'
        'until = 2024-12-31\nby = "ann"\nwhy = "a copy"\nrows = 1_000_000\n',
        encoding="utf-8",
    )
    return place


@pytest.fixture(scope="module")
def ran(logs, tmp_path_factory):
    """(the folder with all that was written, what was said) of every command in turn."""
    place = tmp_path_factory.mktemp("written")
    said = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.setenv("KEY_OF_THE_TEST", KEY.hex())
        (place / "detector.toml").write_text(
            'pseudonyms = true\npseudonym_key_env = "KEY_OF_THE_TEST"\n'
            # Logs of a few days in formats of their own are doubtful, and here that is no matter.
            "[health]\nexit_status = 0\n",
            encoding="utf-8",
        )
        staff = ("--directory", logs / "directory.csv")
        urls = [f"file://{place}/sent/{name}#name={name}&format={name}" for name in FORMATS]
        ways = [word for url in (*urls, UNREACHABLE) for word in ("--sink", url)]
        for command in (
            ("check", logs / "past", logs / "new"),
            ("train", logs / "past", *staff),
            ("score", logs / "new", *staff, "--format", "native", *ways),
            ("ledger",),
            ("evaluate", "out", "--incidents", logs / "incidents.csv"),
        ):
            said[f"{command[0]} --json"] = _said(patch, *command, "--json")
        said["outbox list --json"] = _said(patch, "outbox", "list", "--json")
        thief = Pseudonyms.from_key(KEY).encrypt(planted.THIEF)
        alerts = _lines(place / "out" / "alerts.ndjson")
        stolen = next(alert["id"] for alert in alerts if alert["entity"] == thief)
        words = ("verdict", stolen, "confirmed", "--reason", "stolen password")
        said["verdict --json"] = _said(patch, *words, "--json")
        expected = ("--allow-list", logs / "expected.toml", "--out", "expected")
        said["score again"] = _said(patch, "score", logs / "new", *staff, *expected)
        for command in (("check", logs / "past", logs / "new"), ("ledger",), ("outbox", "list")):
            said[" ".join(map(str, command[:2]))] = _said(patch, *command)
    return place, said


def _said(patch, *arguments):
    """Code, and stdout and stderr as a file would get them."""
    out, err = io.StringIO(), io.StringIO()
    patch.setattr("sys.argv", ["detector", *map(str, arguments)])
    code = 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            run()
        except SystemExit as stop:
            code = stop.code or 0
    return code, out.getvalue(), err.getvalue()


def _lines(file):
    return [json.loads(line) for line in file.read_text(encoding="utf-8").split("\n") if line]


@pytest.mark.slow
def test_every_command_did_its_work(ran):
    _, said = ran
    assert {name: code for name, (code, _, _) in said.items() if code} == {}


@pytest.mark.slow
def test_no_file_holds_a_name(ran):
    place, _ = ran
    assert len(list(place.rglob("*.parquet"))) > 100
    assert planted.leaks(place) == []


@pytest.mark.slow
def test_nothing_that_was_said_holds_a_name(ran):
    _, said = ran
    wrong = [
        name for name, (_, out, err) in said.items() if planted.found(f"{out}\n{err}".encode())
    ]
    assert wrong == []


@pytest.mark.slow
def test_the_key_is_nowhere(ran):
    place, said = ran
    files = b"".join(path.read_bytes() for path in place.rglob("*") if path.is_file())
    words = "".join(out + err for _, out, err in said.values())
    for text in (KEY.hex(), KEY.hex()[:32]):
        assert text.encode() not in files
        assert text not in words
    assert KEY not in files


@pytest.mark.slow
def test_the_thief_is_found_under_a_pseudonym_that_the_key_turns_back(ran):
    place, said = ran
    alerts = _lines(place / "out" / "alerts.ndjson")
    thief = Pseudonyms.from_key(KEY).encrypt(planted.THIEF)
    # Its group is the directory's: accounts have the same pseudonym there.
    assert {alert["group"] for alert in alerts if alert["entity"] == thief} == {"desk north"}
    assert thief in said["score --json"][2]
    assert json.loads(said["evaluate --json"][1])["found"] == 1


@pytest.mark.slow
def test_verdicts_and_what_is_expected_tell_the_thief_by_the_pseudonym(ran):
    """The allow-list names the account; what is kept and said of it does not."""
    place, said = ran
    thief = Pseudonyms.from_key(KEY).encrypt(planted.THIEF)
    held = _lines(place / "expected" / "held.ndjson")
    assert {alert["entity"] for alert in held} == {thief}
    assert thief in {each["entity"] for each in _lines(place / "verdicts.ndjson")}
    assert thief in said["score again"][2]


@pytest.mark.slow
@pytest.mark.parametrize("name", FORMATS)
def test_every_format_of_an_alert_tells_the_thief_by_the_pseudonym(ran, name):
    place, _ = ran
    alerts = _lines(place / "out" / "alerts.ndjson")
    thief = Pseudonyms.from_key(KEY).encrypt(planted.THIEF)
    own = [alert for alert in alerts if alert["entity"] == thief]
    told = (place / "sent" / name).read_text(encoding="utf-8").splitlines()
    assert len(told) == len(alerts)
    for alert in own:
        assert [line for line in told if alert["id"] in line and thief in line]


@pytest.mark.slow
def test_what_waits_in_the_outbox_has_the_pseudonym(ran):
    place, said = ran
    alerts = _lines(place / "out" / "alerts.ndjson")
    box = json.loads(said["outbox list --json"][1])
    waiting = {sink["sink"]: sink["waiting"] for sink in box["sinks"]}
    assert waiting == {**dict.fromkeys(FORMATS, 0), "unreachable": len(alerts)}
    thief = Pseudonyms.from_key(KEY).encrypt(planted.THIEF)
    assert thief.encode() in b"".join(planted.contents(place / "outbox" / "outbox.sqlite"))


@pytest.mark.slow
@pytest.mark.parametrize("name", FORMATS)
def test_the_search_finds_a_name_in_every_format_and_in_the_outbox(ran, name, tmp_path):
    """So that the tests above can fail."""
    place, _ = ran
    thief = Pseudonyms.from_key(KEY).encrypt(planted.THIEF)
    text = (place / "out" / "alerts.ndjson").read_text(encoding="utf-8")
    named = [json.loads(line.replace(thief, planted.STEM)) for line in text.splitlines()]
    named = [alert for alert in named if alert["entity"] == planted.STEM]
    assert named
    assert all(planted.found(registry.formats()[name].encode(alert)) for alert in named)
    with Outbox.open(tmp_path / "outbox", [name]) as box:
        box.put(named, {})
    assert planted.leaks(tmp_path) == ["outbox/outbox.sqlite"]


@pytest.mark.slow
def test_every_account_in_the_ledger_is_a_pseudonym_of_a_name_in_the_logs(ran):
    place, _ = ran
    files = [
        *(place / "ledger").glob("hours/*/*.parquet"),
        *(place / "ledger").glob("touched/*/*.parquet"),
    ]
    found = pl.concat([pl.read_parquet(file, columns=["account"]) for file in files]).unique()
    cipher = Pseudonyms.from_key(KEY)
    back = {cipher.reveal(account) for account in found["account"]}
    assert set(planted.NAMES.values()) <= back
    assert {name for name in back if name is None or planted.STEM not in name} == set()


@pytest.mark.slow
def test_what_was_rejected_is_told_with_its_reason(ran):
    place, said = ran
    rejects = _lines(place / "out" / "rejects.ndjson")
    told = {(Path(reject["file"]).name, reject["reason"]) for reject in rejects}
    assert {name for name, _ in told} == {
        *("office.csv", "office.ndjson", "postgresql.csv", "postgresql.json"),
        *("headless.csv", "keys.ndjson", "broken.parquet"),
    }
    assert ("office.csv", "rows is not a number") in told
    assert "headless.csv" in said["score --json"][2]


def test_the_search_finds_names_where_there_are_no_pseudonyms(logs, tmp_path, monkeypatch):
    """So that the tests above can fail."""
    monkeypatch.chdir(tmp_path)
    code, _, err = _said(monkeypatch, "train", logs / "past", "--until", "2024-01-03")
    assert (code, "too few to learn from" in err) == (1, True)
    assert {path.split("/")[1] for path in planted.leaks(tmp_path)} == {"hours", "touched", "parts"}
    _, out, _ = _said(monkeypatch, "check", logs / "new", "--json")
    assert planted.found(out.encode())


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("account,kind\n{0},human\n{0},human\n", "line 3: account"),
        ("account,kind\nann,{0}\n", "line 2: kind"),
        ("account,hired\nann,{0}\n", "line 2: hired"),
        ("{0},human\nother,human\n", "no column 'account'"),
        ("account,kind\n{0},human,x\n", "line 2: has 3 columns"),
        ('account,kind\n"{0}"x,human\n', "line 2: is no CSV: ',' expected"),
        ("acount,{0}\nann,human\n", "rename"),
    ],
)
def test_words_about_a_bad_directory_quote_nothing(logs, tmp_path, monkeypatch, text, line):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("K", KEY.hex())
    (tmp_path / "detector.toml").write_text(
        'pseudonyms = true\npseudonym_key_env = "K"\n', encoding="utf-8"
    )
    (tmp_path / "staff.csv").write_text(text.format(planted.STEM), encoding="utf-8")
    code, _, err = _said(monkeypatch, "train", logs / "past", "--directory", "staff.csv")
    assert code == 1
    assert line in err
    assert err.count("\n") == 1
    assert not planted.found(err.encode())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("account,start,end\nann,{0},2024-02-01\n", "line 2: start"),
        ("entity_kind,entity,start,end\n{0},x,2024-01-01,2024-02-01\n", "line 2: entity_kind"),
        ("account,start,end,records\nann,2024-01-01,2024-02-01,{0}\n", "line 2: records"),
        ("{0},2024-01-01,2024-02-01\n", "no column 'account'"),
    ],
)
def test_words_about_bad_incidents_quote_nothing(ran, tmp_path, monkeypatch, text, line):
    place, _ = ran
    monkeypatch.chdir(place)
    monkeypatch.setenv("KEY_OF_THE_TEST", KEY.hex())
    (tmp_path / "known.csv").write_text(text.format(planted.STEM), encoding="utf-8")
    code, _, err = _said(monkeypatch, "evaluate", "out", "--incidents", tmp_path / "known.csv")
    assert code == 1
    assert line in err
    assert not planted.found(err.encode())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('[[expected]]\n"{0}" = 1\n', "[[expected]] 1: unknown key"),
        ('[[expected]]\nrow = "{0}"\n', "did you mean 'rows'?"),
        ('"{0}" = 1\n"{0}" = 2\n', "cannot be read"),
        (
            (
                '[[expected]]\nentity_kind = "{0}"\nentity = "x"\nreason = "volume"\n'
                'by = "x"\nwhy = "x"\nrows = 1\nuntil = 2024-12-31\n'
            ),
            "entity_kind =",
        ),
    ],
)
def test_words_about_a_bad_allow_list_quote_nothing(ran, logs, tmp_path, monkeypatch, text, line):
    place, _ = ran
    monkeypatch.chdir(place)
    monkeypatch.setenv("KEY_OF_THE_TEST", KEY.hex())
    (tmp_path / "bad.toml").write_text(text.format(planted.STEM), encoding="utf-8")
    wrong = ("--allow-list", tmp_path / "bad.toml", "--out", tmp_path / "out")
    code, _, err = _said(monkeypatch, "score", logs / "new", *wrong)
    assert code == 1
    assert line in err
    assert not planted.found(err.encode())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("account", "why"),
    [
        (planted.STEM, "holds names of accounts, not pseudonyms"),
        (Pseudonyms.from_key(KEY[::-1]).encrypt(planted.STEM), "holds pseudonyms of another key"),
    ],
)
def test_verdicts_of_names_or_of_another_key_are_refused(
    ran, logs, tmp_path, monkeypatch, account, why
):
    """They would leave no day out and hold nothing back, and nobody would know."""
    place, _ = ran
    monkeypatch.chdir(place)
    monkeypatch.setenv("KEY_OF_THE_TEST", KEY.hex())
    thief = Pseudonyms.from_key(KEY).encrypt(planted.THIEF)
    kept = tmp_path / "verdicts.ndjson"
    kept.write_text(
        (place / "verdicts.ndjson").read_text(encoding="utf-8").replace(thief, account),
        encoding="utf-8",
    )
    for command in ("train", "score"):
        end = ("--model", tmp_path / "model") if command == "train" else ("--out", tmp_path / "out")
        code, _, err = _said(monkeypatch, command, logs / "new", "--verdicts", kept, *end)
        assert code == 1
        assert why in err.splitlines()[-1]
        assert not planted.found(err.encode())


@pytest.mark.slow
def test_a_log_of_which_nothing_can_be_used_is_refused_without_a_name(ran, tmp_path, monkeypatch):
    place, _ = ran
    monkeypatch.chdir(place)
    monkeypatch.setenv("KEY_OF_THE_TEST", KEY.hex())
    log = tmp_path / "bad.csv"
    log.write_text(
        "timestamp,account,rows\n" + f"{planted.STEM},{planted.STEM},1\n" * 3, encoding="utf-8"
    )
    kept = ("--ledger", tmp_path / "new" / "ledger", "--out", tmp_path / "new" / "out")
    code, out, err = _said(monkeypatch, "score", log, *kept)
    assert code == 1
    assert "nothing was scored" in err.splitlines()[-1]
    assert not planted.found(f"{out}\n{err}".encode())
    assert planted.leaks(tmp_path / "new") == []


@pytest.mark.slow
def test_a_drill_says_no_name(ran, monkeypatch, logs):
    place, _ = ran
    monkeypatch.chdir(place)
    monkeypatch.setenv("KEY_OF_THE_TEST", KEY.hex())
    code, out, err = _said(
        monkeypatch, "drill", "--directory", logs / "directory.csv", "--instances", "1",
        "--days", "14", "--json", "--out", "drilled",
    )  # fmt: skip
    assert code == 0, err
    assert not planted.found(f"{out}\n{err}".encode())
    assert planted.leaks(place / "drilled") == []


@pytest.mark.slow
def test_the_check_of_a_key_is_kept_where_pseudonyms_are(ran):
    place, _ = ran
    check = Pseudonyms.from_key(KEY).key_check
    for file in ("ledger/ledger.json", "model/model.json"):
        assert json.loads((place / file).read_text(encoding="utf-8"))["pseudonyms"] == check
    assert pseudonyms.mismatch(check, check) is None


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (f'pseudonym_key_env = "{OTHER}"', "holds pseudonyms of another key"),
        ("pseudonyms = false", "holds pseudonyms; set pseudonyms = true"),
    ],
)
def test_a_model_a_ledger_and_scores_are_not_mixed_with_another_key(
    ran, logs, tmp_path, monkeypatch, rule, said
):
    """The model's own settings name its key; a settings file can name another, or none."""
    place, _ = ran
    monkeypatch.chdir(place)
    monkeypatch.setenv(OTHER, KEY[::-1].hex())
    rules = tmp_path / "other.toml"
    rules.write_text(
        f"{rule}\n" + ("" if "false" in rule else "pseudonyms = true\n"), encoding="utf-8"
    )
    before = {path: path.stat().st_mtime_ns for path in place.rglob("*")}
    for at, command in (
        ("model", ("score", logs / "new")),
        ("model", ("drill",)),
        ("ledger", ("train", logs / "past", "--model", tmp_path / "model", "--verdicts", "none")),
        ("verdicts.ndjson", ("train", logs / "past", "--model", tmp_path / "model")),
        ("model", ("evaluate", "out", "--incidents", logs / "incidents.csv", "--model", "model")),
        ("out", ("evaluate", "out", "--incidents", logs / "incidents.csv")),
    ):
        code, _, err = _said(monkeypatch, *command, "--settings", rules)
        assert code == 1
        assert f"{at}: {said}" in err.splitlines()[-1]
    assert before == {path: path.stat().st_mtime_ns for path in place.rglob("*")}


def test_a_ledger_of_names_takes_in_no_pseudonyms(logs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(OTHER, KEY.hex())
    log = logs / "new" / "office.csv"
    assert _said(monkeypatch, "train", log)[0] == 1  # too short, but the ledger is made
    (tmp_path / "detector.toml").write_text(
        f'pseudonyms = true\npseudonym_key_env = "{OTHER}"\n', encoding="utf-8"
    )
    code, _, err = _said(monkeypatch, "train", log)
    assert code == 1
    assert "ledger: holds names of accounts, not pseudonyms" in err.splitlines()[-1]
    book = Ledger.open(tmp_path / "ledger", None)
    with pytest.raises(LedgerError, match="holds names"):
        ingest([], book, settings.load(tmp_path / "detector.toml"), lambda *_: None)
