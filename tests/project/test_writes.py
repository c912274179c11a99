"""Files are written in one way, which is durable and whole: ``core/files`` and ``core/locks``."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from test_imports import modules

ROOT = Path(__file__).parents[2]
HOMES = {"detector/core/files.py", "detector/core/locks.py"}
#: What puts bytes into a file, or gives it its name, by itself.
CALLS = {
    "fsync", "flock", "lockf", "write_bytes", "write_text", "mkstemp", "mkdtemp", "savefig",
    "NamedTemporaryFile", "TemporaryDirectory", "fdopen", "os.write", "os.replace", "os.rename",
    "os.open", "shutil.move", "shutil.copy", "shutil.copyfile",
}  # fmt: skip
#: Modes in which ``open`` writes.
WRITING = frozenset("wax+")
#: Writers of libraries, given a path: within ``replacement``, or ``naming`` for files that are
#: part of nothing until a manifest names them.
LIBRARIES = {"write_parquet", "sink_parquet", "sink_ndjson", "write_csv", "write_ndjson"}
GUARDS = {"replacement", "naming"}
#: Bytes of a picture or a table, and a log that is read.
NO_WRITES = {
    ("detector/watch/log_content.py", "os.open"),
    ("detector/drill/plot.py", "savefig"),
    ("detector/model/store.py", "write_parquet"),
}


def test_files_are_written_by_core_alone() -> None:
    wrong = [
        f"{path}:{line}: {call}; write by core/files"
        for path, text in sources()
        if path not in HOMES
        for line, call in own_writes(ast.parse(text), guarded=False)
        if (path, call) not in NO_WRITES
    ]
    assert not wrong, "\n".join(wrong)


def test_what_is_excepted_is_there() -> None:
    there = {
        (path, call)
        for path, text in sources()
        for _, call in own_writes(ast.parse(text), guarded=False)
    }
    assert there >= NO_WRITES


def test_a_write_of_ones_own_is_found() -> None:
    text = """
path.write_text("a")
os.replace(a, b)
fresh.replace(path)
text.replace("a", "b")
fresh.rename(path)
frame.rename({"a": "b"})
path.open("rb")
path.open("w")
open(path, mode="ab")
frame.write_parquet(path)
with files.replacement(path) as fresh:
    frame.write_parquet(fresh)
"""
    found = {line for line, _ in own_writes(ast.parse(text), guarded=False)}
    assert found == {2, 3, 4, 6, 9, 10, 11}


def sources() -> Iterator[tuple[str, str]]:
    for path in modules():
        yield path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")


def own_writes(node: ast.AST, *, guarded: bool) -> Iterator[tuple[int, str]]:
    """Line and name of each call that writes. ``guarded`` are those within a guard."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Call):
            call = ast.unparse(child.func)
            name = call.rpartition(".")[2]
            if call in CALLS or name in CALLS or (name in LIBRARIES and not guarded):
                yield child.lineno, call if call in CALLS else name
            elif (name == "open" and opens_to_write(child)) or gives_name(child, name):
                yield child.lineno, name
        inside = guarded or (isinstance(child, ast.With) and any(map(is_guard, child.items)))
        yield from own_writes(child, guarded=inside)


def opens_to_write(call: ast.Call) -> bool:
    given = [*call.args, *(each.value for each in call.keywords if each.arg == "mode")]
    modes = [each.value for each in given[:2] if isinstance(each, ast.Constant)]
    return any(
        isinstance(mode, str) and set(mode) & WRITING for mode in modes if len(str(mode)) < 4
    )


def gives_name(call: ast.Call, name: str) -> bool:
    """``Path.replace`` and ``Path.rename`` take one path; those of text and frames do not."""
    if name not in {"replace", "rename"} or len(call.args) != 1 or call.keywords:
        return False
    to = call.args[0]
    return isinstance(to, ast.BinOp) or (isinstance(to, ast.Name) and not to.id.isupper())


def is_guard(item: ast.withitem) -> bool:
    call = item.context_expr
    return isinstance(call, ast.Call) and ast.unparse(call.func).rpartition(".")[2] in GUARDS
