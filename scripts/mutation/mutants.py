"""Mutants of a module: one small change each, by its place in the syntax tree.

Own lines instead of mutmut or cosmic-ray: both want to run the whole suite, and a dependency that
no user needs; a sample of mutants against the tests near them is all that is asked here.
"""

from __future__ import annotations

import ast
import copy
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

COMPARED = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq, ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}  # fmt: skip
CALCULATED = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult,
    ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd, ast.FloorDiv: ast.Mult, ast.Mod: ast.Add,
}  # fmt: skip
JOINED = {ast.And: ast.Or, ast.Or: ast.And}


@dataclass(frozen=True, slots=True)
class Mutant:
    """``new`` takes the place of the bytes from ``start`` to ``end`` of the file ``path``."""

    path: Path
    line: int
    start: int
    end: int
    old: str
    new: str

    def applied(self, source: bytes) -> bytes:
        """The file with the change."""
        return source[: self.start] + self.new.encode() + source[self.end :]


def mutants(path: Path, source: bytes) -> list[Mutant]:
    """All mutants of a module, in the order of the file."""
    lines = [0]
    for line in source.split(b"\n"):
        lines.append(lines[-1] + len(line) + 1)
    found = []
    for node in _reached(ast.parse(source)):
        for new in _changed(node):
            start = lines[node.lineno - 1] + node.col_offset
            end = lines[(node.end_lineno or 0) - 1] + (node.end_col_offset or 0)
            old = source[start:end].decode()
            found.append(Mutant(path, node.lineno, start, end, old, new))
    return sorted(found, key=lambda each: (each.start, each.end, each.new))


def sampled(paths: Sequence[Path], number: int, seed: int) -> list[Mutant]:
    """``number`` mutants of all modules together, or all there are; the same for a seed."""
    every = [each for path in sorted(paths) for each in mutants(path, path.read_bytes())]
    chosen = random.Random(seed).sample(range(len(every)), min(number, len(every)))
    return [every[place] for place in sorted(chosen)]


def _reached(tree: ast.AST) -> Iterator[ast.expr | ast.stmt]:
    """Statements and expressions that do something: no types, docstrings or texts with fields."""
    for name, value in ast.iter_fields(tree):
        if name in {"annotation", "returns", "decorator_list", "type_params", "bases"}:
            continue
        for node in value if isinstance(value, list) else [value]:
            if not isinstance(node, ast.AST) or isinstance(node, ast.JoinedStr):
                continue  # before 3.12, what stands in an f-string has no place of its own
            if isinstance(node, ast.expr | ast.stmt):
                yield node
            yield from _reached(node)


def _changed(node: ast.expr | ast.stmt) -> Iterator[str]:
    """What may stand in the node's place."""
    if isinstance(node, ast.Compare):
        for place, operator in enumerate(node.ops):
            if type(operator) in COMPARED:
                other = copy.deepcopy(node)
                other.ops[place] = COMPARED[type(operator)]()
                yield f"({ast.unparse(other)})"
    elif isinstance(node, ast.BinOp) and type(node.op) in CALCULATED:
        if not _is_type(node):
            yield f"({ast.unparse(_with(node, op=CALCULATED[type(node.op)]()))})"
    elif isinstance(node, ast.BoolOp):
        yield f"({ast.unparse(_with(node, op=JOINED[type(node.op)]()))})"
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield f"({ast.unparse(node.operand)})"
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield str(not node.value)
    elif isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        yield repr(node.value + 1)
    elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        yield "pass"


def _with(node: ast.expr, **fields: ast.AST) -> ast.expr:
    other = copy.deepcopy(node)
    for name, value in fields.items():
        setattr(other, name, value)
    return other


def _is_type(node: ast.BinOp) -> bool:
    """``A | None`` outside of an annotation: an alias, or the second argument of isinstance."""
    parts = [node.left, node.right]
    return isinstance(node.op, ast.BitOr) and all(
        isinstance(part, ast.Name | ast.Attribute | ast.Constant | ast.Subscript) for part in parts
    )
