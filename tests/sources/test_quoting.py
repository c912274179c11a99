"""Quotes that are never closed, in CSV: what they swallow is read, or rejected line by line."""

import pytest
from event_logs import read

from detector.sources.generic import csv

HEAD = "timestamp,account,rows,object\n"


def log(n, changed=None):
    lines = [f"2024-02-05T08:{i // 60:02}:{i % 60:02}Z,u{i},5,p" for i in range(n)]
    for index, line in (changed or {}).items():
        lines[index] = line
    return HEAD + "\n".join(lines) + "\n"


def both(tmp_path, text):
    path = tmp_path / "a.csv"
    path.write_text(text, encoding="utf-8")
    events, rejects, _ = read(csv.SOURCE, path)
    return events, rejects


@pytest.mark.parametrize(
    ("first", "last"),
    [
        ('2024-02-05T08:00:10Z,"u10,5,p', '2024-02-05T08:05:00Z,"u300,5,p'),
        ('2024-02-05T08:00:10Z,u10,5,"p', '2024-02-05T08:05:00Z,u300,5,"p'),
        ('2024-02-05T08:00:10Z,"u10,5,p', '2024-02-05T08:05:00Z,u300,5,p"'),
        ('2024-02-05T08:00:10Z,u10,"5,p', '2024-02-05T08:05:00Z,u300,5,p"'),
    ],
)
def test_two_open_quotes_cost_their_own_lines_only(tmp_path, first, last):
    events, rejects = both(tmp_path, log(400, {10: first, 300: last}))
    assert events.height == 398
    assert rejects["line"].to_list() == [12, 302]


def test_what_cannot_be_told_apart_adds_up(tmp_path):
    first, last = '2024-02-05T08:00:10Z,"u10,5,p', '2024-02-05T08:05:00Z,u300",5,p'
    events, rejects = both(tmp_path, log(400, {10: first, 300: last}))
    assert events.height + rejects.height == 400
    assert rejects.height == 291


def test_a_text_that_holds_lines_like_records_does_not_hide_its_own(tmp_path):
    text = "timestamp,account,rows,statement\n"
    text += '2024-02-05T08:00:00Z,thief,5000,"select 1 /*\n2024-02-05T08:00:00Z,boss,9,x\n*/"\n'
    events, rejects = both(tmp_path, text)
    assert events.select("account", "rows").rows() == [("thief", 5000)]
    assert rejects.height == 1


def test_texts_of_many_lines_are_read(tmp_path):
    text = "timestamp,account,rows,statement\n"
    text += '2024-02-05T08:00:00Z,bob,5,"select a, b, c, d\nfrom ""t"",\n\nu"\n' * 500
    events, rejects = both(tmp_path, text)
    assert (events.height, rejects.height) == (500, 0)
