"""The one-way flow, the size of files and functions, and what must never be imported."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
#: Left to right; a stage imports itself and what stands left of it.
ORDER = (
    ("core",),
    ("privacy",),
    ("readers",),
    ("normalize",),
    ("sources",),
    ("ledger",),
    ("campaigns",),
    ("features",),
    ("model",),
    ("alerts",),
    ("detection",),
    ("triage",),
    ("drill",),
    ("delivery",),
    ("watch",),
    ("registry",),
    ("cli",),
)
RANK = {stage: rank for rank, stages in enumerate(ORDER) for stage in stages}
#: The registry knows the kinds of parts, and looks into their packages only when asked.
REGISTRY_KNOWS = {"normalize", "features", "sources", "delivery"}
#: Loading either can run code.
FORBIDDEN = {"pickle", "cPickle", "joblib", "dill", "cloudpickle", "shelve", "marshal"}
#: Slow to import (PyOD takes some two seconds), or extras, so only where they are needed.
HEAVY = {"pyod", "sklearn", "lightgbm", "scipy", "matplotlib", "duckdb"}
HEAVY |= {"httpx", "elasticsearch", "confluent_kafka"}
LONGEST_FILE = 400
LONGEST_FUNCTION = 40

Import = tuple[int, str, bool]


def modules() -> list[Path]:
    return sorted((ROOT / "detector").rglob("*.py"))


def imports(tree: ast.Module) -> Iterator[Import]:
    """Line, full name, and whether it stands at the top level."""
    top = set(ast.walk(ast.Module([n for n in tree.body if not _is_body(n)], [])))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for name in node.names:
                yield node.lineno, name.name, node in top
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            for name in node.names:
                yield node.lineno, f"{base}.{name.name}", node in top


def _is_body(node: ast.stmt) -> bool:
    """What does not run when the module is imported."""
    if isinstance(node, ast.If):
        return isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)


def stage(name: str) -> str:
    """``detector.ledger.store`` is of ``ledger``; ``detector`` itself of none."""
    parts = name.split(".")
    return parts[1] if len(parts) > 1 and parts[0] == "detector" else ""


def wrong_imports(path: str, module_stage: str, text: str) -> list[str]:
    """``file:line: ledger must not import features`` for each import against the flow."""
    wrong = []
    for line, name, _ in imports(ast.parse(text)):
        other = stage(name)
        if name.startswith("."):
            wrong.append(f"{path}:{line}: relative imports hide the stage, name it in full")
        elif other not in RANK or other == module_stage:
            continue
        elif module_stage == "registry":
            if other not in REGISTRY_KNOWS:
                wrong.append(f"{path}:{line}: registry must not import {other}")
        elif module_stage not in RANK or RANK[other] >= RANK[module_stage]:
            wrong.append(f"{path}:{line}: {module_stage or 'detector'} must not import {other}")
    return wrong


def forbidden_imports(path: str, text: str) -> list[str]:
    wrong = []
    for line, name, at_top in imports(ast.parse(text)):
        first = name.split(".")[0]
        if first in FORBIDDEN:
            wrong.append(f"{path}:{line}: {first} can run code when it loads")
        if first in HEAVY and at_top:
            wrong.append(f"{path}:{line}: {first} must be imported where it is needed")
    return wrong


def overlong(path: str, text: str) -> list[str]:
    wrong = []
    lines = len(text.splitlines())
    if lines > LONGEST_FILE:
        wrong.append(f"{path}: {lines} lines, more than {LONGEST_FILE}")
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = _body_lines(node)
            if length > LONGEST_FUNCTION:
                wrong.append(f"{path}:{node.lineno}: {node.name} has {length} lines")
    return wrong


def _body_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of code: a long signature is not depth, and a docstring is welcome."""
    body = node.body[1:] if ast.get_docstring(node) is not None else node.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def _each_module() -> Iterator[tuple[str, str, str]]:
    for path in modules():
        inside = path.relative_to(ROOT / "detector")
        of = inside.parts[0].removesuffix(".py")
        yield (
            str(path.relative_to(ROOT)),
            "" if of == "__init__" else of,
            path.read_text(encoding="utf-8"),
        )


def test_every_module_belongs_to_a_stage() -> None:
    unknown = sorted({of for _, of, _ in _each_module() if of and of not in RANK})
    assert not unknown, f"place these in ORDER: {unknown}"


def test_no_stage_imports_what_is_on_its_right() -> None:
    wrong = [line for path, of, text in _each_module() for line in wrong_imports(path, of, text)]
    assert not wrong, "\n".join(wrong)


def test_nothing_that_can_run_code_when_loading_is_imported() -> None:
    wrong = [line for path, _, text in _each_module() for line in forbidden_imports(path, text)]
    assert not wrong, "\n".join(wrong)


def test_files_and_functions_are_short() -> None:
    wrong = [line for path, _, text in _each_module() for line in overlong(path, text)]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("of", "text", "said"),
    [
        ("ledger", "from detector.features import days", "x.py:1: ledger must not import features"),
        (
            "ledger",
            "import detector\nfrom detector import features",
            "x.py:2: ledger must not import features",
        ),
        (
            "core",
            "def f():\n    import detector.normalize.source",
            "x.py:2: core must not import normalize",
        ),
        (
            "registry",
            "from detector.alerts import alert",
            "x.py:1: registry must not import alerts",
        ),
        (
            "core",
            "from detector.privacy import keys",
            "x.py:1: core must not import privacy",
        ),
        (
            "alerts",
            "from . import reasons",
            "x.py:1: relative imports hide the stage, name it in full",
        ),
    ],
)
def test_an_import_against_the_flow_is_named_with_its_line(of: str, text: str, said: str) -> None:
    assert wrong_imports("x.py", of, text) == [said]


def test_imports_along_the_flow_are_allowed() -> None:
    text = "from detector import registry\nfrom detector.ledger.store import Ledger\nimport polars"
    assert wrong_imports("x.py", "cli", text) == []


def test_forbidden_and_heavy_imports_are_named() -> None:
    assert forbidden_imports("x.py", "def f():\n    import pickle") == [
        "x.py:2: pickle can run code when it loads"
    ]
    assert forbidden_imports("x.py", "if True:\n    from sklearn import tree") == [
        "x.py:2: sklearn must be imported where it is needed"
    ]
    assert forbidden_imports("x.py", "def f():\n    from sklearn import tree") == []
    assert forbidden_imports("x.py", "if TYPE_CHECKING:\n    from sklearn import tree") == []


def test_a_long_function_is_named() -> None:
    head = 'def f(\n    a,\n    b,\n):\n    """Says\n    much."""\n'
    assert overlong("x.py", head + "    pass\n" * LONGEST_FUNCTION) == []
    assert overlong("x.py", head + "    pass\n" * (LONGEST_FUNCTION + 1)) == [
        f"x.py:1: f has {LONGEST_FUNCTION + 1} lines"
    ]


#: Scoring, too: a watcher that is started again has five seconds, and memory to spare for logs.
SCORING = """import numpy
from pathlib import Path
from detector import registry
from detector.model import store
model = store.load(Path("models/agency"), registry.families())
model.kind_models["account"].ensemble.forest.score(numpy.zeros((1, 200)))"""


@pytest.mark.parametrize("work", ["import detector.cli.app, detector.watch.service", SCORING])
def test_starting_and_scoring_load_no_heavy_library(work: str) -> None:
    code = (
        f"import sys\n{work}\n"
        f"print(sorted({HEAVY!r} & {{name.split('.')[0] for name in sys.modules}}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr
