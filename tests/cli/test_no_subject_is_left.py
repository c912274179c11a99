"""Whose record was read is counted, and reaches no byte that is written or printed."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import numpy as np
import planted
import polars as pl
import pytest
from opened_files import START, opened

from detector.ledger.store import Ledger

THIEF, STOLEN = "counsellor03", 1500
#: A column too many, no time, quotes that do not close.
BROKEN = (
    '2024-01-30T09:00:00Z,ann,{0},more\nyesterday,ann,{0}\n2024-01-30T09:00:00Z,ann,"{0}\n,,{0}\n'
)


def access_log(days: int, *, robbed: bool) -> pl.DataFrame:
    """time, user, person_id: twelve people open files; on the last day one opens many."""
    rng = np.random.default_rng(days)
    frames = []
    for n in range(days):
        for number in range(12):
            people = number * 100 + rng.integers(0, 60, rng.poisson(25))
            if robbed and n == days - 1 and f"counsellor{number:02}" == THIEF:
                people = 10_000 + np.arange(STOLEN)
            names = [f"{planted.STEM}-{person}" for person in people]
            frames.append(opened(START + timedelta(days=n), f"counsellor{number:02}", names, rng))
    return pl.concat(frames).select(
        time=pl.col("timestamp").dt.strftime("%Y-%m-%dT%H:%M:%SZ"),
        user="account",
        person_id="subject",
    )


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    place = tmp_path / "logs"
    place.mkdir()
    access_log(28, robbed=False).write_csv(place / "past.csv")
    last = access_log(29, robbed=True).filter(pl.col("time") >= "2024-01-29")
    text = last.write_csv() + BROKEN.format(f"{planted.STEM}-1")
    (place / "new.csv").write_text(text, encoding="utf-8")
    last.write_ndjson(place / "new.ndjson")
    return place


@pytest.mark.slow
def test_no_subject_reaches_a_file_or_the_screen(logs, tmp_path, detector, monkeypatch):
    place = tmp_path / "written"
    place.mkdir()
    monkeypatch.chdir(place)
    (place / "detector.toml").write_text("minimum_records = 10\n", encoding="utf-8")
    for command in (
        ("check", logs),
        ("check", logs, "--json"),
        ("train", logs / "past.csv"),
        ("score", logs / "new.csv", "--format", "native", "--json"),
        ("ledger",),
        (
            "watch",
            logs / "new.ndjson",
            "--once",
            "--settle",
            0,
            "--ledger",
            "watched",
            "--out",
            "rang",
        ),
    ):
        ran = detector(*command)
        assert ran.code == 0, ran.err
        assert not planted.found((ran.out + ran.err).encode()), command
    assert planted.leaks(place) == []
    for ledger in ("ledger", "watched"):
        touched = Ledger.open(place / ledger, None).touched(START + timedelta(days=28), None)
        people = touched.filter(pl.col("dimension") == "subject").group_by("account").len()
        assert dict(people.iter_rows())[THIEF] > 1000
    assert '"subjects_vs_own"' in (place / "out" / "alerts.ndjson").read_text(encoding="utf-8")


def test_a_column_that_the_settings_name_is_the_subject(tmp_path, detector, monkeypatch):
    monkeypatch.chdir(tmp_path)
    table = access_log(2, robbed=False).rename({"person_id": "whose"}).with_columns(rows=1)
    table.write_csv("plain.csv")
    (tmp_path / "detector.toml").write_text('[columns]\nsubject = "whose"\n', encoding="utf-8")
    ran = detector("check", "plain.csv", "--json")
    assert "column 'whose' (from [columns]) (a keyed hash is kept" in ran.out
    assert '"source": "csv"' in ran.out
