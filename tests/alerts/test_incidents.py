"""Which alerts are one incident, and which are not."""

import itertools

import numpy as np
from alerts_made_up import made, named

from detector.alerts.incidents import MAX_RELATED, join


def together(*alerts):
    """The incidents as sets of entities."""
    _, found = join(list(alerts))
    return sorted(sorted(name for _, name in incident.entities) for incident in found)


def test_an_alert_alone_is_its_own_incident():
    (alert,), (incident,) = join([made("eve")])
    assert alert["incident"] == alert["id"] == incident.id
    assert alert["related"] == []


def test_days_of_one_entity_are_one_incident_up_to_two_weeks_apart():
    assert len(join([made("eve"), made("eve", 14), made("eve", 28)])[1]) == 1
    assert len(join([made("eve"), made("eve", 15)])[1]) == 2


def test_an_account_and_its_address_that_alerted_are_one():
    eve = made("eve", top_client_addresses=named("10.0.0.1"))
    address = made("10.0.0.1", kind="client_address")
    assert together(eve, address) == [["10.0.0.1", "eve"]]
    other = made("10.0.0.2", kind="client_address")
    assert together(eve, other) == [["10.0.0.2"], ["eve"]]


def test_a_later_account_joins_an_address_that_alerted_in_the_week_before():
    address = made("10.0.0.1", kind="client_address")
    assert len(together(address, made("eve", 7, top_client_addresses=named("10.0.0.1")))) == 1
    assert len(together(address, made("eve", 8, top_client_addresses=named("10.0.0.1")))) == 2


def test_an_address_joins_accounts_before_it_only_where_it_names_them():
    eve = made("eve", top_client_addresses=named("vpn"))
    silent = made("vpn", 2, "client_address", top_accounts=named("bob"))
    naming = made("vpn", 2, "client_address", top_accounts=named("bob", "eve"))
    assert len(together(eve, silent)) == 2
    assert len(together(eve, naming)) == 1


def test_a_shared_address_or_table_that_did_not_alert_joins_nothing():
    same = {"top_client_addresses": named("vpn"), "top_objects": named("public.person")}
    assert together(made("eve", **same), made("bob", **same)) == [["bob"], ["eve"]]


def test_a_table_joins_only_an_account_it_names_and_that_took_most_from_it():
    table = made("public.person", kind="object", top_accounts=named("eve", "ann"))
    eve = made("eve", top_objects=named("public.person", "public.note"))
    reader = made("bob", 1, top_objects=named("public.person"))
    aside = made("ann", top_objects=named("public.note", "public.person"))
    assert together(table, eve, reader, aside) == [["ann"], ["bob"], ["eve", "public.person"]]


def test_a_group_joins_its_members_and_no_others():
    group = made("site-1", kind="group")
    assert together(group, made("eve", 1, group="site-1"), made("bob", 1, group="site-2")) == [
        ["bob"],
        ["eve", "site-1"],
    ]


def test_names_of_one_kind_are_not_taken_for_another():
    assert len(together(made("x", kind="object"), made("x", kind="client_address"))) == 2
    assert len(together(made("x", group="x"), made("x", kind="object"))) == 2


def test_a_crowd_from_one_address_is_one_incident_of_the_first_alert():
    crowd = [made(f"a{n}", hour=n, top_client_addresses=named("1.2.3.4")) for n in range(10)]
    alerts, (incident,) = join([*crowd, made("1.2.3.4", kind="client_address")])
    assert len(incident.alerts) == 11
    assert incident.id == crowd[0]["id"]
    assert alerts[-1]["incident"] == incident.id
    assert set(alerts[-1]["related"]) == {each["id"] for each in crowd}
    # What rang before the address did is not rewritten.
    assert [alert["related"] for alert in alerts[:-1]] == [[]] * 10


def mixed():
    rng = np.random.default_rng(3)
    alerts = []
    for day, who in itertools.product(range(0, 40, 2), range(12)):
        if rng.random() < 0.3:
            alerts.append(
                made(f"a{who}", day, group=f"g{who % 4}", hour=int(rng.integers(24)),
                     top_client_addresses=named(f"ip{rng.integers(6)}"),
                     top_objects=named(f"t{rng.integers(3)}"))
            )  # fmt: skip
        for kind, name in (("client_address", "ip"), ("object", "t"), ("group", "g")):
            if rng.random() < 0.03:
                alerts.append(
                    made(f"{name}{who % 4}", day, kind, top_accounts=named(f"a{who}", "a1"))
                )
    unique = {alert["id"]: alert for alert in alerts}
    return list(unique.values())


def test_the_order_in_which_alerts_come_in_changes_nothing():
    alerts = mixed()
    wanted = join(alerts)
    shuffled = [alerts[at] for at in np.random.default_rng(1).permutation(len(alerts))]
    assert join(shuffled) == wanted


def test_what_was_raised_is_never_rewritten_by_what_follows():
    whole, incidents = join(mixed())
    assert 3 < len(incidents) < len(whole)
    for end in range(len(whole)):
        assert join(whole[:end])[0] == whole[:end]


def test_every_alert_stands_in_one_incident_and_names_only_earlier_ones():
    alerts, incidents = join(mixed())
    told = [alert["id"] for incident in incidents for alert in incident.alerts]
    assert sorted(told) == sorted(alert["id"] for alert in alerts)
    of = {alert["id"]: incident for incident in incidents for alert in incident.alerts}
    for at, alert in enumerate(alerts):
        earlier = {other["id"] for other in alerts[:at]}
        assert set(alert["related"]) <= earlier
        assert {id(of[other]) for other in alert["related"]} <= {id(of[alert["id"]])}


def test_incidents_come_oddest_first_with_their_worst_severity():
    _, found = join([made("ann", surprise=2.0, severity="high"), made("eve", surprise=9.0),
                     made("ann", 3, surprise=3.0)])  # fmt: skip
    assert [incident.surprise for incident in found] == [9.0, 3.0]
    assert [incident.severity for incident in found] == ["low", "high"]


def test_records_out_count_a_run_once_and_accounts_together():
    eve = made("eve", records_out=1_000, group="site-1")
    worse = made("eve", 2, records_out=60_000, since=eve["date"], group="site-1")
    again = made("eve", 12, records_out=500, group="site-1")
    _, (incident,) = join([eve, worse, again])
    assert incident.records_out == 60_500
    assert incident.severity == "high"
    bob = made("bob", 2, records_out=100, group="site-1")
    group = made("site-1", kind="group", records_out=2_000)
    assert join([eve, worse, bob, group])[1][0].records_out == 60_100
    assert join([eve, bob, {**group, "records_out": 10**6}])[1][0].records_out == 10**6


def test_a_long_incident_names_its_latest_alerts_only():
    alerts, _ = join([made("eve", day) for day in range(MAX_RELATED + 20)])
    assert alerts[-1]["related"] == [alert["id"] for alert in alerts[-MAX_RELATED - 1 : -1]]


def test_an_incident_as_json_has_its_story():
    databases = {"id": "T1213.006", "name": "Data from Information Repositories: Databases"}
    _, (incident,) = join([made("eve", techniques=[databases], reasons=["first"]),
                           made("eve", 1, techniques=[databases], reasons=["second"])])  # fmt: skip
    told = incident.to_dict()
    assert told["reasons"] == ["first"]
    assert told["techniques"] == [databases]
    assert told["entities"] == [{"entity_kind": "account", "entity": "eve", "group": "agency"}]
    assert (told["first_time"], told["last_time"]) == (
        "2024-02-05T12:00:00Z",
        "2024-02-06T12:00:00Z",
    )
    assert len(told["alerts"]) == 2
