"""One destination as the settings give it: a table of ``[[sinks]]``, or the URL of ``--sink``."""

from __future__ import annotations

import difflib
import ipaddress
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final
from urllib.parse import parse_qsl, unquote_to_bytes, urlsplit

from detector.alerts.severity import SEVERITY_ORDER
from detector.core.errors import SettingsError

MIB: Final = 1 << 20
#: Settings that every sink has; each sink names its others.
COMMON_KEYS: Final = frozenset(
    {"url", "name", "format", "minimum_severity", "batch", "refusals", "timeout"}
)
#: Keys of the settings that are no good names here.
FIELD_BY_KEY: Final = {"from": "sender", "to": "recipients"}
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


def parse_table(table: Mapping[str, Any], where: str) -> SinkConfig:
    """From a table of ``[[sinks]]``. Raises SettingsError; ``where`` never holds a secret."""
    known = {KEY_BY_FIELD.get(item.name, item.name): item for item in fields(SinkConfig)}
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(sorted(known))}"
            if key in {"token", "password", "secret"}:
                hint = "secrets stand in a variable (token_env) or a file (token_file)"
            raise SettingsError(f"a sink has no setting {key!r}", where=where, hint=hint)
        if key == "to":
            value = (value,) if isinstance(value, str) else value  # noqa: PLW2901
            value = tuple(value) if isinstance(value, list) else value  # noqa: PLW2901
        values[FIELD_BY_KEY.get(key, key)] = value
    if not isinstance(values.get("url"), str) or "://" not in values["url"]:
        raise SettingsError("a sink needs a url", where=where, hint='such as "file:///var/a.log"')
    made = SinkConfig(**values)
    _check_types(made, where)
    _check_url(made, where)
    return made


KEY_BY_FIELD: Final = {name: key for key, name in FIELD_BY_KEY.items()}


def parse_flag(text: str) -> SinkConfig:
    """From ``--sink URL#key=value&key=value``. Raises SettingsError.

    Settings stand in the fragment, which no client ever sends: the query is the receiver's.
    """
    url, _, fragment = text.partition("#")
    table: dict[str, Any] = {"url": url}
    for key, value in parse_qsl(fragment, keep_blank_values=True):
        kind = next((f.type for f in fields(SinkConfig) if f.name == key), "str")
        table[key] = _convert(key, value, str(kind))
    return parse_table(table, "--sink")


def _convert(key: str, value: str, kind: str) -> object:
    if key == "to":
        return value.split(",")
    try:
        if kind == "bool":
            return {"true": True, "false": False}[value]
        return {"int": int, "float": float}.get(kind, str)(value)
    except (ValueError, KeyError):
        raise SettingsError(f"{key} = {value!r} makes no sense", where="--sink") from None


def _check_types(made: SinkConfig, where: str) -> None:
    def refuse(key: str, what: str) -> None:
        value = getattr(made, FIELD_BY_KEY.get(key, key))
        raise SettingsError(f"{key} = {value!r} must be {what}", where=where)

    for key, least, most in (
        ("batch", 0, MAX_BATCH),
        ("refusals", 1, 1000),
        ("rotate_bytes", 0, MAX_BYTES),
    ):
        value = getattr(made, key)
        if type(value) is not int or not least <= value <= most:
            refuse(key, f"a whole number from {least} to {most:,}")
    if type(made.timeout) not in {int, float} or not 0 < made.timeout <= MAX_SECONDS:
        refuse("timeout", f"a number of seconds up to {MAX_SECONDS:,}")
    if type(made.rotate_daily) is not bool:
        refuse("rotate_daily", "true or false")
    if not isinstance(made.recipients, tuple) or not _has_only_texts(made.recipients):
        refuse("to", "a list of addresses")
    for item in fields(SinkConfig):
        if item.type == "str" and not isinstance(getattr(made, item.name), str):
            refuse(KEY_BY_FIELD.get(item.name, item.name), "a text in quotes")
    if made.minimum_severity not in SEVERITY_ORDER:
        refuse("minimum_severity", f"one of {', '.join(SEVERITY_ORDER)}")
    if made.token_env and made.token_file:
        what = "token_env and token_file are both set"
        raise SettingsError(what, where=where, hint="keep the secret in one place")
    if made.key and not made.cert:
        raise SettingsError("key is set without cert", where=where, hint="name both")


def _has_only_texts(values: Sequence[object]) -> bool:
    return all(isinstance(value, str) and value for value in values)


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
