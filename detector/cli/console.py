"""What people see. Words go to stderr; stdout belongs to machines."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, datetime
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

#: Characters of a line or cell that are shown; no error and no reason of our own is longer.
MAX_CHARACTERS = 2_000
#: Columns of tables that go to a file or a pipe, where names should not be folded.
PIPE_WIDTH = 160


def stderr_console() -> Console:
    """A console on stderr. Made anew each time, so that a redirected stderr is honoured."""
    seen = sys.stderr.isatty()
    width = None if seen else PIPE_WIDTH
    return Console(stderr=True, highlight=False, markup=False, soft_wrap=not seen, width=width)


def escape_controls(value: object) -> str:
    r"""Text from a log with control characters made visible: a log line is hostile.

    An account named ``\x1b[2J`` must not clear a terminal, nor one of a megabyte fill it.
    """
    text = str(value)
    left_out = len(text) - MAX_CHARACTERS
    if left_out > 0:
        return f"{escape_controls(text[:MAX_CHARACTERS])}... ({left_out:,} more characters)"
    return "".join(char if char.isprintable() else _escape(ord(char)) for char in text)


def _escape(code: int) -> str:
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"


def say(*lines: object) -> None:
    """Lines for people, on stderr."""
    out = stderr_console()
    for line in lines:
        out.print(line if isinstance(line, Table | Text) else Text(escape_controls(line)))


def warn(*lines: str) -> list[str]:
    """What a person must not miss, on stderr; the lines that are not empty."""
    said = [line for line in lines if line]
    for line in said:
        say(Text(f"Warning: {escape_controls(line)}", style="bold yellow"))
    return said


def table(title: str, columns: list[str], rows: list[list[object]], numbers: set[str]) -> Table:
    """A table whose ``numbers`` columns are set to the right."""
    grid = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for column in columns:
        grid.add_column(column, justify="right" if column in numbers else "left", overflow="fold")
    for row in rows:
        grid.add_row(*(Text(escape_controls(format_cell(cell))) for cell in row))
    return grid


def format_cell(value: object) -> str:
    """A cell as people write it: 1,430,112; 6 Feb 2024; a dash for what is not known."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.1f}"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M %Z").strip()
    if isinstance(value, date):
        return value.isoformat()
    return str(value)


@contextmanager
def progress(title: str, total: int, unit: str = "bytes") -> Iterator[Any]:
    """A bar to ``total``; yields ``advance(done, words)``. Silent where no one looks."""
    out = stderr_console()
    bar = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn() if unit == "bytes" else TextColumn("{task.completed:g}/{task.total:g}"),
        TimeRemainingColumn(),
        console=out,
        transient=True,
        disable=not out.is_terminal,
    )
    with bar:
        task = bar.add_task(title, total=total)
        yield lambda done, words=title: bar.update(
            task, completed=done, description=escape_controls(words)
        )


@contextmanager
def step_progress() -> Iterator[Callable[[str], None]]:
    """Says what is being done while it takes; yields ``step(words)``. Silent where no one looks."""
    out = stderr_console()
    bar = Progress(
        SpinnerColumn(), TextColumn("{task.description}", markup=False), console=out,
        transient=True, disable=not out.is_terminal,
    )  # fmt: skip
    with bar:
        task = bar.add_task("learning", total=None)
        yield lambda words: bar.update(task, description=escape_controls(f"learning: {words}"))
