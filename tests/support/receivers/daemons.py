"""Starts the real rsyslog and syslog-ng of Debian on loopback, each in a folder of its own.

Debian lets only one of them be installed. .ci/run unpacks syslog-ng into SYSLOG_NG.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from simulation.loopback import UnavailableError, free_port

SYSLOG_NG = Path("/opt/syslog-ng")
VERSION = "3.38"

RSYSLOG = """
global(workDirectory="{folder}" maxMessageSize="256k"
    defaultNetstreamDriverCAFile="{ca}" defaultNetstreamDriverCertFile="{cert}"
    defaultNetstreamDriverKeyFile="{key}")
module(load="imtcp" streamDriver.name="{driver}" streamDriver.mode="{mode}"
    streamDriver.authMode="{auth}" {peer})
module(load="imudp")
input(type="imtcp" address="127.0.0.1" port="{port}")
input(type="imudp" address="127.0.0.1" port="{port}")
template(name="each" type="string" string="%jsonmesg%\\n")
action(type="omfile" file="{folder}/received" template="each" fileCreateMode="0644")
"""
SYSLOG_NG_CONF = """
@version: 3.35
options {{ log-msg-size(262144); stats-freq(0); keep-hostname(yes); }};
source s {{
    syslog(ip("127.0.0.1") port({port}) transport("{transport}") {tls});
    {udp}
}};
destination d {{
    file("{folder}/received" template("$(format-json --scope rfc5424)\\n"));
}};
log {{ source(s); destination(d); flags(flow-control); }};
"""
SYSLOG_NG_TLS = 'tls(key-file("{key}") cert-file("{cert}") ca-file("{ca}") peer-verify({verify}))'


@dataclass(frozen=True)
class Pem:
    """Paths of a server's key, certificate and authority."""

    key: str = ""
    cert: str = ""
    ca: str = ""


@dataclass
class Daemon:
    """A running server and the file it writes."""

    command: list[str]
    environment: dict[str, str]
    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def received(self) -> list[str]:
        """Whole lines, as they are now."""
        path = self.folder / "received"
        text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
        return text[: text.rfind("\n") + 1].splitlines()

    def wait_for(self, count: int, seconds: float = 20) -> list[str]:
        """At least so many lines, or what there is after so many seconds."""
        until = time.monotonic() + seconds
        while len(self.received) < count and time.monotonic() < until:
            time.sleep(0.02)
        return self.received

    def start(self) -> None:
        """Until it listens. Raises UnavailableError."""
        log = (self.folder / "log").open("ab")
        with log:
            self.process = subprocess.Popen(
                self.command, env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        until = time.monotonic() + 20
        while time.monotonic() < until and self.process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                time.sleep(0.05)
            else:
                return
        self.stop()
        said = (self.folder / "log").read_text(errors="replace", encoding="utf-8")
        raise UnavailableError(f"{self.command[0]} does not start: {' '.join(said.split())[:500]}")

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """Ends it; SIGTERM lets it write what it has."""
        if self.process:
            self.process.send_signal(how)
            self.process.wait(20)
            self.process = None


@contextmanager
def rsyslog(
    folder: Path, pem: Pem | None = None, *, ask: bool = False, usual: bool = False
) -> Iterator[Daemon]:
    """TCP and UDP, or with ``pem`` TLS; ``ask`` demands a client's certificate. ``usual`` leaves
    settings of messages as they are by default.
    """
    binary = shutil.which("rsyslogd") or "/usr/sbin/rsyslogd"
    if not Path(binary).exists():
        raise UnavailableError("rsyslog is not installed (rsyslogd was not found)")
    files = pem or Pem()
    port = free_port()
    text = RSYSLOG.format(
        folder=folder, port=port, ca=files.ca, cert=files.cert, key=files.key,
        driver="gtls" if pem else "ptcp", mode=1 if pem else 0,
        auth="x509/certvalid" if ask else "anon", peer="",
    )  # fmt: skip
    if not pem:
        text = text.replace('streamDriver.authMode="anon"', "")
    if usual:
        text = text.replace('maxMessageSize="256k"', "")
    (folder / "rsyslog.conf").write_text(text, encoding="utf-8")
    command = [binary, "-n", "-f", str(folder / "rsyslog.conf"), "-i", str(folder / "pid")]
    yield from _running(Daemon(command, dict(os.environ), folder, port))


@contextmanager
def syslog_ng(
    folder: Path, pem: Pem | None = None, *, ask: bool = False, usual: bool = False
) -> Iterator[Daemon]:
    """The same of syslog-ng, installed or unpacked. By its ``usual`` settings its source is the
    plain ``tcp()``, for which a line is a message.
    """
    installed = shutil.which("syslog-ng")
    binary = Path(installed) if installed else SYSLOG_NG / "usr/sbin/syslog-ng"
    if not binary.exists():
        raise UnavailableError(f"syslog-ng is neither installed nor unpacked in {SYSLOG_NG}")
    port = free_port()
    secured = ""
    if pem:
        verify = "required-trusted" if ask else "optional-untrusted"
        secured = SYSLOG_NG_TLS.format(key=pem.key, cert=pem.cert, ca=pem.ca, verify=verify)
    text = SYSLOG_NG_CONF.format(
        folder=folder, port=port, transport="tls" if pem else "tcp", tls=secured,
        udp="" if pem else f'syslog(ip("127.0.0.1") port({port}) transport("udp"));',
    )  # fmt: skip
    if usual:
        text = text.replace("log-msg-size(262144);", "")
        text = text.replace(' transport("tcp") );', ");", 1).replace("syslog(ip", "tcp(ip", 1)
    (folder / "syslog-ng.conf").write_text(text, encoding="utf-8")
    command = [
        str(binary), "-F", "--no-caps", "-f", str(folder / "syslog-ng.conf"),
        "-R", str(folder / "persist"), "-c", str(folder / "ctl"), "-p", str(folder / "pid"),
    ]  # fmt: skip
    environment = dict(os.environ)
    if not installed:
        libraries = SYSLOG_NG / "usr/lib/syslog-ng"
        environment["LD_LIBRARY_PATH"] = str(libraries)
        command.append(f"--module-path={libraries / VERSION}")
    yield from _running(Daemon(command, environment, folder, port))


def _running(daemon: Daemon) -> Iterator[Daemon]:
    daemon.start()
    try:
        yield daemon
    finally:
        daemon.stop()
