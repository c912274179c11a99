"""Times and numbers as people's tools write them, and what is refused because it could be two."""

from datetime import UTC, datetime

import pyarrow as pa
import pytest
from event_logs import read as read_log

from detector.core.errors import SettingsError
from detector.core.settings import Settings, from_mapping
from detector.normalize import numbers, timestamps
from detector.normalize.reader_state import ReaderState
from detector.normalize.time_formats import TimeFormat
from detector.readers.log_input import LocalFile
from detector.sources.generic import csv, ndjson

NOW = datetime(2026, 11, 30, tzinfo=UTC)
WHEN = datetime(2026, 11, 3, 7, 15, tzinfo=UTC)


def parsed(*texts, form=None, zone="Europe/Paris"):
    column = pa.chunked_array([pa.array(texts)])
    found, problems = timestamps.parse(column, zone, NOW, form or TimeFormat())
    return found.to_list(), [reason for mask, reason in problems if mask.any()]


@pytest.mark.parametrize(
    "text",
    [
        "03.11.2026 08:15",
        "3.11.2026 8:15:00",
        "03.11.26 08:15:00,000",
        "2026/11/03 08:15:00",
        "2026-11-03 08:15 AM",
        "03-NOV-2026 08.15.00.000000 AM",
        "3 Nov 2026 08:15:00",
        "Nov 3, 2026 8:15:00 AM",
        "November 3, 2026 8:15:00 am",
        "Tue, 03 Nov 2026 08:15:00 +0100",
        "Tue Nov  3 08:15:00 2026",
        "2026-11-03 08:15:00 CET",
        "2026-11-03 02:15:00 EST",
        "2026-11-03 08:15:00 Europe/Berlin",
        "2026-11-03T08:15:00+01:00[Europe/Paris]",
        "1793690100,0",
        "1793690100.0",
        "639292869000000000",
        "134381637000000000",
        "1793690100000000000",
    ],
)
def test_a_time_is_read_alone_and_among_iso_8601(text):
    assert parsed(text) == ([WHEN], [])
    assert parsed("2026-11-03T07:15:00Z", text) == ([WHEN, WHEN], [])


@pytest.mark.parametrize(
    ("texts", "wanted", "order"),
    [
        (["03/11/2026 08:15", "13/11/2026 08:15"], "", "day"),
        (["11/03/2026 8:15 AM", "11/13/2026 08:15 AM"], "", "month"),
        (["03-11-2026 08:15", "13-11-2026 08:15"], "", "day"),
        (["03/11/2026 08:15", "04/11/2026 08:15"], "day-first", "day"),
        (["11/03/2026 08:15", "11/04/2026 08:15"], "month-first", "month"),
        (["03/11/2026 08h15"], "%d/%m/%Y %Hh%M", "day"),
    ],
)
def test_the_order_is_told_by_the_column_or_the_settings(texts, wanted, order):
    found, reasons = parsed(*texts, form=TimeFormat(wanted))
    assert not reasons
    assert found[0] == WHEN
    assert order


def test_what_is_told_holds_for_what_follows():
    form = TimeFormat()
    parsed("13/11/2026 08:15", form=form)
    assert parsed("03/11/2026 08:15", form=form) == ([WHEN], [])


@pytest.mark.parametrize(
    "texts",
    [["03/11/2026 08:15"], ["03/11/2026 08:15", "13/11/2026 08:15", "11/13/2026 08:15"]],
)
def test_an_order_that_cannot_be_told_is_refused_with_the_value(texts):
    found, reasons = parsed(*texts)
    assert found[0] is None
    assert any("'03/11/2026 08:15'; set timestamp_format" in reason for reason in reasons)


@pytest.mark.parametrize(
    "text", ["31.02.2026 08:15", "03.11.2026 25:00", "03.11.2026 13:15 PM", "03.11.2026 08:15 IST"]
)
def test_a_time_that_does_not_exist_is_refused_with_the_value_and_the_forms(text):
    found, (reason,) = parsed(text)
    assert found == [None]
    assert "DD.MM.YYYY" in reason
    assert text[:10] in reason


def test_no_name_that_stands_where_a_time_should_is_shown():
    _, (reason,) = parsed("Jane Doe")
    assert "Jane" not in reason
    assert "Doe" not in reason


@pytest.mark.parametrize("wanted", ["%d/%m/%Y %H:%M", "%m/%d/%y %I:%M %p", "day-first"])
def test_a_format_may_be_set(wanted):
    assert from_mapping({"timestamp_format": wanted}).timestamp_format == wanted


@pytest.mark.parametrize("wanted", ["", "%H:%M", "hello", "%d/%Q", 5, "year-first"])
def test_a_format_that_gives_no_day_is_refused(wanted):
    with pytest.raises(SettingsError, match="timestamp_format"):
        from_mapping({"timestamp_format": wanted})


@pytest.mark.parametrize(
    ("column", "values"),
    [
        (["1,234", "5"], [1234, 5]),
        (["1,234", "12345"], [1.234, 12345]),
        (["0,5", "12,25"], [0.5, 12.25]),
        (["1.234,5", "1.234"], [1234.5, 1234]),
        (["1,234.5", "1,234"], [1234.5, 1234]),
        (["1.234.567"], [1234567]),
        (["1 234", "1'234,5", "1\u202f234"], [1234, 1234.5, 1234]),
        (["1.000", "2.5"], [1, 2.5]),
        (["1,234"], [None]),
        (["1,234,567.5", "1,5"], [1234567.5, 1.5]),
        (["1,2,3", "12 34", "1.2.3"], [None, None, None]),
    ],
)
def test_a_decimal_mark_is_told_by_the_column(column, values):
    mark = numbers.decimal_mark(column)
    assert [numbers.parse_number(text, mark)[0] for text in column] == values


HEAD = "timestamp,account,rows,bytes,duration_ms\n"


def written(path, text):
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_a_side_column_that_cannot_be_read_costs_its_value_only(tmp_path):
    text = HEAD + "".join(
        f"2026-11-03T07:15:0{n}Z,bob,3,{size},{span}\n"
        for n, (size, span) in enumerate([("many", "fast"), ("-1", "1.5"), ("7", "00:00:01")])
    )
    (batch,) = csv.SOURCE.read(
        LocalFile(written(tmp_path / "a.csv", text)), Settings(), ReaderState()
    )
    assert batch.rejects.is_empty()
    assert batch.events["rows"].to_list() == [3, 3, 3]
    assert batch.events["bytes"].to_list() == [None, None, 7]
    assert batch.events["duration_ms"].to_list() == [None, 1.5, None]
    assert sorted(batch.notes.values()) == [2, 2]


def test_a_side_value_that_is_no_value_costs_itself_only_in_json(tmp_path):
    text = '{"timestamp": "2026-11-03T07:15:00Z", "account": "bob", "duration_ms": {"a": 1}}\n'
    other = '{"timestamp": "2026-11-03T07:15:00Z", "account": "bob", "duration_ms": 5}\n'
    events, rejects, _ = read_log(ndjson.SOURCE, written(tmp_path / "a", other + text))
    assert events["duration_ms"].to_list() == [5, None]
    assert rejects.is_empty()


def test_a_german_export_is_read(tmp_path):
    text = "Zeitstempel;Benutzer;rows;duration_ms\n"
    text += "03.11.2026 08:15;Müller;1.234.567;12,5\n03.11.2026 08:15;Zoé;5;1,25\n"
    settings = Settings(
        columns={"timestamp": "Zeitstempel", "account": "Benutzer"}, log_timezone="Europe/Berlin"
    )
    path = written(tmp_path / "a.csv", text.encode("cp1252"))
    (batch,) = csv.SOURCE.read(LocalFile(path), settings, ReaderState())
    assert batch.events["account"].cast(str).to_list() == ["Müller", "Zoé"]
    assert batch.events["rows"].to_list() == [1234567, 5]
    assert batch.events["duration_ms"].to_list() == [12.5, 1.25]
    assert batch.notes == {"not UTF-8, and read as Windows-1252": 2}
