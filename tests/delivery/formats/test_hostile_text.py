"""What a log was made to say, through every format and back through a parser that is not ours."""

import json

import pycef
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from properties import examples
from whole_alerts import (
    HOSTILE,
    alerts,
    hostile,
    in_cef,
    named,
    names_of,
    revealed,
    scrambled,
    whole,
)

from detector import registry
from detector.delivery import syslog_header
from detector.delivery.escaping import escape_hidden, fit_text, join_names
from detector.delivery.formats import cef, leef, rfc5424

LONG = "x" * 50_000 + "é\n\x1b|=]" * 8_000
SEEDED = scrambled(seed=20240206, many=300)
#: Longer than any line format takes of a name, so not in the tests of equal text.
SHORT = [
    text
    for text in [*HOSTILE, *SEEDED]
    if len(cef.escape_value(text).encode()) <= leef.MAX_NAME_BYTES
]
JSONS = sorted(name for name, each in registry.formats().items() if each.is_json)
LINES = sorted(name for name, each in registry.formats().items() if not each.is_json)


def test_no_hostile_name_is_left_out_for_its_length():
    assert set(HOSTILE) <= set(SHORT)
    assert len(SHORT) > len(HOSTILE) + 200


def pairs(text):
    """JSON cannot tell a pair of lone surrogates from the character they make."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


def inside(document):
    """The alert within a document of any of the JSON formats."""
    return document.get("unmapped") or document.get("detector") or document


@pytest.mark.parametrize("name", JSONS)
@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_json_formats_keep_any_text_whole_on_one_ascii_line(name, text):
    alert = hostile(text)
    line = registry.formats()[name].encode(alert)
    assert line.isascii()
    assert not set(line) & {*range(32), 127}
    assert inside(json.loads(line)) == alert


@given(alerts())
def test_json_formats_keep_any_alert(alert):
    for name in JSONS:
        back = inside(json.loads(registry.formats()[name].encode(alert)))
        assert back == json.loads(json.dumps(alert))


@pytest.mark.parametrize("name", ["ocsf", "ecs"])
@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_json_formats_have_the_name_where_a_siem_looks_for_it(name, text):
    document = json.loads(registry.formats()[name].encode(hostile(text)))
    if name == "ecs":
        assert document["user"]["name"] == text
        assert document["related"]["user"] == [text]
    else:
        assert document["evidences"][0]["actor"]["user"]["name"] == text
        assert text in [each["value"] for each in document["observables"]]


@pytest.mark.parametrize("kind", ["account", "object"])
def test_cef_comes_back_equal_from_the_parser_of_rsyslog(kind, lognorm):
    found = lognorm([cef.encode(hostile(text, kind)) for text in SHORT])
    assert len(found) == len(SHORT)
    for text, each in zip(SHORT, found, strict=True):
        fields = each["cef"]["Extensions"]
        assert each["cef"]["SignatureID"] == f"unusual_reading.{kind}"
        assert revealed(fields["suser"]) == text
        assert revealed(fields["cs1"]) == text
        assert names_of(fields["cs4"])[0] == text
        assert names_of(fields["cs5"])[0] == text
        assert fields["cs1Label"] == "entity"
        assert fields["rt"] == "1707120000000"


@settings(max_examples=examples(40))
@given(texts=st.lists(st.text(max_size=60), min_size=20, max_size=60))
def test_any_text_comes_back_equal_from_cef_and_leef(texts, lognorm):
    texts = [text for text in texts if text]
    for text, each in zip(texts, lognorm([cef.encode(hostile(t)) for t in texts]), strict=True):
        assert revealed(each["cef"]["Extensions"]["cs1"]) == text
    records = [leef.encode(hostile(text)) for text in texts]
    for text, each in zip(texts, lognorm(records), strict=True):
        assert revealed(attributes(each)["entity"]) == text


@pytest.mark.parametrize("text", SHORT, ids=ascii)
def test_cef_comes_back_equal_from_pycef(text):
    fields = pycef.parse(cef.encode(hostile(text)).decode())
    # pycef gives custom strings under their labels, and leaves the escapes to the caller.
    assert revealed(in_cef(fields["entity"])) == text
    assert revealed(in_cef(fields["suser"])) == text
    assert fields["incident"] == whole()["incident"]
    assert fields["rt"] == "1707120000000"


def attributes(parsed):
    found = {each["key"]: each["value"] for each in parsed["attributes"]}
    assert len(found) == len(parsed["attributes"])
    return found


@pytest.mark.parametrize("kind", ["account", "group"])
@pytest.mark.parametrize("delimiter", [leef.CARET, leef.TAB])
def test_leef_comes_back_equal(kind, delimiter, lognorm):
    found = lognorm([leef.encode(hostile(text, kind), delimiter) for text in SHORT])
    for text, each in zip(SHORT, found, strict=True):
        own = attributes(each)
        assert revealed(own["usrName"]) == text
        assert revealed(own["entity"]) == text
        assert names_of(own["objects"])[0] == text
        assert own["devTime"] == "2024-02-05T08:00:00.000+0000"
        assert own["reasons"].startswith("first time in four weeks")


@pytest.mark.parametrize("delimiter", leef.DELIMITERS)
def test_leef_with_any_delimiter_has_it_between_attributes_only(delimiter):
    for text in [*SHORT, delimiter, f"a{delimiter}b=c"]:
        record = leef.encode(hostile(text), delimiter).decode()
        *header, rest = record.split("|", 6)
        assert header[-1] in {delimiter, "x09"}
        assert len(header) == 6
        parts = dict(pair.split("=", 1) for pair in rest.split(delimiter))
        assert revealed(parts["entity"]) == text
        assert names_of(parts["objects"])[0] == text


@pytest.mark.parametrize("delimiter", ["|", "=", "\\", "a", "", ",", "\n", "ab"])
def test_leef_refuses_a_delimiter_that_would_break_it(delimiter):
    with pytest.raises(ValueError, match="cannot stand between"):
        leef.encode(whole(), delimiter)


@pytest.mark.parametrize("kind", ["account", "client_address"])
def test_a_syslog_message_comes_back_equal_from_rsyslog(kind, rsyslog):
    found = rsyslog([rfc5424.encode(hostile(text, kind), host="sender") for text in SHORT])
    assert len(found) == len(SHORT)
    for text, each in zip(SHORT, found, strict=True):
        own = each["rfc5424-sd"]["detector@32473"]
        assert revealed(own["entity"]) == text
        assert revealed(own["group"]) == text
        assert names_of(own["accounts"])[0] == text
        assert (each["host"], each["program"], each["msgid"]) == ("sender", "detector", "alert")
        assert each["msg"].startswith("\ufeffmedium: Update: Unusual reading")


@pytest.mark.parametrize("name", ["cef", "leef"])
def test_a_framed_record_comes_back_equal_from_rsyslog(name, rsyslog):
    hostiles = [hostile(text) for text in SHORT]
    records = [registry.formats()[name].encode(alert) for alert in hostiles]
    found = rsyslog([syslog_header.wrap_record(record, alert) for record, alert in
                     zip(records, hostiles, strict=True)])  # fmt: skip
    assert [each["msg"] for each in found] == [record.decode() for record in records]


@pytest.mark.parametrize("name", LINES)
@pytest.mark.parametrize("text", [*HOSTILE, LONG], ids=ascii)
@pytest.mark.parametrize("kind", ["account", "object"])
def test_line_formats_are_one_line_of_utf_8_without_control_characters(name, text, kind):
    record = registry.formats()[name].encode(hostile(text, kind))
    line = record.decode("utf-8")
    assert len(line.splitlines()) == 1
    hidden = {char for char in line if ord(char) < 32 or 127 <= ord(char) < 160}
    assert hidden <= ({"\t"} if name == "leef-tab" else set())
    assert not hidden & {"\u202e", "\u2028", "\u2066"}


@given(alerts())
def test_line_formats_never_exceed_what_receivers_take(alert):
    for name, most in (("cef", 8192), ("leef", 4096), ("leef-tab", 4096), ("rfc5424", 8192)):
        record = registry.formats()[name].encode(alert)
        each = (
            record
            if name == "rfc5424"
            else syslog_header.wrap_record(record, alert, host="h" * 255)
        )
        assert len(each) <= most


@pytest.mark.parametrize("kind", ["account", "client_address", "group", "object"])
@pytest.mark.parametrize(
    "long", [30, 49, 55, 99, 119, 139, 174, 232, 249, 348, 480, 499, 699, 5000]
)
def test_an_alert_of_which_everything_is_long_fits_too(kind, long):
    """Names as long as a list, a half, a third of one, and so on, so that all is filled."""

    def name(number):
        return f"{number}{'x' * (long - 1)}"

    alert = whole(
        entity_kind=kind, entity=name(0), group=name(1), severity="critical",
        related=[f"{number:020x}" for number in range(100)],
        top_objects=named(*map(name, range(2, 7))),
        top_client_addresses=named(*map(name, range(2, 7))),
        top_accounts=named(*map(name, range(2, 7))),
        new_client_addresses=None, reasons=[name(number) for number in range(8)],
        rows=2**53, records_out=2**53, expected_rows=1e12 / 3, statements=2**53,
        surprise=399.123456, techniques=[{"id": f"T1213.{n:03}", "name": "x"} for n in range(4)],
    )  # fmt: skip
    longest = {}
    for form, most in (("cef", 8192), ("leef", 4096), ("leef-tab", 4096), ("rfc5424", 8192)):
        if form == "rfc5424":
            record = rfc5424.encode(alert, host="h" * 255)
        else:
            record = syslog_header.wrap_record(
                registry.formats()[form].encode(alert), alert, host="h" * 255
            )
        longest[form] = len(record)
        assert len(record) <= most, longest


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("\x00" * 100_000, marks=pytest.mark.slow),
        "😀" * 25_000,
        "\\=]" * 40_000,
        LONG,
        pytest.param(" " * 99_999, marks=pytest.mark.slow),
    ],
)
def test_a_hundred_kilobytes_are_cut_and_counted(text, lognorm, rsyslog):
    alert = hostile(text) | {
        "related": ["0123456789abcdef0123"] * 100,
        "top_objects": named(*[text] * 5),
        "top_client_addresses": named(*[text] * 5),
        "reasons": [text] * 6,
    }
    by_name = {
        "cef": lognorm([cef.encode(alert)])[0]["cef"]["Extensions"]["suser"],
        "leef": attributes(lognorm([leef.encode(alert)])[0])["usrName"],
        "rfc5424": rsyslog([rfc5424.encode(alert)])[0]["rfc5424-sd"]["detector@32473"]["entity"],
    }
    for name, value in by_name.items():
        kept, _, left = value.rpartition("...(")
        whole_text = revealed(kept)
        assert text.startswith(whole_text), name
        assert len(whole_text) > 30
        assert left == f"{len(text) - len(whole_text):,} more)"
    assert len(syslog_header.wrap_record(cef.encode(alert), alert)) <= 8192
    assert len(syslog_header.wrap_record(leef.encode(alert), alert)) <= 4096
    assert len(rfc5424.encode(alert)) <= 8192


@given(st.text())
def test_visible_text_is_reversible_and_has_no_hidden_character(text):
    shown = escape_hidden(text, also=",")
    assert revealed(shown) == text
    assert "," not in shown
    assert shown == shown.strip()
    assert "\n" not in shown
    shown.encode("utf-8")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("DOMAIN\\user", "DOMAIN\\user"),
        ("\x1b[2J", "\\u001b[2J"),
        ("\\u001b", "\\u005cu001b"),
        ("é 漢字 😀 👩‍💻", "é 漢字 😀 👩‍💻"),
        ("\U000e0041", "\\U000e0041"),
        ("a b ", "a b\\u0020"),
    ],
)
def test_ordinary_text_is_left_alone(text, shown):
    assert escape_hidden(text) == shown


@given(st.text(max_size=300), st.integers(30, 200))
def test_fitted_text_fits_and_begins_alike(text, most):
    short = fit_text(text, most)
    assert len(short.encode()) <= most
    if short != escape_hidden(text):
        kept, _, left = short.rpartition("...(")
        assert text.startswith(revealed(kept))
        assert left == f"{len(text) - len(revealed(kept))} more)"


@given(st.lists(st.text(min_size=1), max_size=20), st.integers(20, 200))
def test_a_list_fits_and_says_how_many_are_missing(names, most):
    short = join_names(names, most)
    assert len(short.encode()) <= most
    if names and not short.endswith(" more)"):
        assert names_of(short) == names


def test_cutting_takes_a_moment_only():
    """A name of a megabyte must not hold up the alerts of everyone else."""
    steps = 0

    def counting(text):
        nonlocal steps
        steps += 1
        return escape_hidden(text)

    fit_text("\x00 " * 500_000, 500, counting)
    assert steps < 20


def test_lone_surrogates_are_the_same_text_in_json():
    alert = hostile("\ud83d\ude00")
    back = json.loads(registry.formats()["native"].encode(alert))
    assert pairs(back["entity"]) == pairs(alert["entity"]) == "😀"
