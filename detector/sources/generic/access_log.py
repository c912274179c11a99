"""An application's own access log: a line for each record that a person opened.

A counsellor opens a file: who, when, whose. Each line counts as one row. It is told from a log of
statements by a column that names whose record it was, and by having no count.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from detector.readers.column_names import ALIASES
from detector.sources.exports.preset import Preset

#: What people call the one whose record was opened.
SUBJECT_ALIASES: Final = (
    "subject subject_id subject.id subject.user.id person_id person patient_id patient case_id "
    "case_number file_id file_number dossier dossier_id beneficiary_id claimant_id citizen_id "
    "member_id customer_id insured_id pupil_id student_id taxpayer_id viewed_id record_id"
)
#: Columns that stand in such a log as in any other.
_COMMON_COLUMNS: Final = (
    *("timestamp", "account", "client_address", "application", "database", "object", "action"),
    "success",
)

PRESET: Final = Preset(
    name="access_log",
    title="application access log, one line for each record opened",
    keys={**{name: ALIASES[name] for name in _COMMON_COLUMNS}, "subject": SUBJECT_ALIASES},
    required_names=(ALIASES["timestamp"], ALIASES["account"], SUBJECT_ALIASES),
    probe_check=lambda seen: seen.find_name(ALIASES["rows"]) is None,
    columns={
        **{name: pl.col(name) for name in (*_COMMON_COLUMNS, "subject")},
        "action": pl.coalesce("action", pl.lit("read")),
        "rows": pl.lit(1, pl.Int64),
        "success": ~pl.col("success")
        .str.to_lowercase()
        .is_in(["false", "failure", "failed", "error", "denied", "refused", "no", "f", "n"])
        .fill_null(value=False),
    },
    descriptions={
        "timestamp": "as in any CSV or NDJSON",
        "account": "as in any CSV or NDJSON",
        "client_address": "as in any CSV or NDJSON",
        "application": "as in any CSV or NDJSON",
        "database": "as in any CSV or NDJSON",
        "object": "as in any CSV or NDJSON",
        "subject": "whose record it was: a keyed hash is kept, to count different people",
        "action": "as in any CSV or NDJSON; without it every line is a read",
        "rows": "each line counts as one record",
        "success": "as in any CSV or NDJSON; without it every line is a success",
    },
    settings_columns=("timestamp", "account", "subject"),
)
SOURCE = PRESET.source()
