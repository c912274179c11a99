"""A short run of tests/support/prove_delivery, and that its judge would see what is wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from proof.run import judge
from proof.story import SERVED, alert, noted

from detector import registry

SCRIPT = Path(__file__).parents[1] / "support" / "prove_delivery"


@pytest.mark.slow
def test_every_alert_arrives_whatever_befalls_sinks_and_detector():
    done = subprocess.run(
        [sys.executable, SCRIPT, "--rounds", "5", "--alerts", "150", "--seed", "7"],
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    head, *verdicts = [json.loads(line) for line in done.stdout.splitlines()]
    assert head["happened"]["detector killed"] > 0
    assert {verdict["sink"] for verdict in verdicts} == {*SERVED, "file", "kafka"}
    assert [verdict for verdict in verdicts if not verdict["sound"]] == []
    assert done.returncode == 0, done.stderr


def arrivals(*numbers):
    encode = registry.formats()["native"].encode
    return [noted(encode(alert(1, number))) for number in numbers]


def test_the_judge_sees_what_is_lost_invented_altered_or_overtaken():
    entities = [alert(1, number)["entity"] for number in range(400)]
    second = next(n for n in range(400) if entities[n] in entities[:n])
    first = entities.index(entities[second])
    alerts = [alert(1, number) for number in range(second + 1)]
    rest = [n for n in range(second) if n != first]
    good = judge("x", arrivals(*rest, first, first, second), alerts)
    assert (good["sound"], good["duplicates"]) == (True, 1)
    assert judge("x", arrivals(*rest, first), alerts)["lost"] == 1
    assert judge("x", arrivals(*rest, second, first), alerts)["out_of_order"] == 1
    assert judge("x", [*arrivals(*rest, first, second), "00 00"], alerts)["invented"] == 1
    altered = arrivals(*rest, first, second)
    altered[-1] = altered[-1][:-1] + "x"
    found = judge("x", altered, alerts)
    assert (found["lost"], found["invented"], found["sound"]) == (1, 1, False)
