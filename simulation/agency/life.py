"""How often things change for honest reasons."""

from __future__ import annotations

from dataclasses import astuple, dataclass, replace


@dataclass(frozen=True, slots=True)
class Life:
    """Events a year.

    By person: ``moves`` to another group, ``absences`` of 5 to 20 weeks (a child, an illness,
    seasonal work), ``curiosity`` (looks into a table that is nobody's daily work). By group:
    ``renumbered`` sites. By service account: ``new_jobs``, ``growing_jobs`` (share of jobs that
    grow by half or more in a year). By application: ``roll_outs``. By organisation: ``audits``
    (of 1,000 accounts; each an extract by one account), ``vpn_days``, ``outages`` of the log.
    No rates are ``quarter_ends``, by how much more work they make, and ``restless``, how unevenly
    people work beside real ones (see ``restless``): 1 is like them, 0 evenly.
    """

    moves: float = 0.03
    absences: float = 0.04
    curiosity: float = 4.0
    renumbered: float = 0.06
    new_jobs: float = 0.15
    growing_jobs: float = 0.2
    roll_outs: float = 2.0
    audits: float = 3.0
    vpn_days: float = 4.0
    outages: float = 6.0
    quarter_ends: float = 0.25
    restless: float = 1.0

    def __post_init__(self) -> None:
        if min(astuple(self)) < 0:
            raise ValueError("nothing happens less often than never")

    def times(self, factor: float) -> Life:
        """The same life, everything so many times as often; people are no more restless by it."""
        many = Life(*(factor * rate for rate in astuple(self)))
        return replace(many, restless=self.restless * min(factor, 1.0))


#: Nothing of all this, as no office is.
CALM = Life().times(0)
#: Nothing changes but what people have to do, day by day: as in the sample.
SETTLED = replace(CALM, restless=1.0)
