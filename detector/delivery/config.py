"""One destination as the settings give it: a table of ``[[sinks]]``, or the URL of ``--sink``."""

from __future__ import annotations

import ipaddress
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Annotated, Any, Final, Literal
from urllib.parse import parse_qsl, unquote_to_bytes, urlsplit

from msgspec import Meta

from detector.alerts.severity import SEVERITY_ORDER
from detector.core.errors import SettingsError
from detector.core.validation import Text, Types, check_key, convert, said, whole_number

MIB: Final = 1 << 20
#: Settings that every sink has; each sink names its others.
COMMON_KEYS: Final = frozenset(
    {"url", "name", "format", "minimum_severity", "batch", "refusals", "timeout"}
)
#: Keys of the settings that are no good names here.
FIELD_BY_KEY: Final = {"from": "sender", "to": "recipients"}
KEY_BY_FIELD: Final = {name: key for key, name in FIELD_BY_KEY.items()}
MAX_BATCH: Final = 10_000
MAX_SECONDS: Final = 3600
MAX_BYTES: Final = 2**53


@dataclass(frozen=True, slots=True)
class SinkConfig:
    """What a sink is told; empty or 0 means its own default. See docs/sinks.md.

    ``refusals`` is how often an alert is refused before it is set aside, ``timeout`` the seconds
    that one answer may take, ``rotate_bytes`` the size at which a file is set aside (0: never).
    """

    url: str
    name: str = ""
    format: str = ""
    minimum_severity: str = "low"
    batch: int = 0
    refusals: int = 5
    timeout: float = 10.0
    ca: str = ""
    cert: str = ""
    key: str = ""
    token_env: str = ""
    token_file: str = ""
    user: str = ""
    mechanism: str = ""
    index: str = ""
    framing: str = ""
    sender: str = ""
    recipients: tuple[str, ...] = ()
    rotate_bytes: int = 100 * MIB
    rotate_daily: bool = True

    @property
    def scheme(self) -> str:
        """In small letters."""
        return self.url.split("://", 1)[0].lower()

    @property
    def host(self) -> str:
        """Without brackets."""
        return urlsplit(self.url).hostname or ""

    @property
    def path(self) -> str:
        """Decoded; not for URLs that are sent on.

        A URL stands for bytes. They name the same file whatever encoding this process has for
        names: without UTF-8 (LANG=C), text alone could not say them.
        """
        named = urlsplit(self.url).path.encode("utf-8", "surrogateescape")
        return os.fsdecode(unquote_to_bytes(named))

    def port(self, default: int) -> int:
        """The URL's, or ``default``."""
        return urlsplit(self.url).port or default

    @property
    def is_loopback(self) -> bool:
        """Whether nothing leaves this machine."""
        try:
            return self.host == "localhost" or ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


_TEXT: Final = said(str, "{key} = {value!r} must be a text in quotes")
_RECIPIENTS: Final = said(tuple[Text, ...], "{key} = {value!r} must be a list of addresses")
_TYPES: Final[Types] = {
    **{KEY_BY_FIELD.get(item.name, item.name): _TEXT for item in fields(SinkConfig)},
    "batch": whole_number(0, MAX_BATCH),
    "minimum_severity": said(
        Literal["low", "medium", "high", "critical"],
        f"{{key}} = {{value!r}} must be one of {', '.join(SEVERITY_ORDER)}",
    ),
    "refusals": whole_number(1, 1000),
    "rotate_bytes": whole_number(0, MAX_BYTES),
    "rotate_daily": said(bool, "{key} = {value!r} must be true or false"),
    "timeout": said(
        Annotated[float, Meta(gt=0, le=MAX_SECONDS)],
        f"{{key}} = {{value!r}} must be a number of seconds up to {MAX_SECONDS:,}",
    ),
    "to": _RECIPIENTS,
    "url": said(
        Annotated[str, Meta(pattern="://")], "a sink needs a url", 'such as "file:///var/a.log"'
    ),
}


#: Keys whose values are no texts.
_LITERAL_KEYS: Final = frozenset(
    item.name for item in fields(SinkConfig) if item.type in {"bool", "int", "float"}
)


def parse_table(table: Mapping[str, Any], where: str) -> SinkConfig:
    """From a table of ``[[sinks]]``. Raises SettingsError; ``where`` never holds a secret."""
    for key in table:
        secret = key in {"token", "password", "secret"}
        hint = "secrets stand in a variable (token_env) or a file (token_file)" if secret else ""
        check_key(key, _TYPES, where, "a sink has no setting {key!r}", hint)
    given = {"url": None, **table}
    if isinstance(given.get("to"), str):
        given["to"] = [given["to"]]
    values = {
        FIELD_BY_KEY.get(key, key): convert(_TYPES[key], key, value, where)
        for key, value in given.items()
    }
    made = SinkConfig(**values)
    if made.token_env and made.token_file:
        what = "token_env and token_file are both set"
        raise SettingsError(what, where=where, hint="keep the secret in one place")
    if made.key and not made.cert:
        raise SettingsError("key is set without cert", where=where, hint="name both")
    _check_url(made, where)
    return made


def parse_flag(text: str) -> SinkConfig:
    """From ``--sink URL#key=value&key=value``. Raises SettingsError.

    Settings stand in the fragment, which no client ever sends: the query is the receiver's.
    """
    url, _, fragment = text.partition("#")
    table: dict[str, Any] = {"url": url, **dict(parse_qsl(fragment, keep_blank_values=True))}
    if "to" in table:
        table["to"] = table["to"].split(",")
    for key in _LITERAL_KEYS & table.keys():
        table[key] = _parse_literal(table[key])
    return parse_table(table, "--sink")


def _parse_literal(text: str) -> object:
    """A number, true or false as TOML writes them; what is none of these stays a text."""
    try:
        return json.loads(text, parse_constant=str)
    except (ValueError, RecursionError):
        return text


def _check_url(made: SinkConfig, where: str) -> None:
    """No message repeats the URL: it may hold the secret that it should not."""
    try:
        parts = urlsplit(made.url)
    except ValueError:
        raise SettingsError("a sink's url is none", where=where) from None
    if parts.password is not None or "@" in parts.netloc:
        hint = "name the user with user = and the secret with token_env = or token_file ="
        raise SettingsError("a sink's url holds a user or a password", where=where, hint=hint)
    if "#" in made.url:
        raise SettingsError("a sink's url has a fragment", where=where, hint="give it as settings")


def display_name(made: SinkConfig) -> str:
    """The name, or the URL without what only the receiver should see: its path may be a secret."""
    if made.name:
        return made.name
    parts = urlsplit(made.url)
    if parts.scheme in {"http", "https"}:
        return f"{parts.scheme}://{parts.netloc}"
    return made.url.split("?", 1)[0]
