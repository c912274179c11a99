"""Certificates of a small authority, made anew for each run of the tests."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme


@dataclass(frozen=True)
class Certificates:
    """Paths of PEM files: the authority, a server's, a client's, and another authority."""

    ca: str
    server: str
    wrong_name: str
    client: str
    other_ca: str

    def server_side(self, *, wrong_name: bool = False, ask: bool = False) -> ssl.SSLContext:
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        made.load_cert_chain(self.wrong_name if wrong_name else self.server)
        if ask:
            made.load_verify_locations(self.ca)
            made.verify_mode = ssl.CERT_REQUIRED
        return made


@pytest.fixture(scope="session")
def certificates(tmp_path_factory) -> Certificates:
    folder: Path = tmp_path_factory.mktemp("certificates")
    authority, other = trustme.CA(), trustme.CA()
    paths = {name: str(folder / f"{name}.pem") for name in Certificates.__dataclass_fields__}
    authority.cert_pem.write_to_path(paths["ca"])
    other.cert_pem.write_to_path(paths["other_ca"])
    for name, host in (
        ("server", "127.0.0.1"), ("wrong_name", "elsewhere.example"), ("client", "detector"),
    ):  # fmt: skip
        issued = authority.issue_cert(host)
        issued.private_key_and_cert_chain_pem.write_to_path(paths[name])
    return Certificates(**paths)
