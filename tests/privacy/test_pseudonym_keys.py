"""The key comes from a file or the environment, is fit for use, and is never shown."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from detector.core.errors import SettingsError
from detector.core.settings import Settings, from_mapping
from detector.privacy import keys, pseudonyms

KEY = bytes(range(64))
DOC = Path(__file__).parents[2] / "docs" / "pseudonyms.md"


def _file(folder, text, mode=0o600):
    path = folder / "pseudonyms.key"
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    return path


def _settings(file=None, variable=None):
    return Settings(
        pseudonyms=True, pseudonym_key_file=file and str(file), pseudonym_key_env=variable
    )


@pytest.mark.parametrize("size", [32, 48, 64])
@pytest.mark.parametrize("written", ["{}", "{}\n", "  {}\r\n"])
def test_a_key_is_read_from_a_file(tmp_path, size, written):
    text = written.format(KEY[:size].hex())
    assert keys.read(_settings(_file(tmp_path, text))) == KEY[:size]


def test_a_key_is_read_from_the_environment_which_wins_over_the_file(tmp_path, monkeypatch):
    file = _file(tmp_path, KEY[:32].hex())
    monkeypatch.setenv("MY_KEY", KEY.hex().upper())
    assert keys.read(_settings(file, "MY_KEY")) == KEY
    monkeypatch.delenv("MY_KEY")
    assert keys.read(_settings(file, "MY_KEY")) == KEY[:32]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "has 0 hexadecimal digits"),
        (KEY[:31].hex(), "has 62 hexadecimal digits"),
        (KEY.hex() + "00", "has 130 hexadecimal digits"),
        (KEY.hex()[1:], "is no key in hexadecimal digits"),
        ("correct horse battery staple", "is no key in hexadecimal digits"),
        ("00" * 32, "is no random key"),
        ("0123456789abcdef" * 8, "is no random key"),
        ("\u00e9" * 64, "is no key in hexadecimal digits"),
    ],
)
@pytest.mark.parametrize("of_file", [True, False])
def test_a_key_that_is_not_fit_is_refused_without_being_shown(
    tmp_path, monkeypatch, text, said, of_file
):
    if text == "" and not of_file:
        said = "is not set"
    monkeypatch.setenv("MY_KEY", os.fsdecode(text.encode()))
    settings = _settings(_file(tmp_path, text)) if of_file else _settings(variable="MY_KEY")
    with pytest.raises(SettingsError) as error:
        keys.read(settings)
    assert said in str(error.value)
    assert "openssl rand -hex 64" in str(error.value)
    assert not text or text not in str(error.value)
    assert error.value.__cause__ is None


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o620, 0o660, 0o777])
def test_a_key_that_others_can_read_or_write_is_refused(tmp_path, mode):
    with pytest.raises(SettingsError, match=r"open to others.*chmod 600"):
        keys.read(_settings(_file(tmp_path, KEY.hex(), mode)))


def test_a_key_of_its_owner_alone_is_taken(tmp_path):
    assert keys.read(_settings(_file(tmp_path, KEY.hex(), 0o400))) == KEY


def test_a_key_that_is_not_there_is_named(tmp_path):
    with pytest.raises(SettingsError, match=r"none\.key: cannot be read"):
        keys.read(_settings(tmp_path / "none.key"))
    with pytest.raises(SettingsError, match="variable MY_KEY: is not set"):
        keys.read(_settings(variable="MY_KEY"))
    with pytest.raises(SettingsError, match="no key for pseudonyms"):
        pseudonyms.load(Settings())


@pytest.mark.parametrize(
    "raw",
    [
        {"pseudonyms": True},
        {"pseudonyms": "yes"},
        {"pseudonyms": 1, "pseudonym_key_env": "MY_KEY"},
        {"pseudonym_key_env": KEY.hex()},
        {"pseudonym_key_env": "a" + KEY.hex()},
        {"pseudonym_key_env": "MY-KEY"},
        {"pseudonym_key_env": ["MY_KEY"]},
        {"pseudonym_key_file": KEY.hex()},
        {"pseudonym_key_file": ""},
        {"pseudonym_key_file": 3},
        {"reveal_audit": ""},
        {"reveal_audit": True},
    ],
)
def test_settings_that_make_no_sense_are_refused_and_a_key_among_them_is_not_shown(raw):
    with pytest.raises(SettingsError) as error:
        from_mapping(raw, "detector.toml")
    assert KEY.hex() not in str(error.value)


def test_without_pseudonyms_no_key_is_asked_for():
    assert pseudonyms.load_if_enabled(Settings()) is None
    assert pseudonyms.key_check_for(Settings()) == ""


@pytest.mark.skipif(not shutil.which("openssl"), reason="needs openssl")
def test_the_documented_command_makes_a_key_that_is_taken(tmp_path):
    (line,) = {
        line
        for line in DOC.read_text(encoding="utf-8").splitlines()
        if line.startswith("(umask 077;")
    }
    made = line.replace("/etc/detector/pseudonyms.key", str(tmp_path / "a.key"))
    assert made != line
    subprocess.run(["bash", "-c", made], check=True)
    assert len(keys.read(_settings(tmp_path / "a.key"))) == 64
