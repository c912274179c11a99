"""The worst alert that can be built fits what receivers take whole, and says what was cut."""

from __future__ import annotations

import json
import time

import pytest
from whole_alerts import HOSTILE, KINDS, said, whole

from detector import registry
from detector.delivery import syslog_header, truncation

LONG = "".join(HOSTILE) * 40
MANY = 10_000
FORMATS = registry.formats()


def worst(kind: str = "account", text: str = LONG, many: int = MANY) -> dict:
    """Long names in long lists under every key that has them."""
    names = [f"{text[:300]}{number}" for number in range(many)]
    listed = [{"name": name, "statements": 2**62, "rows": 2**62} for name in names]
    return whole(
        entity_kind=kind,
        entity=text,
        group=text,
        related=[f"{number:020x}" for number in range(many)],
        verdicts=[said(text, by=text) for _ in range(100)],
        techniques=[{"id": f"T{number}", "name": text} for number in range(100)],
        top_objects=listed,
        top_client_addresses=listed,
        top_accounts=listed,
        new_objects=names,
        new_client_addresses=names,
        reasons=[text] * 200,
        features={f"feature_{n}": {"value": 1e300 / 3, "surprise": n / 7} for n in range(500)},
        rows=2**62,
        records_out=2**62,
        statements=2**62,
    )


TEXTS = [LONG, "x" * 50_000, "\U0001f600" * 20_000, "\x00" * 9000]


@pytest.mark.parametrize(
    ("kind", "text"),
    [*((kind, LONG) for kind in KINDS), *(("account", text) for text in TEXTS[1:])],
)
@pytest.mark.parametrize("name", FORMATS)
def test_the_worst_alert_fits(name: str, kind: str, text: str) -> None:
    form = FORMATS[name]
    alert = worst(kind, text, 2000)
    begun = time.process_time()
    record = form.encode(alert)
    assert time.process_time() - begun < 5.0
    limit = truncation.JSON_BYTES if form.is_json else truncation.SYSLOG_BYTES
    if name.startswith("leef"):
        limit = truncation.UDP_BYTES
    header = (
        0
        if form.is_json or form.is_syslog
        else len(syslog_header.wrap_record(b"", whole(), host="h" * 255))
    )
    assert len(record) + header <= limit
    assert b"\n" not in record
    assert b"more)" in record


def test_what_is_cut_says_how_many_there_were() -> None:
    told = json.loads(FORMATS["native"].encode(worst()))
    assert told["cut"]["new_objects"] == MANY == told["cut"]["top_objects"]
    assert told["cut"]["features"] == 500
    assert told["cut"]["entity"] == len(LONG)
    ecs = json.loads(FORMATS["ecs"].encode(worst()))
    assert ecs["detector"]["cut"] == told["cut"] or ecs["detector"]["cut"]["related"] == MANY
    ocsf = json.loads(FORMATS["ocsf"].encode(worst()))
    assert ocsf["unmapped"]["cut"]["related"] == MANY


def test_the_strongest_come_first() -> None:
    names = [f"table {number:05}" for number in range(MANY)]
    top = [{"name": name, "statements": 1, "rows": 9} for name in names[:-4:-1]]
    told = truncation.apply_limits(whole(new_objects=names, top_objects=top, related=names))
    assert told["new_objects"][:4] == [*names[:-4:-1], names[0]]
    assert told["related"][-1] == names[-1]
    few = truncation.apply_limits(
        whole(
            features={
                n: {"value": 1.0, "surprise": s} for n, s in (("a", 1), ("b", 3), ("c", None))
            }
        ),
        truncation.Limits(9, 9999, 1),
    )
    assert list(few["features"]) == ["b"]


def test_an_alert_that_fits_is_not_touched() -> None:
    alert = whole()
    assert truncation.apply_limits(alert) is alert
    assert json.loads(FORMATS["native"].encode(alert)) == alert


@pytest.mark.parametrize("number", [2**53 + 1, 2**63 - 1])
@pytest.mark.parametrize("name", FORMATS)
def test_whole_numbers_are_exact(name: str, number: int) -> None:
    record = FORMATS[name].encode(whole(rows=number, records_out=number)).decode()
    assert record.count(str(number)) >= 2
    assert f"{number:e}" not in record
