"""The outbox keeps what it was given, and sends it in order, at least once, to each sink."""

from __future__ import annotations

import random
import sqlite3
import threading
import time
from itertools import combinations

import pytest
from delivery_made_up import Scripted, down, made
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.core.errors import OutboxError, StateError
from detector.delivery.outbox import admin, backoff
from detector.delivery.outbox.scheduler import LOCK, DeliveryTimeout, deliver
from detector.delivery.outbox.store import ALTERED_MESSAGE, RETENTION_DAYS, Outbox
from detector.delivery.sink import Deferral, Delivery, Refusal, repeat_outcome
from detector.watch.state import State

ONCE = DeliveryTimeout(60)


def taken(items):
    return repeat_outcome(items, Delivery())


def put(folder, alerts, *names):
    with Outbox.open(folder, names or ("scripted",)) as box:
        return box.put(alerts, {})


def wanted(alerts):
    return [alert["id"] for alert in alerts]


def flat(sink):
    return [each for batch in sink.got for each in batch]


def due_now(folder):
    """As if time had passed: nothing waits for its next try any more."""
    with Outbox.open(folder) as box, box.transaction() as rows:
        rows.execute("UPDATE sinks SET next_try = 0.0")
        rows.execute("UPDATE deliveries SET next_try = 0.0")


def test_alerts_arrive_once_and_in_order(tmp_path):
    alerts = [made(n) for n in range(25)]
    put(tmp_path, alerts)
    sink = Scripted(taken)
    (report,) = deliver(tmp_path, [sink.route()], ONCE)
    assert (report.delivered, report.waiting, report.aside) == (25, 0, 0)
    assert flat(sink) == wanted(alerts)
    deliver(tmp_path, [sink.route()], ONCE)
    assert len(flat(sink)) == 25


def test_the_same_id_put_twice_is_one_entry_as_it_was_first_raised(tmp_path):
    assert put(tmp_path, [made(1, rows=5)]) == 1
    assert put(tmp_path, [made(1, rows=9), made(2)]) == 1
    with Outbox.open(tmp_path) as box:
        entries = box.next_batch("scripted", 10, 0.0, apart=False)
    assert [(entry.alert["id"], entry.alert["rows"]) for entry in entries] == [
        (made(1)["id"], 5),
        (made(2)["id"], 2),
    ]


def test_alerts_and_progress_are_kept_together_or_not_at_all(tmp_path):
    with Outbox.open(tmp_path, ["scripted"]) as box:
        box.put([made(1)], {"scored": "2024-02-05"})
        broken = made(2) | {"rows": object()}
        with pytest.raises(TypeError):
            box.put([made(3), broken], {"scored": "2024-02-06"})
        assert box.progress() == {"scored": "2024-02-05"}
    sink = Scripted(taken)
    deliver(tmp_path, [sink.route()], ONCE)
    assert flat(sink) == [made(1)["id"]]


def test_a_sink_that_came_later_gets_what_is_put_from_then_on(tmp_path):
    put(tmp_path, [made(1)], "first")
    put(tmp_path, [made(2)], "first", "second")
    first, second = Scripted(taken), Scripted(taken)
    deliver(tmp_path, [first.route("first"), second.route("second")], ONCE)
    assert flat(first) == wanted([made(1), made(2)])
    assert flat(second) == wanted([made(2)])


def test_a_sink_that_came_later_gets_an_old_alert_when_it_is_put_again(tmp_path):
    put(tmp_path, [made(1)], "first")
    put(tmp_path, [made(1)], "first", "second")
    first, second = Scripted(taken), Scripted(taken)
    deliver(tmp_path, [first.route("first"), second.route("second")], ONCE)
    assert flat(first) == flat(second) == wanted([made(1)])


def test_one_dead_sink_holds_back_no_other(tmp_path):
    put(tmp_path, [made(n) for n in range(5)], "dead", "alive")
    dead, alive = Scripted(down), Scripted(taken)
    reports = deliver(tmp_path, [dead.route("dead"), alive.route("alive")], ONCE)
    assert [(each.name, each.delivered, each.waiting) for each in reports] == [
        ("dead", 0, 5),
        ("alive", 5, 0),
    ]
    assert reports[0].words == "Connection refused"


def test_even_a_sink_with_a_defect_holds_back_no_other(tmp_path):
    put(tmp_path, [made(n) for n in range(5)], "broken", "alive")

    def defect(_items):
        raise ZeroDivisionError

    alive = Scripted(taken)
    with pytest.raises(ZeroDivisionError):
        deliver(tmp_path, [Scripted(defect).route("broken"), alive.route("alive")], ONCE)
    assert len(flat(alive)) == 5


def test_a_sink_that_failed_is_left_alone_until_its_time(tmp_path):
    put(tmp_path, [made(1)])
    calls = []

    def failing(items):
        calls.append(len(items))
        return repeat_outcome(items, Deferral("HTTP 429", 300.0))

    sink = Scripted(failing)
    (report,) = deliver(tmp_path, [sink.route()], ONCE)
    with Outbox.open(tmp_path) as box:
        state = box.state("scripted")
    assert report.next_try == state.next_try
    assert state.attempts == 1
    deliver(tmp_path, [sink.route()], ONCE)
    assert len(calls) == 1
    due_now(tmp_path)
    deliver(tmp_path, [sink.route()], ONCE)
    assert len(calls) == 2
    with Outbox.open(tmp_path) as box:
        assert box.state("scripted").attempts == 2


def test_success_forgets_the_failures(tmp_path):
    put(tmp_path, [made(1)])
    deliver(tmp_path, [Scripted(down).route()], ONCE)
    due_now(tmp_path)
    deliver(tmp_path, [Scripted(taken).route()], ONCE)
    with Outbox.open(tmp_path) as box:
        assert box.state("scripted").attempts == 0


def test_waiting_goes_on_until_the_sink_takes_them(tmp_path, monkeypatch):
    monkeypatch.setattr(backoff, "FIRST_PAUSE", 0.01)
    put(tmp_path, [made(1)])
    failures = iter(range(3))

    def recovering(items):
        return (
            repeat_outcome(items, Deferral("busy"))
            if next(failures, None) is not None
            else taken(items)
        )

    sink = Scripted(recovering)
    (report,) = deliver(tmp_path, [sink.route()], DeliveryTimeout(60, waits_for_retries=True))
    assert (report.delivered, report.waiting) == (1, 0)


def test_a_poison_alert_is_set_aside_with_the_server_s_words_and_the_rest_goes_on(tmp_path):
    alerts = [made(n) for n in range(30)]
    poison = alerts[17]["id"]
    put(tmp_path, alerts)

    def as_a_whole(items):
        if any(each.alert["id"] == poison for each in items):
            return repeat_outcome(items, Refusal("HTTP 400: field [entity] is odd"))
        return taken(items)

    sink = Scripted(as_a_whole)
    for _ in range(3):
        (report,) = deliver(tmp_path, [sink.route(refusals=3)], ONCE)
        due_now(tmp_path)
    assert (report.waiting, report.aside) == (0, 1)
    arrived = [each for batch in sink.got for each in batch if poison not in batch]
    assert arrived == [each for each in wanted(alerts) if each != poison]
    with Outbox.open(tmp_path) as box:
        (aside,) = admin.dead_letters(box)
    assert (aside.id, aside.words) == (poison, "HTTP 400: field [entity] is odd")
    assert aside.refusals == 3


def test_an_alert_that_is_refused_holds_back_its_entity_until_it_is_set_aside(tmp_path):
    first, second, other = made(1, "eve"), made(2, "eve"), made(3, "bob")
    put(tmp_path, [first, second, other])

    def each_alone(items):
        return [Refusal("no") if each.alert["id"] == first["id"] else Delivery() for each in items]

    sink = Scripted(each_alone, apart=True)
    deliver(tmp_path, [sink.route(refusals=2)], ONCE)
    assert flat(sink) == wanted([first, other])
    due_now(tmp_path)
    deliver(tmp_path, [sink.route(refusals=2)], ONCE)
    assert flat(sink)[2:] == wanted([first, second])


def test_where_each_arrives_by_itself_no_batch_has_two_of_one_entity(tmp_path):
    alerts = [made(n, f"account {n % 3}") for n in range(9)]
    put(tmp_path, alerts)
    sink = Scripted(taken, apart=True)
    deliver(tmp_path, [sink.route()], ONCE)
    assert sink.got == [wanted(alerts[0:3]), wanted(alerts[3:6]), wanted(alerts[6:9])]


def test_retry_lets_it_be_tried_at_once_and_drop_gives_it_up(tmp_path):
    alerts = [made(1), made(2)]
    put(tmp_path, alerts)
    refusing = Scripted(lambda items: repeat_outcome(items, Refusal("no")), batch=1)
    deliver(tmp_path, [refusing.route(refusals=1)], ONCE)
    with Outbox.open(tmp_path) as box:
        assert len(admin.dead_letters(box)) == 2
        assert admin.drop(box, [alerts[0]["id"]], None) == 1
        assert admin.retry(box, [], "another") == 0
        assert admin.retry(box, [], "scripted") == 1
    sink = Scripted(taken)
    (report,) = deliver(tmp_path, [sink.route()], ONCE)
    assert flat(sink) == [alerts[1]["id"]]
    assert (report.waiting, report.aside) == (0, 0)


def test_what_is_not_severe_enough_is_not_sent(tmp_path):
    alerts = [
        made(n, severity=name) for n, name in enumerate(("low", "medium", "high", "critical"))
    ]
    put(tmp_path, alerts)
    sink = Scripted(taken)
    (report,) = deliver(tmp_path, [sink.route(minimum_severity="high")], ONCE)
    assert flat(sink) == wanted(alerts[2:])
    assert report.waiting == 0


def test_two_processes_do_not_deliver_at_once(tmp_path):
    import fcntl

    put(tmp_path, [made(1)])
    sink = Scripted(taken)
    with (tmp_path / LOCK).open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert deliver(tmp_path, [sink.route()], ONCE) is None
    assert sink.got == []
    assert deliver(tmp_path, [sink.route()], ONCE) is not None


def aged(folder, days, *tables):
    """As if so many days had passed since what the tables say."""
    columns = {"alerts": "put_at", "deliveries": "settled_at"}
    with Outbox.open(folder) as box, box.transaction() as rows:
        for table in tables:
            change = f"UPDATE {table} SET {columns[table]} = {columns[table]} - ?"
            rows.execute(change, (days * 86_400,))


def remembered(folder):
    """Of each alert, whether the outbox still has its text after it was pruned."""
    with Outbox.open(folder) as box:
        box.prune()
        with box.transaction() as rows:
            return [bool(body) for (body,) in rows.execute("SELECT body FROM alerts ORDER BY seq")]


def test_the_text_of_old_alerts_is_forgotten_but_not_that_they_were_sent(tmp_path):
    put(tmp_path, [made(1), made(2)], "scripted", "dead")
    deliver(tmp_path, [Scripted(taken).route()], ONCE)
    with Outbox.open(tmp_path) as box:
        admin.drop(box, [made(1)["id"]], "dead")
    aged(tmp_path, RETENTION_DAYS + 1, "alerts", "deliveries")
    assert remembered(tmp_path) == [False, True]
    assert put(tmp_path, [made(1)]) == 0
    sink = Scripted(taken)
    deliver(tmp_path, [sink.route()], ONCE)
    assert sink.got == []


@pytest.mark.parametrize("way", ["delivered", "below", "dropped"])
def test_the_days_until_its_text_is_forgotten_count_from_when_the_last_sink_settled_it(
    tmp_path, way
):
    """A sink that was down for two months settles what was put before them."""
    put(tmp_path, [made(1, severity="low")], "scripted", "late")
    deliver(tmp_path, [Scripted(taken).route()], ONCE)
    aged(tmp_path, 2 * RETENTION_DAYS, "alerts", "deliveries")
    assert remembered(tmp_path) == [True]
    if way == "dropped":
        with Outbox.open(tmp_path) as box:
            assert admin.drop(box, [], "late") == 1
    else:
        least = {"minimum_severity": "high"} if way == "below" else {}
        deliver(tmp_path, [Scripted(taken).route("late", **least)], ONCE)
    assert remembered(tmp_path) == [True]
    aged(tmp_path, RETENTION_DAYS - 0.1, "deliveries")
    assert remembered(tmp_path) == [True]
    aged(tmp_path, 0.2, "deliveries")
    assert remembered(tmp_path) == [False]


def test_the_text_of_a_dead_letter_is_never_forgotten(tmp_path):
    """A person may try it again years later, and needs to read what was refused."""
    put(tmp_path, [made(1), made(2)])
    first = made(1)["id"]

    def picky(items):
        return [Refusal("no") if each.alert["id"] == first else Delivery() for each in items]

    deliver(tmp_path, [Scripted(picky).route(refusals=1)], ONCE)
    aged(tmp_path, 900, "alerts", "deliveries")
    assert remembered(tmp_path) == [True, False]
    with Outbox.open(tmp_path) as box:
        assert [each.id for each in admin.dead_letters(box)] == [first]
        assert admin.retry(box, [first], None) == 1
    sink = Scripted(taken)
    deliver(tmp_path, [sink.route()], ONCE)
    assert flat(sink) == [first]
    assert remembered(tmp_path) == [True, False]


def test_a_batch_of_which_some_arrived_begins_the_pauses_anew(tmp_path):
    """A sink that takes some is up: it is asked again soon, however long it failed before."""
    put(tmp_path, [made(n) for n in range(4)])
    busy = Scripted(lambda items: repeat_outcome(items, Deferral("busy")))
    for attempts in (1, 2, 3, 4):
        deliver(tmp_path, [busy.route()], ONCE)
        due_now(tmp_path)
        with Outbox.open(tmp_path) as box:
            assert box.state("scripted").attempts == attempts
    before = time.time()
    half = Scripted(lambda items: [Delivery(), *repeat_outcome(items[1:], Deferral("busy"))])
    (report,) = deliver(tmp_path, [half.route()], ONCE)
    assert (report.delivered, report.waiting) == (1, 3)
    with Outbox.open(tmp_path) as box:
        state = box.state("scripted")
    assert state.attempts == 1
    assert state.next_try - before < backoff.FIRST_PAUSE + 60
    assert state.next_try > before + backoff.FIRST_PAUSE / 2


def test_what_is_retried_by_hand_has_all_its_refusals_again(tmp_path):
    put(tmp_path, [made(1)])
    refusing = Scripted(lambda items: repeat_outcome(items, Refusal("no")))
    for _ in range(2):
        deliver(tmp_path, [refusing.route(refusals=2)], ONCE)
        due_now(tmp_path)
    with Outbox.open(tmp_path) as box:
        assert [each.refusals for each in admin.dead_letters(box)] == [2]
        admin.retry(box, [], None)
    (report,) = deliver(tmp_path, [refusing.route(refusals=2)], ONCE)
    assert (report.waiting, report.aside) == (1, 0)
    due_now(tmp_path)
    (report,) = deliver(tmp_path, [refusing.route(refusals=2)], ONCE)
    assert (report.waiting, report.aside) == (0, 1)


@pytest.mark.parametrize(
    "change",
    [
        "body = replace(body, '\"rows\": 1', '\"rows\": 7')",
        "body = ''",
        "body = 'no json'",
        "severity = 'low', digest = ''",
        'entity = \'["account", "nobody"]\'',
    ],
)
def test_an_alert_that_was_altered_on_disk_is_named_and_not_sent_and_others_are(tmp_path, change):
    put(tmp_path, [made(1), made(2)])
    with Outbox.open(tmp_path) as box, box.transaction() as rows:
        rows.execute(f"UPDATE alerts SET {change} WHERE id = ?", (made(1)["id"],))
    sink = Scripted(taken)
    (report,) = deliver(tmp_path, [sink.route()], ONCE)
    assert flat(sink) == [made(2)["id"]]
    assert (report.delivered, report.waiting, report.aside) == (1, 0, 1)
    with Outbox.open(tmp_path) as box:
        assert [(each.id, each.words) for each in admin.dead_letters(box)] == [
            (made(1)["id"], ALTERED_MESSAGE)
        ]
        with pytest.raises(OutboxError, match=f"alert {made(1)['id']} was altered"):
            box.alerts()


def test_an_outbox_of_before_alerts_had_digests_is_taken_over(tmp_path):
    put(tmp_path, [made(1), made(2)])
    with Outbox.open(tmp_path) as box, box.transaction() as rows:
        rows.execute("UPDATE alerts SET body = '' WHERE id = ?", (made(2)["id"],))
        rows.execute("ALTER TABLE alerts DROP COLUMN digest")
        rows.execute("ALTER TABLE deliveries DROP COLUMN settled_at")
        rows.execute("PRAGMA user_version = 1")
    with Outbox.open(tmp_path) as box:
        assert [alert["id"] for alert in box.alerts()] == [made(1)["id"]]


def test_an_outbox_that_does_not_say_when_alerts_were_settled_keeps_their_text_as_of_now(tmp_path):
    put(tmp_path, [made(1)])
    deliver(tmp_path, [Scripted(taken).route()], ONCE)
    put(tmp_path, [made(2)])
    aged(tmp_path, 2 * RETENTION_DAYS, "alerts")
    with Outbox.open(tmp_path) as box, box.transaction() as rows:
        rows.execute("ALTER TABLE deliveries DROP COLUMN settled_at")
        rows.execute("PRAGMA user_version = 2")
    assert remembered(tmp_path) == [True, True]
    aged(tmp_path, RETENTION_DAYS + 1, "deliveries")
    assert remembered(tmp_path) == [False, True]
    sink = Scripted(taken)
    deliver(tmp_path, [sink.route()], ONCE)
    assert flat(sink) == [made(2)["id"]]


def test_another_program_s_database_is_refused_and_not_touched(tmp_path):
    with sqlite3.connect(tmp_path / "outbox.sqlite") as other:
        other.execute("CREATE TABLE theirs (x)")
    other.close()
    with pytest.raises(OutboxError, match="another program's"):
        Outbox.open(tmp_path)


@pytest.mark.parametrize("harm", ["deleted", "emptied"])
@pytest.mark.parametrize("create", [True, False])
def test_an_outbox_that_was_emptied_is_missed_until_a_person_says_otherwise(tmp_path, harm, create):
    put(tmp_path, [made(1)])
    for path in tmp_path.glob("outbox.sqlite*"):
        path.unlink()
    if harm == "emptied":
        (tmp_path / "outbox.sqlite").write_bytes(b"")
    with pytest.raises(OutboxError, match="was emptied or deleted") as caught:
        Outbox.open(tmp_path, create=create)
    assert "\n" not in str(caught.value)
    with pytest.raises(StateError, match="was emptied or deleted"):
        State.open(tmp_path)
    (tmp_path / "outbox.made").unlink()
    put(tmp_path, [made(2)])


def test_a_damaged_or_newer_outbox_is_one_line(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "outbox.sqlite").write_bytes(b"no database at all, but long enough" * 99)
    with pytest.raises(OutboxError, match="cannot be opened"):
        Outbox.open(tmp_path / "a")
    put(tmp_path / "b", [made(1)])
    with Outbox.open(tmp_path / "b") as box, box.transaction() as rows:
        rows.execute("PRAGMA user_version = 99")
    with pytest.raises(OutboxError, match="version 99"):
        Outbox.open(tmp_path / "b")
    with pytest.raises(OutboxError, match="no outbox here"):
        Outbox.open(tmp_path / "c", create=False)
    assert not (tmp_path / "c").exists()


def test_pauses_grow_up_to_a_limit_and_never_undercut_what_the_server_asked():
    chance = random.Random(7)
    for attempts in range(1, 40):
        whole = min(backoff.MAX_PAUSE, backoff.FIRST_PAUSE * 2 ** (attempts - 1))
        for _ in range(20):
            assert whole / 2 <= backoff.pause(attempts, None, chance) <= whole
    assert backoff.pause(1, 777.0, chance) == 777.0


def test_a_clock_that_was_set_back_does_not_stop_delivery_for_years():
    assert backoff.seconds_until_due(1000.0 + backoff.MAX_PLAUSIBLE_PAUSE * 2, 1000.0) == 0.0
    assert backoff.seconds_until_due(1010.0, 1000.0) == 10.0


@settings(max_examples=25)
@given(
    entities=st.lists(st.integers(0, 4), min_size=1, max_size=20),
    apart=st.booleans(),
    seed=st.integers(0, 10**6),
)
def test_whatever_a_sink_does_order_per_entity_holds_and_nothing_is_lost(
    tmp_path_factory, entities, apart, seed
):
    """First arrivals, as a receiver sees them, whatever mixture of outcomes it answers with."""
    folder = tmp_path_factory.mktemp("outbox")
    alerts = [made(n, f"account {entity}") for n, entity in enumerate(entities)]
    put(folder, alerts)
    chance = random.Random(seed)
    arrived: list[str] = []

    def arrive(each):
        if each.alert["id"] not in arrived:
            arrived.append(each.alert["id"])

    def moody(items):
        if not apart:
            some = chance.randint(0, len(items))
            for each in items[:some]:
                arrive(each)  # even where the answer then says otherwise
            return taken(items) if some == len(items) else repeat_outcome(items, Deferral("half"))
        outcomes = []
        for each in items:
            outcome = chance.choice([Delivery(), Deferral("busy"), Refusal("odd")])
            if isinstance(outcome, Delivery) or chance.random() < 0.3:
                arrive(each)
            outcomes.append(outcome)
        return outcomes

    sink = Scripted(moody, apart=apart)
    for _ in range(1000):
        (report,) = deliver(folder, [sink.route(refusals=1000)], ONCE)
        due_now(folder)
        if not report.waiting:
            break
    assert set(arrived) == set(wanted(alerts))
    place = {identity: n for n, identity in enumerate(arrived)}
    for earlier, later in combinations(alerts, 2):
        if later["entity"] == earlier["entity"]:
            assert place[earlier["id"]] < place[later["id"]]


def test_put_and_delivery_go_on_beside_each_other(tmp_path):
    put(tmp_path, [made(0)])
    arrived = Scripted(taken)
    done = threading.Event()

    def detect():
        for n in range(1, 60):
            put(tmp_path, [made(n)])
        done.set()

    thread = threading.Thread(target=detect)
    thread.start()
    while not done.is_set():
        deliver(tmp_path, [arrived.route()], ONCE)
    thread.join()
    deliver(tmp_path, [arrived.route()], ONCE)
    assert flat(arrived) == wanted([made(n) for n in range(60)])


def test_a_sink_hears_an_episode_from_the_message_on_that_is_severe_enough(tmp_path):
    """What began as medium is heard of once it is high, with all that follows."""
    steps = [("create", "medium"), ("update", "medium"), ("update", "high"), ("close", "high")]
    said = [
        made(at, entity="eve", activity=activity, alert=made(0)["id"], severity=severity,
             triggers=[f"step {at}"] * (at > 0))
        for at, (activity, severity) in enumerate(steps)
    ]  # fmt: skip
    put(tmp_path, said)
    heard = []

    def answer(items):
        heard.extend(item.alert for item in items)
        return taken(items)

    deliver(tmp_path, [Scripted(answer).route(minimum_severity="high")], ONCE)
    assert heard == said[2:]
    assert heard[0].keys() == said[0].keys()  # it can be understood alone


def test_alerts_of_a_version_without_episodes_are_read_and_sent(tmp_path):
    old = made(1)
    for key in ("activity", "alert", "began", "triggers"):
        del old[key]
    put(tmp_path, [old])
    sent = []

    def answer(items):
        sent.extend(item.alert for item in items)
        return taken(items)

    deliver(tmp_path, [Scripted(answer).route()], ONCE)
    with Outbox.open(tmp_path) as box:
        assert box.alerts() == sent
    assert (sent[0]["activity"], sent[0]["alert"]) == ("create", old["id"])
