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
from detector.core import files
from detector.core.errors import ModelError, SettingsError
from detector.core.settings import from_mapping
from detector.features.aggregates import ENTITY_KINDS
from detector.features.feature import Family, available_families
from detector.features.feature_table import TrainedBaselines
from detector.model import boosted_trees, card, validation
from detector.model import ensemble as joining
from detector.model import isolation_forest as forests
from detector.model.calibration import Calibration
from detector.model.ensemble import CONTEXT_COLUMNS, FOREST_COLUMNS, Ensemble
from detector.model.entity_bias import EntityBias
from detector.model.model import KindModel, Model
from detector.privacy.pseudonyms import mismatch

#: Raised with every change to what the folder holds or means.
FORMAT_VERSION = 9
KIND = "detector model"
#: The frames of what was learned, each a Parquet file.
BASELINE_FRAMES = tuple(item.name for item in fields(TrainedBaselines))
#: And of the judges of each kind of entity, null where they have none.
KIND_FRAMES: Final[Mapping[str, Callable[[KindModel], pl.DataFrame | None]]] = {
    "forests": lambda judge: judge.ensemble.forest.nodes,
    "trees": lambda judge: None if judge.ensemble.trees is None else judge.ensemble.trees.nodes,
    "oddness": lambda judge: judge.entity_bias.biases,
}
#: Of a count: a number that no model comes near.
MAX_COUNT = 2**53
#: How often a model may be replaced while it is read.
MAX_ATTEMPTS: Final = 20
RETRAIN_HINT = "train again with this version"
#: What parts raise that are not what they should be.
LOAD_ERRORS = (
    KeyError, TypeError, ValueError, AttributeError, OverflowError, OSError, NotImplementedError,
    SettingsError, pl.exceptions.PolarsError, pa.ArrowException,
)  # fmt: skip


def save(model: Model, path: Path, families: Sequence[Family]) -> Model:
    """Writes the model folder; the old one is replaced only when the new one is whole.

    Raises ModelError where ``path`` holds something that is no model, or cannot be written.
    """
    if path.exists() and not (path / "model.json").is_file() and any(path.iterdir()):
        raise ModelError("is not a model folder and not empty", where=path, hint="name another")
    contents = {
        f"{name}.parquet": _to_parquet(getattr(model.baselines, name)) for name in BASELINE_FRAMES
    }
    for name in KIND_FRAMES:
        contents[f"{name}.parquet"] = _to_parquet(_concat_kinds(name, model.kind_models))
    head = _header(model)
    head["files"] = {name: hashlib.sha256(data).hexdigest() for name, data in contents.items()}
    head["id"] = _checksum(head)[:16]
    head["checksum"] = _checksum(head)
    model = replace(model, id=head["id"])
    contents["model.json"] = (json.dumps(head, sort_keys=True) + "\n").encode()
    there = available_families(families, head["features"])
    contents["CARD.md"] = card.render_card(model, head["versions"], there).encode()
    try:
        files.write_folder(path.resolve(), contents)
    except OSError as error:
        raise ModelError.not_written(error, path) from error
    return model


def load(path: Path, families: Sequence[Family]) -> Model:
    """The model in ``path``. Raises ModelError (one line) on anything but a whole, own model.

    A model that is replaced while it is read is read anew.
    """
    for _ in range(MAX_ATTEMPTS):
        before = _folder_stamp(path)
        try:
            return _load(path, families)
        except ModelError:
            if _folder_stamp(path) == before:
                raise
    return _load(path, families)


def _folder_stamp(path: Path) -> tuple[int, int]:
    """Which folder has this name now; an inode alone may be given away again."""
    try:
        status = files.current_folder(path).stat()
    except OSError:
        return 0, 0
    return status.st_ino, status.st_mtime_ns


def _load(path: Path, families: Sequence[Family]) -> Model:
    path = files.current_folder(path)
    head = _read_header(path)
    data = {}
    for name, wanted in head["files"].items():
        data[name] = _read_bytes(path / name)
        if hashlib.sha256(data[name]).hexdigest() != wanted:
            raise ModelError("is damaged (checksum differs)", where=path / name, hint=RETRAIN_HINT)
    try:
        _check_features(head["features"], families)
        return _build_model(
            head, data, joining.change_feature_count(available_families(families, head["features"]))
        )
    except LOAD_ERRORS as error:
        raise ModelError(
            f"does not fit together: {error!r}", where=path, hint=RETRAIN_HINT
        ) from error
    except ModelError as error:
        raise ModelError(error.what, where=path, hint=RETRAIN_HINT) from error


def _check_features(stored: Sequence[str], families: Sequence[Family]) -> None:
    there = available_families(families, stored)
    names = [feature.name for family in there for feature in family.features]
    if list(stored) != names:
        differing = ", ".join(sorted(set(stored) ^ set(names))) or "their order"
        raise ModelError(f"was trained with other features than this version's: {differing}")


def check_pseudonyms(model: Model, check: str, path: Path) -> None:
    """Raises ModelError where its accounts are not as the key of this ``check`` makes them.

    An empty ``check`` demands names as they are.
    """
    apart = mismatch(model.pseudonyms, check)
    if apart is not None:
        what, mend = apart
        raise ModelError(what, where=path, hint=f"{mend}, or train again")


def _header(model: Model) -> dict[str, Any]:
    settings = asdict(model.settings)
    settings["workdays"] = list(model.settings.workdays)
    for name in (
        *("sinks", "allow_list", "expected_growth", "health"),
        *("directory", "ledger", "model", "readable_by"),
    ):
        del settings[name]  # what becomes of alerts is no part of what was learned
    return {
        "kind": KIND,
        "format": FORMAT_VERSION,
        "versions": versions(),
        "features": list(next(iter(model.kind_models.values())).ensemble.feature_names),
        "settings": {name: value for name, value in settings.items() if value is not None},
        "first_day": model.first_day.isoformat(),
        "last_day": model.last_day.isoformat(),
        "held_out_from": model.held_out_from.isoformat(),
        "held_out_days": model.held_out_days,
        "accounts": model.accounts,
        "rows_known": model.known_row_share,
        "largest_day": model.largest_day_rows,
        "alerts_per_day": model.alerts_per_day,
        "threshold": model.threshold,
        "contaminated": list(model.contaminated_accounts),
        "suspects": list(model.suspects),
        "pseudonyms": model.pseudonyms,
        "judges": {
            kind: {
                "joint": judge.joint_calibration.to_json(),
                "beyond": judge.entity_bias.calibration.to_json(),
                "tails": [tail.to_json() for tail in judge.ensemble.calibrations],
                "forest_tail": judge.ensemble.forest_calibration.to_json(),
                "population": judge.ensemble.uses_population,
                "whole": judge.final_calibration.to_json(),
            }
            for kind, judge in model.kind_models.items()
        },
    }


def versions() -> dict[str, str]:
    """Versions of what shapes a model."""
    from importlib.metadata import version

    libraries = ("lightgbm", "numpy", "polars", "pyod", "scikit-learn")
    return {"detector": __version__, **{name: version(name) for name in libraries}}


def _concat_kinds(name: str, judges: Mapping[str, KindModel]) -> pl.DataFrame:
    """The frame called ``name`` of all kinds of entity that have one."""
    parts = [pl.DataFrame(schema=dict(validation.FRAME_RULES[name].schema))]
    for kind, judge in judges.items():
        if (part := KIND_FRAMES[name](judge)) is not None:
            parts.append(part.with_columns(entity_kind=pl.lit(kind)))
    return pl.concat(parts)


def _build_model(head: dict[str, Any], data: dict[str, bytes], changing: int) -> Model:
    """``changing`` is how many of the features ask for change."""
    learned = {
        name: validation.validate(name, _from_parquet(data[f"{name}.parquet"]))
        for name in validation.FRAME_RULES
    }
    of_kinds = {name: learned.pop(name) for name in KIND_FRAMES}
    if set(of_kinds["forests"]["entity_kind"]) != set(head["judges"]) or not head["judges"]:
        raise ValueError("forests.parquet is not of the kinds that are judged")
    names = tuple(head["features"])
    judges = {
        kind: _build_kind_model(names, raw, of_kinds, kind, changing)
        for kind, raw in head["judges"].items()
    }
    return Model(
        kind_models=judges,
        threshold=_bounded_number(head, "threshold", 0, sys.float_info.max),
        baselines=TrainedBaselines(**learned),
        settings=from_mapping(head["settings"]),
        alerts_per_day=_bounded_number(head, "alerts_per_day", 0, sys.float_info.max),
        first_day=date.fromisoformat(head["first_day"]),
        last_day=date.fromisoformat(head["last_day"]),
        held_out_from=date.fromisoformat(head["held_out_from"]),
        held_out_days=int(_bounded_number(head, "held_out_days", 1, MAX_COUNT)),
        accounts=int(_bounded_number(head, "accounts", 0, MAX_COUNT)),
        known_row_share=_bounded_number(head, "rows_known", 0, 1),
        largest_day_rows=_bounded_number(head, "largest_day", 0, sys.float_info.max),
        contaminated_accounts=tuple(str(name) for name in head["contaminated"]),
        suspects=tuple(str(name) for name in head["suspects"]),
        id=str(head["id"]),
        pseudonyms=str(head.get("pseudonyms", "")),
    )


def _bounded_number(head: dict[str, Any], name: str, low: float, high: float) -> float:
    value = float(head[name])
    if not low <= value <= high:
        raise ValueError(f"{name} is {value}")
    return value


def _build_kind_model(
    names: tuple[str, ...],
    raw: dict[str, Any],
    of_kinds: dict[str, pl.DataFrame],
    kind: str,
    changing: int,
) -> KindModel:
    forest, nodes, usual = (
        of_kinds[name].filter(pl.col("entity_kind") == kind).drop("entity_kind")
        for name in ("forests", "trees", "oddness")
    )
    tails = tuple(Calibration.from_json(tail) for tail in raw["tails"])
    if kind not in ENTITY_KINDS or len(tails) != len(names):
        raise ValueError(f"no judge of {kind}s")
    population = bool(raw["population"])
    voices = Ensemble(
        names,
        tails,
        forests.validate(forest, len(FOREST_COLUMNS) if population else len(names)),
        Calibration.from_json(raw["forest_tail"]),
        population,
        None
        if nodes.is_empty()
        else boosted_trees.validate(nodes, changing + 2 + len(CONTEXT_COLUMNS)),
    )
    oddness = EntityBias(usual, Calibration.from_json(raw["beyond"]))
    return KindModel(
        voices, Calibration.from_json(raw["joint"]), oddness, Calibration.from_json(raw["whole"])
    )


def _read_header(path: Path) -> dict[str, Any]:
    if not path.exists():
        raise ModelError("no such model folder", where=path, hint="make one with detector train")
    if not (path / "model.json").is_file():
        raise ModelError("is no model folder (it has no model.json)", where=path)
    raw = _read_bytes(path / "model.json")
    try:
        head = json.loads(raw)
    except (ValueError, RecursionError):
        raise ModelError(
            "is damaged (not JSON)", where=path / "model.json", hint=RETRAIN_HINT
        ) from None
    if not isinstance(head, dict) or head.get("kind") != KIND:
        raise ModelError("is not a detector model", where=path / "model.json")
    stored = head.get("format")
    if stored != FORMAT_VERSION:
        newer = isinstance(stored, int) and stored > FORMAT_VERSION
        age, hint = (
            ("a newer", "update detector") if newer else ("an older or unknown", RETRAIN_HINT)
        )
        raise ModelError(
            f"has {age} format ({stored!r}, not {FORMAT_VERSION})", where=path, hint=hint
        )
    if head.get("checksum") != _checksum(head) or not isinstance(head.get("files"), dict):
        raise ModelError(
            "is damaged (checksum differs)", where=path / "model.json", hint=RETRAIN_HINT
        )
    if set(head["files"]) != {f"{name}.parquet" for name in validation.FRAME_RULES}:
        raise ModelError("names other files than a model has", where=path / "model.json")
    return head


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ModelError(
            f"cannot be read: {error.strerror}", where=path, hint=RETRAIN_HINT
        ) from error


def _to_parquet(frame: pl.DataFrame) -> bytes:
    out = io.BytesIO()
    frame.write_parquet(out, compression="zstd")
    return out.getvalue()


def _from_parquet(data: bytes) -> pl.DataFrame:
    """A Parquet file's, read by pyarrow: of damage polars panics, with a trace on stderr."""
    table = pq.read_table(io.BytesIO(data))
    table.validate(full=True)
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    return frame


def _checksum(head: dict[str, Any]) -> str:
    rest = {name: value for name, value in head.items() if name != "checksum"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()
