"""An invented unemployment agency: who works there, what they read, and who steals.

Everything is drawn from one seed. Each module is one aspect, so that the agency can grow:
``plan`` what to make, ``people`` who works there, ``workdays`` the calendar, ``days`` how many
statements on which day, ``hours`` at what time, ``addresses`` from where, ``catalogue`` and
``reads`` what is read, ``jobs`` the service accounts, ``campaigns`` the thefts, ``assemble``
the frame, ``simulate`` the whole, ``realism`` measures how lifelike it is.
"""

from agency.plan import Mix, Plan
from agency.simulate import Agency, simulate

__all__ = ["Agency", "Mix", "Plan", "simulate"]
