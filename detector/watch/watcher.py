"""One watcher: reads, counts, scores and raises, a micro-batch at a time.

What a micro-batch changes is one transaction: positions, sums, rejects, days to be scored, and the
alerts that follow from them, with their messages. Killed before it, the next start reads and scores
the same again, and comes to the same alerts.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import polars as pl

from detector.alerts import episode_store, feature_drift, ongoing
from detector.alerts.alert import Alert
from detector.core import public_holidays
from detector.core.errors import InputError
from detector.core.schema import SCORES
from detector.detection import batch
from detector.detection.pipeline import Judging
from detector.detection.results import Scored
from detector.ledger.store import Ledger
from detector.watch import commit, state
from detector.watch.batch_changes import Turn
from detector.watch.day_schedule import AHEAD, Calendar, believed
from detector.watch.duplicate_statements import Doubles
from detector.watch.intraday_scoring import SHARD, Live
from detector.watch.log_places import Places
from detector.watch.log_tracker import Shelf
from detector.watch.micro_batch import Intake, Piece
from detector.watch.new_accounts import Newcomers
from detector.watch.open_days import Books, OpenDays
from detector.watch.pending_statements import Held
from detector.watch.state import State

#: Rows of open days beyond which days that are over are sealed at once; else every so many seconds.
MANY: Final = 3_000_000
RARELY: Final = 600.0
#: Rejects that are put into the ledger at once.
MANY_REJECTS: Final = 10_000
#: Seconds of silence after which the wall clock says which days are over, and how far it is
#: behind then.
SILENCE: Final = 60.0
LINGER: Final = timedelta(minutes=15)
#: Seconds before a day that was scored is scored anew for late events.
ANEW: Final = 60.0
#: Scored days whose features are held against training.
RATED: Final = 14


@dataclass(frozen=True, slots=True)
class Cycle:
    """What one turn did."""

    pieces: int = 0
    events: int = 0
    bytes: int = 0
    behind: int = 0
    alerts: tuple[Alert, ...] = ()
    scored: tuple[date, ...] = ()

    @property
    def idle(self) -> bool:
        """Whether nothing was read or scored."""
        return not (self.pieces or self.behind or self.scored)


@dataclass(slots=True)
class Watcher:
    """Everything a watcher has at hand. ``clock`` is the wall's, ``steady`` one that is never set
    back; ``names`` are the sinks'.

    The final scores of each day are written to ``out``.
    """

    state: State
    ledger: Ledger
    judging: Judging
    shelf: Shelf
    out: Path
    names: tuple[str, ...]
    clock: Callable[[], float]
    look_every: float = 1.0
    steady: Callable[[], float] = time.monotonic
    intake: Intake = field(init=False)
    open: OpenDays = field(init=False)
    calendar: Calendar = field(init=False)
    newest: datetime | None = None
    counts: dict[date, pl.DataFrame] = field(default_factory=dict)
    not_judged: list[str] = field(default_factory=list)
    folded: dict[date, int] = field(default_factory=dict)
    raised: list[Alert] = field(init=False)
    live: Live = field(init=False)
    held: Held = field(init=False)
    newcomers: Newcomers = field(init=False)
    places: Places = field(init=False)
    doubles: Doubles = field(init=False)
    _turn: Turn = field(default_factory=Turn)
    _fresh: bool = True
    _ids: set[str] = field(init=False)
    _facts: dict[str, str] = field(init=False)
    _rejects: int = 0
    _looked: float = float("-inf")
    _sealed: float = field(init=False)
    _moved: float = field(init=False)
    _rescored: float = float("-inf")

    def __post_init__(self) -> None:
        self._facts = self.state.facts()
        self.open = OpenDays.of(self.state.sums())
        self._rejects = self.state.rejects().height
        self.calendar = Calendar.of(self._facts, self.ledger.timezone)
        parts = self.ledger.parts()
        self.doubles = Doubles(parts, self.shelf.logs, lambda: self.books)
        self.intake = Intake(self.shelf, parts, self.ledger.timezone, self.doubles.of_whole)
        self.places = Places(self.calendar.day_of, self._is_holiday)
        self.places.load(self._facts, self.shelf.logs.values())
        self.raised = self.state.alerts()
        self._ids = self.state.box().ids()
        self._remember(self.judging)
        self.held = Held(self.shelf, self.ledger.timezone)
        self._sealed = self._moved = self.steady()
        self.newcomers = Newcomers(set(self.judging.model.learned.groups["account"]))
        self._reconcile()
        self._believe()

    @property
    def books(self) -> Books:
        """The ledger, with the days that are still open."""
        return Books(self.ledger, self.open)

    def cycle(self, *, finish: bool = False) -> Cycle:
        """One turn. With ``finish``, what is at its end has ended, and its days are over.

        Raises DetectorError, and sqlite3.Error where the state cannot be written.
        """
        now = self.steady()
        if finish or now - self._looked >= self.look_every:
            self.shelf.look(now, self.clock(), finish=finish)
            self._looked = now
        before = {log.id: (log.events, log.position) for log in self.shelf.logs.values()}
        pieces = self.intake.take(now, finish=finish)
        self._count(pieces)
        if pieces:
            self._moved = now
        scored = self._score(now, finish=finish and not pieces)
        alerts = [alert for some in scored for alert in some[1]]
        if not finish:
            alerts += self._live(now)
        self._commit()
        self._seal(now)
        return Cycle(
            len(pieces),
            sum(piece.log.events - before.get(piece.log.id, (0, 0))[0] for piece in pieces),
            sum(piece.log.position - before.get(piece.log.id, (0, 0))[1] for piece in pieces),
            len(self.intake.behind),
            tuple(alerts),
            tuple(day for some in scored for day in some[0].days),
        )

    def close(self) -> None:
        """Ends what goes on beside."""
        self.live.close()
        self.intake.hashing.close()

    def finish(self) -> list[Alert]:
        """Reads and scores all there is, and puts it into the ledger; the alerts it raised."""
        found: list[Alert] = []
        while not (done := self.cycle(finish=True)).idle:
            found += done.alerts
        self._put_away(sorted(self.open.parts))
        return found

    def _count(self, pieces: Sequence[Piece]) -> None:
        """Takes the pieces in."""
        pieces, days = self.doubles.once(pieces)
        batches = [batch for piece in pieces for batch in piece.batches]
        sums = [self.open.next(day, *tables) for day, tables in sorted(days.items())]
        rejects = [batch.rejects for batch in batches if batch.rejects.height]
        rejects += [each for piece in pieces for each in piece.rejects]
        self.calendar.touch(each.day for each in sums)
        for piece in pieces:
            self.shelf.put(piece.log)
            self.places.add(piece.log, self.clock())
        self.open.put(sums)
        self._turn.add(sums)
        self._turn.rejects += rejects
        self._fresh = self._fresh or bool(sums)
        for day, tables in days.items():
            self.live.touch(day, tables)
            self.newcomers.add(day, tables[0]["account"].unique().cast(pl.String))
        self._rejects += sum(each.height for each in rejects)
        self._believe()
        self._merge()

    def _commit(self) -> None:
        """All that changed since the last time, in one transaction."""
        # First: killed after it, the next start raises the same once more. The other way round, it
        # would not know of episodes that were told.
        if self.judging.memory is not None:
            episode_store.save(self.ledger.path, self.judging.memory)
        facts = {**self.calendar.facts(), **self.places.facts()}
        new = {key: value for key, value in facts.items() if self._facts.get(key) != value}
        logs = [self.shelf.logs[number] for number in sorted(self.shelf.changed)]
        self._turn.keep(self.state, self.names, logs, new)
        self._turn = Turn()
        self._facts |= new
        self.shelf.changed.clear()

    def _merge(self) -> None:
        """Small sums become larger ones."""
        for sums in self.open.ripe():
            whole = self.open.joined(sums)
            self.open.drop(sums)
            self.open.put([whole])
            self._turn.drop(sums)
            self._turn.add([whole])

    def _believe(self) -> None:
        times = [log.last for log in self.shelf.logs.values() if log.last is not None]
        self.newest = believed(times, self.clock())

    def _over(self, now: float, *, finish: bool) -> list[date]:
        """Days to be scored for good: no log that is behind can add to them any more."""
        if finish:
            return sorted(self.calendar.dirty)
        low = self.intake.low
        if low is None:
            low = self.newest
            if now - self._moved >= SILENCE:
                late = datetime.fromtimestamp(self.clock(), UTC) - LINGER
                low = late if low is None else max(low, late)
        if low is None:
            return []
        days = self.calendar.over(low)
        if now - self._rescored < ANEW:
            days = [day for day in days if day not in self.calendar.scored]
        return days

    def _score(self, now: float, *, finish: bool) -> list[tuple[Scored, list[Alert]]]:
        """The final word on the first of the days that are over."""
        days = self._over(now, finish=finish)
        # What lies before two days would be held at once: the one that runs is soon prepared.
        if not days or (self.live.is_gathering and not finish):
            return []
        self.live.forget(days)
        if any(day in self.calendar.scored for day in days):
            self._rescored = now
        some = next(batch.by_week(self.judging, self.books, days, SHARD))
        return [(some, self._raise(some, self.clock()))]

    def _live(self, now: float) -> list[Alert]:
        """The day so far, where it is today's and events came in, or are held back by a log."""
        day = self._today(self.clock())
        if day is None:
            return []
        found = []
        if self._fresh:
            found = self.live.score(self.books, day, now)
            self._fresh = self.live.is_preparing
            self._fold(day, self.live.folded)
        began = time.monotonic()
        if (held := self.held.of(day, now)) is not None:
            found += self.live.foresee(self.books, day, held)
            self.held.took(time.monotonic() - began)
            if self.live.ready is not None and not self.live.is_preparing:
                self.held.done(day)
        if not found:
            return []
        new = self.judging.raised(found, self.raised, self._ids, self.clock())
        self._raised(new)
        return new

    def _today(self, now: float) -> date | None:
        """The day that runs, if what is read is of it."""
        low = self.intake.low or self.newest
        if low is None or abs(datetime.fromtimestamp(now, UTC) - low) > AHEAD:
            return None
        day = self.calendar.day_of(low)
        return day if day in self.calendar.dirty else None

    def tell(self, alerts: Sequence[Alert]) -> None:
        """Keeps alerts for the sinks that do not come of a micro-batch."""
        self._raised(alerts)
        self._commit()

    def _raised(self, alerts: Sequence[Alert]) -> None:
        self._turn.alerts += alerts
        self.raised += alerts
        self._ids |= {alert["id"] for alert in alerts}

    def _remember(self, judging: Judging) -> None:
        """Judges by what was raised from the ledger, be it by ``score``."""
        first = min([*self.calendar.dirty, *self.calendar.scored], default=None)
        memory = episode_store.load(self.ledger.path, first, judging.model, judging.settings)
        self.judging = replace(judging, memory=memory)
        self.live = Live(self.judging)

    @property
    def going_on(self) -> list[dict[str, Any]]:
        """The episodes that go on, as JSON (``alerts.ongoing``)."""
        memory = self.judging.memory
        if memory is None or self.newest is None:
            return []
        day = self.calendar.day_of(self.newest)
        return [ongoing.plain(each, memory.last_message(each)) for each in memory.going_on(day)]

    def judge_by(self, judging: Judging) -> None:
        """From now on."""
        self.counts = {}  # against the other model's training
        self.live.close()
        self._remember(judging)
        self.held = Held(self.shelf, self.ledger.timezone)
        self._fresh = True

    def _raise(self, some: Scored, now: float) -> list[Alert]:
        """Puts scores on disk; alerts, and that the days are done, go there with the batch."""
        new = self.judging.raised(some.alerts, self.raised, self._ids, now)
        for day in some.days:
            _write(self.out, day, some.scores.filter(pl.col("date") == day))
            counts = some.counts.filter(pl.col("day") == day)
            self.counts = feature_drift.latest({**self.counts, day: counts}, RATED)
            self._fold(day, some.folded)
        self.not_judged = some.not_judged
        self.calendar.settle(some.days)
        self._raised(new)
        return new

    def _is_holiday(self, day: date) -> bool:
        code = self.judging.settings.holidays
        return bool(public_holidays.among(code, [day]))

    def _fold(self, day: date, number: int) -> None:
        """So many accounts of a day are judged as one."""
        kept = {**self.folded, day: max(number, self.folded.get(day, 0))}
        self.folded = {each: kept[each] for each in sorted(kept)[-RATED:] if kept[each]}

    def _seal(self, now: float) -> None:
        """Days that are over go into the ledger."""
        if self.newest is None:
            return
        many = self.open.rows > MANY or self._rejects > MANY_REJECTS
        if many or now - self._sealed >= RARELY:
            self._sealed = now
            days = self.calendar.sealable(self.open.parts, self.newest)
            if days or self._rejects > MANY_REJECTS:
                self._put_away(days)

    def _put_away(self, days: Sequence[date]) -> None:
        """Into the ledger, then out of the state."""
        contents = {
            log.content: (0 if log.form == "whole" else log.position, log.events, log.rejects)
            for log in self.shelf.logs.values()
            if log.content and not log.listed
        }
        if not days and not self._rejects and not contents:
            return
        known = {part.id for part in self.intake.parts}
        seal = commit.Seal(self.ledger, self._next_part())
        new = {content: counts for content, counts in contents.items() if content not in known}
        seal.write(self.open, days, self.state.rejects(), new)
        self._forget(days, contents)

    def _next_part(self) -> str:
        return commit.part_id(self._facts["id"], int(self._facts.get("seals", "0")))

    def _forget(self, days: Sequence[date], contents: Collection[str]) -> None:
        """What a sealed part holds."""
        logs = [log for log in self.shelf.logs.values() if log.content in contents]
        seals = {"seals": str(int(self._facts.get("seals", "0")) + 1)}
        sums = [each for day in days for each in self.open.parts.get(day, [])]
        with self.state.transaction() as rows:
            state.drop_sums(rows, sums)
            state.drop_rejects(rows)
            state.keep(rows, seals)
            for log in logs:
                self.shelf.logs[log.id] = replace(log, listed=True)
                state.keep_log(rows, self.shelf.logs[log.id])
        self._facts |= seals
        self.open.drop(sums)
        self._rejects = 0

    def _reconcile(self) -> None:
        """A part whose manifest is there was sealed just before a kill."""
        part = next((part for part in self.intake.parts if part.id == self._next_part()), None)
        if part is not None:
            self._forget(part.days, part.replaces)


def _write(out: Path, day: date, scores: pl.DataFrame) -> None:
    """SCORES of one day, the whole file or the old one. Raises InputError."""
    path = out / "scores" / f"{day.isoformat()}.parquet"
    try:
        commit.saved(scores, SCORES, path.with_name(f".{path.name}.tmp")).replace(path)
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror}", where=out) from error
