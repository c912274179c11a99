"""What was mistyped or forgotten, said before the work: judged wrongly is not judged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from detector.cli import console
from detector.core.errors import SettingsError
from detector.core.settings import Settings
from detector.features import peer_groups
from detector.ledger.store import FILE_NAME
from detector.model.model import Model
from detector.readers.object_store import is_store_url


def check_against_model(
    learned: Model,
    rules: Settings,
    directory: Path | None,
    ledger: Path,
    followed: Sequence[str] = (),
    warn: Callable[[str], object] = console.warn,
) -> None:
    """Tells ``warn`` what does not fit the model, and which logs to be ``followed`` are not there.

    Raises SettingsError where the model's days are others.
    """
    _check_logs(followed, warn)
    was = learned.settings
    if rules.timezone != was.timezone:
        raise SettingsError(
            f"the model knows days of {was.timezone}, and the settings count those of "
            f"{rules.timezone}",
            where="timezone",
            hint=f"set timezone = {was.timezone!r}, or train again",
        )
    if rules.log_timezone != was.log_timezone:
        warn(
            f"times without a zone are taken for those of {rules.log_timezone}, in training for "
            f"those of {was.log_timezone}: the hours of all accounts may be off; set log_timezone"
        )
    if directory is None and has_directory_groups(learned):
        warn(
            "the model was trained with a directory, and none is named: accounts are compared with "
            "groups as they were then; name it with --directory, or directory in the settings"
        )
    if not (ledger / FILE_NAME).exists():
        warn(
            f"there is no ledger in {ledger}: a new one is made, and all is judged without what "
            "accounts did since training; if that is mistyped, name the one of the training with "
            "--ledger, or ledger in the settings"
        )


def _check_logs(logs: Sequence[str], warn: Callable[[str], object]) -> None:
    """Says which of the files and folders to be followed are not there."""
    for log in logs:
        if is_store_url(log) or any(char in log for char in "*?["):
            continue
        if not Path(log).exists():
            warn(f"{log}: nothing is there yet; it is followed once it is, if it is not mistyped")


def has_directory_groups(learned: Model) -> bool:
    """Whether a model's groups are those of a directory, and not by what accounts use."""
    names = learned.baselines.groups["group"].unique()
    by_use = (
        names.str.starts_with("mostly ")
        | names.str.starts_with("by ")
        | (names == peer_groups.OTHER_GROUP)
    )
    return not bool(by_use.all())
