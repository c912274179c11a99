"""Draws docs/architecture.svg: the rooms of the package, and what flows from one to the next.

scripts/reference.py writes it. Text stands in filled boxes and arrows are of a middle grey, so that
the picture is legible on light and on dark ground. It holds no style sheet, no font and no script.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 970, 478
COLUMNS: Final = (10, 206, 402, 598, 794)
ROWS: Final = (76, 226, 376)
WIDE, HIGH = 166, 92
LINE: Final = "#74859b"


@dataclass(frozen=True, slots=True)
class Box:
    """A room: its name, some lines about it, where it stands, and how many columns it fills."""

    name: str
    lines: tuple[str, ...]
    column: int
    row: int
    fill: str = "#dbe7f6"
    columns: int = 1

    @property
    def left(self) -> int:
        """Where it begins."""
        return COLUMNS[self.column]

    @property
    def top(self) -> int:
        """Where it begins, from above."""
        return ROWS[self.row]

    @property
    def wide(self) -> int:
        """How wide it is."""
        return COLUMNS[self.column + self.columns - 1] + WIDE - self.left


OUTSIDE, SIDE = "#f3e3c3", "#dcefdc"
#: Name, lines, column, row; and where they differ, the fill and how many columns it fills.
BOXES: Final = (
    Box("logs", ("files, buckets, standard", "input, topics of Kafka"), 0, 0, OUTSIDE),
    Box("readers", ("bytes to records: CSV,", "JSON, Parquet, text"), 1, 0),
    Box(
        "sources, normalize",
        ("records to events;", "what cannot be read is", "a reject with its reason"),
        2,
        0,
    ),
    Box("ledger", ("hourly sums and what", "each account touched,", "by day, in Parquet"), 3, 0),
    Box("features", ("each entity beside its", "baseline and its peers"), 4, 0),
    Box("model", ("training: calibration,", "forest, trees, threshold"), 4, 1),
    Box(
        "detection",
        ("one anomaly score for", "an entity and hour,", "against the threshold"),
        3,
        1,
    ),
    Box("alerts", ("episodes, severity,", "reasons, evidence,", "incidents"), 2, 1),
    Box("delivery: outbox", ("waits and tries again,", "in order by entity,", "in SQLite"), 1, 1),
    Box("delivery: sinks", ("SIEM, file, Kafka, mail;", "OCSF, ECS, CEF, LEEF"), 0, 1, OUTSIDE),
    Box(
        "campaigns",
        ("thefts as additions to", "a ledger, to learn from", "and to drill with"),
        4,
        2,
        SIDE,
    ),
    Box("drill", ("would this model find", "a theft in this ledger,", "and when?"), 3, 2, SIDE),
    Box(
        "triage",
        ("verdicts, allow-list,", "planned work: suppress,", "leave out of training"),
        2,
        2,
        SIDE,
    ),
    Box(
        "core, privacy, cli",
        (
            "core: schemas, settings, errors, files",
            "privacy: keyed pseudonyms",
            "cli: commands; they ask and print",
        ),
        0,
        2,
        SIDE,
        2,
    ),
)
WATCH: Final = (
    "follows logs while they grow and runs this path in micro-batches;"
    " its state and the outbox change in one transaction"
)
#: From a point to a point. Those of dashes are not the way of every event.
ARROWS: Final = (
    *(((COLUMNS[at] + WIDE, 122), (COLUMNS[at + 1], 122), False) for at in range(4)),
    *(((COLUMNS[at], 272), (COLUMNS[at - 1] + WIDE, 272), False) for at in range(4, 0, -1)),
    ((877, 168), (877, 226), False),
    ((812, 168), (746, 226), False),
    ((877, 376), (877, 318), True),
    ((794, 422), (764, 422), True),
    ((681, 376), (681, 318), True),
    ((485, 318), (485, 376), True),
    ((552, 376), (616, 318), True),
    ((93, 50), (93, 76), True),
    ((289, 50), (289, 76), True),
)


def picture() -> str:
    """The SVG."""
    return "\n".join([_HEAD, *_parts(), "</svg>", ""])


_HEAD: Final = f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" \
width="{WIDTH}" height="{HEIGHT}" font-family="sans-serif" role="img" aria-labelledby="title">
<title id="title">How a log becomes an alert: the rooms of the package, and what flows between \
them</title>
<defs><marker id="tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" \
orient="auto"><path d="M0 0 10 5 0 10z" fill="{LINE}"/></marker></defs>"""


def _parts() -> Iterator[str]:
    yield _rectangle(10, 10, WIDTH - 20, 40, SIDE)
    yield (
        '<text x="24" y="35" font-size="12.5" fill="#33414f"><tspan font-size="15" '
        f'font-weight="bold" fill="#14202c">watch</tspan>  {escape(WATCH)}</text>'
    )
    for box in BOXES:
        yield _rectangle(box.left, box.top, box.wide, HIGH, box.fill)
        yield _text(box.left + 12, box.top + 24, box.name, 'font-size="14" font-weight="bold"')
        for at, line in enumerate(box.lines):
            yield _text(box.left + 12, box.top + 45 + 17 * at, line, 'font-size="12"')
    for (x, y), (to_x, to_y), dashed in ARROWS:
        dashes = ' stroke-dasharray="5 4"' if dashed else ""
        yield (
            f'<path d="M{x} {y} {to_x} {to_y}" stroke="{LINE}" stroke-width="2" fill="none"'
            f'{dashes} marker-end="url(#tip)"/>'
        )


def _rectangle(left: int, top: int, wide: int, high: int, fill: str) -> str:
    return (
        f'<rect x="{left}" y="{top}" width="{wide}" height="{high}" rx="7" fill="{fill}" '
        f'stroke="{LINE}"/>'
    )


def _text(left: int, base: int, text: str, style: str) -> str:
    return f'<text x="{left}" y="{base}" fill="#14202c" {style}>{escape(text)}</text>'
