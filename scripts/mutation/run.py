"""Runs the tests near each mutant of a sample, and keeps the score."""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mutation.mutants import Mutant, sampled

TOP = Path(__file__).resolve().parents[2]
#: Tests that would kill for another reason, or ask a server: they are no tests near the code.
LEFT_OUT = ("tests/project", "tests/servers", "tests/cli/test_sample_model.py", "test_proof_")
#: Seconds that the tests of a mutant may take: one that does not end is noticed too.
PATIENCE = 900
GOAL = 0.85


@dataclass(frozen=True, slots=True)
class Score:
    """Of a package: mutants ``tried``, and those that ``survived`` (file, line, change)."""

    package: str
    tried: int
    survived: list[str]

    @property
    def killed(self) -> int:
        """Those that a test noticed."""
        return self.tried - len(self.survived)


def near(path: str, tests: dict[str, str]) -> list[str]:
    """The test files that import the module ``path``; else those that import its package."""
    *folders, name = path.removesuffix(".py").split("/")
    package = ".".join(folders)
    module = rf"{package}\.{name}\b|from {package} import [^#]*?\b{name}\b"
    if name == "__init__":
        module = rf"{package}\b"
    for pattern in (module, rf"{package}\b"):
        found = [test for test, text in tests.items() if re.search(pattern, text)]
        if found:
            return found
    return []


def texts(folder: Path) -> dict[str, str]:
    """The tests that may be run, by path."""
    found = {
        str(path.relative_to(folder)): path.read_text(encoding="utf-8")
        for path in sorted(folder.glob("tests/**/test_*.py"))
    }
    return {test: text for test, text in found.items() if not any(out in test for out in LEFT_OUT)}


def copied(folder: Path) -> None:
    """All files that git knows, as they are now: the project itself is never changed."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=TOP, capture_output=True, check=True)
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (TOP / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(TOP / name, folder / name)


def is_green(folder: Path, tests: Sequence[str]) -> bool:
    """Whether the tests pass. Those that do not end do not pass."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:randomly", *tests]
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, check=False, timeout=PATIENCE
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def score(package: str, number: int, seed: int, folder: Path, say: Any = print) -> Score:
    """Tries a sample of a package's mutants in the copy ``folder``."""
    tests = texts(folder)
    green: dict[tuple[str, ...], bool] = {}
    tried, survived = 0, []
    paths = list((folder / "detector" / package).rglob("*.py"))
    for mutant in sampled(paths, number, seed):
        name = str(mutant.path.relative_to(folder))
        mine = tuple(near(name, tests))
        if mine not in green:
            green[mine] = bool(mine) and is_green(folder, mine)
        if mine and not green[mine]:  # said, so that no score is better than it is
            say(f"not tried: the tests of {name} fail without a change")
            continue
        tried += 1
        words = f"{name}:{mutant.line}: {mutant.old!r} -> {mutant.new!r}"
        if not mine or _lives(mutant, folder, mine):
            survived.append(words)
            say(f"survived: {words}")
        else:
            say(f"killed:   {words}")
    return Score(package, tried, survived)


def _lives(mutant: Mutant, folder: Path, tests: Sequence[str]) -> bool:
    source = mutant.path.read_bytes()
    mutant.path.write_bytes(mutant.applied(source))
    try:
        return is_green(folder, tests)
    finally:
        mutant.path.write_bytes(source)


def keep(path: Path, scores: Sequence[Score], seed: int) -> dict[str, Any]:
    """Adds the scores to the file; its newest of each package."""
    runs = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=TOP, capture_output=True, text=True, check=True
    ).stdout.strip()
    when = datetime.now(UTC).isoformat(timespec="seconds")
    runs += [
        {"when": when, "commit": commit, "seed": seed, "package": each.package,
         "tried": each.tried, "killed": each.killed, "survived": each.survived}
        for each in scores
    ]  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(runs, indent=1), encoding="utf-8")
    return {run["package"]: run for run in runs}


def table(newest: dict[str, Any]) -> str:
    """Of the newest score of each package, and of all together."""
    tried = sum(run["tried"] for run in newest.values())
    killed = sum(run["killed"] for run in newest.values())
    whole = {"tried": tried, "killed": killed, "when": ""}
    lines = [f"{'package':<14} {'tried':>5} {'killed':>6} {'share':>6}  when"]
    for name, run in [*sorted(newest.items()), (f"all, goal {GOAL:.0%}", whole)]:
        share = f"{run['killed'] / run['tried']:.0%}" if run["tried"] else "-"
        line = f"{name:<14} {run['tried']:>5} {run['killed']:>6} {share:>6}  {run['when'][:10]}"
        lines.append(line.rstrip())
    return "\n".join(lines)


def main() -> int:
    """The command; it exits with 0 whatever survives: the score is for people."""
    every = sorted(path.parent.name for path in TOP.glob("detector/*/__init__.py"))
    parser = argparse.ArgumentParser(description="Says which small changes no test notices.")
    parser.add_argument("package", nargs="*", choices=[*every, []], default=every)
    parser.add_argument("--mutants", type=int, default=20, help="of each package")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--scores", type=Path, default=TOP / "out" / "mutation.json")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mutation-") as place:
        folder = Path(place)
        copied(folder)
        newest: dict[str, Any] = {}
        for package in asked.package:
            found = score(package, asked.mutants, asked.seed, folder)
            newest = keep(asked.scores, [found], asked.seed)
    print(table(newest))
    return 0
