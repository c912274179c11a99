"""An invented unemployment agency: who works there, what they read, and who steals.

Everything is drawn from one seed. Each module is one aspect, so that the agency can grow:
``plan`` what to make, ``life`` how often things change, ``people`` who works there, ``moves`` who
changes the group, ``workdays`` the calendar, ``days`` how many statements on which day,
``restless`` how unevenly, ``hours`` at what time, ``addresses`` from where, ``networks`` when that
changes, ``catalogue`` and ``reads`` what is read, ``extracts`` what is read once, ``jobs`` the
service accounts, ``systems`` roll-outs and outages of the log, ``campaigns`` the thefts,
``assemble`` the frame, ``simulate`` the whole,
``realism`` measures how lifelike it is.
"""

from simulation.agency.life import CALM, SETTLED, Life
from simulation.agency.plan import Mix, Plan
from simulation.agency.simulate import Agency, simulate

__all__ = ["CALM", "SETTLED", "Agency", "Life", "Mix", "Plan", "simulate"]
