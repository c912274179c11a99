"""What is installed is pinned by hash, and no file says where packages come from."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOCKS = ("requirements/run.txt", "requirements/dev.txt")
PINNED = re.compile(
    r"(?P<name>[a-z0-9][a-z0-9._-]*)==(?P<version>[^\s;]+)(?P<marker> ; [^\\]+?)?"
    r"(?P<hashes>( --hash=sha256:[0-9a-f]{64})+)"
)
#: Put together from halves, so that this file does not name them either.
HOSTS = re.compile(
    "|".join(
        re.escape(a + b)
        for a, b in (
            ("py", "pi.org"),
            ("python", "hosted.org"),
            ("npm", "js.org"),
            ("deb.debian", ".org"),
            ("debian.org/", "debian"),
            ("proxy.go", "lang.org"),
            ("crates", ".io"),
        )
    )
    + r"|https?://\S+/simple\b|--(extra-)?index-url[ =]\S*://",
    re.IGNORECASE,
)
SKIPPED = {".git", ".venv", ".hypothesis", "__pycache__", "build", "dist", "out", "ledger"}


def entries(lock: str) -> list[str]:
    """Each requirement on one line, continuation lines joined."""
    text = (ROOT / lock).read_text(encoding="utf-8").replace("\\\n", " ")
    return [" ".join(line.split()) for line in text.splitlines() if line.strip()]


def pins(lock: str) -> dict[str, str]:
    found = {}
    for line in entries(lock):
        match = PINNED.fullmatch(line)
        assert match, f"{lock}: not pinned by hash: {line[:80]}"
        found[match["name"]] = match["version"]
    return found


def name_of(requirement: str) -> str:
    match = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert match
    return re.sub(r"[-_.]+", "-", match[0]).lower()


def project() -> dict[str, list[str]]:
    document = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    run = document["project"]["dependencies"] + document["build-system"]["requires"]
    dev = run + document["project"]["optional-dependencies"]["dev"]
    return {"requirements/run.txt": run, "requirements/dev.txt": dev}


@pytest.mark.parametrize("lock", LOCKS)
def test_every_line_of_the_lock_is_pinned_and_hashed(lock: str) -> None:
    assert len(pins(lock)) > 10


@pytest.mark.parametrize("lock", LOCKS)
def test_the_lock_holds_all_that_the_project_names_and_its_build(lock: str) -> None:
    wanted = {name_of(requirement) for requirement in project()[lock]}
    missing = wanted - set(pins(lock))
    assert not missing, f"{lock} lacks {sorted(missing)}; run scripts/lock"


def test_both_locks_agree() -> None:
    run, dev = pins(LOCKS[0]), pins(LOCKS[1])
    assert {name: dev.get(name) for name in run} == run


def tracked() -> list[Path]:
    """Files in git, or, outside a work tree, all files."""
    done = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 0 and done.stdout:
        return [
            path for name in done.stdout.split("\0") if name and (path := ROOT / name).is_file()
        ]
    return [
        path
        for path in ROOT.rglob("*")
        if path.is_file() and not SKIPPED & set(path.relative_to(ROOT).parts)
    ]


def hosts_in(text: str) -> list[str]:
    return [match[0] for match in HOSTS.finditer(text)]


def test_no_file_names_a_package_registry() -> None:
    named = []
    for path in tracked():
        data = path.read_bytes()
        if b"\0" in data[:8192]:
            continue
        named += [
            f"{path.relative_to(ROOT)}: {host}"
            for host in hosts_in(data.decode("utf-8", errors="replace"))
        ]
    assert not named, "\n".join(named)


def test_a_registry_host_would_be_seen() -> None:
    assert hosts_in("--index" + "-url https://" + "example.org/" + "simple")
    assert hosts_in("see " + "py" + "pi.org")
    assert hosts_in("url = https://files.python" + "hosted.org/packages/x.whl")
    assert not hosts_in("see https://www.postgresql.org/docs/15/runtime-config-logging.html")
