"""What is written names people: it is its owner's alone, unless the settings open it."""

import os
import stat

import pytest

from detector.core.errors import SettingsError
from detector.core.settings import load

LOG = "timestamp,account,action,rows\n2024-02-06T08:00:00Z,a,read,5\n"


def modes(folder, kind):
    return {
        stat.S_IMODE(path.stat().st_mode) for path in (folder, *folder.rglob("*")) if kind(path)
    }


@pytest.mark.parametrize(
    ("setting", "folders", "files"),
    [
        ("", 0o700, 0o600),
        ('readable_by = "owner"', 0o700, 0o600),
        ('readable_by = "group"', 0o750, 0o640),
        ('readable_by = "everyone"', 0o755, 0o644),
    ],
)
def test_a_ledger_is_readable_by_whom_the_settings_name(
    detector, monkeypatch, tmp_path, setting, folders, files
):
    (tmp_path / "a.csv").write_text(LOG, encoding="utf-8")
    (tmp_path / "detector.toml").write_text(setting, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    os.umask(0o022)
    done = detector("train", "a.csv")  # one day is too little to train on, but the ledger is made
    ledger = tmp_path / "ledger"
    assert (ledger / "ledger.json").exists(), done.err
    assert modes(ledger, lambda path: path.is_dir()) == {folders}
    # Locks are nobody else's business.
    assert modes(ledger, lambda path: path.is_file() and path.name != "lock") == {files}
    assert list((ledger / "hours").rglob("*.parquet"))


def test_a_reader_that_is_none_is_refused(tmp_path):
    (tmp_path / "detector.toml").write_text('readable_by = "nobody"', encoding="utf-8")
    with pytest.raises(SettingsError, match="it is one of owner, group, everyone"):
        load(tmp_path / "detector.toml")
