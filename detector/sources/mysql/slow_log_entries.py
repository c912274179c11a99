r"""Entries of the slow query log of MariaDB, MySQL and Percona Server, as columns.

    # Time: 261123 19:26:34                          (MySQL: 2019-03-24T14:04:53.713951Z, always)
    # User@Host: root[root] @ localhost [127.0.0.1]  Id: 8
    # Thread_id: 3  Schema: o  QC_hit: No            (MariaDB; Percona: # Schema: o  Last_errno: 0)
    # Query_time: 0.000105  Lock_time: 0.000000  Rows_sent: 49  Rows_examined: 49
    # Rows_affected: 0  Bytes_sent: 637              (MariaDB; MySQL: at the end of the line before)
    use `o`;
    SET timestamp=1795463896;
    select * from person where id < 50;

https://mariadb.com/kb/en/slow-query-log-extended-statistics/,
https://dev.mysql.com/doc/refman/8.4/en/slow-query-log.html (log_slow_extra) and
https://docs.percona.com/percona-server/8.0/slow-extended.html. Further lines with ``#`` come and go
with the settings, so a field is found by its name, on the line it belongs to.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from detector.readers.text_entries import Offsets

_USER_START: Final = np.frombuffer(b"# User@Host: ", np.uint8)
#: Stands in a line of time where a shipper has joined both.
_USER_ON_TIME_LINE: Final = b" # User@Host: "
_TIME_START: Final = np.frombuffer(b"# Time: ", np.uint8)

_TIME_LINE: Final = r"(?:# Time: (?P<time>[^\n]*)\n)?"
_USER_LINE: Final = r"# User@Host: (?P<user>[^\n]*)\n"
_ENTRY_PATTERN: Final = (
    rf"^{_TIME_LINE}{_USER_LINE}(?P<head>(?:#[^\n]*\n)*)"
    r"(?:use (?P<use>[^\n]*);\r?\n)?"
    r"(?:SET (?:last_insert_id=\d+,)?(?:insert_id=\d+,)?timestamp=(?P<epoch>\d{1,12})[.\d]*;\r?\n)?"
    r"(?P<text>(?s:.*))"
)
_BANNER: Final = (
    r"[^\n]*, Version: [^\n]*started with:\r?\nTcp port: [^\n]*\r?\n"
    r"Time\s+Id\s+Command\s+Argument\r?\n"
)
#: account[login] @ host [address]: names may hold brackets, so the last ones count.
_LOGIN_PATTERN: Final = (
    r"^(?P<owner>.*)\[(?P<login>.*)\] @ +(?P<host>[^\[]*?) *\[(?P<address>[^\]\[]*)\]"
)
_QUERY_TIME: Final = r"(?m)^# Query_time: +"
_FIELDS: Final = {
    "schema": r"(?m)^# (?:Thread_id: +\d+ +)?Schema: ?(.*?) +(?:QC_hit|Last_errno|Killed): ",
    "seconds": rf"{_QUERY_TIME}(\d+\.?\d*)",
    "sent": rf"{_QUERY_TIME}[\d.]+ +Lock_time: +[\d.]+ +Rows_sent: +(\d{{1,18}})",
    "affected": r"(?m)^# (?:Query_time: .*)?Rows_affected: +(\d{1,18})",
    "bytes": r"(?m)^# (?:Query_time: .*|Rows_affected: .*)?Bytes_sent: +(\d{1,18})",
    "errno": r"(?m)^# (?:Query_time: .*|Schema: .*)(?:Last_errno|Errno): +(\d{1,9})",
    "killed": r"(?m)^# (?:Query_time: .*|Schema: .*)Killed: +(\d{1,9})",
    "thread": r"(?m)(?:^# Thread_id: +|^# Query_time: .*Thread_id: +)(\d{1,18})",
}
#: Both lines of a head in one, as some shippers make it.
_JOINED_HEAD: Final = r"^(# Time: [^\n]*?\S) +(# User@Host: )"
#: The last second of the year 9999, and the seconds of a century: no statement takes longer.
_LAST_SECOND: Final = 253_402_300_799
_MAX_SECONDS: Final = 3_155_760_000.0


def entry_starts(data: npt.NDArray[np.uint8], lines: Offsets) -> Offsets:
    """Where lines with User@Host begin, with the line of time before them."""
    found = _lines_starting_with(data, lines, _USER_START)
    before = np.maximum(found - 1, 0)
    timed = _lines_starting_with(data, lines[before], _TIME_START, which=found > 0)
    # The server ends no line of time with the semicolon that it ends statements with.
    timed = timed[data[lines[found[timed]] - 2] != ord(";")]
    places = lines[found]
    places[timed] = lines[before[timed]]
    if _USER_ON_TIME_LINE not in data.tobytes():
        return places
    alone = np.setdiff1d(
        _lines_starting_with(data, lines, _TIME_START), before[timed], assume_unique=True
    )
    both = [line for line in alone.tolist() if _has_user(data, lines, line)]
    return np.sort(np.concatenate([places, lines[both]])) if both else places


def _has_user(data: npt.NDArray[np.uint8], lines: Offsets, line: int) -> bool:
    end = int(lines[line + 1]) if line + 1 < len(lines) else len(data)
    return _USER_ON_TIME_LINE in data[lines[line] : end].tobytes()


def _lines_starting_with(
    data: npt.NDArray[np.uint8],
    lines: Offsets,
    words: npt.NDArray[np.uint8],
    which: npt.NDArray[np.bool_] | None = None,
) -> npt.NDArray[np.int64]:
    """Indices of the ``lines`` (of those of them that are ``which``) that begin with ``words``."""
    fit = lines + len(words) <= len(data)
    if which is not None:
        fit &= which
    index = np.flatnonzero(fit)
    for at in (0, 2, *range(len(words))):  # what differs most is looked at first
        index = index[data[lines[index] + at] == words[at]]
    return index


def parse_entries(texts: pl.Series) -> pl.DataFrame:
    """Columns of entries, null where an entry lacks the field; ``query_time`` is in seconds.

    ``time``, ``use``, ``schema``, ``login``, ``address`` and ``text`` are String, the others
    numbers. An entry whose head is broken has no ``sent``.
    """
    frame = _split_parts(texts)
    joined = frame["user"].is_null().arg_true()
    if len(joined):
        parts = _split_parts(texts.gather(joined).str.replace(_JOINED_HEAD, "${1}\n${2}"))
        frame = frame.with_columns(
            frame[name].scatter(joined, parts[name]) for name in parts.columns
        )
    login = pl.col("user").str.extract_groups(_LOGIN_PATTERN).alias("_login")
    frame = frame.with_columns(
        login,
        pl.col("user").str.extract(r"\] +Id: +(\d{1,18})\s*$").alias("_id"),
        *(pl.col("head").str.extract(pattern).alias(name) for name, pattern in _FIELDS.items()),
    ).unnest("_login")
    return frame.select(
        pl.col("time").str.strip_chars(),
        pl.col("use").str.strip_chars().str.strip_prefix("`").str.strip_suffix("`")
        .str.replace_all("``", "`", literal=True),
        "schema",
        pl.when(pl.col("login") != "").then("login").otherwise("owner").alias("login"),
        pl.when(pl.col("address") != "").then("address").otherwise("host").alias("address"),
        pl.col("text").str.replace(_BANNER + "$", "").str.strip_chars_end("\r\n ").alias("text"),
        # Whoever may send statements can write these: none gets beyond what a datetime holds.
        pl.col("epoch").cast(pl.Int64, strict=False).clip(0, _LAST_SECOND),
        pl.col("seconds").cast(pl.Float64, strict=False).clip(0, _MAX_SECONDS).alias("query_time"),
        *(pl.col(name).cast(pl.Int64) for name in ("sent", "affected", "bytes", "errno", "killed")),
        pl.coalesce("thread", "_id").alias("thread"),
        pl.col("text").str.contains(_BANNER + "$").alias("restarts"),
    )  # fmt: skip


def _split_parts(texts: pl.Series) -> pl.DataFrame:
    groups = pl.col("entry").str.extract_groups(_ENTRY_PATTERN).alias("_groups")
    return texts.to_frame("entry").select(groups).unnest("_groups")


def is_banner(text: str) -> bool:
    """Whether what stands before the first entry is what a server writes when it starts."""
    return bool(pl.Series([text]).str.contains(rf"^(?:{_BANNER}|\s)*$").item())
