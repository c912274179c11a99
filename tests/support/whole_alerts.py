"""Whole alerts for the formats: made up with every key, hostile ones, and any that may be.

And what the formats' escapes stand for, written from docs/formats.md and not from the code.
"""

from __future__ import annotations

import random
import re
from datetime import date
from typing import Any

from hypothesis import strategies as st

KINDS = ("account", "client_address", "group", "object")
SEVERITIES = ("low", "medium", "high", "critical")

#: What a log may be made to say in a name.
HOSTILE = [
    "two\nlines",
    "carriage\r\nreturn",
    "pipes | and || more|",
    "a=b c=d ==",
    '[brackets] ]" x="y"] [',
    "quote \" and ' and `",
    "nul \x00 inside",
    "".join(map(chr, range(32))),
    "".join(map(chr, range(0x7F, 0xA0))),
    "\x1b[2J\x1b]0;title\x07 clears",
    "line\u2028and\u2029paragraph",
    "\u202egnp.exe\u202c \u2066x\u2069 \u200f",
    "emoji 😀 👩‍💻 🏴 and é ß 漢字",
    "tags \U000e0041\U000e007f",
    "=cmd|' /C calc'!A0",
    "+1+1", "-2", "@SUM(A1)", "\t=1",
    "<13>1 2024-01-01T00:00:00Z host app - - - forged",
    "CEF:0|a|b|1|2|forged|10|suser=root",
    "x suser=root rt=0 msg=forged",
    "x\tusrName=root",
    '"} {"id": "forged"}',
    "DOMAIN\\user", "\\", "\\\\", "ends with \\", "\\n not a line", "C:\\new\\u0041\\x",
    "\\u0041 \\U00000041 \\u005c",
    " spaces  around ", "   ", "\u00a0nbsp\u00a0",
    "a,b,,c,", ",",
    "\ud800 lone \udfff", "\ufeffmark", "\ufffe\uffff",
    "é" * 40,
]  # fmt: skip


def scrambled(seed: int, many: int) -> list[str]:
    """Names made of the hostile ones' pieces, the same for the same seed."""
    dice = random.Random(seed)  # noqa: S311 - not for secrets
    pieces = [piece for text in HOSTILE for piece in re.findall(r"\W|\w+", text)]
    return ["".join(dice.choices(pieces, k=dice.randint(1, 12))) for _ in range(many)]


def said(reason: str, by: str = "ann", until: str | None = None) -> dict[str, Any]:
    """A verdict as it stands in a later alert."""
    return {
        "alert": "06aaf9331c5cf099871b",
        "verdict": "confirmed",
        "reason": reason,
        "by": by,
        "until": until,
    }


def whole(**other: Any) -> dict[str, Any]:
    """An alert with every key, of an account unless ``entity_kind`` says otherwise."""
    alert = {
        "id": "0f1ca30eee83bedbbc84",
        "activity": "create",
        "alert": "0f1ca30eee83bedbbc84",
        "began": "2024-02-05T08:00:00Z",
        "triggers": [],
        "incident": "06aaf9331c5cf099871b",
        "related": ["06aaf9331c5cf099871b", "b7e10e280b3f3350a916"],
        "verdicts": [said("stolen password, case 4711")],
        "time": "2024-02-05T08:00:00Z",
        "date": "2024-02-05",
        "entity_kind": "account",
        "entity": "eve",
        "group": "site-1",
        "severity": "medium",
        "techniques": [
            {"id": "T1213.006", "name": "Data from Information Repositories: Databases"},
            {"id": "T1078", "name": "Valid Accounts"},
        ],
        "surprise": 3.197111,
        "threshold": 1.694596,
        "rows": 6068,
        "expected_rows": 180.9,
        "group_largest_rows": 44641,
        "since": "2024-02-04",
        "records_out": 5887,
        "pace": 758.5,
        "table_gone_in_days": 12.5,
        "statements": 24,
        "unknown_rows_statements": 0,
        "top_objects": [{"name": "public.person", "statements": 20, "rows": 6000}],
        "top_client_addresses": [
            {"name": "172.20.7.198", "statements": 83, "rows": 476},
            {"name": "203.0.113.77", "statements": 4, "rows": 90},
        ],
        "top_accounts": [],
        "new_client_addresses": ["203.0.113.77"],
        "new_objects": [],
        "reasons": ["read 6,068 records on 5 Feb 2024; its usual day is 181", "from 2 addresses"],
        "features": {
            "length_vs_own": {"value": 10.881996, "surprise": 12.205813},
            "new_objects": {"value": 0.0, "surprise": 0.0},
            "exports_vs_own": {"value": None, "surprise": 0.0},
        },
        "model": "924829c4dbfef40e",
    }
    return {**alert, **other}


def update(**other: Any) -> dict[str, Any]:
    """News of the episode that ``whole`` opens."""
    told = {
        "id": "51f4a9b7c2d84e0c9a11",
        "activity": "update",
        "alert": "0f1ca30eee83bedbbc84",
        "triggers": ["severity high", "10,000 records out"],
        "time": "2024-02-05T11:00:00Z",
        "severity": "high",
        "related": ["06aaf9331c5cf099871b", "b7e10e280b3f3350a916", "0f1ca30eee83bedbbc84"],
    }
    return {**whole(), **told, **other}


def named(*names: str) -> list[dict[str, Any]]:
    return [{"name": name, "statements": 1, "rows": 2} for name in names]


def hostile(text: str, kind: str = "account") -> dict[str, Any]:
    """``text`` in every field that a log, or who gives a verdict, can fill."""
    return whole(
        verdicts=[said(text, by=text)],
        entity_kind=kind,
        entity=text,
        group=text,
        top_objects=named(text, "plain") if kind in {"account", "group"} else [],
        top_client_addresses=named(text, "plain") if kind in {"account", "group"} else [],
        top_accounts=[] if kind == "account" else named(text, "plain"),
        activity="update",
        triggers=[f"new: {text}", text],
        new_client_addresses=[text] if kind == "account" else None,
        new_objects=[text] if kind == "account" else None,
        reasons=[f"first time in four weeks from {text}", text],
    )


_names = st.text(max_size=60) | st.sampled_from(HOSTILE) | st.ip_addresses().map(str)
_counts = st.integers(0, 2**53)
_sizes = st.floats(0, 1e12)
_some = st.lists(
    st.builds(lambda n, s, r: {"name": n, "statements": s, "rows": r}, _names, _counts, _counts),
    max_size=5,
)
_ends = st.none() | st.dates().map(str)
_ids = st.from_regex(r"[0-9a-f]{20}", fullmatch=True)


@st.composite
def alerts(draw: st.DrawFn) -> dict[str, Any]:
    """Any alert with the keys and types of docs/alerts.md."""
    kind = draw(st.sampled_from(KINDS))
    day = draw(st.dates(min_value=date(2000, 1, 2), max_value=date(2100, 1, 1)))
    since = draw(st.dates(min_value=date(2000, 1, 1), max_value=day))
    return whole(
        id=draw(_ids),
        activity=draw(st.sampled_from(["create", "update", "close"])),
        alert=draw(_ids),
        triggers=draw(st.lists(_names, max_size=6)),
        incident=draw(_ids),
        related=draw(st.lists(_ids, max_size=100)),
        verdicts=draw(st.lists(st.builds(said, _names, _names, _ends), max_size=10)),
        time=f"{day}T{draw(st.integers(0, 23)):02}:00:00Z",
        date=str(day),
        since=str(since),
        entity_kind=kind,
        entity=draw(_names),
        group=draw(_names),
        severity=draw(st.sampled_from(SEVERITIES)),
        techniques=draw(st.sampled_from([[], whole()["techniques"], [{"id": "T9", "name": "x"}]])),
        surprise=draw(st.floats(0, 400)),
        threshold=draw(st.floats(0, 10)),
        rows=draw(_counts),
        expected_rows=draw(_sizes),
        group_largest_rows=draw(st.none() | _counts),
        records_out=draw(_counts),
        table_gone_in_days=draw(st.none() | _sizes),
        statements=draw(st.none() | _counts),
        unknown_rows_statements=draw(st.none() | _counts),
        top_objects=draw(_some),
        top_client_addresses=draw(_some),
        top_accounts=draw(_some),
        new_client_addresses=draw(st.none() | st.lists(_names, max_size=40)),
        new_objects=draw(st.none() | st.lists(_names, max_size=40)),
        reasons=draw(st.lists(st.text(max_size=200), min_size=1, max_size=6)),
    )


def revealed(text: str) -> str:
    r"""What ``\uXXXX`` and ``\UXXXXXXXX`` stand for, from left to right."""
    return re.sub(
        r"\\u([0-9a-f]{4})|\\U([0-9a-f]{8})",
        lambda found: chr(int(found.group(1) or found.group(2), 16)),
        text,
    )


def names_of(listed: str) -> list[str]:
    """Names of a list, which stand between commas."""
    return [revealed(name) for name in listed.split(",")]


def in_cef(value: str) -> str:
    """What an extension's raw value stands for: CEF's own escapes."""
    return re.sub(
        r"\\(.)", lambda found: {"n": "\n", "r": "\r"}.get(found.group(1), found.group(1)), value
    )
