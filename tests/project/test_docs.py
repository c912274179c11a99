"""The documentation says what the code does: commands, options, settings, features, formats."""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import cli_reference
import pytest

from detector import __version__, registry
from detector.alerts.techniques import TECHNIQUES
from detector.campaigns.kinds import KINDS
from detector.core import schema
from detector.core.settings import Settings, load
from detector.delivery.config import COMMON_KEYS, KEY_BY_FIELD, SinkConfig
from detector.delivery.routing import build_routes
from detector.model import store
from detector.readers import column_names

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
#: Files and folders of the project; those with a * are globs, and looked at by the shell.
PATHS = re.compile(
    r"(?<![\w/.-])((?:scripts|simulation|benchmarks|tests|\.ci|docs|data|models|detector|requirements)/[\w./-]*+)(?!\*)"
)
#: Modules that are run: all of a name, and for ``python -m benchmarks watch`` what is behind it.
RUN = re.compile(r"python -m (simulation\.\w+|benchmarks(?: [a-z]+)?)")
DOCS = sorted((ROOT / "docs").rglob("*.md"))


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def type_of(kind: object) -> str:
    return str(kind).replace("time_unit='us', time_zone='UTC'", "us, UTC")


def commands() -> dict[str, Any]:
    """All commands, those of groups by both names: ``outbox list``."""
    return dict(cli_reference.commands())


def command_of(words: list[str]) -> tuple[str, list[str]]:
    """The command that a line names, and what follows."""
    known = commands()
    length = 2 if " ".join(words[:2]) in known else 1
    return " ".join(words[:length]), words[length:]


def rows(text: str) -> dict[str, list[str]]:
    """Rows of all Markdown tables by their first cell, without its backticks."""
    found = {}
    for line in text.splitlines():
        if line.startswith("| `"):
            cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
            found[cells[0].strip("`")] = cells[1:]
    return found


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def shell_lines(text: str) -> list[str]:
    """Commands of all sh blocks, continuation lines joined."""
    joined = "".join(blocks(text, "sh")).replace("\\\n", " ")
    return [line for line in joined.splitlines() if line and not line.startswith("#")]


def test_the_command_reference_is_what_the_code_says() -> None:
    """To mend it: .venv/bin/python scripts/cli_reference.py"""
    text = read(ROOT / "docs" / "cli.md")
    assert text == cli_reference.page()
    for name, command in commands().items():
        section = text.split(f"\n## detector {name}\n")[1].split("\n## ")[0]
        told = {option for option in rows(section) if option.startswith("--")}
        real = {p.opts[0] for p in command.params if p.param_type_name == "option"}
        assert told == real, name


def test_the_readme_is_short() -> None:
    assert len(read(README).splitlines()) <= 150


@pytest.mark.parametrize("path", [README, *DOCS], ids=lambda path: path.name)
def test_the_examples_parse(path: Path) -> None:
    for line in shell_lines(read(path)):
        words = shlex.split(line, comments=True)
        if not words or words[0] != "detector" or "--help" in words:
            continue
        if words[1:] == ["--version"]:
            continue
        name, rest = command_of(words[1:])
        commands()[name].make_context(name, [word for word in rest if word != "..."])


def test_scripts_that_the_docs_name_are_there() -> None:
    for path in [README, *DOCS]:
        for name in PATHS.findall(read(path)):
            assert (ROOT / name).exists(), f"{path.name} names {name}"
        for name in RUN.findall(read(path)):
            module = name.replace(" ", ".").replace(".", "/")
            there = (ROOT / f"{module}.py", ROOT / module / "__main__.py")
            assert any(each.exists() for each in there), f"{path.name} names {name}"


@pytest.mark.parametrize("path", [README, *DOCS], ids=lambda path: path.name)
def test_links_between_the_docs_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", read(path)):
        assert (path.parent / target).exists(), f"{path.name} links to {target}"


def test_every_setting_stands_in_the_docs_with_its_default() -> None:
    table = rows(read(ROOT / "docs/settings.md"))
    assert set(table) == {item.name for item in fields(Settings)}
    for item in fields(Settings):
        value = getattr(Settings(), item.name)
        value = {} if is_dataclass(value) else value  # a table of its own
        shown = "unset" if value is None else json.dumps(value, ensure_ascii=False)
        assert table[item.name][0] == f"`{shown}`", item.name


def test_the_example_settings_are_accepted(tmp_path: Path) -> None:
    for path in (README, *DOCS):
        for text in blocks(read(path), "toml"):
            if text.startswith("[[expected]]"):
                continue  # an allow-list, for tests/triage/test_allow_list.py
            file = tmp_path / "detector.toml"
            file.write_text(text, encoding="utf-8")
            assert load(file) != Settings()


def test_the_example_settings_name_every_setting() -> None:
    said = blocks(read(ROOT / "docs" / "settings.md"), "toml")[0]
    assert set(tomllib.loads(said)) == {item.name for item in fields(Settings)}


def test_every_setting_of_a_sink_stands_in_the_docs_with_its_default() -> None:
    table = rows(read(ROOT / "docs/sinks.md").split("## Settings of a sink")[1].split("\n## ")[0])
    assert set(table) == {KEY_BY_FIELD.get(item.name, item.name) for item in fields(SinkConfig)}
    for item in fields(SinkConfig):
        value = getattr(SinkConfig("file:///a"), item.name)
        shown = value if isinstance(value, str) else json.dumps(value)
        if item.name not in {"url", "batch", "mechanism"} and value:
            assert table[KEY_BY_FIELD.get(item.name, item.name)][1] == f"`{shown}`", item.name


def test_every_setting_of_a_sink_is_some_sink_s() -> None:
    keys = COMMON_KEYS.union(*(sink.keys for sink in registry.sinks().values()))
    assert keys == {KEY_BY_FIELD.get(item.name, item.name) for item in fields(SinkConfig)}


def test_every_scheme_stands_in_the_docs_with_its_title_and_format() -> None:
    table = rows(read(ROOT / "docs/sinks.md").split("## Kinds")[1].split("\n## ")[0])
    assert table == {
        scheme: [sink.title, f"`{sink.format}`"] for scheme, sink in registry.sinks().items()
    }


def test_the_sinks_of_the_examples_are_accepted() -> None:
    for path in [README, *DOCS]:
        for text in blocks(read(path), "toml"):
            tables = tomllib.loads(text).get("sinks", [])
            build_routes(tables, [], registry.sinks(), registry.formats())
    for line in shell_lines(read(ROOT / "docs/sinks.md")):
        words = shlex.split(line)
        flags = [
            word for at, word in enumerate(words) if words[at - 1] == "--sink" and "://" in word
        ]
        assert len(build_routes([], flags, registry.sinks(), registry.formats())) == len(flags)


def test_every_feature_stands_in_the_docs_with_its_unit_and_meaning() -> None:
    table = rows(read(ROOT / "docs/features.md"))
    wanted = {
        feature.name: [family.name, feature.unit, feature.meaning]
        for family in registry.families()
        for feature in family.features
    }
    assert table == wanted


def test_every_source_stands_in_the_docs_with_its_title() -> None:
    table = rows(read(ROOT / "docs/sources.md").split("## Formats")[1].split("\n## ")[0])
    assert table == {name: [source.title] for name, source in registry.sources().items()}


def test_every_event_column_stands_in_the_docs_with_its_type() -> None:
    text = read(ROOT / "docs/sources.md").split("## Canonical columns")[1].split("\n## ")[0]
    assert {name: cells[0] for name, cells in rows(text).items()} == {
        name: type_of(kind) for name, kind in schema.EVENTS.items()
    }


def test_every_understood_column_name_stands_in_the_docs() -> None:
    text = read(ROOT / "docs/sources.md").split("## Names in common use")[1].split("\n## ")[0]
    assert rows(text) == {
        name: [", ".join(aliases.split())] for name, aliases in column_names.ALIASES.items()
    }


def test_every_column_of_the_scores_stands_in_the_docs_with_its_type() -> None:
    text = read(ROOT / "docs/alerts.md").split("## scores.parquet")[1].split("\n## ")[0]
    assert {name: cells[0] for name, cells in rows(text).items()} == {
        name: type_of(kind) for name, kind in schema.SCORES.items()
    }


def test_every_column_of_the_drill_stands_in_the_docs_with_its_type() -> None:
    text = read(ROOT / "docs/drill.md").split("### drill.parquet")[1].split("\n## ")[0]
    assert {name: cells[0] for name, cells in rows(text).items()} == {
        name: type_of(kind) for name, kind in schema.DRILL_RESULTS.items()
    }


def test_every_kind_of_campaign_stands_in_the_docs_with_what_it_does() -> None:
    text = read(ROOT / "docs/drill.md").split("## detector drill")[1].split("\n### ")[0]
    assert rows(text) == {kind.name: [kind.description] for kind in KINDS}


def test_every_column_of_the_rejects_stands_in_the_docs() -> None:
    text = read(ROOT / "docs/alerts.md").split("## rejects.ndjson")[1].split("\n## ")[0]
    assert list(rows(text)) == list(schema.REJECTS)


def test_every_key_of_an_alert_stands_in_the_docs_in_order() -> None:
    from detector.alerts import alert

    text = read(ROOT / "docs/alerts.md").split("## alerts.ndjson")[1].split("\n## ")[0]
    source = read(Path(alert.__file__)).split("def build_alert(")[1].split("\ndef ")[0]
    keys = re.findall(r'^        "(\w+)":', source, re.MULTILINE)
    assert len(keys) > 10
    assert list(rows(text)) == keys


def test_the_alert_in_the_readme_has_an_alert_s_keys() -> None:
    (shown,) = blocks(read(README), "json")
    known = set(rows(read(ROOT / "docs/alerts.md").split("## alerts.ndjson")[1]))
    assert set(json.loads(shown)) <= known


def test_the_changelog_has_this_version() -> None:
    document = tomllib.loads(read(ROOT / "pyproject.toml"))
    assert document["project"]["version"] == __version__
    assert f"## [{__version__}]" in read(ROOT / "CHANGELOG.md")


def test_every_technique_of_an_alert_stands_in_the_docs() -> None:
    alerts, method = read(ROOT / "docs/alerts.md"), read(ROOT / "docs/method.md")
    for each in TECHNIQUES:
        assert f"| {each.id} {each.name} |" in alerts
        assert f"| `{each.id.split('.')[0]}` " in method
        assert f"attack.mitre.org/techniques/{each.id.split('.')[0]}/" in method


def test_every_file_of_a_model_stands_in_the_docs() -> None:
    text = read(ROOT / "docs/models.md").split("## Training")[0]
    files = {path.name for path in (ROOT / "models/agency").iterdir()}
    assert {name for name in files if f"`{name}`" not in text} == set()
    assert {f"{name}.parquet" for name in (*store.BASELINE_FRAMES, "trees")} <= files


def test_every_source_that_the_code_cites_is_given_in_full() -> None:
    """Author and year, as they stand in comments and docstrings of the core."""
    sources = read(ROOT / "docs/method.md").split("## Sources")[1]
    core = [*(ROOT / "detector/features").rglob("*.py"), *(ROOT / "detector/model").rglob("*.py")]
    cited = set()
    for path in core:
        cited |= set(re.findall(r"([A-Z][a-z]+)(?:'s)?,? \(?((?:19|20)\d\d)\)", read(path)))
    assert {name for name, _ in cited} >= {"Page", "Pickands", "Haan", "Zhou", "Friedman"}
    for name, year in cited:
        assert re.search(rf"{name}.*?{year}", sources, re.DOTALL), f"{name} {year}"


def test_every_page_is_reached_from_the_first_one() -> None:
    reached, ahead = set(), [ROOT / "docs/index.md"]
    while ahead:
        page = ahead.pop().resolve()
        if page not in reached and page in DOCS:
            reached.add(page)
            ahead += [page.parent / name for name in re.findall(r"\]\(([^)#:]+\.md)", read(page))]
    assert set(DOCS) - reached == set()


def test_every_key_of_the_audit_stands_in_the_docs(tmp_path: Path) -> None:
    from detector.privacy import audit_log

    audit_log.write(tmp_path / "audit", [audit_log.RevealAttempt(None, None)], None, None)
    text = read(ROOT / "docs/pseudonyms.md").split("## Turn one back")[1].split("\n## ")[0]
    assert list(rows(text)) == list(json.loads(read(tmp_path / "audit")))


#: A cell that has one word in capitals and nothing else, which no acronym is long enough for.
TO_COME = re.compile(r"\|\s*[A-Z]{7,}\s*(?=\||$)|\b(?:TODO|TBD|FIXME|XXX)\b", re.MULTILINE)


@pytest.mark.parametrize("path", [README, *DOCS], ids=lambda path: path.name)
def test_no_figure_is_still_to_come(path: Path) -> None:
    assert not TO_COME.findall(read(path))


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "docs/development.md"])
def test_both_runs_of_the_tests_are_told(page):
    told = read(ROOT / page)
    assert "scripts/test --all" in told
    assert "scripts/test" in told.replace("scripts/test --all", "")
    assert "five minutes" in told


def test_ci_runs_the_slow_tests_too_and_demands_servers():
    assert "\nDETECTOR_REQUIRE_SERVERS=1 scripts/test --all\n" in read(ROOT / ".ci" / "run")
    script = read(ROOT / "scripts" / "test")
    (quick,) = re.findall(r"^quick=\((.+)\)$", script, re.MULTILINE)
    assert shlex.split(quick) == ["-m", "not slow", "--hypothesis-profile", "quick"]
    assert "slow tests are left out; scripts/test --all runs all" in script
