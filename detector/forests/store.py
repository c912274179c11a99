"""The model folder: data only, checked when read, refused in one line.

model.json          format, versions, settings, span, calibration, threshold, checksums
levels.parquet      frozen baselines of entities
peers.parquet       and of their groups (null: all)
seen.parquet        the hours that accounts keep
habits.parquet      and their groups
known.parquet       addresses, tables and programs seen at the end of training
used.parquet        how many of a group use a table
groups.parquet      accounts that work alike, for where there is no directory
trees.parquet       boosted trees, by kind of entity
<kind>.skops        an isolation forest for each kind of entity
CARD.md             the same for people
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict, fields, replace
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl

from detector import __version__
from detector.errors import ModelError, SettingsError
from detector.features.feature import Family
from detector.features.groups import GROUPS
from detector.features.novelty import KNOWN, USED
from detector.features.rhythm import SEEN
from detector.features.table import Learned
from detector.forests import boosting, card
from detector.forests import forest as forests
from detector.forests.model import Judge, Model
from detector.forests.tail import Tail
from detector.forests.voices import CONTEXT, Voices
from detector.settings import from_mapping

#: Raised with every change to what the folder holds or means.
FORMAT = 2
KIND = "detector model"
#: The frames of what was learned, each a Parquet file, and the columns that do not vary.
LEARNED = tuple(item.name for item in fields(Learned))
SCHEMAS = {"known": KNOWN, "used": USED, "seen": SEEN, "habits": SEEN, "groups": GROUPS}
RETRAIN = "train again with this version"


def save(model: Model, path: Path, families: Sequence[Family]) -> Model:
    """Writes the model folder; the old one is replaced only when the new one is whole.

    Raises ModelError where ``path`` holds something that is no model.
    """
    if path.exists() and not (path / "model.json").is_file() and any(path.iterdir()):
        raise ModelError("is not a model folder and not empty", where=path, hint="name another")
    files = {f"{name}.parquet": _parquet(getattr(model.learned, name)) for name in LEARNED}
    files["trees.parquet"] = _parquet(_trees(model))
    for kind, judge in model.judges.items():
        files[f"{kind}.skops"] = forests.dumps(judge.voices.forest)
    head = _head(model)
    head["files"] = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    head["id"] = _identity(head, model)
    head["checksum"] = _checksum(head)
    model = replace(model, id=head["id"])
    files["model.json"] = (json.dumps(head, sort_keys=True) + "\n").encode()
    files["CARD.md"] = card.card(model, head["versions"], families).encode()
    fresh = path.with_name(path.name + ".new")
    old = path.with_name(path.name + ".old")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    for name, data in files.items():
        with (fresh / name).open("wb") as out:
            out.write(data)
            out.flush()
            os.fsync(out.fileno())
    shutil.rmtree(old, ignore_errors=True)
    if path.exists():
        path.rename(old)
    fresh.rename(path)
    shutil.rmtree(old, ignore_errors=True)
    return model


def load(path: Path, families: Sequence[Family]) -> Model:
    """The model in ``path``. Raises ModelError (one line) on anything but a whole, own model."""
    head = _read_head(path)
    data = {}
    for name, wanted in head["files"].items():
        data[name] = _bytes(path / name)
        if hashlib.sha256(data[name]).hexdigest() != wanted:
            raise ModelError("is damaged (checksum differs)", where=path / name, hint=RETRAIN)
    names = tuple(feature.name for family in families for feature in family.features)
    if tuple(head["features"]) != names:
        differing = sorted(set(head["features"]) ^ set(names)) or ["their order"]
        raise ModelError(
            f"was trained with other features than this version's: {', '.join(differing)}",
            where=path,
            hint=RETRAIN,
        )
    try:
        return _model(head, data)
    except (KeyError, TypeError, ValueError, SettingsError, pl.exceptions.PolarsError) as error:
        raise ModelError(f"does not fit together: {error!r}", where=path, hint=RETRAIN) from error
    except ModelError as error:
        raise ModelError(error.what, where=path, hint=RETRAIN) from error


def _head(model: Model) -> dict[str, Any]:
    settings = asdict(model.settings)
    settings["workdays"] = list(model.settings.workdays)
    for name in ("sinks", "allow_list", "expected_growth"):
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
        "alerts_per_day": model.alerts_per_day,
        "threshold": model.threshold,
        "contaminated": list(model.contaminated),
        "judges": {
            kind: {
                "joint": judge.joint.to_json(),
                "tails": [tail.to_json() for tail in judge.voices.features],
                "forest_tail": judge.voices.forest_tail.to_json(),
            }
            for kind, judge in model.judges.items()
        },
    }


def versions() -> dict[str, str]:
    """Versions of what shapes a model."""
    from importlib.metadata import version

    libraries = ("numpy", "polars", "pyod", "scikit-learn", "skops")
    return {"detector": __version__, **{name: version(name) for name in libraries}}


def _trees(model: Model) -> pl.DataFrame:
    """The trees of all kinds: NODES with ``entity_kind``."""
    parts = [
        judge.voices.trees.nodes.with_columns(entity_kind=pl.lit(kind))
        for kind, judge in model.judges.items()
        if judge.voices.trees is not None
    ]
    schema = {**boosting.NODES, "entity_kind": pl.String()}
    return pl.concat(parts) if parts else pl.DataFrame(schema=schema)


def _model(head: dict[str, Any], data: dict[str, bytes]) -> Model:
    frames = {
        name.removesuffix(".parquet"): pl.read_parquet(io.BytesIO(raw))
        for name, raw in data.items()
        if name.endswith(".parquet")
    }
    names = tuple(head["features"])
    judges = {
        kind: _judge(names, raw, data[f"{kind}.skops"], frames["trees"], kind)
        for kind, raw in head["judges"].items()
    }
    return Model(
        judges=judges,
        threshold=float(head["threshold"]),
        learned=Learned(**{name: _checked(name, frames[name]) for name in LEARNED}),
        settings=from_mapping(head["settings"]),
        alerts_per_day=float(head["alerts_per_day"]),
        first_day=date.fromisoformat(head["first_day"]),
        last_day=date.fromisoformat(head["last_day"]),
        held_out_from=date.fromisoformat(head["held_out_from"]),
        held_out_days=int(head["held_out_days"]),
        accounts=int(head["accounts"]),
        rows_known=float(head["rows_known"]),
        contaminated=tuple(str(name) for name in head["contaminated"]),
        id=str(head["id"]),
    )


def _judge(
    names: tuple[str, ...], raw: dict[str, Any], forest: bytes, trees: pl.DataFrame, kind: str
) -> Judge:
    nodes = trees.filter(pl.col("entity_kind") == kind).drop("entity_kind")
    voices = Voices(
        names,
        tuple(Tail.from_json(tail) for tail in raw["tails"]),
        forests.loads(forest),
        Tail.from_json(raw["forest_tail"]),
        None if nodes.is_empty() else boosting.checked(nodes, len(names) + 2 + len(CONTEXT)),
    )
    return Judge(voices, Tail.from_json(raw["joint"]))


def _checked(name: str, frame: pl.DataFrame) -> pl.DataFrame:
    """The frame, if it has the columns it should. Raises ValueError."""
    wanted = SCHEMAS.get(name)
    if wanted is not None and dict(frame.schema) != wanted:
        raise ValueError(f"{name}.parquet has other columns")
    if name in ("levels", "peers") and "entity_kind" not in frame.columns:
        raise ValueError(f"{name}.parquet has other columns")
    return frame


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
        age = "newer" if isinstance(stored, int) and stored > FORMAT else "older or unknown"
        hint = "update detector" if age == "newer" else RETRAIN
        raise ModelError(f"has a {age} format ({stored!r}, not {FORMAT})", where=path, hint=hint)
    if head.get("checksum") != _checksum(head) or not isinstance(head.get("files"), dict):
        raise ModelError("is damaged (checksum differs)", where=path / "model.json", hint=RETRAIN)
    judges = head.get("judges")
    wanted = {f"{name}.parquet" for name in (*LEARNED, "trees")}
    if not isinstance(judges, dict) or set(head["files"]) != {
        *wanted,
        *(f"{kind}.skops" for kind in judges),
    }:
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


def _checksum(head: dict[str, Any]) -> str:
    rest = {name: value for name, value in head.items() if name != "checksum"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def _identity(head: dict[str, Any], model: Model) -> str:
    """Names what was learned. The saved forest's bytes are left out: they hold memory addresses."""
    files = {name: digest for name, digest in head["files"].items() if ".skops" not in name}
    for kind, judge in model.judges.items():
        files[kind] = forests.fingerprint(judge.voices.forest)
    return _checksum({**head, "files": files})[:16]
