"""Writes what of docs/ is made: cli.md, architecture.svg, and the pages in docs/reference/.

Usage: .venv/bin/python scripts/reference.py

Types, defaults, names and titles come from the code. What a setting means is told once, by the
tables of docs/settings.md and docs/sinks.md: it is taken from there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, Final, TypeAlias

import architecture
import cli_reference
import feature_entities

from detector import registry
from detector.core import schema
from detector.core.settings import HEALTH_DEFAULTS, ImpactBounds, Settings
from detector.delivery.config import COMMON_KEYS, KEY_BY_FIELD, SinkConfig
from detector.readers.column_names import ALIASES

DOCS: Final = Path(__file__).parents[1] / "docs"
MADE: Final = (
    "`scripts/reference.py` makes this page from the code. A test fails when the page is stale."
)
#: A cell ends at a | that is not escaped.
CELL: Final = re.compile(r"(?<!\\)\|")
LINK: Final = re.compile(r"\[([^\]]*)\]\((?!https?:)([^)#]*)(#[^)]*)?\)")

Row: TypeAlias = Sequence[str]


def table(head: Row, rows: Iterable[Row]) -> str:
    """A Markdown table; what stands in its cells is Markdown already."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def code(text: str) -> str:
    """Shown as code; an empty text stays empty."""
    return f"`{text}`" if text else ""


def escaped(text: str) -> str:
    """A plain text as a cell."""
    return text.replace("|", "\\|")


def meanings(page: str) -> dict[str, str]:
    """From every table of docs/``page`` with a column *meaning*: first cell to meaning.

    Links are turned to hold from a folder further down. Of two rows for one key the first counts.
    """
    found: dict[str, str] = {}
    at: int | None = None
    for line in (DOCS / page).read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in CELL.split(line)[1:-1]] if line.startswith("|") else []
        if not cells:
            at = None
        elif at is None and "meaning" in cells:
            at = cells.index("meaning")
        elif at is not None and not set(cells[0]) <= set("-:"):
            found.setdefault(cells[0].strip("`"), _from_below(cells[at], page))
    return found


def _from_below(text: str, page: str) -> str:
    def turned(link: re.Match[str]) -> str:
        name = page.removesuffix(".md") if link[1] in {"above", "below"} else link[1]
        return f"[{name}](../{link[2] or page}{link[3] or ''})"

    return LINK.sub(turned, text)


def _meaning(told: dict[str, str], key: str, page: str) -> str:
    if key not in told:
        raise SystemExit(f"docs/{page}: no table says the meaning of {key}")
    return told[key]


def settings_page() -> str:
    """docs/reference/settings.md."""
    told = meanings("settings.md")
    rows = [
        [code(item.name), code(_type(item)), code(_default(item)),
         _meaning(told, item.name, "settings.md")]
        for item in fields(Settings)
    ]  # fmt: skip
    head = ["key", "type", "default", "meaning"]
    impact = [
        [code(item.name), code(_type(item)), _meaning(told, item.name, "settings.md")]
        for item in fields(ImpactBounds)
    ]
    health = [
        [code(key), code(TOML.get(type(value).__name__, "float")), code(json.dumps(value)),
         _meaning(told, key, "settings.md")]
        for key, value in HEALTH_DEFAULTS.items()
    ]  # fmt: skip
    return "\n".join(
        [
            f"# Every setting\n\n{MADE}\n[Settings](../settings.md) shows an example of each.\n",
            f"## detector.toml\n\n{table(head, rows)}",
            "## [impact]\n\nA key that is unset follows the organisation's own volumes.\n",
            table(["key", "type", "meaning"], impact),
            f"## [health]\n\n{table(head, health)}",
            f"## [[sinks]]\n\n{table(['key', 'sinks', 'type', 'default', 'meaning'], _sinks())}",
        ]
    )


def _sinks() -> Iterator[Row]:
    told = meanings("sinks.md")
    for item in fields(SinkConfig):
        key = KEY_BY_FIELD.get(item.name, item.name)
        schemes = [scheme for scheme, sink in registry.sinks().items() if key in sink.keys]
        whose = "all" if key in COMMON_KEYS else ", ".join(map(code, schemes))
        default = "" if item.default in (MISSING, "", 0, ()) else _default(item)
        yield [code(key), whose, code(_type(item)), code(default), _meaning(told, key, "sinks.md")]


#: What TOML calls a type of Python.
TOML: Final = {"str": "string", "int": "integer", "bool": "boolean", "Impact": "table"}


def _type(item: Any) -> str:
    """As TOML calls it; ``None`` is how the code says that a key is unset."""
    name = str(item.type).removesuffix(" | None")
    if name.startswith(("tuple[dict", "list[dict")):
        return "array of tables"
    inner = re.match(r"(?:tuple|list)\[(\w+)", name)
    if inner:
        return f"array of {TOML.get(inner[1], inner[1])}s"
    return "table" if name.startswith("dict") else TOML.get(name, name)


def _default(item: Any) -> str:
    value = item.default
    if item.default_factory is not MISSING:
        value = item.default_factory()
    if value is None:
        return "unset"
    return "{}" if isinstance(value, ImpactBounds) else json.dumps(value, ensure_ascii=False)


def features_page() -> str:
    """docs/reference/features.md."""
    kinds_of = feature_entities.kinds()
    rows = [
        [code(each.name), family.name, ", ".join(kinds_of[each.name]), each.unit,
         "yes" if each.is_sufficient else "", escaped(each.meaning)]
        for family in registry.families()
        for each in family.features
    ]  # fmt: skip
    head = ["feature", "family", "entity", "unit", "alone", "meaning"]
    return (
        f"# Every feature\n\n{MADE}\n[Features](../features.md) explains how they are measured.\n\n"
        "*Entity* names the kinds of entity that have the feature. A feature with *yes* under\n"
        "*alone* may support an alert by itself.\n\n"
        f"{table(head, rows)}"
    )


def sources_page() -> str:
    """docs/reference/sources.md."""
    formats = [
        [code(name), escaped(source.title), "yes" if source.is_general else "",
         "yes" if source.follow_reader else ""]
        for name, source in registry.sources().items()
    ]  # fmt: skip
    columns = [
        [code(name), code(_polars(kind)), ", ".join(map(code, ALIASES[name].split()))]
        for name, kind in schema.EVENTS.items()
    ]
    return "\n".join(
        [
            f"# Every log format\n\n{MADE}\n[Sources](../sources.md) explains how logs are read.\n",
            "## Formats\n\nA *general* format stands back where another one fits the same log.",
            "`detector watch` follows a log that *grows*; it reads others once they are complete.",
            "Some formats have files of both kinds.\n",
            table(["name", "what it is", "general", "grows"], formats),
            "## Columns of events\n\nA format without names of its own takes the first of these",
            "names that a log has, in any case of letters.\n",
            table(["column", "type", "understood names"], columns),
        ]
    )


def _polars(kind: object) -> str:
    return str(kind).replace("time_unit='us', time_zone='UTC'", "us, UTC")


def alerts_page() -> str:
    """docs/reference/alerts.md."""
    formats = [
        [code(name), escaped(each.title), code(each.media_type)]
        for name, each in registry.formats().items()
    ]
    sinks = [
        [code(scheme), escaped(sink.title), code(sink.format)]
        for scheme, sink in registry.sinks().items()
    ]
    return "\n".join(
        [
            f"# Every alert format and sink\n\n{MADE}\n[Formats](../formats.md) and",
            "[sinks](../sinks.md) explain them.\n",
            f"## Formats\n\n{table(['name', 'what it is', 'media type'], formats)}",
            f"## Sinks\n\n{table(['scheme', 'where alerts go', 'format'], sinks)}",
        ]
    )


#: What is made, by its place in docs/.
PAGES: Final[dict[str, Callable[[], str]]] = {
    "cli.md": cli_reference.page,
    "architecture.svg": architecture.picture,
    "reference/features.md": features_page,
    "reference/settings.md": settings_page,
    "reference/sources.md": sources_page,
    "reference/alerts.md": alerts_page,
}


def main() -> None:
    """Write every page."""
    for name, page in PAGES.items():
        (DOCS / name).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
