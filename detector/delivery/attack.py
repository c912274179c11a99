"""MITRE ATT&CK as SIEMs ask for it: tactic, technique and sub-technique apart.

The techniques themselves are those of ``alerts.techniques``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from detector.alerts.alert import Alert

FRAMEWORK: Final = "MITRE ATT&CK"
#: T1213.006 is new in version 16.
VERSION: Final = "16.1"

#: The tactic each technique serves here. T1078 serves several; an account that is used from
#: elsewhere or at other hours tells of how someone came in.
TACTICS: Final = {
    "T1213": ("TA0009", "Collection"),
    "T1078": ("TA0001", "Initial Access"),
    "T1030": ("TA0010", "Exfiltration"),
    "T1020": ("TA0010", "Exfiltration"),
}


@dataclass(frozen=True, slots=True)
class AttackEntry:
    """An id and a name of the framework, and its page."""

    id: str
    name: str
    url: str


@dataclass(frozen=True, slots=True)
class Attack:
    """A technique an alert shows. ``tactic`` is None for one this version does not know."""

    technique: AttackEntry
    sub_technique: AttackEntry | None = None
    tactic: AttackEntry | None = None


def attacks(alert: Alert) -> list[Attack]:
    """In the alert's order."""
    return [_attack(each["id"], each["name"]) for each in alert["techniques"]]


def _attack(own: str, name: str) -> Attack:
    parent, _, sub = own.partition(".")
    # Ours are named as ATT&CK shows them: "Data from Information Repositories: Databases".
    above, _, below = name.partition(": ")
    page = f"https://attack.mitre.org/techniques/{parent}/"
    tactic = None
    if parent in TACTICS:
        tactic_id, tactic_name = TACTICS[parent]
        tactic = AttackEntry(
            tactic_id, tactic_name, f"https://attack.mitre.org/tactics/{tactic_id}/"
        )
    return Attack(
        AttackEntry(parent, above, page),
        AttackEntry(own, below or name, f"{page}{sub}/") if sub else None,
        tactic,
    )
