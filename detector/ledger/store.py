"""The ledger on disk: a folder of Parquet by day, one file per ingested input.

    ledger.json                        format, time zone, which key made its pseudonyms
    parts/<id>.json                    the manifests; writing one is the commit
    hours/day=2024-02-06/<stem>.parquet
    touched/day=2024-02-06/<stem>.parquet
    rejects/<stem>.parquet
    watched.json                       who has days that are not in it yet (see ``hold``)
    episodes.sqlite                    what was raised from it (see ``episodes``)

Files that no live manifest names are leftovers of an interrupted run: never read, and swept
by the next writer.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Final

import polars as pl

import detector
from detector.core import files, locks
from detector.core.errors import LedgerError
from detector.core.schema import HOURLY_SUMS, REJECTS, TOUCHED_VALUES, Schema, check, empty
from detector.ledger import digests, lease, manifest
from detector.ledger.aggregate import HOUR_KEYS, TOUCHED_KEYS, merge_hourly_lazy, merge_touched_lazy
from detector.ledger.manifest import Part
from detector.privacy.pseudonyms import mismatch

FILE_NAME: Final = "ledger.json"
LOCK_NAME: Final = "lock"
KIND: Final = "detector ledger"
#: Counts of HOURS that ``Ledger.totals`` adds up.
TOTAL_COLUMNS: Final = ("statements", "unknown_rows", "failures")
#: How many accounts were active.
ACTIVE_ACCOUNTS: Final = pl.col("account").n_unique()
_REPAIR_HINT: Final = "if it cannot be restored, move the folder away and ingest the logs again"

#: What damaged Parquet can raise: polars' own errors, the file system's, and its panics.
_READ_ERRORS: Final = (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError)


@dataclass(frozen=True, slots=True)
class Ledger:
    """A ledger folder, opened. ``timezone`` is the one whose days partition it.

    ``pseudonyms`` is the check of the key that made the pseudonyms in it, empty where it holds
    names.
    """

    path: Path
    timezone: str
    pseudonyms: str = ""

    @classmethod
    def open(
        cls,
        path: Path,
        timezone: str | None,
        *,
        create: bool = True,
        pseudonyms: str | None = None,
    ) -> Ledger:
        """The ledger in ``path``, made if ``create`` and the folder is missing or empty.

        ``timezone`` None takes the ledger's own, and so does ``pseudonyms`` (see the class). Raises
        LedgerError where ``path`` is damaged, newer, something else, counts days in another time
        zone, or has pseudonyms of another key.
        """
        head = path / FILE_NAME
        if not head.is_file():
            _reject_foreign(path)
            if not create:
                raise LedgerError(
                    "there is no ledger", where=path, hint="detector train or score makes one"
                )
            _create(path, timezone or "UTC", pseudonyms or "")
        if not (path / "parts").is_dir():
            # Without it, all data would be taken for leftovers and swept.
            raise LedgerError(
                "damaged: its folder 'parts' is missing", where=path, hint=_REPAIR_HINT
            )
        raw = manifest.read_json(head, _REPAIR_HINT)
        if raw.get("kind") != KIND or not isinstance(raw.get("timezone"), str):
            raise LedgerError("is no ledger of detector's", where=head, hint="name another folder")
        if timezone is not None and raw["timezone"] != timezone:
            raise LedgerError(
                f"counts days in {raw['timezone']}, not in {timezone}",
                where=path,
                hint=f"set timezone = {raw['timezone']!r}, or name another folder for --ledger",
            )
        ledger = cls(path, raw["timezone"], str(raw.get("pseudonyms", "")))
        if pseudonyms is not None:
            ledger.check_pseudonyms(pseudonyms)
        return ledger

    def check_pseudonyms(self, check: str) -> None:
        """Raises LedgerError where its accounts are not as the key of this ``check`` makes them.

        An empty ``check`` demands names as they are.
        """
        apart = mismatch(self.pseudonyms, check)
        if apart is not None:
            what, mend = apart
            hint = f"{mend}, or name another folder for --ledger and take the logs in again"
            raise LedgerError(what, where=self.path, hint=hint)

    def parts(self) -> list[Part]:
        """The live parts, in order of their last event. Raises LedgerError."""
        found = [manifest.load(path) for path in sorted((self.path / "parts").glob("*.json"))]
        replaced = {other for part in found for other in part.replaced_ids if other != part.id}
        live = [part for part in found if part.id not in replaced]
        return sorted(live, key=lambda part: (part.last is not None, part.last, part.id))

    def days(self) -> list[date]:
        """The days that have data, in order."""
        return sorted({day for part in self.parts() for day in part.days})

    def hours(
        self,
        since: date | None = None,
        until: date | None = None,
        accounts: pl.Expr | None = None,
    ) -> pl.DataFrame:
        """HOURS of the days from ``since`` to ``until`` (both included), all parts merged.

        Of all accounts, or of those whose ``account`` an expression is true of. Sorted by hour,
        account and action. Raises LedgerError where a file is damaged.
        """
        return self._read_table(
            "hours", HOURLY_SUMS, merge_hourly_lazy, HOUR_KEYS, (since, until), accounts
        )

    def touched(
        self,
        since: date | None = None,
        until: date | None = None,
        dimensions: Collection[str] | None = None,
        accounts: pl.Expr | None = None,
    ) -> pl.DataFrame:
        """TOUCHED of the days from ``since`` to ``until`` (both included), all parts merged.

        Of some ``dimensions`` or of all, and of all ``accounts`` or some (see ``hours``). Sorted by
        day, account, dimension and value. Raises LedgerError.
        """
        chosen = accounts
        if dimensions is not None:
            named = pl.col("dimension").is_in(sorted(dimensions))
            chosen = named if accounts is None else named & accounts
        return self._read_table(
            "touched", TOUCHED_VALUES, merge_touched_lazy, TOUCHED_KEYS, (since, until), chosen
        )

    def accounts(self, since: date, until: date) -> pl.Series:
        """The accounts of the days from ``since`` to ``until`` (both included), sorted."""
        found = self._aggregate(
            since, until, lambda hours: hours.select(pl.col("account").unique())
        )
        return found["account"].sort()

    def totals(self, since: date, until: date) -> pl.DataFrame:
        """By action, the counts of HOURS (``TOTAL_COLUMNS``) of all accounts and days of a span.

        Sums of parts are sums of the whole, so nothing is merged, and little is held.
        """
        return self._aggregate(
            since, until, lambda hours: hours.group_by("action").agg(pl.col(TOTAL_COLUMNS).sum())
        )

    def activity(self, since: date, until: date) -> pl.DataFrame:
        """How many accounts were active in each ``hour`` (UTC) of a span: hour, accounts."""
        return self._aggregate(
            since, until, lambda hours: hours.group_by("hour").agg(accounts=ACTIVE_ACCOUNTS)
        ).sort("hour")

    def _aggregate(
        self, since: date, until: date, fold: Callable[[pl.LazyFrame], pl.LazyFrame]
    ) -> pl.DataFrame:
        """What ``fold`` makes of HOURS, whose parts need not be merged for it."""
        parts = self.parts()
        files = [
            self.data_path("hours", day, part.stem)
            for part in parts
            for day in part.days
            if since <= day <= until
        ]
        if not files:
            return fold(empty(HOURLY_SUMS).lazy()).collect()
        self.verify_files(files, parts)
        try:
            return fold(pl.scan_parquet(files, hive_partitioning=False)).collect(engine="streaming")
        except _READ_ERRORS:
            # Reading them whole names the file.
            return fold(self.hours(since, until).lazy()).collect()

    def rejects(self, part_ids: Collection[str]) -> pl.LazyFrame:
        """The REJECTS of some parts, lazily. Raises LedgerError where a file is damaged."""
        wanted = [part for part in self.parts() if part.id in part_ids and part.rejects]
        files = [self.path / "rejects" / f"{part.stem}.parquet" for part in wanted]
        if not files:
            return empty(REJECTS).lazy()
        self.verify_files(files, wanted)
        return pl.scan_parquet(files, hive_partitioning=False)

    def data_path(self, table: str, day: date, stem: str) -> Path:
        """Where the rows of one table, day and part stand."""
        return self.path / manifest.data_path(table, day, stem)

    def verify_files(self, files: Collection[Path], parts: Collection[Part]) -> None:
        """Raises LedgerError where one of ``files`` is not as the manifest of its part says."""
        owners = {self.path / name: part for part in parts for name in part.files}
        wanted = {
            path: owners[path].digests[path.relative_to(self.path).as_posix()] for path in files
        }
        for path, what in digests.mismatches(wanted):
            raise self._damage_error(path, owners[path].id, what)

    def _damage_error(self, path: Path, part_id: str, what: str) -> LedgerError:
        hint = f"delete {self.path / 'parts' / part_id}.json and score the log again"
        return LedgerError(f"damaged ({what})", where=path, hint=hint)

    @contextmanager
    def write_lock(self, state: str = "") -> Iterator[None]:
        """Keeps other writers out; sweeps leftovers before and after.

        ``state`` is the id of the watcher's state that is to write. Raises LedgerError, also where
        another one holds the ledger.
        """
        try:
            lock = locks.acquire(self.path / LOCK_NAME)
        except OSError as error:
            raise self.write_error(error) from error
        if lock is None:
            what = "another detector is writing to this ledger"
            raise LedgerError(what, where=self.path, hint="try again when it is done")
        try:
            lease.check_holder(self.path, state)
            self._sweep()
            try:
                yield
            finally:
                self._sweep()
        finally:
            locks.release(lock)

    def write_error(self, error: OSError) -> LedgerError:
        """The error that says why nothing can be written here."""
        hint = "free space or get permission there, or name another folder for --ledger"
        return LedgerError.not_written(error, self.path, hint)

    def commit(self, part: Part) -> Part:
        """Makes ``part``, whose data files are in place and on disk, part of the ledger.

        Gives it with the digests of its files. Raises LedgerError.
        """
        try:
            hashes = digests.compute([self.path / name for name in part.files])
            by_name = {path.relative_to(self.path).as_posix(): own for path, own in hashes.items()}
            whole = replace(part, digests=by_name)
            manifest.write_json(self.path / "parts" / f"{part.id}.json", manifest.encode(whole))
        except OSError as error:
            raise self.write_error(error) from error
        return whole

    def _sweep(self) -> None:
        """Deletes files that no live manifest names. Only the holder of the lock may.

        Makes the folders of data anew that are missing (copies lose empty ones). Raises
        LedgerError.
        """
        live = self.parts()
        manifests = {f"{part.id}.json" for part in live}
        data = {f"{part.stem}.parquet" for part in live}
        try:
            _delete_others(self.path / "parts", manifests)
            for table in ("rejects", "hours", "touched"):
                (self.path / table).mkdir(exist_ok=True)
            _delete_others(self.path / "rejects", data)
            for table in ("hours", "touched"):
                for folder in (self.path / table).glob("day=*"):
                    _delete_others(folder, data)
                    if not any(folder.iterdir()):
                        folder.rmdir()
        except OSError as error:
            raise self.write_error(error) from error

    def _read_table(
        self,
        table: str,
        schema: Schema,
        merge: Callable[[pl.LazyFrame], pl.LazyFrame],
        keys: tuple[str, ...],
        span: tuple[date | None, date | None],
        chosen: pl.Expr | None = None,
    ) -> pl.DataFrame:
        """One table's (``chosen``) rows of some days. A day of one part has nothing to merge."""

        def scan(files: list[Path]) -> pl.LazyFrame:
            frame = pl.scan_parquet(files, hive_partitioning=False)
            return frame if chosen is None else frame.filter(chosen)

        by_day: dict[date, list[Path]] = {}
        owners: dict[Path, str] = {}
        since, until = span[0] or date.min, span[1] or date.max
        parts = self.parts()
        for part in parts:
            for day in part.days:
                if since <= day <= until:
                    path = self.data_path(table, day, part.stem)
                    by_day.setdefault(day, []).append(path)
                    owners[path] = part.id
        single = [files[0] for files in by_day.values() if len(files) == 1]
        several = [path for files in by_day.values() if len(files) > 1 for path in files]
        pieces = [scan(single)] if single else []
        if several:
            pieces.append(merge(scan(several)))
        if not pieces:
            return empty(schema)
        self.verify_files(list(owners), parts)
        try:
            frame = pl.concat(pieces).sort(keys).collect(engine="streaming")
            return check(frame, schema, table)
        except (*_READ_ERRORS, TypeError) as error:
            raise self._find_damage(owners, schema, error) from error

    def _find_damage(
        self, owners: dict[Path, str], schema: Schema, error: BaseException
    ) -> LedgerError:
        """The error that names the file at fault, found by reading them one by one."""
        for path, part_id in owners.items():
            try:
                check(pl.read_parquet(path, hive_partitioning=False), schema, "it")
            except (*_READ_ERRORS, TypeError) as cause:
                return self._damage_error(path, part_id, str(cause).splitlines()[0])
        return LedgerError(f"cannot be read ({error})", where=self.path)


def _reject_foreign(path: Path) -> None:
    """Raises LedgerError if ``path`` is anything but missing or empty."""
    if path.exists() and not path.is_dir():
        raise LedgerError("is a file", where=path, hint="a ledger is a folder; name another")
    if path.is_dir():
        # Killed while it was made, a ledger has these and nothing else.
        begun = {"parts", "hours", "touched", "rejects"}
        there = {item.name for item in path.iterdir() if not files.is_scratch(item)}
        others = sorted(there - begun)
        if others or any((path / "parts").glob("*")):
            raise LedgerError(
                f"is no ledger: it has no {FILE_NAME} but {(others or ['parts'])[0]!r}",
                where=path,
                hint="name an empty or a new folder for --ledger",
            )


def _delete_others(folder: Path, kept: Collection[str]) -> None:
    """Deletes the files in ``folder`` that are not ``kept``; what is no file is not ours."""
    for path in folder.iterdir():
        if path.name not in kept and not path.is_dir():
            path.unlink()


def _create(path: Path, timezone: str, pseudonyms: str) -> None:
    try:
        for name in ("parts", "hours", "touched", "rejects"):
            (path / name).mkdir(parents=True, exist_ok=True)
        manifest.write_json(
            path / FILE_NAME,
            {
                "format": manifest.FORMAT_VERSION,
                "kind": KIND,
                "made_by": f"detector {detector.__version__}",
                "timezone": timezone,
                "pseudonyms": pseudonyms,
            },
        )
    except OSError as error:
        raise LedgerError(f"cannot be made ({error.strerror or error})", where=path) from error
