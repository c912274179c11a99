"""What ``score`` shows of incidents and ``train`` of groups, also where names are hostile."""

import json
from datetime import datetime

import polars as pl
from alerts_made_up import made, model, named

from detector.alerts.incidents import join
from detector.cli.commands import score, train
from detector.core import schema

EVIL = "\x1b[2J\x07[bold]evil[/bold]\u202e\n9. admin"


def scores(*rows):
    frame = pl.DataFrame(
        [
            {
                "date": datetime.fromisoformat(alert["time"]).date(),
                "time": datetime.fromisoformat(alert["time"]),
                "entity_kind": alert["entity_kind"],
                "entity": alert["entity"],
                "rows": alert["rows"],
            }
            for alert in rows
        ]
    )
    return pl.concat([schema.empty(schema.SCORES), frame], how="diagonal_relaxed")


def shown(capsys, *alerts):
    score._print_incidents(scores(*alerts), join(list(alerts))[1])
    return capsys.readouterr().err


def test_an_incident_is_one_block_with_its_entities_and_reasons(capsys):
    eve = made("eve", group="site", surprise=9.0, top_client_addresses=named("10.0.0.1"))
    text = shown(
        capsys,
        eve,
        made("10.0.0.1", kind="client_address", records_out=700),
        made(
            "eve", 3, group="site", since=eve["date"], records_out=1_400, reasons=["not the first"]
        ),
        made("bob", reasons=["read a lot"]),
    )
    first, second = text.split(" 2. ")
    assert "2 incidents, oddest first" in first
    assert "1. eve (site), client address 10.0.0.1: severity medium, 3 alerts" in first
    assert "first 2024-02-05 12:00 UTC" in first
    assert "400 records above the usual out by then, 1,400 by its last alert" in first
    assert "1,000 read since that day" in first
    assert "read 500 records" in first
    assert "not the first" not in text
    assert second.startswith("bob (agency)")
    assert "read a lot" in second


def test_many_entities_are_counted_and_not_all_shown(capsys):
    crowd = [made(f"a{n}", hour=n, top_client_addresses=named("1.2.3.4")) for n in range(8)]
    text = shown(capsys, *crowd, made("1.2.3.4", kind="client_address"))
    assert "1 incident, oddest first" in text
    assert "a4 (agency) and 4 more: severity" in text


def test_hostile_names_reach_no_terminal_and_break_no_line(capsys):
    evil = made(EVIL, group=EVIL, reasons=[f"from {EVIL}"], top_client_addresses=named(EVIL))
    text = shown(capsys, evil, made(EVIL, kind="client_address", top_accounts=named(EVIL)))
    assert "evil" in text
    assert not any(char in text for char in "\x1b\x07\u202e")
    assert "\n9. admin" not in text
    whole = json.dumps([incident.to_dict() for incident in join([evil])[1]])
    assert json.loads(whole)[0]["entities"][0]["entity"] == EVIL
    assert whole.isascii()


def learned(sizes, contaminated=()):
    names = [name for name, size in sizes.items() for _ in range(size)]
    groups = pl.DataFrame({"account": [f"a{n}" for n in range(len(names))], "group": names})
    return model(pl.DataFrame(), groups, contaminated)


def test_learned_groups_are_shown_most_members_first(capsys):
    train._print_groups(learned({"small": 5, "b": 7, "a": 7}))
    lines = capsys.readouterr().err.splitlines()
    assert [line.strip() for line in lines[1:]] == [
        "7 accounts a", "7 accounts b", "5 accounts small",
    ]  # fmt: skip
    assert "no directory" in lines[0]


def test_of_many_groups_and_accounts_ten_are_shown(capsys):
    many = learned({f"g{n:02}": 40 - n for n in range(12)}, tuple(f"c{n:02}" for n in range(13)))
    train._print_groups(many)
    train._print_contaminated(many)
    text = capsys.readouterr().err
    assert "the first 10 of 12" in text
    assert "g09" in text
    assert "g10" not in text
    assert "13 baselines may include a theft" in text
    assert "c09 and 3 more" in text
    assert "c10" not in text


def test_clean_baselines_are_not_mentioned_and_hostile_names_are_escaped(capsys):
    train._print_contaminated(learned({"g": 5}))
    assert capsys.readouterr().err == ""
    evil = learned({EVIL: 5}, (EVIL,))
    train._print_groups(evil)
    train._print_contaminated(evil)
    text = capsys.readouterr().err
    assert text.count("evil") == 2
    assert not any(char in text for char in "\x1b\x07\u202e")
