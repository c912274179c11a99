"""The sinks of the settings and flags, each with its kind and format, checked before the work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from detector.core.errors import SettingsError
from detector.delivery.config import (
    COMMON_KEYS,
    KEY_BY_FIELD,
    SinkConfig,
    display_name,
    parse_flag,
    parse_table,
)
from detector.delivery.format import Format
from detector.delivery.sink import Sink


@dataclass(frozen=True, slots=True)
class Route:
    """One destination. ``name`` is unique, and what the outbox knows it by."""

    name: str
    config: SinkConfig
    sink: Sink
    format: Format

    @property
    def batch(self) -> int:
        """The most alerts that are sent at once."""
        return self.config.batch or self.sink.batch


def build_routes(
    tables: Sequence[Mapping[str, Any]],
    flags: Sequence[str],
    sinks: Mapping[str, Sink],
    formats: Mapping[str, Format],
) -> list[Route]:
    """From ``[[sinks]]`` and ``--sink``. ``sinks`` are by scheme. Raises SettingsError."""
    asked = [(f"[[sinks]] {number}", parse_table(table, f"[[sinks]] {number}"))
             for number, table in enumerate(tables, start=1)]  # fmt: skip
    asked += [("--sink", parse_flag(flag)) for flag in flags]
    found: dict[str, Route] = {}
    for where, wanted in asked:
        route = _build_route(wanted, where, sinks, formats)
        if route.name in found:
            hint = "give each a name of its own"
            raise SettingsError(f"two sinks are named {route.name!r}", where=where, hint=hint)
        found[route.name] = route
    return list(found.values())


def _build_route(
    wanted: SinkConfig, where: str, sinks: Mapping[str, Sink], formats: Mapping[str, Format]
) -> Route:
    sink = sinks.get(wanted.scheme)
    if sink is None:
        hint = f"known are {', '.join(f'{scheme}://' for scheme in sorted(sinks))}"
        raise SettingsError(f"no sink takes {wanted.scheme!r} URLs", where=where, hint=hint)
    default = SinkConfig(wanted.url)
    for item in SinkConfig.__dataclass_fields__:
        key = KEY_BY_FIELD.get(item, item)
        if key not in COMMON_KEYS | sink.keys and getattr(wanted, item) != getattr(default, item):
            hint = f"beside those of all sinks it has {', '.join(sorted(sink.keys)) or 'none'}"
            what = f"{wanted.scheme}:// sinks have no setting {key!r}"
            raise SettingsError(what, where=where, hint=hint)
    if wanted.scheme in sink.plaintext_schemes and not wanted.is_loopback:
        hint = "unencrypted, it is for this machine alone: use the scheme with https"
        raise SettingsError(f"{wanted.scheme}:// to another machine", where=where, hint=hint)
    if sink.required_module and find_spec(sink.required_module) is None:
        hint = f"install it: pip install 'detector[{sink.name}]'"
        raise SettingsError(
            f"{wanted.scheme}:// needs {sink.required_module}", where=where, hint=hint
        )
    name = wanted.format or sink.format
    if name not in formats:
        hint = f"known are {', '.join(formats)}"
        raise SettingsError(f"no format {name!r}", where=where, hint=hint)
    try:
        _check_port(wanted)
        sink.check(wanted, formats[name])
    except SettingsError as error:
        raise SettingsError(error.what, where=where, hint=error.hint) from None
    return Route(display_name(wanted), wanted, sink, formats[name])


def _check_port(wanted: SinkConfig) -> None:
    """Several hosts, as Kafka has, are the sink's own business."""
    try:
        "," in wanted.url or wanted.port(0)
    except ValueError:
        raise SettingsError("a sink's url has no port that can be") from None
