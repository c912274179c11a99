"""What [[sinks]] and --sink may say, and how what makes no sense is refused."""

from __future__ import annotations

import pytest

from detector import registry
from detector.core.errors import SettingsError
from detector.core.settings import from_mapping
from detector.delivery.config import SinkConfig, display_name, parse_flag
from detector.delivery.routing import build_routes


def of(tables, *flags):
    return build_routes(tables, flags, registry.sinks(), registry.formats())


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({}, r"\[\[sinks\]\] 1: a sink needs a url; such as"),
        ({"url": 5}, "a sink needs a url"),
        ({"url": "/var/log/a"}, "a sink needs a url"),
        ({"url": "gopher://a"}, "no sink takes 'gopher' URLs; known are"),
        ({"url": "file:///a", "ulr": ""}, "no setting 'ulr'; did you mean 'url'?"),
        ({"url": "https://a", "token": "s3cret"}, "token_env"),
        ({"url": "https://a", "password": "s3cret"}, "token_env"),
        ({"url": "https://ann:s3cret@a"}, "holds a user or a password; name the user"),
        ({"url": "https://s3cret@a"}, "holds a user or a password"),
        ({"url": "https://a#x"}, "has a fragment"),
        ({"url": "https://a:port"}, "no port that can be"),
        ({"url": "https://[a"}, "url is none"),
        ({"url": "https://a", "format": "morse"}, "no format 'morse'; known are"),
        ({"url": "https://a", "minimum_severity": "awful"}, "one of low, medium, high, critical"),
        ({"url": "https://a", "batch": -1}, "batch = -1 must be a whole number"),
        ({"url": "https://a", "batch": True}, "batch = True must be"),
        ({"url": "https://a", "refusals": 0}, "refusals = 0 must be"),
        ({"url": "https://a", "timeout": 0}, "timeout = 0 must be"),
        ({"url": "https://a", "timeout": "5"}, "timeout = '5' must be"),
        ({"url": "https://a", "ca": 5}, "ca = 5 must be a text"),
        ({"url": "https://a", "key": "k"}, "key is set without cert"),
        ({"url": "https://a", "token_env": "A", "token_file": "b"}, "are both set"),
        ({"url": "https://a", "rotate_bytes": 5}, "https:// sinks have no setting 'rotate_bytes'"),
        ({"url": "file:///a", "ca": "x"}, "file:// sinks have no setting 'ca'; beside"),
        ({"url": "file://host/a"}, "three slashes"),
        ({"url": "file:///a/"}, "three slashes"),
        ({"url": "https:///a"}, "no host"),
        ({"url": "http://siem.example/in"}, "this machine alone"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line_without_secrets(table, said):
    with pytest.raises(SettingsError, match=said) as caught:
        of([table])
    assert "s3cret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_two_sinks_of_one_name_are_refused():
    with pytest.raises(SettingsError, match=r"2: two sinks are named 'https://a'"):
        of([{"url": "https://a/x"}, {"url": "https://a/y"}])
    assert len(of([{"url": "https://a/x"}, {"url": "https://a/y", "name": "y"}])) == 2


def test_flags_add_sinks_with_settings_in_the_fragment():
    first, second = of([{"url": "file:///a"}], "https://b/in?x=1#batch=7&minimum_severity=high")
    assert first.name == "file:///a"
    assert second.config == SinkConfig("https://b/in?x=1", batch=7, minimum_severity="high")


@pytest.mark.parametrize(
    "flag",
    [
        "https://b#batch=many", "file:///a#rotate_daily=perhaps", "file:///a#rotate_daily=1",
        "file:///a#rotate_daily=TRUE", "https://b#batch=1.0", "https://b#timeout=nan",
        "https://b#timeout=" + "[" * 100_000,
    ],
    ids=lambda flag: flag[:30],
)  # fmt: skip
def test_a_flag_s_setting_of_the_wrong_kind_is_refused(flag):
    with pytest.raises(SettingsError, match="must be"):
        parse_flag(flag)


def test_a_flag_s_settings_have_their_types():
    assert parse_flag("file:///a#rotate_daily=false&rotate_bytes=5") == SinkConfig(
        "file:///a", rotate_daily=False, rotate_bytes=5
    )
    assert parse_flag("smtp://localhost#to=a@b.example,c@d.example").recipients == (
        "a@b.example",
        "c@d.example",
    )


def test_a_path_that_may_be_a_secret_is_not_shown():
    assert (
        display_name(SinkConfig("https://hooks.example/T0/s3cret?k=s3cret"))
        == "https://hooks.example"
    )


def test_settings_that_are_no_tables_are_refused():
    with pytest.raises(SettingsError, match="sinks must be tables"):
        from_mapping({"sinks": "file:///a"})
    assert from_mapping({"sinks": [{"url": "file:///a"}]}).sinks == ({"url": "file:///a"},)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"url": "splunk+https://a"}, "needs a token; name it with token_env"),
        ({"url": "splunk+http://a.example"}, "this machine alone"),
        ({"url": "elastic+https://a/_all"}, "names no index"),
        ({"url": "elastic+https://a/Alerts"}, "small letters"),
        ({"url": "elastic+http://10.0.0.1"}, "this machine alone"),
        ({"url": "syslog+tcp://"}, "no host"),
        ({"url": "syslog+tcp://a", "ca": "ca.pem"}, "syslog\\+tls:// alone"),
        ({"url": "kafka://a:9092"}, "kafka://broker:9092,broker:9092/topic"),
        ({"url": "kafka://a/t", "user": "u"}, "kafka\\+tls:// alone"),
        ({"url": "kafka+tls://a/t", "user": "u"}, "go together"),
        ({"url": "kafka+tls://a/t", "mechanism": "MD5"}, "must be one of PLAIN"),
        ({"url": "smtp://a"}, "needs a host, from and to"),
        ({"url": "smtp://a", "from": "x", "to": "y@b"}, "'x' is no address"),
        ({"url": "smtp://a", "from": "x@b\nBcc: z@c", "to": "y@b"}, "is no address"),
        ({"url": "smtp://a", "from": "x@b", "to": "y@b", "user": "u"}, "go together"),
    ],
)
def test_what_a_sink_cannot_use_is_refused_before_anything_is_sent(table, said):
    with pytest.raises(SettingsError, match=said):
        of([table])


def test_a_missing_extra_is_one_line_that_says_what_to_install(monkeypatch):
    from detector.delivery import routing

    monkeypatch.setattr(routing, "find_spec", lambda _name: None)
    with pytest.raises(SettingsError, match=r"needs confluent_kafka; install it: pip install 'd"):
        of([{"url": "kafka://a:9092/alerts"}])
    with pytest.raises(SettingsError, match=r"detector\[elastic\]"):
        of([{"url": "elastic+https://a:9200"}])
