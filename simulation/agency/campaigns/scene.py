"""What a theft is staged with: the honest agency, accounts not yet used, rented hosts."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from simulation.agency import catalogue
from simulation.agency.addresses import Addresses
from simulation.agency.campaigns.campaign import Campaign
from simulation.agency.days import Days
from simulation.agency.names import SURNAMES
from simulation.agency.people import SERVICE, People
from simulation.agency.plan import Plan
from simulation.agency.reads import Statements, lengths, logins, read, select, together

#: An account whose password is worth stealing was at work on so large a share of the days
#: before (of eight weeks) and during the theft: leave and part-time are allowed for.
BEFORE, DURING, WEEKS_BEFORE = 0.25, 0.3, 8
#: Records of one export, between these by their logarithm.
EXPORT = (5_000, 200_000)
#: What the names of accounts begin with that no directory knows.
STRANGE = ("ext", "tmp", "adm", "test")
#: The blocks of addresses kept for documentation: nobody's, so no real host is accused.
RENTABLE = ("192.0.2", "198.51.100", "203.0.113")


@dataclass(frozen=True, slots=True)
class World:
    """The honest agency, with the accounts that steal already, the hosts rented so far and the
    accounts that no directory knows.
    """

    plan: Plan
    people: People
    days: Days
    addresses: Addresses
    mix: NDArray[np.int64]
    busy: set[int] = field(default_factory=set)
    hosts: list[str] = field(default_factory=list)
    strangers: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Scene:
    """One theft in the making."""

    world: World
    kind: str
    number: int
    random: np.random.Generator

    def span(self, days: int) -> tuple[int, int]:
        """First day and the day after the last, at random in the days of the thefts."""
        plan = self.world.plan
        days = min(days, plan.theft_days)
        first = plan.theft_from + int(self.random.integers(0, plan.theft_days - days + 1))
        return first, first + days

    def active(self, first: int, end: int) -> NDArray[np.bool_]:
        """By account: is it a person's, at work before and during these days?"""
        statements = self.world.days.statements > 0
        begin = max(0, first - 7 * WEEKS_BEFORE)
        before = statements[:, begin:first].sum(axis=1) >= BEFORE * (first - begin)
        during = statements[:, first:end].sum(axis=1) >= max(1, DURING * (end - first))
        human = self.world.people.role != SERVICE
        found: NDArray[np.bool_] = human & before & during
        return found

    def cast(self, suitable: NDArray[np.bool_], count: int = 1) -> NDArray[np.int64]:
        """``count`` accounts at random of those suitable, which no other theft will use.

        Raises ValueError where there are too few.
        """
        free = np.setdiff1d(np.flatnonzero(suitable & self.settled()), list(self.world.busy))
        if len(free) < count:
            raise ValueError(
                f"{self.kind} needs {count} suitable accounts, only {len(free)} are left;"
                " make the agency larger, or the campaigns fewer"
            )
        chosen: NDArray[np.int64] = self.random.choice(free, size=count, replace=False)
        self.world.busy.update(int(account) for account in chosen)
        return chosen

    def settled(self) -> NDArray[np.bool_]:
        """By row of people: has its account no other? Movers have two, and must not steal twice."""
        rows = Counter(self.world.people.account)
        return np.array([rows[name] == 1 for name in self.world.people.account])

    def rent(self) -> int:
        """The address of a host that was never seen before, as an index."""
        book, hosts = self.world.addresses.book, self.world.hosts
        known = {*book, *hosts}
        while (host := f"{self.random.choice(RENTABLE)}.{self.random.integers(1, 255)}") in known:
            pass
        hosts.append(host)
        return len(book) + len(hosts) - 1

    def invent(self) -> int:
        """An account that no directory knows, as an index after those of the people."""
        people, strangers = self.world.people.account, self.world.strangers
        known = {*people, *strangers}
        while (name := f"{self.random.choice(STRANGE)}.{self.random.choice(SURNAMES)}") in known:
            pass
        strangers.append(name)
        return len(people) + len(strangers) - 1

    def usual(self, account: NDArray[np.int64], first: int, end: int) -> NDArray[np.float64]:
        """Account x day: the statements of the accounts' own work."""
        return self.world.days.statements[account, first:end].astype(np.float64)

    def presence(self, account: NDArray[np.int64], first: int, end: int) -> NDArray[np.bool_]:
        """Account x day: were the accounts at work?"""
        return self.usual(account, first, end) > 0

    def work(
        self, account: NDArray[np.int64], first: int, statements: NDArray[np.float64]
    ) -> Statements:
        """So many more statements (account x day from ``first`` on), as the accounts would do
        them: in their hours, of their tables, from their address of the day.
        """
        world = self.world
        number = np.zeros_like(world.days.statements)
        end = first + statements.shape[1]
        # Rounded up or down by chance, so that a share of a statement a day is not lost.
        whole = np.floor(statements + self.random.random(statements.shape))
        number[account, first:end] = whole.astype(np.int64)
        days = replace(
            world.days, statements=number, long_lists=np.zeros_like(world.days.long_lists)
        )
        both = read(world.people, days, world.addresses, world.mix, (first, end), self.random)
        return select(both, both.template != catalogue.LOGIN)

    def of_tables(self, statements: Statements, template: NDArray[np.int64]) -> Statements:
        """The statements, made of other templates by chance."""
        chosen = self.random.choice(template, size=len(statements.day))
        account, day = statements.account, statements.day
        factor = self.world.people.scale[account] * self.world.days.length[account, day]
        rows = np.where(statements.success, lengths(chosen, factor, self.random), 0)
        return replace(statements, template=chosen, rows=rows)

    def signed_in(self, statements: Statements) -> Statements:
        """The statements, with a login before the first of an account's day."""
        if not len(statements.day):
            return statements
        order = np.lexsort((statements.second, statements.day, statements.account))
        ordered = select(statements, order)
        opens = np.diff(ordered.account, prepend=-1) != 0
        opens |= np.diff(ordered.day, prepend=-1) != 0
        one = select(ordered, opens)
        return together(
            [ordered, logins(one.account, one.day, one.second, one.address, self.random)]
        )

    def exported(self, count: int) -> NDArray[np.int64]:
        """Records of so many exports whose rows the log does not say."""
        draw = np.exp(self.random.uniform(*np.log(EXPORT), size=count))
        return np.rint(draw).astype(np.int64)

    def done(
        self,
        statements: Statements,
        taken: NDArray[np.int64] | None = None,
        hosts: tuple[int, ...] = (),
        tables: tuple[str, ...] = (),
        groups: tuple[int, ...] = (),
        instead: tuple[int, int, int] | None = None,
    ) -> Campaign:
        """The campaign. What is not said to be ``taken`` is what the log says, and the log
        does not say how much an export was.
        """
        if taken is None:
            unsaid = statements.rows < 0
            taken = np.where(unsaid, self.exported(len(unsaid)), statements.rows)
        name = f"{self.kind}-{self.number}"
        return Campaign(name, self.kind, statements, taken, hosts, tables, groups, instead)


def moved(statements: Statements, address: int) -> Statements:
    """The statements from another address."""
    return replace(statements, address=np.full(len(statements.day), address))
