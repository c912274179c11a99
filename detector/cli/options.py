"""Arguments that several commands share, and the settings they make."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from detector import registry
from detector.core import setting_types
from detector.core import settings as settings_file
from detector.core.errors import InputError, SettingsError
from detector.core.settings import Settings
from detector.delivery.format import Format


def _default_from_settings(
    context: typer.Context, option: typer.CallbackParam, value: Path
) -> Path:
    """An option that was not given is as the settings say, where they say it."""
    source = context.get_parameter_source(str(option.name))
    if source is not None and source.name != "DEFAULT":
        return value
    found = settings_file.load(context.params.get("settings"))
    named = getattr(found, max(option.opts, key=len).lstrip("-"))
    return value if named is None else Path(named)


Logs: TypeAlias = Annotated[
    list[str], typer.Argument(metavar="LOG", help="Files, folders or globs of access logs.")
]
SourceName: TypeAlias = Annotated[
    str | None,
    typer.Option("--source", help="Log format; guessed from the content when not given."),
]
DirectoryFile: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--directory",
        help="CSV of accounts: account, group, role, kind, hired.",
        callback=_default_from_settings,
    ),
]
LedgerFolder: TypeAlias = Annotated[
    Path,
    typer.Option(
        "--ledger",
        help="Folder of the ledger: what is kept of the logs.",
        callback=_default_from_settings,
    ),
]
ModelFolder: TypeAlias = Annotated[
    Path, typer.Option("--model", help="Folder of the model.", callback=_default_from_settings)
]
SettingsFile: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--settings", help="Settings; ./detector.toml is read when not given.", is_eager=True
    ),
]
Budget: TypeAlias = Annotated[
    float | None,
    typer.Option(
        "--alerts-per-day",
        help="Budget of false alerts a day; one per 1,000 accounts, at least one, by default.",
    ),
]
FormatName: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--format",
        help="Shape of alerts.ndjson: ocsf (the default), ecs, native, or an older ocsf.",
    ),
]
JsonFlag: TypeAlias = Annotated[
    bool, typer.Option("--json", help="Print one JSON document on stdout, for machines.")
]

LEDGER = Path("ledger")
MODEL = Path("model")


def check_writable(folder: Path, flag: str) -> None:
    """Raises InputError where ``folder`` cannot be made or written: before the work, not after."""
    nearest = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not nearest.is_dir():
        what = "is a file" if nearest == folder else f"lies under {nearest}, which is a file"
    elif not os.access(nearest, os.W_OK | os.X_OK):
        what = "cannot be written: no permission"
    else:
        return
    raise InputError(what, where=folder, hint=f"name another folder for {flag}")


def file_format(name: str | None, settings: Settings) -> Format:
    """The format of alerts.ndjson: the flag's, or the settings'. Raises SettingsError."""
    known = {own: each for own, each in registry.formats().items() if each.is_json}
    wanted = settings.format if name is None else name
    if wanted not in known:
        what = "does not go into an .ndjson file" if wanted in registry.formats() else "is unknown"
        raise SettingsError(
            f"format {wanted!r} {what}",
            where=None if name is None else "--format",
            hint=f"known are {', '.join(known)}",
        )
    return known[wanted]


def load_settings(
    path: Path | None, alerts_per_day: float | None = None, base: Settings | None = None
) -> Settings:
    """The settings file over ``base``, with the flags over both. Raises SettingsError.

    What is written from then on is readable by whom they name.
    """
    settings = settings_file.load(path, base)
    if settings.readable_by != "owner":  # to which the command begins
        os.umask(setting_types.READER_UMASKS[settings.readable_by])
    if alerts_per_day is None:
        return settings
    if not 0 < alerts_per_day < setting_types.MAX_ALERTS_PER_DAY:
        raise SettingsError(
            f"{alerts_per_day!r} must be a positive number", where="--alerts-per-day"
        )
    return replace(settings, alerts_per_day=alerts_per_day)
