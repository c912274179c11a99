"""The kinds of theft, and a plan's assortment of them."""

from __future__ import annotations

from collections.abc import Callable

from simulation.agency.campaigns import crowds, disguises, floods, folds, lasting, strangers
from simulation.agency.campaigns.campaign import Campaign
from simulation.agency.campaigns.scene import Scene, World

#: Every kind. Those that few accounts suit come first, to find these still free.
KINDS: dict[str, Callable[[Scene], Campaign]] = {
    "crowd_group": crowds.crowd_group,
    "resident": lasting.resident,
    "newcomer": disguises.newcomer,
    "dormant": disguises.dormant,
    "service_abuse": disguises.service_abuse,
    "month_of_millions": floods.month_of_millions,
    "smash": floods.smash,
    "export": floods.export,
    "fold_1_5": folds.fold_1_5,
    "fold_2": folds.fold_2,
    "fold_3": folds.fold_3,
    "fold_5": folds.fold_5,
    "fold": folds.fold,
    "ramp": folds.ramp,
    "mimic": folds.mimic,
    "slow_pages": folds.slow_pages,
    "pages_mixed": floods.pages_mixed,
    "poisoned": folds.poisoned,
    "under_way": lasting.under_way,
    "unlisted": strangers.unlisted,
    "weekend_nights": disguises.weekend_nights,
    "new_tables": disguises.new_tables,
    "new_address": disguises.new_address,
    "crowd_address": crowds.crowd_address,
    "crowd_table": crowds.crowd_table,
}


def commit(world: World) -> list[Campaign]:
    """``plan.campaigns`` thefts of each kind. The same seed gives the same thefts.

    Raises ValueError for a kind that is not there, and where suitable accounts run out.
    """
    plan = world.plan
    for kind in plan.kinds:
        if kind not in KINDS:
            raise ValueError(f"no kind of theft is called {kind}; there are {', '.join(KINDS)}")
    return [
        build(Scene(world, kind, number, plan.random(f"campaign {kind}", number)))
        for kind, build in KINDS.items()
        if not plan.kinds or kind in plan.kinds
        for number in range(1, plan.campaigns + 1)
    ]
