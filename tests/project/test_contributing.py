"""What contributors are handed: hooks that call the project's own tools, and issue templates."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
HOOKS = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
TEMPLATES = sorted((ROOT / ".github/ISSUE_TEMPLATE").glob("*.md"))


def test_hooks_need_no_other_repository() -> None:
    assert [repo["repo"] for repo in HOOKS["repos"]] == ["local"]
    assert {hook["language"] for hook in HOOKS["repos"][0]["hooks"]} == {"system"}


@pytest.mark.parametrize("hook", HOOKS["repos"][0]["hooks"], ids=lambda hook: hook["id"])
def test_a_hook_calls_what_is_there(hook: dict[str, str]) -> None:
    tool, *arguments = hook["entry"].split()
    if tool.startswith("scripts/"):
        assert os.access(ROOT / tool, os.X_OK)
        return
    assert tool.startswith(".venv/bin/")
    name = tool.rpartition("/")[2]
    if name == "python":
        assert (ROOT / arguments[0]).is_file()
    else:
        locked = (ROOT / "requirements/dev.txt").read_text(encoding="utf-8")
        assert re.search(rf"^{name}==", locked, re.MULTILINE)
        # Each is what scripts/check runs.
        assert f"{tool}" in (ROOT / "scripts/check").read_text(encoding="utf-8")


def test_hooks_look_at_python_alone_where_they_mend_it() -> None:
    mending = [hook for hook in HOOKS["repos"][0]["hooks"] if hook["id"].startswith("ruff")]
    assert [hook["types_or"] for hook in mending] == [["python", "pyi"]] * 2


def test_there_is_a_template_for_each_kind_of_report() -> None:
    assert [path.stem for path in TEMPLATES] == ["bug", "false_alarm", "log_format", "missed_theft"]


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
def test_a_template_has_a_head_and_asks_for_no_real_names(path: Path) -> None:
    _, head, body = path.read_text(encoding="utf-8").split("---\n", 2)
    assert {"name", "about", "labels"} == set(yaml.safe_load(head))
    assert re.search(r"[Ii]nvent|pseudonyms", body.split("-->")[0])


def test_the_commands_that_templates_name_are_there() -> None:
    for path in TEMPLATES:
        for command in re.findall(r"`detector (\w+)", path.read_text(encoding="utf-8")):
            done = (ROOT / "docs/cli.md").read_text(encoding="utf-8")
            assert f"\n## detector {command}\n" in done, f"{path.name}: {command}"


def test_git_ignores_the_site() -> None:
    done = subprocess.run(
        ["git", "check-ignore", "-q", "site/index.html"], cwd=ROOT, check=False, capture_output=True
    )
    if done.returncode == 128:
        pytest.skip("not in a work tree")
    assert done.returncode == 0
