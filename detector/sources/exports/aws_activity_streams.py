"""AWS Database Activity Streams of Aurora and RDS, decrypted.

https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/DBActivityStreams.AuditLog.databaseActivityEventList.html
and, for Oracle and SQL Server, the same page of the RDS user guide. Each record of the stream has a
list of events. Aurora PostgreSQL's come from pgaudit: a line per relation with the same count, and
0 for COPY and cursors, whatever they returned. Aurora MySQL tells a statement in an event of class
MAIN, and what it touched in others of class AUX. RDS for Oracle and SQL Server have no counts.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from detector.normalize import sql_normalize
from detector.sources.exports import expressions
from detector.sources.exports.preset import Preset

_KIND: Final = pl.col("class").str.to_uppercase()
_COMMAND: Final = pl.col("command").str.to_uppercase()
_LOGIN: Final = (
    _COMMAND.is_in(
        ["CONNECT", "FAILED CONNECT", "FAILED_CONNECT", "LOGIN", "LOGON", "LOGIN FAILED"]
    )
    | _KIND.is_in(["LOGIN", "LOGON", "CONNECT"])
).fill_null(value=False)
#: Aurora PostgreSQL's classes, as pgaudit's.
_CLASS_ACTIONS: Final = {"READ": "read", "WRITE": "write", "DDL": "schema", "ROLE": "schema"}
_SESSION_COMMANDS: Final = (
    *("DISCONNECT", "QUIT", "LOGOFF", "LOGOFF BY CLEANUP", "LOGOUT", "INIT DB", "INIT_DB"),
    *("PING", "STATISTICS", "CLOSE STMT", "RESET CONNECTION", "FIELD LIST"),
)
#: What pgaudit gives 0 for, whatever it returned.
_FALSE_ZERO: Final = _COMMAND.is_in(["COPY", "DECLARE CURSOR"]) & (expressions.number("rows") == 0)
_REQUIRED_NAMES: Final = ("dbUserName", "class", "command", "commandText", "rowCount", "logTime")
_WITHOUT_COUNTS: Final = expressions.is_one_of(
    "server", "oracle", "sqlserver", "sql server", "sql_server"
)
#: What SQL Server has as exitCode is not told.
_KNOWN_COMMAND: Final = _COMMAND.str.contains(
    r"^(?:SELECT|INSERT|UPDATE|DELETE|MERGE|TRUNCATE|CREATE|ALTER|DROP|GRANT|REVOKE|RENAME|COMMENT"
    r"|SET|COMMIT|ROLLBACK|BEGIN|START|EXPLAIN|SHOW|USE|LOCK|ANALYZE|AUDIT|NOAUDIT)\b"
).fill_null(value=False)
#: What failed may have sent records before.
_FAILED: Final = pl.col("error").is_not_null()
_WITHOUT_EXIT_CODE: Final = expressions.is_one_of("server", "sqlserver", "sql server", "sql_server")
_EXPORT: Final = ((_KIND == "READ") & (_COMMAND == "COPY")).fill_null(value=False) | (
    _KIND == "DATAPUMP"
).fill_null(value=False)

PRESET: Final = Preset(
    name="aws_activity_streams",
    title="AWS Database Activity Streams, decrypted",
    keys={
        "time": "startTime logTime",
        "logged": "logTime",
        "user": "dbUserName",
        "ip": "remoteHost",
        "app": "clientApplication",
        "database": "databaseName",
        "object": "objectName",
        "class": "class",
        "command": "command",
        "text": "commandText",
        "rows": "rowCount",
        "session": "sessionId",
        "statement": "statementId",
        "exit": "exitCode",
        "error": "errorMessage",
        "server": "serverType",
        "type": "type",
        "end": "endTime",
    },
    required_names=("type",),
    # A quiet database has files with nothing but heartbeats.
    probe_check=lambda seen: (
        seen.wrapper == "databaseActivityEventList"
        or all(seen.find_name(name) is not None for name in _REQUIRED_NAMES)
    ),
    derived_columns={"sql": pl.when(_COMMAND.is_in(["QUERY", "EXECUTE", "PREPARE"])).then("text")},
    sql_column="sql",
    dialect=sql_normalize.MYSQL,
    utc=True,
    skip=(pl.col("type").str.to_lowercase() == "heartbeat").fill_null(value=False)
    | _COMMAND.is_in(list(_SESSION_COMMANDS)).fill_null(value=False)
    | (_KIND.is_in(["MISC", "NONE", "FUNCTION"]).fill_null(value=False) & ~_LOGIN),
    merge_key=pl.when(~_LOGIN & (expressions.number("statement") > 0)).then(
        pl.concat_str("session", "statement", separator=" ")
    ),
    merge_rank=pl.when(_EXPORT).then(0).when(_KIND == "AUX").then(2).otherwise(1),
    columns={
        "timestamp": expressions.first_set_time("time", "logged"),
        "account": pl.col("user"),
        "client_address": expressions.bare_address("ip"),
        "application": pl.col("app"),
        "database": pl.col("database"),
        "object": pl.col("object"),
        "action": pl.when(_LOGIN)
        .then(pl.lit("login"))
        .when(_EXPORT)
        .then(pl.lit("export"))
        .when(_KIND.is_in(list(_CLASS_ACTIONS)))
        .then(_KIND.replace(_CLASS_ACTIONS))
        .when(_COMMAND.is_in(["QUERY", "EXECUTE", "PREPARE"]))
        .then(
            expressions.read_if_rows(
                pl.coalesce("sql_action", pl.lit("read")), expressions.number("rows")
            )
        )
        .when(_KNOWN_COMMAND)
        .then(pl.col("command"))
        .otherwise(pl.lit("read")),
        "rows": pl.when(
            ~(
                _FALSE_ZERO
                | _WITHOUT_COUNTS
                | (_KIND == "AUX")
                | (_FAILED & (expressions.number("rows") == 0))
            ).fill_null(value=False)
        ).then(pl.col("rows")),
        "statement": pl.col("text"),
        "success": pl.col("error").is_null()
        & (_WITHOUT_EXIT_CODE | (pl.coalesce("exit", pl.lit("0")) == "0")),
    },
    descriptions={
        "timestamp": "startTime, else logTime",
        "account": "dbUserName",
        "client_address": "remoteHost",
        "application": "clientApplication",
        "database": "databaseName",
        "object": "objectName",
        "other_objects": "the further objects of the same statement",
        "action": "class and command, else from the SQL",
        "rows": "rowCount; unknown for COPY that counts none, cursors, and what failed, and for "
        "Oracle and SQL Server",
        "statement": "commandText (hashed, never kept)",
        "success": "no errorMessage, and exitCode 0",
    },
)
SOURCE = PRESET.source()
