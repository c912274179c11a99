"""Real alerts, and parsers of the formats that are not ours."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from detector.cli.app import run
from detector.delivery.sinks.syslog import frame_by_octets

TOP = Path(__file__).parents[3]
AGENCY = TOP / "data" / "sample" / "agency"

#: LEEF has no parser in any registry: this says what IBM's page says, to the parser of rsyslog.
#: The header stands between pipes; then come key, =, and anything up to the next delimiter.
LEEF = """
rule=:LEEF:2.0|%vendor:char-sep:|%|%product:char-sep:|%|%version:char-sep:|%|%event:char-sep:|%|HEAD|\
%{"name":"attributes","type":"repeat","parser":[{"name":"key","type":"char-to","extradata":"="},\
{"type":"literal","text":"="},{"name":"value","type":"char-sep","extradata":"SEP"}],\
"while":[{"type":"literal","text":"SEP"}]}%
"""
RULES = "".join(
    ["version=2\nrule=:%cef:cef%\n"]
    + [LEEF.replace("HEAD", head).replace("SEP", sep) for head, sep in (("^", "^"), ("x09", "\\t"))]
)

#: As rsyslog is installed, with its usual limit of 8 KiB; structured data as JSON.
RSYSLOG = """
global(workDirectory="{folder}")
module(load="imptcp")
module(load="mmpstrucdata")
input(type="imptcp" address="127.0.0.1" port="0" listenPortFileName="{folder}/port")
template(name="whole" type="string" string="%$!all-json%\\n")
action(type="mmpstrucdata")
set $!msg = $msg;
set $!host = $hostname;
set $!program = $app-name;
set $!msgid = $msgid;
set $!pri = $pri;
action(type="omfile" file="{folder}/received" template="whole")
"""


def _program(name: str, package: str) -> str:
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if found:
        return found
    what = f"needs {name} (Debian: apt-get install {package})"
    if os.environ.get("DETECTOR_REQUIRE_SERVERS") == "1":
        pytest.fail(f"DETECTOR_REQUIRE_SERVERS=1, but {what}")
    pytest.skip(what)


@pytest.fixture(scope="session")
def real(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """Alerts of the sample log and model: accounts and a table, in joined incidents."""
    out = tmp_path_factory.mktemp("real")
    arguments = [
        "score", AGENCY / "2024-02a.parquet", "--directory", AGENCY / "directory.csv",
        "--settings", AGENCY / "detector.toml", "--model", TOP / "models" / "agency",
        "--ledger", out / "ledger", "--out", out, "--format", "native",
    ]  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["detector", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            run()
    assert not stop.value.code
    found = [
        json.loads(line)
        for line in (out / "alerts.ndjson").read_text(encoding="utf-8").splitlines()
    ]
    assert {alert["entity_kind"] for alert in found} >= {"account", "object"}
    assert any(alert["related"] for alert in found)
    return found


@pytest.fixture(scope="session")
def lognorm(tmp_path_factory: pytest.TempPathFactory) -> Callable[[list[bytes]], list[Any]]:
    """rsyslog's own parser of CEF: what it makes of each record, one or none."""
    program = _program("lognormalizer", "liblognorm-utils")
    rules = tmp_path_factory.mktemp("lognorm") / "rules"
    rules.write_text(RULES, encoding="utf-8")

    def parsed(records: list[bytes]) -> list[Any]:
        done = subprocess.run(
            [program, "-r", rules, "-e", "json"],
            input=b"".join(record + b"\n" for record in records),
            capture_output=True,
            check=True,
        )
        found = [json.loads(line) for line in done.stdout.decode().splitlines()]
        assert len(found) == len(records)
        unread = [each for each in found if "unparsed-data" in each]
        assert not unread, unread[0]
        return found

    return parsed


@pytest.fixture(scope="session")
def rsyslog() -> Iterator[Callable[[list[bytes]], list[Any]]]:
    """A real rsyslog on the loopback: sends messages (RFC 6587 octet counting), reads what came."""
    program = _program("rsyslogd", "rsyslog")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "conf").write_text(RSYSLOG.format(folder=folder), encoding="utf-8")
        server = subprocess.Popen(
            [program, "-n", "-f", folder / "conf", "-i", folder / "pid"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        try:
            _until(
                lambda: (
                    (folder / "port").exists() and (folder / "port").read_text(encoding="utf-8")
                ),
                server,
            )
            port = int((folder / "port").read_text(encoding="utf-8"))
            yield lambda messages: _sent(messages, port, folder / "received", server)
        finally:
            server.terminate()
            server.communicate(timeout=20)


def _until(happened: Callable[[], Any], server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 30
    while not happened():
        assert server.poll() is None, (server.stderr.read() if server.stderr else b"").decode()
        assert time.monotonic() < deadline, "rsyslog did not answer in time"
        time.sleep(0.02)


def _sent(
    messages: list[bytes], port: int, received: Path, server: subprocess.Popen[bytes]
) -> list[Any]:
    def lines() -> list[bytes]:
        # What is being written may end within a character.
        return received.read_bytes().split(b"\n")[:-1] if received.exists() else []

    before = len(lines())
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(frame_by_octets(messages))
    _until(lambda: len(lines()) >= before + len(messages), server)
    return [json.loads(line) for line in lines()[before:]]
