"""What the exports of data platforms have in common: a preset says where each column stands.

An export is CSV, JSON (one object a line, or one array) or Parquet with the vendor's own column
names. A preset names them and says how each canonical column is made of them; everything else is
done here, the same for all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

import polars as pl

from detector.core.errors import InputError
from detector.core.schema import EVENTS, REJECTS, empty
from detector.core.settings import Settings
from detector.normalize import containment, format_probe, rejects
from detector.normalize.events import ColumnTypeError, Normalization, normalize
from detector.normalize.format_probe import Probe
from detector.normalize.reader_state import ReaderState
from detector.normalize.source import Batch, FollowReader, Sample, Source, empty_batch
from detector.normalize.sql_normalize import POSTGRESQL, Dialect
from detector.normalize.statement_merge import StatementMerger
from detector.normalize.time_formats import TimeFormat
from detector.readers.column_names import ColumnOrigin, Columns
from detector.readers.log_input import LogInput
from detector.sources.exports import expressions, records
from detector.sources.exports.records import ColumnLocations, Piece, RejectPairs

#: Says that something of the file is as the preset needs it.
ProbeCheck = Callable[[Probe], bool]
_SETTINGS_PREFIX: Final = "chosen "


@dataclass(frozen=True, slots=True)
class Preset:
    """How the export of one product is read.

    ``keys`` are names of ours and the vendor's (parted by spaces; the first that is there is taken,
    in any case). ``required_names`` are vendor's names without which a file is not of this format,
    ``probe_check`` what else tells it. ``columns`` makes canonical columns of ours, all of which
    are text, null where there is nothing; ``descriptions`` tells people how. ``skip`` marks records
    that are in order and no access to data, ``reject_reason`` gives the reason why one cannot be an
    event, null where it can. ``merge_key`` is the same for entries of one statement, whose rows are
    then counted once; of those, the one with the lowest ``rank`` leads. ``sql_column`` is the
    column with a statement's text, from which ``sql_tables`` is made by the rules of ``dialect``.
    ``utc`` says that times which name no zone are UTC. ``made`` are columns of ours that are made
    of others first. ``settings_columns`` are the canonical names that [columns] may give instead,
    in the order of ``required_names``. ``account_case`` is ``lower`` or ``upper`` where the product
    takes names of accounts in any case for one, and that is the case that they get.
    """

    name: str
    title: str
    keys: Mapping[str, str]
    required_names: tuple[str, ...]
    columns: Mapping[str, pl.Expr]
    descriptions: Mapping[str, str]
    probe_check: ProbeCheck = lambda _: True
    skip: pl.Expr | None = None
    reject_reason: pl.Expr | None = None
    merge_key: pl.Expr | None = None
    merge_rank: pl.Expr | None = None
    sql_column: str = ""
    dialect: Dialect = POSTGRESQL
    utc: bool = False
    derived_columns: Mapping[str, pl.Expr] = field(default_factory=dict)
    settings_columns: tuple[str, ...] = ()
    account_case: str = ""

    def source(self) -> Source:
        """The log format."""
        # Nothing is ever open where an entry is a statement: files need not wait for each other.
        close = None if self.merge_key is None else self.close
        grows = FollowReader(
            format_probe.last_entry_end, self.follow, close, format_probe.has_line_entries
        )
        return Source(
            self.name, self.title, self.accepts, self.read, self.mapping, follow_reader=grows
        )

    def accepts(self, sample: Sample, settings: Settings) -> bool:
        """Whether a sample has the vendor's columns."""
        return self.is_match(format_probe.probe_sample(sample), settings)

    def is_match(self, seen: Probe, settings: Settings) -> bool:
        """Whether a file that begins so is of this format."""
        if seen.form == "none" or self.missing_names(seen, settings):
            return False
        if self.settings_columns and settings.columns.get("rows") in seen.keys:
            return False  # its rows are counted
        return self.probe_check(seen)

    def missing_names(self, seen: Probe, settings: Settings) -> list[str]:
        """The vendor's names that are needed and not there."""
        chosen = [settings.columns.get(name) in seen.keys for name in self.settings_columns]
        chosen += [False] * (len(self.required_names) - len(chosen))
        return [
            name.split()[0]
            for name, there in zip(self.required_names, chosen, strict=True)
            if not there and seen.find_name(name) is None
        ]

    def read(self, log: LogInput, settings: Settings, tail: ReaderState) -> Iterator[Batch]:
        """A batch per block. Raises InputError where the file has not the vendor's columns."""
        del tail  # a file stands alone
        seen = self.require_probe(log, settings)
        reader = _Reader(
            self, log, settings, self.locate_columns(seen, settings), StatementMerger()
        )
        for piece in records.read(log, seen, reader.locations):
            yield reader.batch(piece)
        yield replace(_final_batch(reader.merger), bytes_read=log.size())

    def follow(self, log: LogInput, settings: Settings, tail: ReaderState) -> Iterator[Batch]:
        """Batches of one piece of a file of lines. The tail is what its beginning showed, how much
        of that was seen, and the entries of statements that may go on. Raises InputError.
        """
        at = tail.sample_size
        seen = format_probe.decode(tail.shape) if tail.shape else Probe("lines")
        if at < format_probe.PROBE_BYTES:
            seen = format_probe.merge(
                seen, format_probe.probe_file(log, format_probe.PROBE_BYTES - at)
            )
            at += log.size()
        folding = StatementMerger.decode(tail.pending)
        reader = _Reader(self, log, settings, self.locate_columns(seen, settings), folding)
        for piece in records.read(log, seen, reader.locations):
            yield reader.batch(piece)
        held = "" if self.merge_key is None else folding.encode()
        shape = format_probe.encode(seen)
        yield empty_batch(ReaderState(pending=held, shape=shape, sample_size=at))

    def close(self, settings: Settings, tail: ReaderState) -> Batch:
        """Statements that were open when a file ended."""
        del settings  # they were conformed by them
        return _final_batch(StatementMerger.decode(tail.pending))

    def mapping(self, log: LogInput, settings: Settings) -> dict[str, str]:
        """Which column is which, for people. Raises InputError."""
        found = self.locate_columns(self.require_probe(log, settings), settings)
        said = {name: self.descriptions.get(name, "not in the log") for name in EVENTS}
        if "rows" not in self.descriptions:
            said["rows"] = "not in the log: how much was read is unknown"
        for name in found.from_settings:
            spelled = found.locations[_SETTINGS_PREFIX + name][0]
            said[name] = f"column {spelled!r} (from [columns])"
        return said

    def require_probe(self, log: LogInput, settings: Settings) -> Probe:
        """What the file shows. Raises InputError where it is not of this format."""
        seen = format_probe.probe_file(log)
        if self.is_match(seen, settings):
            return seen
        if seen.form == "none":
            what = "is empty, or neither CSV with a header, JSON nor Parquet"
            raise InputError(what, where=log.name, hint=f"is it {self.title}?")
        lacking = self.missing_names(seen, settings)
        shown = ", ".join(list(seen.keys)[:8])
        raise InputError(
            f"lacks {', '.join(map(repr, lacking))}" if lacking else f"is not {self.title}",
            where=log.name,
            hint=f"its columns are {shown}",
        )

    def locate_columns(self, seen: Probe, settings: Settings) -> ColumnLocations:
        """Where our columns stand in this file; [columns] of the settings win where they fit."""
        found_ = {name: seen.find_name(spelled) for name, spelled in self.keys.items()}
        there = {name: found for name, found in found_.items() if found is not None}
        tops = Counter(keys[0] for _, keys in there.values())
        # What is rare can come late in a file: it will stand beside the rest.
        absent = {
            name: max(spelled.split(), key=lambda each: tops[each.split(".")[0]])
            for name, spelled in self.keys.items()
            if name not in there
        }
        marked = set()
        for canonical, spelled in settings.columns.items():
            found = (spelled, seen.keys[spelled]) if spelled in seen.keys else None
            if found is not None:
                there[_SETTINGS_PREFIX + canonical] = found
                marked.add(canonical)
        return ColumnLocations(there, absent, frozenset(marked))


@dataclass(frozen=True, slots=True)
class _NormalizedRows:
    """``events`` of some rows, with the keys of their statements where those are folded;
    ``rejected`` has row (of the piece) and reason.
    """

    events: pl.DataFrame
    rejects: pl.DataFrame
    skipped: int
    notes: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class _Reader:
    preset: Preset
    log: LogInput
    settings: Settings
    locations: ColumnLocations
    merger: StatementMerger
    form: TimeFormat = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "form", TimeFormat(self.settings.timestamp_format or ""))

    def batch(self, piece: Piece) -> Batch:
        """Each record is an event, a reject, or skipped; so are further entries of an event."""
        bad: RejectPairs = list(piece.rejects)
        whole = piece.frame.with_row_index("row")

        def lost(row: int, reason: str) -> None:
            bad.extend(zip(piece.lines([row]), [reason], strict=True))

        made = containment.map_rows(
            whole.height, lambda at, count: self.normalize_rows(whole.slice(at, count)), lost
        )
        for part in made:
            at = part.rejects["row"].to_list()
            bad += zip(piece.lines(at), part.rejects["reason"], strict=True) if at else ()
        events = pl.concat([part.events for part in made]) if made else empty(EVENTS)
        skipped = piece.skipped + sum(part.skipped for part in made)
        if self.preset.merge_key is not None and made:
            before = self.merger.merged_count
            events = self.merger.add(events)
            skipped += self.merger.merged_count - before
        noted = Counter(piece.notes)
        for part in made:
            noted.update(part.notes)
        bad_ = rejects.frame(self.log.name, bad)
        return Batch(events, bad_, skipped, piece.bytes_read, notes=dict(noted))

    def normalize_rows(self, raw: pl.DataFrame) -> _NormalizedRows:
        """What some rows say, whatever stands before and after them."""
        skipped = 0
        if self.preset.skip is not None:
            kept = raw.filter(~self.preset.skip.fill_null(value=False))
            skipped, raw = skipped + raw.height - kept.height, kept
        if self.preset.derived_columns:
            raw = raw.with_columns(
                made.alias(name) for name, made in self.preset.derived_columns.items()
            )
        if self.preset.sql_column:
            raw = expressions.with_tables(raw, self.preset.sql_column, self.preset.dialect)
        rejected: list[pl.DataFrame] = []
        if self.preset.reject_reason is not None:
            refused = raw.select("row", reason=self.preset.reject_reason).filter(
                pl.col("reason").is_not_null()
            )
            rejected.append(refused)
            raw = raw.join(refused, on="row", how="anti", maintain_order="left")
        result = self.normalize_columns(raw)
        rejected.append(result.rejects.with_columns(raw["row"].gather(result.rejects["row"])))
        events = (
            result.events if self.preset.merge_key is None else self.add_merge_keys(raw, result)
        )
        whole = pl.concat([part.select("row", "reason") for part in rejected])
        return _NormalizedRows(events, whole, skipped, result.notes)

    def normalize_columns(self, raw: pl.DataFrame) -> Normalization:
        made = dict(self.preset.columns)
        for name in self.locations.from_settings:
            made[name] = pl.col(_SETTINGS_PREFIX + name)
        if self.preset.account_case:
            made["account"] = _fold_case(made["account"], self.preset.account_case)
        # Lazily, so that what several columns are made of is made once.
        chosen = [expression.alias(name) for name, expression in made.items()]
        frame = raw.lazy().select(chosen).collect()
        frame = frame.with_columns(
            _parse_numbers(frame[name]) for name in _NUMBER_COLUMNS & set(made)
        )
        frame = frame.with_columns(_prepare_times(frame["timestamp"]))
        columns: Columns = {name: ColumnOrigin(name) for name in made}
        if "statement" in made:
            columns["statement"] = ColumnOrigin("query")  # a text is hashed, never kept
        table = frame.to_arrow(compat_level=pl.CompatLevel.oldest())
        try:
            return normalize(table, columns, self.zoned_settings, form=self.form)
        except ColumnTypeError as error:
            what = f"column for {error.column!r} is {error.kind}, which it cannot be made of"
            raise InputError(what, where=self.log.name) from None

    @property
    def zoned_settings(self) -> Settings:
        """The settings, with the time zone that the vendor writes."""
        return replace(self.settings, log_timezone="UTC") if self.preset.utc else self.settings

    def add_merge_keys(self, raw: pl.DataFrame, result: Normalization) -> pl.DataFrame:
        """Events with what tells which belong together."""
        assert self.preset.merge_key is not None
        rank = self.preset.merge_rank if self.preset.merge_rank is not None else pl.lit(0)
        # Hashed: a key can hold a statement's text, and a watcher keeps keys on disk.
        key = self.preset.merge_key.cast(pl.String)
        key = pl.when(key.is_not_null()).then(key.hash()).cast(pl.String)
        told = raw.select(key.alias("key"), rank.cast(pl.Int64).alias("rank"))
        if len(result.rejects):
            bad = pl.int_range(0, raw.height, dtype=pl.UInt32, eager=True).is_in(
                result.rejects["row"].implode()
            )
            told = told.filter(~bad)
        events = result.events.with_columns(pl.col(pl.Categorical).cast(pl.String))
        return events.hstack(told)


def _final_batch(folding: StatementMerger) -> Batch:
    """What waited for the end of the file."""
    before = folding.merged_count
    events = folding.finish()
    return Batch(events, empty(REJECTS), folding.merged_count - before)


def _fold_case(account: pl.Expr, case: str) -> pl.Expr:
    text = account.cast(pl.String).str.strip_chars_end()
    return text.str.to_lowercase() if case == "lower" else text.str.to_uppercase()


_NUMBER_COLUMNS: Final = frozenset({"rows", "bytes", "duration_ms"})


def _parse_numbers(series: pl.Series) -> pl.Series:
    """Numbers parsed at once where all of them are sound; as they are where one is not."""
    if series.dtype != pl.String():
        return series
    kind = pl.Float64 if series.name == "duration_ms" else pl.Int64
    found = series.cast(kind, strict=False)
    return found if found.null_count() == series.null_count() else series


#: Times that the fast way does not read as they are written: with a space before their zone, a
#: comma before their decimals, or a seventh decimal, which no event keeps.
_SPACE_BEFORE_ZONE: Final = r" ([+-]\d\d:?\d\d)$"
_DECIMAL_COMMA: Final = r"(:\d\d),(\d)"
_SEVENTH_DECIMAL: Final = r"^(.{10}.\d\d:\d\d:\d\d\.\d{6})\d"


def _prepare_times(series: pl.Series) -> pl.Series:
    """Epochs written as text as numbers, and times as the fast way reads them."""
    if series.dtype != pl.String() or series.null_count() == len(series):
        return series
    found = series.cast(pl.Int64, strict=False)
    if found.null_count() == series.null_count():
        return found
    first = series.drop_nulls().head(1)
    for pattern, into in (
        (_SPACE_BEFORE_ZONE, "${1}"),
        (_DECIMAL_COMMA, "${1}.${2}"),
        (_SEVENTH_DECIMAL, "${1}"),
    ):
        if first.str.contains(pattern).item():
            series = series.str.replace(pattern, into)
    return series
