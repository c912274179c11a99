"""Which campaigns are drilled, and which of them together."""

from __future__ import annotations

from collections.abc import Sequence

from detector.campaigns import kinds
from detector.campaigns.kinds import KINDS
from detector.campaigns.patterns import Campaign
from detector.campaigns.population import Population

#: Crowds are of many accounts: more than so many of a kind would leave few honest people.
MAX_CROWDS = 2
#: The largest share of the accounts that steal at one time. With more, thieves would be what a
#: group's other members are compared with.
MAX_THIEF_SHARE = 0.2


def stage_campaigns(world: Population, seed: int, instances: int) -> list[Campaign]:
    """Up to ``instances`` campaigns of each kind, in the order of KINDS; named kind-1, kind-2...

    Each try stages campaigns on accounts of their own. Where accounts are few, further tries take
    the same ones again, so that campaigns may share accounts: see ``rounds``.
    """
    found: dict[str, list[Campaign]] = {kind.name: [] for kind in KINDS}
    for number in range(instances):
        short = tuple(
            kind for kind in KINDS if len(found[kind.name]) < campaign_quota(kind.name, instances)
        )
        staged = kinds.build_campaigns(world, seed + number, instances, short) if short else []
        if not staged:
            break
        for each in staged:
            own = found[campaign_kind(each.name)]
            if len(own) < campaign_quota(campaign_kind(each.name), instances):
                own.append(
                    Campaign(f"{campaign_kind(each.name)}-{len(own) + 1}", each.rows, each.targets)
                )
    return [each for own in found.values() for each in own]


def campaign_quota(kind: str, instances: int) -> int:
    """How many campaigns of a kind are wanted."""
    return min(instances, MAX_CROWDS) if kind.startswith("crowd") else instances


def campaign_kind(name: str) -> str:
    """The kind of the campaign kind-1."""
    return name.rsplit("-", 1)[0]


def thieves(staged: Campaign) -> set[str]:
    """The accounts that steal for a campaign."""
    return set(staged.rows["account"])


def rounds(staged: Sequence[Campaign], accounts: int) -> list[list[Campaign]]:
    """The campaigns in as few rounds as will do, in which no account steals for two of them.

    A round's thieves are at most SHARE of the ``accounts``, or those of one campaign.
    """
    found: list[tuple[list[Campaign], set[str]]] = []
    for each in staged:
        own = thieves(each)
        for together, busy in found:
            if not own & busy and len(own) + len(busy) <= accounts * MAX_THIEF_SHARE:
                together.append(each)
                busy.update(own)
                break
        else:
            found.append(([each], set(own)))
    return [together for together, _ in found]
