"""When systems change: roll-outs that change every statement, hours the log does not hold."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from simulation.agency import catalogue
from simulation.agency.plan import Plan
from simulation.agency.reads import Statements, select

#: An outage begins between these hours and lasts between these hours.
BEGINS, LASTS = (5.0, 15.0), (3.0, 8.0)
APPLICATIONS = tuple(sorted({one.application for one in catalogue.ALL}))


def releases(plan: Plan) -> NDArray[np.int64]:
    """Day x template: the release of the application that makes the statement, from 0 on."""
    random = plan.random("roll-outs")
    shape = (plan.days, len(APPLICATIONS))
    rolled_out = np.cumsum(random.random(shape) < plan.life.roll_outs / 365, axis=0)
    code = [APPLICATIONS.index(one.application) for one in catalogue.ALL]
    release: NDArray[np.int64] = rolled_out[:, code]
    return release


def logged(plan: Plan, statements: Statements) -> Statements:
    """The statements without those of an outage of the log, of all or of one application."""
    random = plan.random("outages")
    kept = np.ones(len(statements.day), dtype=bool)
    application = np.array([APPLICATIONS.index(one.application) for one in catalogue.ALL])
    for _ in range(random.poisson(plan.life.outages * plan.days / 365)):
        day, begins = random.integers(0, plan.days), random.uniform(*BEGINS) * 3600
        ends = begins + random.uniform(*LASTS) * 3600
        only = int(random.integers(0, len(APPLICATIONS))) if random.random() < 0.5 else None
        lost = statements.day == day
        lost &= (statements.second >= begins) & (statements.second < ends)
        if only is not None:
            lost &= application[statements.template] == only
        kept &= ~lost
    return statements if kept.all() else select(statements, kept)
