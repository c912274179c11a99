"""The model folder: data only, checked when read, refused in one line.

model.json          format, versions, settings, span, calibration, threshold, checksums
levels.parquet      frozen baselines of entities
peers.parquet       and of their groups (null: all)
seen.parquet        the hours that accounts keep
habits.parquet      and their groups
known.parquet       addresses, tables and programs seen at the end of training
used.parquet        how many of a group use a table
groups.parquet      accounts that work alike, for where there is no directory
forests.parquet     isolation forests, by kind of entity
trees.parquet       boosted trees, likewise
oddness.parquet     how odd the honest days of each entity usually are
CARD.md             the same for people
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, fields, replace
from datetime import date
from pathlib import Path
from typing import Any, Final

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from detector import __version__
from detector.core import files as durable
from detector.core.errors import ModelError, SettingsError
from detector.core.settings import from_mapping
from detector.features.aggregates import KINDS
from detector.features.feature import Family, heard
from detector.features.feature_table import Learned
from detector.model import boosted_trees, card, validation
from detector.model import ensemble as joining
from detector.model import isolation_forest as forests
from detector.model.calibration import Tail
from detector.model.ensemble import CONTEXT, SEEN, Voices
from detector.model.entity_bias import Oddness
from detector.model.model import Judge, Model
from detector.privacy.pseudonyms import difference

#: Raised with every change to what the folder holds or means.
FORMAT = 9
KIND = "detector model"
#: The frames of what was learned, each a Parquet file.
LEARNED = tuple(item.name for item in fields(Learned))
#: And of the judges of each kind of entity, null where they have none.
OF_KINDS: Final[Mapping[str, Callable[[Judge], pl.DataFrame | None]]] = {
    "forests": lambda judge: judge.voices.forest.nodes,
    "trees": lambda judge: None if judge.voices.trees is None else judge.voices.trees.nodes,
    "oddness": lambda judge: judge.oddness.usual,
}
#: Of a count: a number that no model comes near.
MOST = 2**53
#: How often a model may be replaced while it is read.
ATTEMPTS: Final = 20
RETRAIN = "train again with this version"
#: What parts raise that are not what they should be.
UNFIT = (
    KeyError, TypeError, ValueError, AttributeError, OverflowError, OSError, NotImplementedError,
    SettingsError, pl.exceptions.PolarsError, pa.ArrowException,
)  # fmt: skip


def save(model: Model, path: Path, families: Sequence[Family]) -> Model:
    """Writes the model folder; the old one is replaced only when the new one is whole.

    Raises ModelError where ``path`` holds something that is no model.
    """
    if path.exists() and not (path / "model.json").is_file() and any(path.iterdir()):
        raise ModelError("is not a model folder and not empty", where=path, hint="name another")
    files = {f"{name}.parquet": _parquet(getattr(model.learned, name)) for name in LEARNED}
    for name in OF_KINDS:
        files[f"{name}.parquet"] = _parquet(_joined(name, model.judges))
    head = _head(model)
    head["files"] = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    head["id"] = _checksum(head)[:16]
    head["checksum"] = _checksum(head)
    model = replace(model, id=head["id"])
    files["model.json"] = (json.dumps(head, sort_keys=True) + "\n").encode()
    there = heard(families, head["features"])
    files["CARD.md"] = card.card(model, head["versions"], there).encode()
    _replace(path.resolve(), files)
    return model


def _replace(path: Path, files: Mapping[str, bytes]) -> None:
    """Writes ``files`` as the folder ``path``; of a failure nothing is left. Raises OSError."""
    fresh = path.with_name(path.name + ".new")
    shutil.rmtree(fresh, ignore_errors=True)
    try:
        fresh.mkdir(parents=True)
        for name, data in files.items():
            with (fresh / name).open("wb") as out:
                out.write(data)
                out.flush()
                os.fsync(out.fileno())
        durable.sync(fresh)
        durable.replace_folder(fresh, path)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def load(path: Path, families: Sequence[Family]) -> Model:
    """The model in ``path``. Raises ModelError (one line) on anything but a whole, own model.

    A model that is replaced while it is read is read anew.
    """
    for _ in range(ATTEMPTS):
        before = _stamp(path)
        try:
            return _load(path, families)
        except ModelError:
            if _stamp(path) == before:
                raise
    return _load(path, families)


def _stamp(path: Path) -> tuple[int, int]:
    """Which folder has this name now; an inode alone may be given away again."""
    try:
        status = durable.standing(path).stat()
    except OSError:
        return 0, 0
    return status.st_ino, status.st_mtime_ns


def _load(path: Path, families: Sequence[Family]) -> Model:
    path = durable.standing(path)
    head = _read_head(path)
    data = {}
    for name, wanted in head["files"].items():
        data[name] = _bytes(path / name)
        if hashlib.sha256(data[name]).hexdigest() != wanted:
            raise ModelError("is damaged (checksum differs)", where=path / name, hint=RETRAIN)
    try:
        _demand_features(head["features"], families)
        return _model(head, data, joining.changing(heard(families, head["features"])))
    except UNFIT as error:
        raise ModelError(f"does not fit together: {error!r}", where=path, hint=RETRAIN) from error
    except ModelError as error:
        raise ModelError(error.what, where=path, hint=RETRAIN) from error


def _demand_features(stored: Sequence[str], families: Sequence[Family]) -> None:
    there = heard(families, stored)
    names = [feature.name for family in there for feature in family.features]
    if list(stored) != names:
        differing = ", ".join(sorted(set(stored) ^ set(names))) or "their order"
        raise ModelError(f"was trained with other features than this version's: {differing}")


def demand_pseudonyms(model: Model, check: str, path: Path) -> None:
    """Raises ModelError where its accounts are not as the key of this ``check`` makes them.

    An empty ``check`` demands names as they are.
    """
    apart = difference(model.pseudonyms, check)
    if apart is not None:
        what, mend = apart
        raise ModelError(what, where=path, hint=f"{mend}, or train again")


def _head(model: Model) -> dict[str, Any]:
    settings = asdict(model.settings)
    settings["workdays"] = list(model.settings.workdays)
    for name in (
        *("sinks", "allow_list", "expected_growth", "health"),
        *("directory", "ledger", "model", "readable_by"),
    ):
        del settings[name]  # what becomes of alerts is no part of what was learned
    return {
        "kind": KIND,
        "format": FORMAT,
        "versions": versions(),
        "features": list(next(iter(model.judges.values())).voices.names),
        "settings": {name: value for name, value in settings.items() if value is not None},
        "first_day": model.first_day.isoformat(),
        "last_day": model.last_day.isoformat(),
        "held_out_from": model.held_out_from.isoformat(),
        "held_out_days": model.held_out_days,
        "accounts": model.accounts,
        "rows_known": model.rows_known,
        "largest_day": model.largest_day,
        "alerts_per_day": model.alerts_per_day,
        "threshold": model.threshold,
        "contaminated": list(model.contaminated),
        "suspects": list(model.suspects),
        "pseudonyms": model.pseudonyms,
        "judges": {
            kind: {
                "joint": judge.joint.to_json(),
                "beyond": judge.oddness.tail.to_json(),
                "tails": [tail.to_json() for tail in judge.voices.features],
                "forest_tail": judge.voices.forest_tail.to_json(),
                "population": judge.voices.population,
                "whole": judge.whole.to_json(),
            }
            for kind, judge in model.judges.items()
        },
    }


def versions() -> dict[str, str]:
    """Versions of what shapes a model."""
    from importlib.metadata import version

    libraries = ("lightgbm", "numpy", "polars", "pyod", "scikit-learn")
    return {"detector": __version__, **{name: version(name) for name in libraries}}


def _joined(name: str, judges: Mapping[str, Judge]) -> pl.DataFrame:
    """The frame called ``name`` of all kinds of entity that have one."""
    parts = [pl.DataFrame(schema=dict(validation.FRAMES[name].schema))]
    for kind, judge in judges.items():
        if (part := OF_KINDS[name](judge)) is not None:
            parts.append(part.with_columns(entity_kind=pl.lit(kind)))
    return pl.concat(parts)


def _model(head: dict[str, Any], data: dict[str, bytes], changing: int) -> Model:
    """``changing`` is how many of the features ask for change."""
    learned = {
        name: validation.checked(name, _frame(data[f"{name}.parquet"]))
        for name in validation.FRAMES
    }
    of_kinds = {name: learned.pop(name) for name in OF_KINDS}
    if set(of_kinds["forests"]["entity_kind"]) != set(head["judges"]) or not head["judges"]:
        raise ValueError("forests.parquet is not of the kinds that are judged")
    names = tuple(head["features"])
    judges = {
        kind: _judge(names, raw, of_kinds, kind, changing) for kind, raw in head["judges"].items()
    }
    return Model(
        judges=judges,
        threshold=_between(head, "threshold", 0, sys.float_info.max),
        learned=Learned(**learned),
        settings=from_mapping(head["settings"]),
        alerts_per_day=_between(head, "alerts_per_day", 0, sys.float_info.max),
        first_day=date.fromisoformat(head["first_day"]),
        last_day=date.fromisoformat(head["last_day"]),
        held_out_from=date.fromisoformat(head["held_out_from"]),
        held_out_days=int(_between(head, "held_out_days", 1, MOST)),
        accounts=int(_between(head, "accounts", 0, MOST)),
        rows_known=_between(head, "rows_known", 0, 1),
        largest_day=_between(head, "largest_day", 0, sys.float_info.max),
        contaminated=tuple(str(name) for name in head["contaminated"]),
        suspects=tuple(str(name) for name in head["suspects"]),
        id=str(head["id"]),
        pseudonyms=str(head.get("pseudonyms", "")),
    )


def _between(head: dict[str, Any], name: str, low: float, high: float) -> float:
    value = float(head[name])
    if not low <= value <= high:
        raise ValueError(f"{name} is {value}")
    return value


def _judge(
    names: tuple[str, ...],
    raw: dict[str, Any],
    of_kinds: dict[str, pl.DataFrame],
    kind: str,
    changing: int,
) -> Judge:
    forest, nodes, usual = (
        of_kinds[name].filter(pl.col("entity_kind") == kind).drop("entity_kind")
        for name in ("forests", "trees", "oddness")
    )
    tails = tuple(Tail.from_json(tail) for tail in raw["tails"])
    if kind not in KINDS or len(tails) != len(names):
        raise ValueError(f"no judge of {kind}s")
    population = bool(raw["population"])
    voices = Voices(
        names,
        tails,
        forests.checked(forest, len(SEEN) if population else len(names)),
        Tail.from_json(raw["forest_tail"]),
        population,
        None if nodes.is_empty() else boosted_trees.checked(nodes, changing + 2 + len(CONTEXT)),
    )
    oddness = Oddness(usual, Tail.from_json(raw["beyond"]))
    return Judge(voices, Tail.from_json(raw["joint"]), oddness, Tail.from_json(raw["whole"]))


def _read_head(path: Path) -> dict[str, Any]:
    if not path.exists():
        raise ModelError("no such model folder", where=path, hint="make one with detector train")
    if not (path / "model.json").is_file():
        raise ModelError("is no model folder (it has no model.json)", where=path)
    raw = _bytes(path / "model.json")
    try:
        head = json.loads(raw)
    except (ValueError, RecursionError):
        raise ModelError("is damaged (not JSON)", where=path / "model.json", hint=RETRAIN) from None
    if not isinstance(head, dict) or head.get("kind") != KIND:
        raise ModelError("is not a detector model", where=path / "model.json")
    stored = head.get("format")
    if stored != FORMAT:
        newer = isinstance(stored, int) and stored > FORMAT
        age, hint = ("a newer", "update detector") if newer else ("an older or unknown", RETRAIN)
        raise ModelError(f"has {age} format ({stored!r}, not {FORMAT})", where=path, hint=hint)
    if head.get("checksum") != _checksum(head) or not isinstance(head.get("files"), dict):
        raise ModelError("is damaged (checksum differs)", where=path / "model.json", hint=RETRAIN)
    if set(head["files"]) != {f"{name}.parquet" for name in validation.FRAMES}:
        raise ModelError("names other files than a model has", where=path / "model.json")
    return head


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ModelError(f"cannot be read: {error.strerror}", where=path, hint=RETRAIN) from error


def _parquet(frame: pl.DataFrame) -> bytes:
    out = io.BytesIO()
    frame.write_parquet(out, compression="zstd")
    return out.getvalue()


def _frame(data: bytes) -> pl.DataFrame:
    """A Parquet file's, read by pyarrow: of damage polars panics, with a trace on stderr."""
    table = pq.read_table(io.BytesIO(data))
    table.validate(full=True)
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    return frame


def _checksum(head: dict[str, Any]) -> str:
    rest = {name: value for name, value in head.items() if name != "checksum"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()
