"""Writes docs/cli.md: every command and option, from the code. A test holds the page to it.

Usage: .venv/bin/python scripts/cli_reference.py
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperGroup

from detector.cli.app import app

PAGE = Path(__file__).parents[1] / "docs" / "cli.md"
HEAD = """# Command reference

Made by `scripts/cli_reference.py` from what `--help` says. `detector --version` shows the version,
`--help` after any command its options. Words for people go to stderr; `--json` gives one document
for machines on stdout. Settings stand in [detector.toml](settings.md); an option wins over them.

## Exit codes

| code | meaning |
|---|---|
| `0` | done, with alerts or without; of `score` also when some could not be delivered yet |
| `1` | not done, as where all records were rejected; or not all arrived; or `--fail-on-alert` |
| `2` | wrong usage or settings |
| `3` | of `score`: done, but what was read is doubtful; see [health](settings.md#health) |

An error is one line that says what is wrong, where, and how to mend it.
"""


def commands() -> Iterator[tuple[str, Any]]:
    """All commands by name, those of groups by both: ``outbox list``."""
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    for name, command in sorted(group.commands.items()):
        if isinstance(command, TyperGroup):
            yield from ((f"{name} {own}", each) for own, each in sorted(command.commands.items()))
        else:
            yield name, command


def page() -> str:
    """The whole of docs/cli.md."""
    return "\n".join([HEAD, *("\n".join(section(*each)) for each in commands())])


def section(name: str, command: Any) -> Iterator[str]:
    """What stands of one command."""
    arguments = [each for each in command.params if each.param_type_name == "argument"]
    options = [each for each in command.params if each.param_type_name == "option"]
    words = [each.metavar or each.name.upper() for each in arguments]
    yield f"## detector {name}\n"
    yield f"    detector {' '.join([name, *words, *(['[OPTION]...'] if options else [])])}\n"
    yield f"{_plain(command.help)}\n"
    told = [each for each in arguments if each.help]
    yield from (f"- `{each.metavar or each.name.upper()}`: {_plain(each.help)}" for each in told)
    if told:
        yield ""
    if options:
        yield "| option | default | meaning |\n|---|---|---|"
        yield from map(_row, options)
        yield ""


def _row(option: Any) -> str:
    default = option.default
    unset = default in (None, False, ()) or callable(default)
    shown = "" if unset else f"`{default}`"
    return f"| `{option.opts[0]}` | {shown} | {_plain(option.help)} |"


def _plain(words: str | None) -> str:
    return re.sub(r"[ \t]*\n[ \t]*", "\n", (words or "").strip()).replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
