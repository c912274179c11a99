"""README's alert is one that the sample model raises, shortened."""

from __future__ import annotations

import json
from pathlib import Path

README = Path(__file__).parents[3] / "README.md"


def test_the_alert_in_the_readme_is_one_of_the_sample_model(real):
    text = README.read_text(encoding="utf-8").split("\n## An alert\n")[1].split("\n## ")[0]
    told = json.loads(text.split("```json\n")[1].split("```")[0])
    (own,) = [alert for alert in real if alert["id"] == told["id"]]
    features = told.pop("features")
    assert told == {key: own[key] for key in told}
    assert features == {name: own["features"][name] for name in features}
