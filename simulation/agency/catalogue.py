"""What can be read: tables, and the kinds of statement that read them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

DATABASE = "candidates"
#: Tables: rows in them, and bytes of a row on the wire. 25 GB over 36.8 million people makes 680.
TABLES = {
    "public.person": (43_000_000, 680),
    "public.address": (51_000_000, 140),
    "public.benefit_claim": (96_000_000, 260),
    "public.benefit_payment": (410_000_000, 90),
    "public.appointment": (120_000_000, 120),
    "public.document": (230_000_000, 210),
    "public.message": (310_000_000, 340),
    "public.job_offer": (18_000_000, 620),
    "public.application": (75_000_000, 180),
    "public.training": (9_000_000, 230),
    "public.employer": (3_100_000, 310),
    "public.caseload": (6_000_000, 100),
    "public.note": (160_000_000, 280),
    "ref.occupation": (12_000, 80),
    "archive.person": (61_000_000, 640),
    "archive.claim": (140_000_000, 230),
    "bank.account": (39_000_000, 150),
    "bank.transfer": (420_000_000, 110),
    "family.child": (22_000_000, 170),
    "fraud.report": (900_000, 520),
    "health.disability": (3_800_000, 410),
    "housing.allowance": (8_000_000, 160),
    "legal.appeal": (1_200_000, 700),
    "legal.sanction": (2_500_000, 330),
    "staff.employee": (55_000, 480),
    "tax.income": (48_000_000, 200),
}
#: Nobody's list is longer than the largest export seen.
LONGEST = 2_000_000


@dataclass(frozen=True, slots=True)
class Template:
    """One kind of statement.

    ``median`` rows, spread ``sigma`` (of the logarithm), at most ``cap``; ``elastic`` ones
    follow the person's and day's length of lists. ``miss`` is the share that finds nothing.
    ``known`` is False where a log cannot say how many rows (COPY, cursors). ``weights`` are
    the shares among the statements of advisers, partners, analysts and on-call staff.
    """

    table: str
    action: str
    application: str
    median: float
    sigma: float
    weights: tuple[float, float, float, float]
    cap: int = LONGEST
    elastic: bool = True
    miss: float = 0.0
    known: bool = True
    variants: int = 2


def _one(table: str, app: str, weights: tuple[float, float, float, float]) -> Template:
    return Template(table, "read", app, 1, 0.0, weights, elastic=False, miss=0.06)


def _write(table: str, app: str, weights: tuple[float, float, float, float]) -> Template:
    return Template(table, "write", app, 1, 0.0, weights, elastic=False)


FILES, CRM, BI, CONSOLE, BATCH = "dossier-web", "crm", "bi-studio", "psql", "batch"
TEMPLATES: tuple[Template, ...] = (
    Template("public.person", "read", FILES, 8, 1.0, (10, 12, 2, 10), cap=500, miss=0.08),
    _one("public.person", FILES, (26, 30, 2, 34)),
    _one("public.address", FILES, (6, 6, 0, 8)),
    Template("public.benefit_claim", "read", FILES, 5, 0.6, (9, 3, 4, 8)),
    Template("public.benefit_payment", "read", FILES, 10, 0.6, (7, 1, 5, 5)),
    Template("public.appointment", "read", CRM, 9, 0.7, (8, 9, 2, 2)),
    Template("public.document", "read", FILES, 4, 0.7, (5, 6, 0, 5)),
    Template("public.message", "read", CRM, 6, 0.8, (7, 6, 0, 10)),
    Template("public.job_offer", "read", CRM, 18, 0.8, (7, 9, 4, 0), cap=200),
    Template("public.application", "read", CRM, 5, 0.8, (4, 5, 3, 0)),
    Template("public.training", "read", CRM, 6, 0.7, (2, 4, 3, 0)),
    Template("public.employer", "read", CRM, 7, 0.9, (2, 3, 3, 0)),
    Template("public.caseload", "read", CRM, 70, 0.5, (1, 1, 1, 0)),
    Template("public.note", "read", FILES, 5, 0.7, (4, 3, 0, 8)),
    Template("ref.occupation", "read", CRM, 14, 0.5, (3, 4, 2, 0), cap=300),
    _write("public.appointment", CRM, (4, 4, 0, 2)),
    _write("public.note", FILES, (4, 3, 0, 6)),
    _write("public.benefit_claim", FILES, (2, 0, 0, 2)),
    Template("public.person", "read", CONSOLE, 300, 1.5, (0, 0, 14, 0)),
    Template("public.benefit_claim", "read", BI, 40, 1.4, (0, 0, 20, 0)),
    Template("public.benefit_payment", "read", BI, 60, 1.4, (0, 0, 14, 0)),
    Template("public.application", "read", BI, 50, 1.4, (0, 0, 12, 0)),
    Template("public.caseload", "read", BI, 90, 1.2, (0, 0, 5, 0)),
    Template("public.benefit_claim", "export", CONSOLE, 9_000, 1.6, (0, 0, 1.2, 0), variants=6),
    Template("public.application", "export", CONSOLE, 5_000, 1.6, (0, 0, 1.0, 0), variants=6),
    Template("public.person", "export", CONSOLE, 0, 0.0, (0, 0, 0.5, 0), known=False, variants=4),
    Template("public.training", "schema", CONSOLE, 0, 0.0, (0, 0, 0.3, 0), elastic=False),
)
#: Statements outside the daily round: long lists of an adviser, service jobs (whose rows follow
#: ``jobs.TIMETABLE``), a login.
LONG_LIST = len(TEMPLATES)
#: An export whose rows the log does not say.
COPY = next(index for index, one in enumerate(TEMPLATES) if not one.known)
PAGE = 0  # the person search, which honest staff use too and the thieves page through
JOB_TABLES = (
    "public.benefit_payment",
    "public.person",
    "public.appointment",
    "public.message",
    "public.person",
    "public.benefit_claim",
    "public.document",
    "public.job_offer",
    "public.application",
    "ref.occupation",
)
#: Tables that are nobody's daily work: archives, and what other services keep.
RARE_TABLES = tuple(TABLES)[14:]
NOBODY = (0.0, 0.0, 0.0, 0.0)
FIRST_JOB = LONG_LIST + 1
LOGIN = FIRST_JOB + len(JOB_TABLES)
FIRST_RARE = LOGIN + 1
ALL: tuple[Template, ...] = (
    *TEMPLATES,
    Template("public.caseload", "export", CRM, 6_000, 0.8, NOBODY, elastic=False, variants=1),
    *(Template(table, "read", BATCH, 0, 0.0, NOBODY, elastic=False) for table in JOB_TABLES),
    Template("", "login", FILES, 0, 0.0, NOBODY, elastic=False, variants=1),
    *(Template(table, "read", FILES, 7, 0.9, NOBODY) for table in RARE_TABLES),
)
VARIANTS = max(template.variants for template in ALL)


@cache
def weights() -> NDArray[np.float64]:
    """Role x template: the shares of the daily round; each role's sum to 1."""
    table = np.array([template.weights for template in TEMPLATES], dtype=np.float64).T
    shares: NDArray[np.float64] = table / table.sum(axis=1, keepdims=True)
    return shares


def column(name: str) -> NDArray[np.float64]:
    """One numeric field of all templates."""
    return np.array([getattr(template, name) for template in ALL], dtype=np.float64)


def fingerprint(template: int, variant: int, release: int = 0) -> str | None:
    """The fingerprint of a statement; a login has none."""
    if template == LOGIN:
        return None
    one = ALL[template]
    text = f"{one.action} {one.table} by {one.application}, {template}/{variant % one.variants}"
    if release:
        text += f", release {release}"
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
