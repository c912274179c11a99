"""The mutants that scripts/mutate tries, and how it finds the tests near them."""

from __future__ import annotations

import ast
from pathlib import Path

from mutation.mutants import mutants, sampled
from mutation.run import Score, near, table

CODE = '''"""A docstring with 1 number."""
from typing import Final
MOST: Final[int | None] = 3
def f(é: int | None = 0) -> bool:
    """Another."""
    print(f"{é + 1}")
    if é is None or not 1 < é <= 2:
        return True
    return isinstance(é, int | float)
'''


def changes(code: str) -> set[tuple[str, str]]:
    return {(each.old, each.new) for each in mutants(Path("x.py"), code.encode())}


def test_each_mutant_is_code_and_differs_in_its_place_alone():
    source = CODE.encode()
    found = mutants(Path("x.py"), source)
    texts = {each.applied(source) for each in found}
    assert len(texts) == len(found)
    for text in texts:
        assert ast.dump(ast.parse(text)) != ast.dump(ast.parse(source))


def test_types_texts_and_docstrings_stay_and_the_rest_changes():
    assert changes(CODE) == {
        ("3", "4"), ("0", "1"), ('print(f"{é + 1}")', "pass"), ("True", "False"),
        ("é is None or not 1 < é <= 2", "(é is None and (not 1 < é <= 2))"),
        ("é is None", "(é is not None)"), ("not 1 < é <= 2", "(1 < é <= 2)"),
        ("1 < é <= 2", "(1 <= é <= 2)"), ("1 < é <= 2", "(1 < é < 2)"), ("1", "2"), ("2", "3"),
    }  # fmt: skip
    assert changes("x = a + b * c\n") == {
        ("a + b * c", "(a - b * c)"), ("b * c", "(b / c)"),
    }  # fmt: skip


def test_a_sample_is_the_same_for_a_seed_and_another_for_another(tmp_path):
    path = tmp_path / "x.py"
    path.write_text("\n".join(f"x{n} = {n} < {n}" for n in range(90)), encoding="utf-8")
    first, again, other = (sampled([path], 12, seed) for seed in (1, 1, 2))
    assert first == again != other
    assert len(set(first)) == 12
    assert len(sampled([path], 9_999, 1)) == len(mutants(path, path.read_bytes()))


def test_the_tests_near_a_module_are_those_that_import_it_or_else_its_package():
    tests = {
        "a": "from detector.model import entity_bias, calibration\n",
        "b": "from detector.model.calibration import Tail\n",
        "c": "from detector.model import tails\nfrom detector.delivery import x",
    }
    assert near("detector/model/calibration.py", tests) == ["a", "b"]
    assert near("detector/model/tree_walk.py", tests) == ["a", "b", "c"]
    assert near("detector/delivery/x.py", tests) == ["c"]
    assert near("detector/delivery/sinks/mail.py", tests) == []


def test_the_table_adds_up():
    runs = {
        "ledger": {"tried": 4, "killed": 3, "when": "2026-11-30T01"},
        "watch": {"tried": 0, "killed": 0, "when": "2026-11-30T01"},
    }
    *_, ledger, watch, whole = table(runs).splitlines()
    assert ledger.split() == ["ledger", "4", "3", "75%", "2026-11-30"]
    assert watch.split()[1:4] == ["0", "0", "-"]
    assert whole.split()[-3:] == ["4", "3", "75%"]
    assert Score("ledger", 4, ["x"]).killed == 3
